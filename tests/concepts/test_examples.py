"""The table of examples, and samples of ids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts.examples import ExampleEncoder, ExampleTable, hash_sample
from assocmem.concepts.statements import Statement
from tests.concepts.sample_memories import NAMES, vectors
from tests.strategies import law, seeds

DIM = 3


def filled(seed, n=100):
    """A table after many changes, and a dictionary with the same content: id -> (encoded vector, statement)."""
    rng, table = np.random.default_rng(seed), ExampleTable(ExampleEncoder(DIM, None, 0))
    expected = {}
    for value in table.encoder.encode(vectors(seed, 2 * n, DIM)):
        id_ = int(rng.integers(0, n))
        if id_ in expected and rng.random() < 0.4:
            del expected[id_]
            table.drop(id_)
        else:
            concept = ["", *NAMES][rng.integers(0, 5)]
            expected[id_] = value, Statement(int(rng.integers(0, 9)), concept, ("yak",))
            table.put(id_, *expected[id_])
    return table, expected


@law
@given(seed=seeds)
def test_the_table_contains_what_a_dictionary_contains(seed):
    table, expected = filled(seed)
    assert len(table) == len(expected)
    assert sorted(table.ids) == sorted(expected)
    for id_, value, statement in table:
        assert (value.tobytes(), statement) == (expected[id_][0].tobytes(), expected[id_][1])
        assert (table.value(id_).tobytes(), table.statement(id_)) == (value.tobytes(), statement)
    assert {id_ for id_ in range(200) if id_ in table} == expected.keys()
    assert table.statement(200) is None
    assert table.concepts == tuple(sorted({statement.concept for _, statement in expected.values()} - {""}))


@law
@given(seed=seeds)
def test_rows_are_in_the_order_of_ids(seed):
    table, expected = filled(seed)
    taught, only_denied = table.taught_rows(), table.denied_rows()
    assert [table.ids[row] for row in taught] == sorted(id_ for id_, (_, s) in expected.items() if s.concept)
    assert [table.ids[row] for row in only_denied] == sorted(id_ for id_, (_, s) in expected.items() if not s.concept)
    assert [table.concepts[number] for number in table.classes(taught)] == [
        table.statements[row].concept for row in taught
    ]
    assert table.decoded(taught).tolist() == table.values[taught].astype(np.float32).tolist()


@law
@given(seed=seeds)
def test_a_table_is_restored_from_its_arrays(seed):
    table, expected = filled(seed)
    table.clock = 77
    again = ExampleTable.from_arrays(table.encoder, *table.to_arrays())
    assert again.ids == sorted(expected)
    assert again.clock == 77
    for id_, value, statement in again:
        assert (value.tobytes(), statement) == (expected[id_][0].tobytes(), expected[id_][1])


def test_the_greater_of_two_vectors_wins_with_equal_statements():
    table = ExampleTable(ExampleEncoder(DIM, None, 0))
    small, great = sorted(table.encoder.encode(vectors(1, 2, DIM)), key=lambda value: value.tobytes())
    statement = Statement(1, "ant")
    assert table.would_change(5, small, statement)
    table.put(5, small, statement)
    assert table.would_change(5, great, statement)
    assert not table.would_change(5, small, statement)
    assert not table.would_change(5, great, Statement(0, "bee"))
    assert table.would_change(5, small, Statement(2, "bee"))


def test_the_clock_is_that_of_the_latest_statement():
    table = ExampleTable(ExampleEncoder(DIM, None, 0))
    for when in (3, 8, 5):
        table.put(1, np.zeros(DIM, np.float16), Statement(when, "ant"))
    table.drop(1)
    assert table.clock == 8


# samples


@law
@given(seed=seeds, n=st.integers(0, 60), count=st.integers(1, 20))
def test_the_sample_depends_on_the_ids_only(seed, n, count):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 2**62, n)
    chosen = hash_sample(ids, count)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == min(n, count)
    order = rng.permutation(n)
    assert set(ids[order][hash_sample(ids[order], count)].tolist()) == set(ids[chosen].tolist())
    # A further id replaces at most one.
    more = np.append(ids, rng.integers(0, 2**62))
    assert set(more[hash_sample(more, count)].tolist()) <= {*ids[chosen].tolist(), int(more[-1])}


@pytest.mark.parametrize("first", [0, 10**9])
def test_the_sample_is_spread_over_consecutive_ids(first):
    chosen = hash_sample(first + np.arange(10_000), 1000)
    assert 400 < (chosen < 5000).sum() < 600
    assert 400 < (chosen % 2 == 0).sum() < 600
