"""Ids and rows: an open table that behaves as a dictionary, whatever comes and goes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search.id_map import EMPTY, IdTable, drop_ids, find_ids, put_ids
from tests.strategies import law, seeds

pytestmark = pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # of the hash, where kernels are plain Python

HIGHEST = 2**63 - 1


def some_ids(rng, n):
    """Distinct ids: small ones that stand side by side, and great ones."""
    ids = np.unique(np.concatenate([rng.integers(0, 3 * n, n), rng.integers(0, HIGHEST, n), [HIGHEST]]))
    return rng.permutation(ids)[:n]


@law
@given(seed=seeds, size=st.sampled_from([8, 64]))
def test_the_table_behaves_as_a_dictionary(seed, size):
    rng = np.random.default_rng(seed)
    keys, rows, known = np.full(size, EMPTY, np.int64), np.zeros(size, np.int32), {}
    ids = some_ids(rng, size)
    for _ in range(30):
        absent, present = [i for i in ids.tolist() if i not in known], list(known)
        if rng.random() < 0.5 and len(known) < size - 2:
            new = np.array(absent[: int(rng.integers(0, size - 1 - len(known)))], np.int64)
            numbers = rng.integers(0, 1000, len(new)).astype(np.int32)
            put_ids(keys, rows, new, numbers)
            known |= dict(zip(new.tolist(), numbers.tolist(), strict=True))
        else:
            old = rng.permutation(np.array(present, np.int64))[: int(rng.integers(0, len(present) + 1))]
            drop_ids(keys, rows, old)
            known = {id_: row for id_, row in known.items() if id_ not in old}
        out = np.full(len(ids), 7, np.int32)
        find_ids(keys, rows, ids, out)
        assert out.tolist() == [known.get(id_, -1) for id_ in ids.tolist()]
        assert (keys != EMPTY).sum() == len(known)


@law
@given(seed=seeds)
def test_ids_that_are_spelled_out_are_found_again(seed):
    rng = np.random.default_rng(seed)
    table, places = IdTable(), np.where(rng.random(50) < 0.8, 0, -1).astype(np.int32)
    used = np.flatnonzero(places >= 0).astype(np.int32)
    asked = np.array([*range(60), HIGHEST])
    before = table.rows(asked, places)
    assert before.tolist() == [i if i < 50 and places[i] >= 0 else -1 for i in asked.tolist()]
    assert table.plain
    assert table.nbytes == 0
    table.spell_out(50, used)
    assert not table.plain
    assert table.nbytes > 0
    np.testing.assert_array_equal(table.rows(asked, places), before)
    new = 1000 + some_ids(rng, 300).clip(max=HIGHEST - 1000)
    new = np.unique(new)
    rows = np.arange(50, 50 + len(new), dtype=np.int32)
    for part in np.array_split(np.arange(len(new)), 7):
        table.put(new[part], rows[part])
    np.testing.assert_array_equal(table.rows(new, places), rows)
    np.testing.assert_array_equal(table.ids(rows), new)
    np.testing.assert_array_equal(table.rows(asked[:50], places), before[:50])
    table.drop(new[::2])
    assert (table.rows(new[::2], places) == -1).all()
    np.testing.assert_array_equal(table.rows(new[1::2], places), rows[1::2])
    again = IdTable()
    again.restore(table.of_rows, rows[1::2])
    np.testing.assert_array_equal(again.rows(new, places), table.rows(new, places))


@pytest.mark.parametrize("spelled", [False, True])
def test_no_row_has_no_id(spelled):
    table = IdTable()
    if spelled:
        table.spell_out(5, np.arange(5, dtype=np.int32))
    assert table.ids(np.array([[3, -1], [-1, 0]], np.int32)).tolist() == [[3, -1], [-1, 0]]
    assert table.rows(np.empty(0, np.int64), np.empty(0, np.int32)).tolist() == []


def test_an_empty_table_has_no_ids():
    table, none = IdTable(), np.empty(0, np.int32)
    assert table.rows(np.array([0, 5]), none).tolist() == [-1, -1]
    table.spell_out(0, none)
    assert table.rows(np.array([0, 5]), none).tolist() == [-1, -1]


def test_a_table_stays_small_when_as_many_go_as_come():
    table = IdTable()
    table.spell_out(0, np.empty(0, np.int32))
    for start in range(0, 20_000, 50):
        ids, rows = np.arange(start, start + 50) ** 2 + 7, np.arange(50, dtype=np.int32)
        table.put(ids, rows)
        table.drop(ids)
    assert table.nbytes < 5000
