"""Stored vectors against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.errors import InputError
from assocmem.search.vector_storage import Features, read_rows
from tests.stored_vectors import DIM, KINDS, filled, vectors


@KINDS
@pytest.mark.parametrize("mapped", [0, 3])
def test_what_is_put_is_got(kind, mapped):
    x = vectors(1, 9, kind)
    features = filled(x, kind, mapped)
    rows = np.array([8, 0, 3, 3, 2], np.int32)
    assert features.get(rows).tolist() == x[rows].tolist()
    unit = features.get(rows, unit=True)
    np.testing.assert_allclose(unit, x[rows] / np.linalg.norm(x[rows], axis=1, keepdims=True), rtol=1e-5)
    features.put(np.array([8, 4], np.int32), x[:2])
    assert features.get(np.arange(9, dtype=np.int32)).tolist() == x[[0, 1, 2, 3, 1, 5, 6, 7, 0]].tolist()


@KINDS
def test_the_zero_vector_has_no_unit_length(kind):
    features = filled(np.zeros((1, DIM), np.float32), kind)
    assert (features.get(np.zeros(1, np.int32), unit=True) == 0).all()
    out = np.empty((1, features.width), np.float32)
    read_rows(features.parts, np.zeros(1, np.int32), True, out)
    assert (out == 0).all()


def test_kinds_are_named():
    with pytest.raises(InputError, match="features: expected one of float16, float32, uint8, found 'int8'"):
        Features(DIM, "int8")
    with pytest.raises(InputError, match="found None"):
        Features(DIM, None)
