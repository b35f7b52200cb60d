"""Recall in a clique memory: every rule against an oracle of sets and loops, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.memory.clique import CliqueMemory
from assocmem.memory.recall import RecallTask
from assocmem.memory.winner_take_all import Competition
from tests.memory.cliques import memory_of, network_of
from tests.strategies import PLAIN, cues, law, messages, seeds, shapes


@settings(law, max_examples=120)
@given(
    shape=shapes,
    seed=seeds,
    n=st.sampled_from([1, 8, 30, 120]),
    rule=st.sampled_from(["sum-of-max", "sum-of-sum", "gwsta"]),
    erased=st.integers(0, 3),
    wrong=st.integers(0, 2),
    guided=st.booleans(),
    rounds=st.sampled_from([1, 2, 3, None]),
)
def test_recall_equals_the_oracle(shape, seed, n, rule, erased, wrong, guided, rounds):
    stored = messages(seed, shape, n, symbols=12)
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    asked = cues(seed, shape, stored[:3], erased=erased, wrong=wrong, guided=guided)
    answer = memory.recall(asked, rule=rule, iterations=rounds, guided=guided, candidates=True)
    for i, cue in enumerate(asked.tolist()):
        message, exact, last, left = network.recall(cue, rule, rounds or 100, guided)
        assert answer.messages[i].tolist() == message
        assert answer.exact[i] == exact
        assert answer.iterations[i] == last
        assert set(np.flatnonzero(answer.candidates[i].reshape(-1))) == left


@law
@given(shape=shapes, seed=seeds, rule=st.sampled_from(["sum-of-max", "sum-of-sum", "gwsta"]), guided=st.booleans())
def test_a_complete_stored_message_is_recalled(shape, seed, rule, guided):
    stored = messages(seed, shape, 4)
    answer = memory_of(shape, stored).recall(stored, rule=rule, guided=guided)
    assert np.array_equal(answer.messages, stored)
    assert answer.exact.all()


@pytest.mark.skipif(PLAIN, reason="batches that are worth threads")
@pytest.mark.parametrize("rule", ["sum-of-max", "sum-of-sum", "gwsta"])
@pytest.mark.parametrize("shape", [(4, 64, 4), (6, 20, 3)])
def test_any_number_of_threads_recalls_the_same(shape, rule):
    stored = messages(1, shape, 300)
    memory = memory_of(shape, stored)
    asked = cues(1, shape, np.resize(stored, (6000, shape[0])), erased=1, wrong=1)
    one = memory.recall(asked, rule=rule, candidates=True, threads=1)
    for threads in (2, 3):
        more = memory.recall(asked, rule=rule, candidates=True, threads=threads)
        for name in ("messages", "exact", "iterations", "candidates"):
            assert np.array_equal(getattr(one, name), getattr(more, name))


@pytest.mark.parametrize(
    ("competition", "expected"),
    [(Competition(True, 0), True), (Competition(True, 1), False), (Competition(True, 5), False),
     (Competition(False, 0), False), (Competition(False, 1), False)],
)  # fmt: skip
def test_elimination_replaces_sum_of_max_by_cluster_alone(competition, expected):
    assert RecallTask(None, None, 4, 4, competition, 9).eliminates == expected


def test_wrong_symbols_are_corrected():
    shape = (8, 256, 8)
    stored = messages(2, shape, 20 if PLAIN else 500)
    memory = memory_of(shape, stored)
    asked = cues(3, shape, stored, erased=1, wrong=2)
    assert not memory.familiar(asked).any()
    for rule in ("sum-of-max", "sum-of-sum"):
        answer = memory.recall(asked, rule=rule)
        assert (answer.messages == stored).all(axis=1).mean() > 0.99


def test_exact_answers_are_cliques_and_ambiguous_ones_name_their_candidates():
    memory = CliqueMemory(3, 4)
    memory.store([[0, 0, 0], [0, 0, 1], [1, 1, 1]])
    answer = memory.recall([[0, 0, -1], [-1, 1, -1], [0, 1, -1], [-1, -1, -1]], candidates=True)
    assert answer.messages[0].tolist() == [0, 0, -1]
    assert answer.candidates[0, 2].tolist() == [True, True, False, False]
    assert answer.messages[1].tolist() == [1, 1, 1]
    assert answer.exact.tolist() == [False, True, False, False]
    assert answer.messages[3].tolist() == [-1, -1, -1]
    assert memory.recall([[0, 0, -1]]).candidates is None
