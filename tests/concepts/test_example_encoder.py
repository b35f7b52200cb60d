"""How examples are stored: as they are, and as clique codes against an oracle."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem._numerics.rotation import Rotation
from assocmem.codes.nibble_codes import FOUR_LEVELS, SIXTEEN_LEVELS
from assocmem.concepts.examples import ExampleEncoder
from tests import naive_index
from tests.concepts.sample_memories import vectors


@pytest.mark.parametrize("code_bytes", [1, 3, 8, 65, 300])
@pytest.mark.parametrize("dim", [13, 24, 100])
def test_codes_are_the_nearest_units_and_decode_to_their_direction(code_bytes, dim):
    encoder = ExampleEncoder(dim, code_bytes, 1)
    x = vectors(dim, 4, dim)
    codes, clusters = encoder.encode(x), 2 * code_bytes
    assert encoder.decoded_dim.bit_count() == 1
    axes = max(n for n in (16, 8, 4, 2, 1) if n * clusters <= encoder.decoded_dim)
    levels = (SIXTEEN_LEVELS if axes == 1 else FOUR_LEVELS).tolist()
    rotated = Rotation(dim, encoder.decoded_dim, unit=False, seed=1)(x).astype(np.float64)
    decoded = encoder.decode(codes)
    assert decoded.shape == (4, encoder.decoded_dim)
    for row, code, direction in zip(rotated, codes, decoded, strict=True):
        one = np.sqrt((row**2).mean())
        units = naive_index.prototypes(axes, levels)
        winners = [naive_index.nearest_unit(row[axes * c : axes * (c + 1)], units, one) for c in range(clusters)]
        assert naive_index.unpack(code) == winners
        expected = np.array([value for winner in winners for value in units[winner]])
        np.testing.assert_allclose(direction[: axes * clusters], expected / np.linalg.norm(expected), atol=1e-5)
        assert not direction[axes * clusters :].any()


def test_vectors_are_stored_as_they_are():
    encoder, x = ExampleEncoder(13, None, 1), vectors(1, 4, 13)
    values = encoder.encode(x)
    assert (values.dtype, encoder.example_bytes, encoder.decoded_dim) == (np.float32, 52, 13)
    assert encoder.decode(values).tolist() == x.tolist()
    assert not np.shares_memory(values, x)


@pytest.mark.parametrize("code_bytes", [None, 8])
def test_spare_rows_have_the_form_of_encoded_vectors(code_bytes):
    encoder = ExampleEncoder(13, code_bytes, 1)
    values, empty = encoder.encode(vectors(1, 4, 13)), encoder.empty(4)
    assert (empty.shape, empty.dtype, empty.any()) == (values.shape, values.dtype, False)
    assert values[0].nbytes == encoder.example_bytes
