"""Sixteen numbers at once: compiled code gives the floats of plain loops, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from numba import njit

from assocmem._numerics.simd import (
    from_bfloat16,
    lanes_above,
    prefetch_row,
    products,
    quantize,
    quantize_signed,
    score_block,
    squared_distance,
    to_bfloat16,
    widen_row,
)
from tests import naive_index
from tests.strategies import PLAIN, law, seeds


@njit
def score(sums, scales, biases, block, terms, scores, at):
    score_block(sums, scales, biases, block, terms, scores, at)


@njit
def above(scores, at, floor):
    return lanes_above(scores, at, floor)


@njit
def quantize_values(values, at, per_step, tables, row):
    quantize(values, at, per_step, tables, row)


@njit
def quantize_both_signs(values, at, per_step, tables, row):
    quantize_signed(values, at, per_step, tables, row)


@njit
def products_of(query, rows, row):
    return products(query, rows, row)


@njit
def distance_of(query, rows, row):
    return squared_distance(query, rows, row)


@njit
def widen(rows, row, out):
    prefetch_row(rows, row)
    widen_row(rows, row, out)


COMPILED = pytest.mark.parametrize("plain", [False, True])


@COMPILED
@pytest.mark.parametrize("seed", range(5))
def test_scores_are_computed_in_this_order(seed, plain):
    rng = np.random.default_rng(seed)
    sums = rng.integers(0, 65025, 16).astype(np.uint16)
    scales = (rng.random((3, 16)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    biases = ((-rng.random((3, 16)).astype(np.float32)).view(np.uint32) >> 16).astype(np.uint16)
    biases[1, 5] = naive_index.EMPTY_BIAS
    terms = rng.standard_normal(2).astype(np.float32)
    scores = np.full(60, 7, np.float32)
    (score_block if plain else score)(sums, scales, biases, 1, terms, scores, 20)
    for lane in range(16):
        scale, bias = (np.float32(naive_index.bfloat(short[1, lane])) for short in (scales, biases))
        assert scores[20 + lane] == (np.float32(sums[lane]) * terms[0] + terms[1]) * scale + bias
    assert scores[25] == -np.inf
    assert (scores[:20] == 7).all()
    assert (scores[36:] == 7).all()


@COMPILED
@pytest.mark.parametrize("floor", [-1e38, -0.5, 0.0, 0.5, 3.0])
def test_lanes_above_a_floor_are_returned_as_bits(floor, plain):
    scores = np.random.default_rng(1).standard_normal(40).astype(np.float32)
    scores[[7, 12]] = -np.inf, floor
    mask = (lanes_above if plain else above)(scores, 5, np.float32(floor))
    assert mask == sum(1 << lane for lane in range(16) if scores[5 + lane] > np.float32(floor))


@COMPILED
def test_table_entries_are_rounded_and_clipped(plain):
    values = np.array([-63.5, 63.5, -64, 64, -1e9, 1e9, 0, 0.49, -0.49, 0.51, -0.51, 1, 62.6, -62.6, 20.2, -20.2])
    wide = np.concatenate([np.ones(3), values / 2, np.ones(3)]).astype(np.float32)
    tables = np.full((4, 16), 200, np.uint8)
    (quantize if plain else quantize_values)(wide, 3, np.float32(2), tables, 2)
    assert tables[2].tolist() == [min(max(int(np.floor(value + 64)), 0), 127) for value in values]
    assert (tables[[0, 1, 3]] == 200).all()


@COMPILED
def test_signed_entries_are_those_of_eight_values_and_their_negatives(plain):
    values = np.random.default_rng(2).standard_normal(12).astype(np.float32) * 40
    found, expected = np.zeros((1, 16), np.uint8), np.zeros((1, 16), np.uint8)
    (quantize_signed if plain else quantize_both_signs)(values, 3, np.float32(1.5), found, 0)
    quantize(np.concatenate([values[3:11], -values[3:11]]), 0, np.float32(1.5), expected, 0)
    assert (found == expected).all()


def stored(kind, n, width, seed=0):
    """Return rows as they are stored, and their values."""
    rng = np.random.default_rng(seed)
    if kind == "uint8":
        x = rng.integers(0, 256, (n, width)).astype(np.uint8)
        return x, x.astype(np.float32)
    x = rng.standard_normal((n, width)).astype(kind)
    if kind == "float16":
        x[0, :4] = 65504, -65504, 6e-8, -0.0
    return (x.view(np.uint16) if kind == "float16" else x), x.astype(np.float32)


@COMPILED
@pytest.mark.parametrize("width", [16, 32, 112])
@pytest.mark.parametrize("kind", ["float32", "float16", "uint8"])
def test_rows_are_compared_in_a_fixed_order(kind, width, plain):
    rows, x = stored(kind, 3, width)
    query = np.random.default_rng(width).standard_normal(width).astype(np.float32)
    for row in range(3):
        product, square = (products if plain else products_of)(query, rows, row)
        distance = (squared_distance if plain else distance_of)(query, rows, row)
        out = np.empty(width, np.float32)
        (widen_row if plain else widen)(rows, row, out)
        assert product == naive_index.in_lanes(query * x[row])
        assert square == naive_index.in_lanes(x[row] * x[row])
        assert distance == naive_index.in_lanes((query - x[row]) * (query - x[row]))
        assert out.tobytes() == x[row].tobytes()


@pytest.mark.skipif(PLAIN, reason="the same code")
@pytest.mark.parametrize("kind", ["float32", "float16", "uint8"])
def test_read_only_rows_are_read(kind):
    rows, x = stored(kind, 2, 16)
    rows.flags.writeable = False
    out = np.empty(16, np.float32)
    widen(rows, 1, out)
    assert out.tobytes() == x[1].tobytes()


@law
@given(seed=seeds)
def test_bfloat16_is_rounded_to_the_nearest(seed):
    values = (10.0 ** np.random.default_rng(seed).uniform(-30, 30, 20)).astype(np.float32)
    values[::2] *= -1
    shorts = to_bfloat16(values)
    back = from_bfloat16(shorts)
    assert back.tolist() == [naive_index.bfloat(short) for short in shorts]
    np.testing.assert_allclose(back, values, rtol=2.0**-8)
    assert (to_bfloat16(back) == shorts).all()
    for step in (-1, 1):  # no neighbour is nearer
        neighbours = from_bfloat16((shorts.astype(np.int32) + step).astype(np.uint16))
        assert (np.abs(back.astype(float) - values) <= np.abs(neighbours.astype(float) - values)).all()


def test_bfloat16_of_minus_infinity_and_zero():
    assert to_bfloat16(np.float32([-np.inf, 0.0])).tolist() == [naive_index.EMPTY_BIAS, 0]
