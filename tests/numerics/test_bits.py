"""Bit-matrix kernels against plain loops, on read-only matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics import bits
from assocmem._numerics.simd import lowest_bit, popcount
from tests.naive_memory import bit, ones
from tests.strategies import law

matrices = st.builds(
    lambda seed, rows, columns, share: random_matrix(seed, rows, columns, share),
    st.integers(0, 10_000),
    st.integers(1, 70),
    st.sampled_from([1, 63, 64, 65, 130, 4200]),
    st.sampled_from([0.05, 0.5, 1.0]),
)


def random_matrix(seed, rows, columns, share=0.5):
    dense = np.random.default_rng(seed).random((rows, columns)) < share
    matrix = bits.empty_matrix(rows, columns)
    packed = np.packbits(dense, axis=1, bitorder="little")
    matrix.view(np.uint8)[:, : packed.shape[1]] = packed
    matrix.flags.writeable = False
    return matrix


def random_sets(seed, rows, n, longest=12):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, longest + 1, n)
    return rng.integers(0, rows, lengths.sum()), np.concatenate([[0], np.cumsum(lengths)])


@given(st.integers(0, 2**64 - 1))
def test_ones_of_a_word_are_counted_and_the_lowest_is_found(word):
    assert popcount(np.uint64(word)) == bin(word).count("1")
    assert lowest_bit(np.uint64(word)) == (64 if word == 0 else len(bin(word)) - 1 - bin(word).rindex("1"))


@law
@given(seed=st.integers(0, 10_000), columns=st.integers(1, 200))
def test_exactly_the_given_bits_are_set(seed, columns):
    rng = np.random.default_rng(seed)
    matrix = bits.empty_matrix(5, columns)
    rows, where = rng.integers(0, 5, 30), rng.integers(0, columns, 30)
    bits.set_bits(matrix, rows, where)
    assert {(r, c) for r in range(5) for c in ones(matrix[r])} == set(zip(rows.tolist(), where.tolist(), strict=True))


@law
@given(matrix=matrices, seed=st.integers(0, 10_000), of_one=st.booleans())
def test_rows_and_groups_of_rows_are_counted(matrix, seed, of_one):
    rng = np.random.default_rng(seed)
    rows, groups = random_sets(seed, len(matrix), 20)
    groups = np.arange(len(rows) + 1) if of_one else np.unique(groups)  # a group has at least one row
    last = len(groups) - 1
    sets = np.sort(np.concatenate([[0, last], rng.integers(0, last + 1, 3)]))
    columns = 64 * matrix.shape[1] - int(rng.integers(0, 64))
    counts = np.full((4, columns), 7, np.uint16)
    bits.count_rows(matrix, rows, groups, sets, counts)
    some = rng.integers(0, columns, 40)
    for i in range(4):
        members = [rows[groups[g] : groups[g + 1]] for g in range(sets[i], sets[i + 1])]
        expected = [sum(any(bit(matrix, r, c) for r in member) for member in members) for c in some]
        assert counts[i, some].tolist() == expected


@pytest.mark.parametrize("number", [7, 8, 9, 247, 248, 249, 255, 256, 257, 700])
def test_counters_do_not_overflow(number):
    matrix = random_matrix(number, 3, 100)
    rows = np.resize([0, 1, 2, 1], number)
    counts = np.empty((1, 100), np.uint16)
    bits.count_rows(matrix, rows, np.arange(number + 1), np.array([0, number]), counts)
    expected = [sum(bit(matrix, r, c) for r in rows) for c in range(100)]
    assert counts[0].tolist() == expected


@law
@given(matrix=matrices, seed=st.integers(0, 10_000))
def test_the_transposed_matrix_has_rows_and_columns_swapped(matrix, seed):
    columns = 64 * matrix.shape[1] - seed % 64
    flipped = np.full((columns, bits.words_for(len(matrix))), 77, np.uint64)
    bits.transpose(matrix, flipped)
    for row in range(len(matrix)):
        for column in np.random.default_rng(seed).integers(0, columns, 20):
            assert bit(flipped, column, row) == bit(matrix, row, column)
    assert all(column < len(matrix) for row in flipped for column in ones(row))


@law
@given(matrix=matrices)
def test_ones_are_counted_and_listed(matrix):
    numbers = np.empty(len(matrix), np.int64)
    bits.count_ones(matrix, numbers)
    expected = [ones(row) for row in matrix]
    assert numbers.tolist() == [len(row) for row in expected]
    columns = np.empty(numbers.sum(), np.int64)
    bits.list_ones(matrix, np.cumsum(numbers) - numbers, columns)
    assert columns.tolist() == [column for row in expected for column in row]


@law
@given(seed=st.integers(0, 10_000), columns=st.integers(1, 40), k=st.integers(1, 45))
def test_top_scores_are_the_highest_and_ties_go_to_the_lower_column(seed, columns, k):
    scores = np.random.default_rng(seed).integers(0, 9, (4, columns)).astype(np.uint16)
    values, found = np.empty((4, k), np.uint16), np.empty((4, k), np.int64)
    bits.top_scores(scores, values, found)
    for i in range(4):
        order = sorted((c for c in range(columns) if scores[i, c] > 0), key=lambda c: (-int(scores[i, c]), c))[:k]
        assert found[i].tolist() == order + [-1] * (k - len(order))
        assert values[i].tolist() == [scores[i, c] for c in order] + [0] * (k - len(order))


def test_kernels_read_memory_maps(tmp_path):
    matrix = random_matrix(3, 9, 200)
    matrix.tofile(tmp_path / "bits")
    mapped = np.memmap(tmp_path / "bits", np.uint64, "r", shape=matrix.shape)
    plain, from_map = np.empty((2, 1, 200), np.uint16)
    args = np.arange(9), np.arange(10), np.array([0, 9])
    bits.count_rows(matrix, *args, plain)
    bits.count_rows(mapped, *args, from_map)
    assert plain.any()
    assert np.array_equal(plain, from_map)
