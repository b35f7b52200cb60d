"""Nibble codes: winners, tables and decoded vectors against plain loops, for every number of axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics.byte_shuffle import TABLE_TOP
from assocmem._numerics.rotation import Rotation
from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.errors import InputError
from tests import naive_index
from tests.strategies import law, seeds

SHAPES = [(128, 8), (64, 8), (32, 8), (16, 8), (16, 16), (256, 8), (32, 32), (64, 16)]
"""width, clusters: with 16, 8, 4, 2, 1, 16 (half of the axes unused), 1 and 4 axes per cluster"""
KINDS = pytest.mark.parametrize(("width", "clusters"), SHAPES)


def rotated(seed, n, width):
    return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


@KINDS
def test_winners_scales_and_lengths_equal_the_oracle(width, clusters):
    coder = NibbleCoder(width, clusters)
    x = rotated(width + clusters, 12, width)
    codes, scales, squares = coder.encode(x)
    for i, row in enumerate(x):
        winners, scale, square = naive_index.encode(row, clusters, coder.levels)
        assert naive_index.unpack(codes[i]) == winners
        assert codes[i].tolist() == naive_index.pack(winners)
        assert (scales[i], squares[i]) == (pytest.approx(scale, rel=1e-5), pytest.approx(square, rel=1e-5))


@KINDS
def test_winners_of_vectors_of_one_sign_equal_the_oracle(width, clusters):
    coder = NibbleCoder(width, clusters)
    x = np.abs(rotated(width, 2, width)) * np.float32([[1], [-1]])
    for row, code in zip(x, coder.encode(x)[0], strict=True):
        assert naive_index.unpack(code) == naive_index.encode(row, clusters, coder.levels)[0]


@KINDS
def test_the_zero_vector_has_a_code_and_no_length(width, clusters):
    coder = NibbleCoder(width, clusters)
    codes, scales, squares = coder.encode(np.zeros((2, width), np.float32))
    assert (codes[0] == codes[1]).all()
    assert (scales == 0).all()
    assert (squares == 0).all()
    assert (coder.decode(codes, scales, squares) == 0).all()


def test_the_first_of_equal_axes_wins():
    coder = NibbleCoder(128, 8)
    codes, _, _ = coder.encode(np.ones((1, 128), np.float32))
    assert (codes == 0).all()
    signed = NibbleCoder(64, 8)
    codes, _, _ = signed.encode(np.tile(np.float32([-1, 1, 1, -1, 1, 1, 1, 1]), 8)[None])
    assert naive_index.unpack(codes[0]) == [8] * 8


@KINDS
def test_decoded_vectors_equal_the_oracle(width, clusters):
    coder = NibbleCoder(width, clusters)
    x = rotated(width, 5, width)
    codes, scales, squares = coder.encode(x)
    decoded = coder.decode(codes, scales, squares)
    for i in range(5):
        expected = naive_index.decode(codes[i], width, coder.levels, scales[i], squares[i])
        np.testing.assert_allclose(decoded[i], expected, atol=1e-5)


@law
@given(seed=seeds, shape=st.sampled_from(SHAPES))
def test_a_decoded_vector_has_the_same_code(seed, shape):
    coder = NibbleCoder(*shape)
    codes, scales, squares = coder.encode(rotated(seed, 4, shape[0]))
    again, _, _ = coder.encode(coder.decode(codes, scales, squares))
    if coder.axes > 2:  # levels are relative to the length, which coding shortens
        assert (again == codes).all()


@KINDS
def test_tables_are_the_values_of_units_in_steps_of_one_size(width, clusters):
    coder = NibbleCoder(width, clusters)
    queries = rotated(width + 1, 4, width)
    tables, terms = coder.tables(queries)
    assert tables.shape == (4, 2, clusters // 2, 16)
    assert tables.max() <= TABLE_TOP
    for i, query in enumerate(queries):
        values = naive_index.unit_values(query, clusters, coder.levels)
        step, offset = terms[i].tolist()
        assert step == pytest.approx(max(abs(v) for cluster in values for v in cluster) / (TABLE_TOP / 2), rel=1e-5)
        assert offset == pytest.approx(-TABLE_TOP / 2 * step * clusters, rel=1e-5)
        for c, cluster in enumerate(values):
            entries = tables[i, c % 2, c // 2].astype(float)
            np.testing.assert_allclose((entries - TABLE_TOP / 2) * step, cluster, atol=0.501 * step)


@KINDS
def test_a_sum_of_entries_estimates_a_product(width, clusters):
    coder = NibbleCoder(width, clusters)
    x, queries = rotated(1, 6, width), rotated(2, 3, width)
    codes, _, _ = coder.encode(x)
    tables, terms = coder.tables(queries)
    for i, query in enumerate(queries):
        values = naive_index.unit_values(query, clusters, coder.levels)
        step, offset = terms[i].tolist()
        for code in codes:
            winners = naive_index.unpack(code)
            total = sum(int(tables[i, c % 2, c // 2, winner]) for c, winner in enumerate(winners))
            exact = sum(values[c][winner] for c, winner in enumerate(winners))
            assert total * step + offset == pytest.approx(exact, abs=0.51 * step * clusters)


@law
@given(seed=seeds, shape=st.sampled_from(SHAPES[:5]))
def test_an_estimate_is_exact_if_the_query_is_the_item(seed, shape):
    """The product of a vector and itself, estimated by its code, is its squared length."""
    coder = NibbleCoder(*shape)
    x = rotated(seed, 3, shape[0])
    codes, scales, squares = coder.encode(x)
    for i, row in enumerate(x):
        values = naive_index.unit_values(row, shape[1], coder.levels)
        product = sum(values[c][winner] for c, winner in enumerate(naive_index.unpack(codes[i])))
        assert scales[i] * product == pytest.approx(squares[i], rel=1e-4)


def test_a_query_of_zeros_has_tables_of_zeros():
    tables, terms = NibbleCoder(64, 8).tables(np.zeros((1, 64), np.float32))
    assert np.unique(tables).tolist() == [64]
    assert terms.tolist() == [[1.0, -TABLE_TOP / 2 * 8]]


@law
@given(seed=seeds, cut=st.integers(1, 8))
def test_codes_and_tables_do_not_depend_on_their_batch(seed, cut):
    coder = NibbleCoder(64, 16)
    x = rotated(seed, 9, 64)
    for make in (coder.encode, coder.tables):
        for whole, first, second in zip(make(x), make(x[:cut]), make(x[cut:]), strict=True):
            np.testing.assert_array_equal(whole, np.concatenate([first, second]))


def test_codes_are_the_same_on_every_machine_and_version():
    """These bytes are stored in files: another result is another format."""
    x = (np.arange(1, 25, dtype=np.float32)[None, :] ** 2) % 17 - 8
    rotate = Rotation(24, 32, unit=True, seed=3)
    found = [NibbleCoder(32, clusters).encode(rotate(x))[0].tobytes().hex() for clusters in (8, 16, 32)]
    assert found == ["69735f0b", "7997a19415d925ab", "a55d6f86258a7486542487e5651a8bb8"]


@pytest.mark.parametrize(
    ("width", "clusters", "found"),
    [
        (64, 12, "expected a multiple of 8 from 8 to 64, found 12"),
        (64, 0, "from 8 to 64, found 0"),
        (64, -8, "from 8 to 64, found -8"),
        (64, 128, "from 8 to 64, found 128"),
        (1024, 1024, "from 8 to 512, found 1024"),
        (128, 40, r"expected a power of two \(or fewer than 8\), found 40"),
    ],
)
def test_impossible_clusters_are_refused(width, clusters, found):
    with pytest.raises(InputError, match=found):
        NibbleCoder(width, clusters)
