"""IdMap behaves like a dictionary, whatever is inserted and removed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search.id_map import EMPTY, IdMap, find_ids, insert_ids, remove_ids
from tests.strategies import law, seeds

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # the hash, if kernels are plain Python

HIGHEST = 2**63 - 1


def some_ids(rng, n):
    """Distinct ids, small ones that are close together and large ones."""
    ids = np.unique(np.concatenate([rng.integers(0, 3 * n, n), rng.integers(0, HIGHEST, n), [HIGHEST]]))
    return rng.permutation(ids)[:n]


@law
@given(seed=seeds, size=st.sampled_from([8, 64]))
def test_the_hash_table_behaves_like_a_dictionary(seed, size):
    rng = np.random.default_rng(seed)
    keys, rows, known = np.full(size, EMPTY, np.int64), np.zeros(size, np.int32), {}
    ids = some_ids(rng, size)
    for _ in range(30):
        absent, present = [i for i in ids.tolist() if i not in known], list(known)
        if rng.random() < 0.5 and len(known) < size - 2:
            new = np.array(absent[: int(rng.integers(0, size - 1 - len(known)))], np.int64)
            numbers = rng.integers(0, 1000, len(new)).astype(np.int32)
            insert_ids(keys, rows, new, numbers)
            known |= dict(zip(new.tolist(), numbers.tolist(), strict=True))
        else:
            old = rng.permutation(np.array(present, np.int64))[: int(rng.integers(0, len(present) + 1))]
            remove_ids(keys, rows, old)
            known = {id_: row for id_, row in known.items() if id_ not in old}
        out = np.full(len(ids), 7, np.int32)
        find_ids(keys, rows, ids, out)
        assert out.tolist() == [known.get(id_, -1) for id_ in ids.tolist()]
        assert (keys != EMPTY).sum() == len(known)


@law
@given(seed=seeds)
def test_explicit_ids_are_found_again(seed):
    rng = np.random.default_rng(seed)
    table, marks = IdMap(), rng.random(50) < 0.8
    used = np.flatnonzero(marks).astype(np.int32)
    asked = np.array([*range(60), HIGHEST])
    before = table.rows(asked, marks)
    assert before.tolist() == [i if i < 50 and marks[i] else -1 for i in asked.tolist()]
    assert table.is_identity
    assert table.nbytes == 0
    table.make_explicit(50, used)
    assert not table.is_identity
    assert table.nbytes > 0
    np.testing.assert_array_equal(table.rows(asked, marks), before)
    new = 1000 + some_ids(rng, 300).clip(max=HIGHEST - 1000)
    new = np.unique(new)
    rows = np.arange(50, 50 + len(new), dtype=np.int32)
    for part in np.array_split(np.arange(len(new)), 7):
        table.insert(new[part], rows[part])
    np.testing.assert_array_equal(table.rows(new, marks), rows)
    np.testing.assert_array_equal(table.ids(rows), new)
    np.testing.assert_array_equal(table.rows(asked[:50], marks), before[:50])
    table.remove(new[::2])
    assert (table.rows(new[::2], marks) == -1).all()
    np.testing.assert_array_equal(table.rows(new[1::2], marks), rows[1::2])
    again = IdMap()
    again.restore(table.row_ids, rows[1::2])
    np.testing.assert_array_equal(again.rows(new, marks), table.rows(new, marks))


@pytest.mark.parametrize("explicit", [False, True])
def test_row_minus_1_has_id_minus_1(explicit):
    table = IdMap()
    if explicit:
        table.make_explicit(5, np.arange(5, dtype=np.int32))
    assert table.ids(np.array([[3, -1], [-1, 0]], np.int32)).tolist() == [[3, -1], [-1, 0]]
    assert table.rows(np.empty(0, np.int64), np.empty(0, np.bool_)).tolist() == []


def test_an_empty_map_has_no_ids():
    table, none = IdMap(), np.empty(0, np.bool_)
    assert table.rows(np.array([0, 5]), none).tolist() == [-1, -1]
    assert len(table.row_ids) == 0
    table.make_explicit(0, np.empty(0, np.int32))
    assert table.rows(np.array([0, 5]), none).tolist() == [-1, -1]
    assert table.ids(np.array([-1])).tolist() == [-1]


def test_a_map_of_one_row_knows_one_id():
    assert IdMap().rows(np.array([5, 0]), np.ones(1, np.bool_)).tolist() == [-1, 0]


def entries(table):
    """Return the entries of the hash table, each of 12 bytes."""
    return (table.nbytes - table.row_ids.nbytes) / 12


def test_the_table_doubles_when_more_than_70_percent_are_used():
    table, found = IdMap(), []
    table.make_explicit(0, np.empty(0, np.int32))
    for id_ in range(100):
        table.insert(np.array([id_]), np.zeros(1, np.int32))
        found.append(entries(table))
    assert found == [64] * 44 + [128] * 45 + [256] * 11


@pytest.mark.parametrize(("count", "size"), [(1, 64), (32, 64), (33, 128), (1024, 2048), (1025, 4096)])
def test_a_new_table_is_at_most_half_full(count, size):
    rows = np.arange(count, dtype=np.int32)
    explicit, restored, grown = IdMap(), IdMap(), IdMap()
    explicit.make_explicit(count, rows)
    restored.restore(np.arange(count) + 7, rows)
    grown.make_explicit(0, rows[:0])
    if count > 44:
        grown.insert(np.arange(count) + 7, rows)
        assert entries(grown) == size
    assert entries(explicit) == entries(restored) == size


@pytest.mark.parametrize("id_", [0, 1, 2, 12345, 2**32, 2**32 + 1, HIGHEST])
def test_an_id_goes_to_the_entry_that_the_hash_names(id_):
    """The upper half of its product with the golden ratio: ids that are close together, or multiples, spread."""
    keys, rows = np.full(256, EMPTY, np.int64), np.zeros(256, np.int32)
    insert_ids(keys, rows, np.array([id_]), np.array([3], np.int32))
    home = ((id_ * 0x9E3779B97F4A7C15) % 2**64 >> 32) % 256
    assert np.flatnonzero(keys != EMPTY).tolist() == [home]
    assert rows[home] == 3


def test_a_map_stays_small_if_as_many_ids_are_removed_as_inserted():
    table = IdMap()
    table.make_explicit(0, np.empty(0, np.int32))
    for start in range(0, 20_000, 50):
        ids, rows = np.arange(start, start + 50) ** 2 + 7, np.arange(50, dtype=np.int32)
        table.insert(ids, rows)
        table.remove(ids)
    assert table.nbytes < 5000
