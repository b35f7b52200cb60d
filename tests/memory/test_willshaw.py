"""The Willshaw memory against an oracle of pairs, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.errors import InputError
from assocmem.memory.clique import CliqueMemory
from assocmem.memory.willshaw import WillshawMemory
from tests.naive_memory import WillshawPairs, ones
from tests.strategies import SIZES, padded, seeds, sets, sizes

law = settings(max_examples=25, deadline=None)


def sample(seed, size, n, *, shortest=0):
    """Return row sets and column sets to associate."""
    return sets(seed, n, size[0], shortest=shortest), sets(seed + 1, n, size[1], shortest=shortest, longest=3)


def memory_of(size, *batches):
    memory = WillshawMemory(*size)
    for batch in batches:
        memory.associate(*batch)
    return memory


def oracle_of(size, batch):
    oracle = WillshawPairs(*size)
    oracle.associate(*batch)
    return oracle


def pairs(memory):
    return {(row, column) for row, words in enumerate(memory.bits) for column in ones(words)}


# Associating


@law
@given(size=sizes, seed=seeds, n=st.integers(1, 12))
def test_associating_sets_the_bits_of_the_oracle(size, seed, n):
    batch = sample(seed, size, n)
    memory, oracle = memory_of(size, batch), oracle_of(size, batch)
    assert pairs(memory) == oracle.pairs
    assert memory.density == pytest.approx(oracle.density(), abs=1e-12)


@law
@given(size=sizes, seed=seeds)
def test_the_order_of_associating_does_not_matter(size, seed):
    rows, columns = sample(seed, size, 20)
    order = np.random.default_rng(seed).permutation(20)
    parts = [([rows[i] for i in part], [columns[i] for i in part]) for part in np.split(order, [3, 11])]
    assert memory_of(size, (rows, columns)) == memory_of(size, *parts)


@law
@given(size=sizes, seed=seeds)
def test_associating_twice_is_associating_once(size, seed):
    batch = sample(seed, size, 15)
    assert memory_of(size, batch, batch) == memory_of(size, batch)


@law
@given(size=sizes, seed=seeds)
def test_adding_never_clears_a_bit(size, seed):
    memory = memory_of(size, sample(seed, size, 15))
    before = memory.bits.copy()
    memory.associate(*sample(seed + 2, size, 15))
    assert np.array_equal(memory.bits & before, before)


@law
@given(size=sizes, seed=seeds)
def test_merging_is_commutative_associative_idempotent_and_equals_associating_all(size, seed):
    parts = [sample(seed + 2 * i, size, 8) for i in range(3)]
    a, b, c = (memory_of(size, part) for part in parts)
    ab, ba = memory_of(size, parts[0]), memory_of(size, parts[1])
    ab |= b
    ba |= a
    assert ab == ba == memory_of(size, *parts[:2])
    bc = memory_of(size, parts[1])
    bc |= c
    ab.merge(c)
    a.merge(bc)
    assert ab == a == memory_of(size, *parts)
    a.merge(ab)
    assert a == ab


@law
@given(size=sizes, seed=seeds)
def test_a_column_is_a_set_of_one_column(size, seed):
    rows = sets(seed, 9, size[0])
    columns = np.random.default_rng(seed).integers(0, size[1], 9)
    expected = memory_of(size, (rows, columns[:, None]))
    assert pairs(expected) == oracle_of(size, (rows, columns[:, None])).pairs
    for same in (columns, columns.tolist(), list(columns), tuple(columns.tolist()), columns.astype(np.uint8)):
        assert memory_of(size, (rows, same)) == expected


# Recalling


@settings(max_examples=40, deadline=None)
@given(size=sizes, seed=seeds, n=st.integers(1, 40), k=st.sampled_from([1, 2, 70, 250]), threshold=st.integers(1, 4))
def test_scores_and_recalled_columns_equal_the_oracle(size, seed, n, k, threshold):
    batch = sample(seed, size, n)
    memory, oracle = memory_of(size, batch), oracle_of(size, batch)
    asked = [*batch[0][:3], *sets(seed + 7, 3, size[0]), [], list(range(size[0]))]
    scores, (values, columns) = memory.poll(asked), memory.top(asked, k)
    whole, partly = memory.recall(asked), memory.recall(asked, threshold=threshold)
    assert (scores.dtype, values.dtype, columns.dtype) == (np.uint16, np.uint16, np.int64)
    assert (scores.shape, values.shape, columns.shape) == ((len(asked), size[1]), (len(asked), k), (len(asked), k))
    assert len(whole) == len(partly) == len(asked)
    for i, rows in enumerate(asked):
        assert scores[i].tolist() == oracle.poll(rows)
        assert (values[i].tolist(), columns[i].tolist()) == oracle.top(rows, k)
        assert whole[i].tolist() == oracle.recall(rows)
        assert partly[i].tolist() == oracle.recall(rows, threshold)
        assert whole[i].dtype == partly[i].dtype == np.int64


@law
@given(size=sizes, seed=seeds, n=st.integers(1, 40))
def test_associated_columns_are_recalled_by_all_their_rows(size, seed, n):
    rows, columns = sample(seed, size, n, shortest=1)
    memory = memory_of(size, (rows, columns))
    for mine, found, scores in zip(columns, memory.recall(rows), memory.poll(rows), strict=True):
        assert set(mine) <= set(found.tolist())
        assert set(scores[mine].tolist()) == {scores.max()}


@law
@given(size=sizes, seed=seeds)
def test_a_lower_threshold_never_recalls_less(size, seed):
    batch = sample(seed, size, 30)
    memory, asked = memory_of(size, batch), sets(seed + 5, 6, size[0])
    found = [[set(one.tolist()) for one in memory.recall(asked, threshold=number)] for number in (3, 2, 1)]
    for high, middle, low in zip(*found, strict=True):
        assert high <= middle <= low


@pytest.mark.parametrize("columns", [1, 63, 64, 65, 200])
def test_any_number_of_threads_polls_the_same(columns):
    size = (40, columns)
    memory = memory_of(size, sample(1, size, 200))
    asked = sets(3, 250, 40)
    one = memory.poll(asked, threads=1)
    assert one.any()
    for threads in (2, 3, None):
        assert np.array_equal(memory.poll(asked, threads=threads), one)


@law
@given(size=sizes, seed=seeds)
def test_the_transposed_memory_recalls_in_the_other_direction(size, seed):
    rows, columns = sample(seed, size, 25)
    memory = memory_of(size, (rows, columns))
    other = memory.transposed()
    assert other == memory_of(size[::-1], (columns, rows))
    assert other.transposed() == memory
    scores, back = memory.poll([[row] for row in range(size[0])]), other.poll([[c] for c in range(size[1])])
    assert np.array_equal(scores, back.T)


@law
@given(size=sizes, seed=seeds)
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path_factory, size, seed):
    memory = memory_of(size, sample(seed, size, 15))
    path = tmp_path_factory.mktemp("memory") / "memory.h5"
    memory.save(path)
    for again in (WillshawMemory.load(path), WillshawMemory.load(path, mmap=True)):
        assert again == memory
        assert (again.rows, again.columns, again.density) == (*size, memory.density)


# Forms of sets


@law
@given(size=sizes, seed=seeds)
def test_ragged_sets_and_padded_arrays_mean_the_same(size, seed):
    rows, columns = sample(seed, size, 12)
    memory = memory_of(size, (rows, columns))
    assert memory == memory_of(size, (padded(seed, rows), padded(seed + 1, columns)))
    assert memory == memory_of(size, (padded(seed, rows), columns))
    asked = sets(seed + 2, 5, size[0])
    for same in (padded(seed, asked), [np.array(one, np.int16) for one in asked], tuple(map(tuple, asked))):
        assert np.array_equal(memory.poll(same), memory.poll(asked))
        assert all(map(np.array_equal, memory.recall(same), memory.recall(asked)))


def test_arrays_of_any_integers_in_any_order_mean_the_same():
    memory = memory_of((20, 65), sample(4, (20, 65), 30))
    asked = np.random.default_rng(4).integers(0, 20, (6, 4))
    expected = memory.poll(asked)
    assert expected.any()
    wide = np.repeat(asked, 2, axis=1)
    dtypes = ["int8", "uint8", ">i2", "int32", ">u4", "uint64", ">i8"]
    for same in (*map(asked.astype, dtypes), np.asfortranarray(asked), wide[:, ::2], asked[:, ::-1], asked.tolist()):
        assert np.array_equal(memory.poll(same), expected)


def test_a_row_that_is_named_twice_counts_once():
    memory = WillshawMemory(10, 65)
    memory.associate([[1, 2, 2, 1]], [64])
    assert memory.poll([[2, 2, 2, 1, 1]])[0, 64] == 2
    assert [one.tolist() for one in memory.recall([[2, 2, 2], [1, 2, 1, 2], [2, 3, 3]])] == [[64], [64], []]
    assert memory.top([[2, 2]], 1)[0].tolist() == [[1]]


def test_an_empty_set_associates_nothing_and_recalls_nothing():
    memory = WillshawMemory(10, 65)
    memory.associate([[], [1], [2, 3]], [[5], [], [6]])
    memory.associate([[4, -1], [-1, -1]], [-1, 7])
    assert pairs(memory) == {(2, 6), (3, 6)}
    for nothing in ([[]], [[-1, -1]], np.empty((1, 0), int), np.full((1, 3), -1)):
        assert not memory.poll(nothing).any()
        assert memory.top(nothing, 2)[1].tolist() == [[-1, -1]]
        assert [one.tolist() for one in memory.recall(nothing)] == [[]]
        assert [one.tolist() for one in memory.recall(nothing, threshold=1)] == [[]]


def test_an_empty_batch_has_an_empty_answer():
    memory = memory_of((10, 65), sample(0, (10, 65), 9))
    before = memory.bits.copy()
    for none in (np.empty((0, 3), int), [], ()):
        memory.associate(none, np.empty(0, int))
        assert np.array_equal(memory.bits, before)
        assert memory.poll(none).shape == (0, 65)
        assert [one.shape for one in memory.top(none, 4)] == [(0, 4), (0, 4)]
        assert memory.recall(none) == []


EMPTY = np.empty((0, 3), int)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (EMPTY, np.empty(0, int)),
        ([], np.empty(0, int)),
        *[(rows, columns) for rows in (EMPTY, []) for columns in ([], EMPTY)],
    ],
)
def test_every_form_of_an_empty_batch_associates_nothing(rows, columns):
    memory = memory_of((10, 65), sample(0, (10, 65), 9))
    before = memory.bits.copy()
    memory.associate(rows, columns)
    assert np.array_equal(memory.bits, before)


def test_counts_may_exceed_a_byte():
    memory = WillshawMemory(700, 70)
    memory.associate([range(700), range(0, 700, 2)], [0, 69])
    assert memory.poll([range(700)])[0, [0, 1, 69]].tolist() == [700, 0, 350]
    assert [one.tolist() for one in memory.recall([range(700), range(0, 700, 4)])] == [[0], [0, 69]]


@pytest.mark.parametrize("size", SIZES)
def test_a_memory_takes_its_bits_and_no_more(size):
    memory = WillshawMemory(*size)
    assert memory.nbytes == size[0] * -(-size[1] // 64) * 8
    assert memory.density == 0
    memory.associate([range(size[0])], [range(size[1])])
    assert memory.density == 1


def test_equal_memories_have_the_same_kind_shape_and_bits():
    memory = memory_of((10, 70), sample(0, (10, 70), 9))
    assert memory == memory_of((10, 70), sample(0, (10, 70), 9))
    assert memory != WillshawMemory(10, 70)
    assert WillshawMemory(10, 70) != WillshawMemory(10, 71)
    assert WillshawMemory(6, 6) != CliqueMemory(2, 3)
    assert memory != "memory"
    assert repr(WillshawMemory(10, 70)) == "<WillshawMemory(rows=10, columns=70), density 0.0000>"


# Invalid arguments


def whole_number(name, found):
    return rf"^{name}: expected a whole number of at least 1, found {found}$"


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (0, 5, whole_number("rows", 0)),
        (-1, 5, whole_number("rows", -1)),
        (2.0, 5, whole_number("rows", r"2\.0")),
        (True, 5, whole_number("rows", True)),
        (None, 5, whole_number("rows", None)),
        (5, 0, whole_number("columns", 0)),
        (5, "7", whole_number("columns", "'7'")),
        (5, np.float64(7), whole_number("columns", r"np\.float64\(7\.0\)")),
        (10**9, 10**12, r"fits into this machine's .* GB, found 1\.25e\+11 GB \(rows 10{9}, columns 10{12}\); take"),
    ],
)
def test_impossible_sizes_are_refused(rows, columns, message):
    with pytest.raises(InputError, match=message):
        WillshawMemory(rows, columns)


def test_sizes_may_be_integers_of_numpy():
    memory = WillshawMemory(np.int8(100), np.uint64(65))
    assert memory == WillshawMemory(100, 65)
    assert {type(value) for value in memory.shape.values()} == {int}


NUMBERS = r"expected numbers 0 to 9, or -1 for none, found"
FORM = r"expected integers \(n, m\), -1 = none, or n sequences of them, found"
BAD_SETS = [
    ([[1, 10]], rf"{NUMBERS} 10$"),
    ([[1], [1, 10]], rf"{NUMBERS} 10$"),
    ([[1, -2]], rf"{NUMBERS} -2$"),
    ([[1], [1, -2]], rf"{NUMBERS} -2$"),
    (np.array([[1, 10]]), rf"{NUMBERS} 10$"),
    (np.array([[1, 2**64 - 1]], np.uint64), rf"{NUMBERS} 18446744073709551615$"),
    (np.array([[-(2**63)]]), rf"{NUMBERS} -9223372036854775808$"),
    ([[1.0, 2.0]], rf"{FORM} float64 of shape \(2,\) as set 0$"),
    ([[1], [1.0, 2.0]], rf"{FORM} float64 of shape \(2,\) as set 1$"),
    ([[1, 2], [np.nan]], rf"{FORM} float64 of shape \(1,\) as set 1$"),
    ([[1, 2], [True]], rf"{FORM} bool of shape \(1,\) as set 1$"),
    ([["a"]], rf"{FORM} <U1 of shape \(1,\) as set 0$"),
    ([[None]], rf"{FORM} object of shape \(1,\) as set 0$"),
    ([[1, 2**64]], rf"{FORM} object of shape \(2,\) as set 0$"),
    ([1, 2, 3], rf"{FORM} int64 of shape \(\) as set 0$"),
    ([[1, 2], 3], rf"{FORM} int64 of shape \(\) as set 1$"),
    ([[1, 2], [[1]]], rf"{FORM} int64 of shape \(1, 1\) as set 1$"),
    ("abc", rf"{FORM} <U1 of shape \(\) as set 0$"),
    ([[1], [[1], [2, 3]]], rf"{FORM} list: .*inhomogeneous"),
    (5, rf"{FORM} int: 'int' object is not iterable$"),
    (None, rf"{FORM} NoneType: 'NoneType' object is not iterable$"),
    (np.array(5), rf"{FORM} int64 of shape \(\)$"),
    (np.array([1, 2, 3]), rf"{FORM} int64 of shape \(3,\)$"),
    (np.zeros((1, 2, 3), int), rf"{FORM} int64 of shape \(1, 2, 3\)$"),
    (np.array([[1.0, np.nan]]), rf"{FORM} float64 of shape \(1, 2\)$"),
    (np.array([[True, False]]), rf"{FORM} bool of shape \(1, 2\)$"),
    (np.array([[1, 2]], object), rf"{FORM} object of shape \(1, 2\)$"),
]
ASKS = {
    "associate": lambda memory, bad: memory.associate(bad, [0]),
    "poll": lambda memory, bad: memory.poll(bad),
    "top": lambda memory, bad: memory.top(bad, 2),
    "recall": lambda memory, bad: memory.recall(bad),
}


def refused(call, message):
    """Check that a memory of 10 x 10 refuses a call with this message and changes no bit."""
    memory = memory_of((10, 10), sample(0, (10, 10), 9))
    before = memory.bits.copy()
    with pytest.raises(InputError, match=message):
        call(memory)
    assert np.array_equal(memory.bits, before)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(("bad", "message"), BAD_SETS)
def test_invalid_row_sets_are_refused(ask, bad, message):
    refused(lambda memory: ASKS[ask](memory, bad), f"^row_sets: {message}")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([1, 10], rf"{NUMBERS} 10$"),
        ([1, -2], rf"{NUMBERS} -2$"),
        ([[1], [1, 10]], rf"{NUMBERS} 10$"),
        (np.array([[1, 2], [3, 10]]), rf"{NUMBERS} 10$"),
        (np.array([1, 2**64 - 1], np.uint64), rf"{NUMBERS} 18446744073709551615$"),
        ([1.0, 2.0], "expected integers, found dtype float64$"),
        ([True, False], "expected integers, found dtype bool$"),
        (["a", "b"], "expected integers, found dtype <U1$"),
        ([1, None], "expected integers, found dtype object$"),
        ([[1], [2.5]], rf"{FORM} float64 of shape \(1,\) as set 1$"),
        ([[[1]], [[1]]], rf"{FORM} int64 of shape \(1, 1\) as set 0$"),
        ([1, [2, 3]], rf"{FORM} int64 of shape \(\) as set 0$"),
        (np.zeros((2, 1, 1), int), rf"{FORM} int64 of shape \(2, 1, 1\)$"),
        (5, rf"{FORM} int: 'int' object is not iterable$"),
        (None, rf"{FORM} NoneType: 'NoneType' object is not iterable$"),
        (np.array(5), rf"{FORM} int64 of shape \(\)$"),
        ([1], "expected one entry per row set, 2, found 1$"),
        ([[1], [2], [3]], "expected one entry per row set, 2, found 3$"),
    ],
)
def test_invalid_columns_are_refused(columns, message):
    refused(lambda memory: memory.associate([[1, 2], [3]], columns), f"^columns: {message}")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda memory: memory.top([[1]], 0), r"^k: expected a whole number of at least 1, found 0$"),
        (lambda memory: memory.top([[1]], -3), r"^k: expected a whole number of at least 1, found -3$"),
        (
            lambda memory: memory.recall([[1]], threshold=0),
            r"^threshold: expected a whole number of at least 1, found 0$",
        ),
        (lambda memory: memory.poll([[1]], threads=0), r"^threads: expected a whole number of at least 1, found 0$"),
        (
            lambda memory: memory.poll([[1]] * 500, threads=-2),
            r"^threads: expected a whole number of at least 1, found -2$",
        ),
        (lambda memory: memory.merge(WillshawMemory(10, 11)), r"^merge: expected a willshaw memory of .*'columns': 10"),
        (lambda memory: memory.merge(WillshawMemory(11, 10)), r"found <WillshawMemory\(rows=11, columns=10\)"),
        (lambda memory: memory.merge(CliqueMemory(2, 5)), r"found <CliqueMemory\(clusters=2, units=5, active=2\)"),
        (
            lambda memory: memory.merge(np.zeros((10, 1), np.uint64)),
            r"^merge: expected a willshaw memory .*, found arr",
        ),
        (lambda memory: memory.merge(None), r"^merge: expected a willshaw memory .*, found None$"),
    ],
)
def test_other_invalid_arguments_are_refused(call, message):
    refused(call, message)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda memory: memory.top([[1]], 2.5), whole_number("k", r"2\.5")),
        (lambda memory: memory.top([[1]], "2"), whole_number("k", "'2'")),
        (lambda memory: memory.recall([[1]], threshold=1.5), whole_number("threshold", r"1\.5")),
        (lambda memory: memory.recall([[1]], threshold="1"), whole_number("threshold", "'1'")),
    ],
)
def test_numbers_that_are_not_whole_are_refused(call, message):
    refused(call, message)


def test_sets_with_more_rows_than_a_score_can_count_are_refused():
    memory = WillshawMemory(65_536, 1)
    for ask in (memory.poll, memory.recall):
        with pytest.raises(InputError, match=r"^row_sets: expected at most 65535 rows in a set, found 65536$"):
            ask([range(65_536)])
