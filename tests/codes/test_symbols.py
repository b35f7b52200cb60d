"""Symbols: winners, tables and what stands for a code, against plain loops, for every number of axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics.byte_shuffle import TABLE_TOP
from assocmem._numerics.simd import from_bfloat16, to_bfloat16
from assocmem.codes import nibble_codes as symbols
from assocmem.errors import InputError
from tests import naive_index
from tests.strategies import law, seeds

SHAPES = [(128, 8), (64, 8), (32, 8), (16, 8), (16, 16), (256, 8), (32, 32), (64, 16)]
"""width, clusters: 16, 8, 4, 2, 1, 16 (with half the axes unused), 1 and 4 axes of a cluster"""
KINDS = pytest.mark.parametrize(("width", "clusters"), SHAPES)


def rotated(seed, n, width):
    return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


@KINDS
def test_winners_scales_and_lengths_equal_the_oracle(width, clusters):
    coder = symbols.SymbolCoder(width, clusters)
    x = rotated(width + clusters, 12, width)
    codes, scales, squares = coder.encode(x)
    for i, row in enumerate(x):
        winners, scale, square = naive_index.encode(row, clusters, coder.levels)
        assert naive_index.unpack(codes[i]) == winners
        assert codes[i].tolist() == naive_index.pack(winners)
        assert (scales[i], squares[i]) == (pytest.approx(scale, rel=1e-5), pytest.approx(square, rel=1e-5))


@KINDS
def test_the_zero_vector_has_a_code_and_no_length(width, clusters):
    coder = symbols.SymbolCoder(width, clusters)
    codes, scales, squares = coder.encode(np.zeros((2, width), np.float32))
    assert (codes[0] == codes[1]).all()
    assert (scales == 0).all()
    assert (squares == 0).all()
    assert (coder.decode(codes, scales, squares) == 0).all()


def test_the_first_of_equal_axes_wins():
    coder = symbols.SymbolCoder(128, 8)
    codes, _, _ = coder.encode(np.ones((1, 128), np.float32))
    assert (codes == 0).all()
    signed = symbols.SymbolCoder(64, 8)
    codes, _, _ = signed.encode(np.tile(np.float32([-1, 1, 1, -1, 1, 1, 1, 1]), 8)[None])
    assert naive_index.unpack(codes[0]) == [8] * 8


@KINDS
def test_what_stands_for_a_code_equals_the_oracle(width, clusters):
    coder = symbols.SymbolCoder(width, clusters)
    x = rotated(width, 5, width)
    codes, scales, squares = coder.encode(x)
    decoded = coder.decode(codes, scales, squares)
    for i in range(5):
        expected = naive_index.decode(codes[i], width, coder.levels, scales[i], squares[i])
        np.testing.assert_allclose(decoded[i], expected, atol=1e-5)


@law
@given(seed=seeds, shape=st.sampled_from(SHAPES))
def test_what_stands_for_a_code_has_that_code_again(seed, shape):
    coder = symbols.SymbolCoder(*shape)
    codes, scales, squares = coder.encode(rotated(seed, 4, shape[0]))
    again, _, _ = coder.encode(coder.decode(codes, scales, squares))
    if coder.axes > 2:  # levels are measured in units of the length, which coding shortens
        assert (again == codes).all()


@KINDS
def test_tables_are_the_units_values_in_steps_of_one_size(width, clusters):
    coder = symbols.SymbolCoder(width, clusters)
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
    coder = symbols.SymbolCoder(width, clusters)
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
def test_an_estimate_is_exact_where_the_query_is_the_item(seed, shape):
    """The product of a vector and itself, estimated by its code, is its squared length."""
    coder = symbols.SymbolCoder(*shape)
    x = rotated(seed, 3, shape[0])
    codes, scales, squares = coder.encode(x)
    for i, row in enumerate(x):
        values = naive_index.unit_values(row, shape[1], coder.levels)
        product = sum(values[c][winner] for c, winner in enumerate(naive_index.unpack(codes[i])))
        assert scales[i] * product == pytest.approx(squares[i], rel=1e-4)


def test_a_query_of_zeros_has_a_table_of_nothing():
    tables, terms = symbols.SymbolCoder(64, 8).tables(np.zeros((1, 64), np.float32))
    assert np.unique(tables).tolist() == [64]
    assert terms.tolist() == [[1.0, -TABLE_TOP / 2 * 8]]


@law
@given(seed=seeds, cut=st.integers(1, 8))
def test_codes_and_tables_do_not_depend_on_their_batch(seed, cut):
    coder = symbols.SymbolCoder(64, 16)
    x = rotated(seed, 9, 64)
    for make in (coder.encode, coder.tables):
        for whole, first, second in zip(make(x), make(x[:cut]), make(x[cut:]), strict=True):
            np.testing.assert_array_equal(whole, np.concatenate([first, second]))


def test_codes_are_the_same_on_every_machine_and_version():
    """These bytes are in people's files: a change here is a change of the format."""
    x = (np.arange(1, 25, dtype=np.float32)[None, :] ** 2) % 17 - 8
    rotate = symbols.Rotation(24, 32, unit=True, seed=3)
    found = [symbols.SymbolCoder(32, clusters).encode(rotate(x))[0].tobytes().hex() for clusters in (8, 16, 32)]
    assert found == ["69735f0b", "7997a19415d925ab", "a55d6f86258a7486542487e5651a8bb8"]


@law
@given(seed=seeds)
def test_shorts_are_floats_rounded_to_the_nearest(seed):
    values = (10.0 ** np.random.default_rng(seed).uniform(-30, 30, 20)).astype(np.float32)
    values[::2] *= -1
    shorts = to_bfloat16(values)
    back = from_bfloat16(shorts)
    assert back.tolist() == [naive_index.bfloat(short) for short in shorts]
    np.testing.assert_allclose(back, values, rtol=2.0**-8)
    assert (to_bfloat16(back) == shorts).all()
    for step in (-1, 1):  # no other is nearer
        neighbours = from_bfloat16((shorts.astype(np.int32) + step).astype(np.uint16))
        assert (np.abs(back.astype(float) - values) <= np.abs(neighbours.astype(float) - values)).all()


def test_shorts_of_nothing():
    assert to_bfloat16(np.float32([-np.inf, 0.0])).tolist() == [naive_index.EMPTY_BIAS, 0]


@pytest.mark.parametrize(
    ("width", "clusters", "found"),
    [
        (64, 12, "expected a multiple of 8 from 8 to 64, found 12"),
        (64, 0, "from 8 to 64, found 0"),
        (64, -8, "from 8 to 64, found -8"),
        (64, 128, "from 8 to 64, found 128"),
        (1024, 1024, "from 8 to 512, found 1024"),
        (128, 40, "expected a power of two"),
    ],
)
def test_impossible_clusters_are_named(width, clusters, found):
    with pytest.raises(InputError, match=found):
        symbols.SymbolCoder(width, clusters)


def test_means_are_checked():
    with pytest.raises(InputError, match=r"mean: expected shape \(n, 24\), found \(23,\)"):
        symbols.Rotation(24, 32, unit=True, mean=np.zeros(23))
    with pytest.raises(InputError, match="mean: expected finite numbers"):
        symbols.Rotation(24, 32, unit=True, mean=np.full(24, np.nan))
