"""Elimination against sets and loops: a contradiction that it reports by mistake would be answered in another way."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.memory.clique_kernels import clique_kernels
from assocmem.memory.elimination_kernels import CONTRADICTED, OPEN, SETTLED
from tests.memory.cliques import memory_of, network_of
from tests.naive_memory import ones
from tests.strategies import SHAPES, cues, messages

LARGER = [(5, 128, 5), (9, 16, 6), (4, 65, 4), (4, 63, 4)]
"""two words per cluster; many clusters in a word; a unit more, and one less, than a word has bits"""


def stored_messages(seed, shape, n, symbols):
    """Return random messages with few different symbols, which are spread over each cluster's units."""
    clusters, units, _ = shape
    rng = np.random.default_rng(seed)
    places = np.array([rng.permutation(units) for _ in range(clusters)])
    places[:, 0], places[:, 1] = 0, units - 1
    found = messages(seed, shape, n, symbols=symbols)
    return np.where(found < 0, found, places[np.arange(clusters), np.maximum(found, 0)])


def eliminate(network, cue, limit):
    """Return (outcome, last round that changed something, units left by cluster)."""
    known = network.units_of(cue)
    lost = [a for a, symbol in enumerate(cue) if symbol == -1] if len(known) < network.active else []

    def connected(u, v):
        return (u, v) in network.connections

    if not known or not all(connected(u, v) for u in known for v in known):
        return CONTRADICTED, 1, {}
    left = {
        a: {u for u in range(network.unit(a, 0), network.unit(a + 1, 0)) if all(connected(u, v) for v in known)}
        for a in lost
    }
    last = 1
    for number in range(2, limit + 1):
        if not all(left.values()):
            break
        after = {
            a: {u for u in left[a] if all(any(connected(u, v) for v in left[b]) for b in lost if b != a)} for a in lost
        }
        if after == left:
            break
        left, last = after, number
    if not all(left.values()):
        return CONTRADICTED, last, left
    single = all(len(units) == 1 for units in left.values())
    return SETTLED if single else OPEN, last, left


def assert_equals_oracle(memory, network, shape, asked):
    """Compare answers to cues after 1, 2, 3 and all rounds; return the outcomes that should be."""
    seen = set()
    for limit in (1, 2, 3, 50):
        found = np.empty_like(asked)
        outcomes = np.empty((len(asked), 2), np.int32)
        sets = np.empty((len(asked), memory.bits.shape[1]), np.uint64)
        clique_kernels(*shape).eliminate(memory.bits, asked, limit, found, outcomes, sets)
        for cue, message, (last, outcome), units in zip(asked.tolist(), found, outcomes, sets, strict=True):
            expected, number, left = eliminate(network, cue, limit)
            seen.add(expected)
            if outcome == OPEN and expected == SETTLED and limit < 50:
                expected = OPEN  # connections between the last units are unchecked
            assert outcome == expected
            if outcome == CONTRADICTED:
                continue
            assert last == number
            symbols_left = [
                min(left[a]) - network.unit(a, 0) if len(left.get(a, ())) == 1 else max(symbol, -1)
                for a, symbol in enumerate(cue)
            ]
            assert message.tolist() == symbols_left
            assert set(ones(units)) == set(network.units_of(cue)).union(*left.values())
    return seen


@pytest.mark.parametrize("shape", [*SHAPES, *LARGER])
@pytest.mark.parametrize(("n", "symbols"), [(3, 3), (8, 3), (12, 5), (25, 4)])
def test_elimination_equals_the_oracle(shape, n, symbols):
    active = shape[2]
    stored = stored_messages(n, shape, n, symbols)
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    outcomes_seen = set()
    for erased in range(active + 1):
        asked = cues(erased, shape, stored[:5], erased=erased, wrong=min(erased, 1) if erased % 2 else 0)
        asked = np.concatenate([asked, cues(erased, shape, stored[:5], erased=erased)]).astype(np.int32)
        outcomes_seen |= assert_equals_oracle(memory, network, shape, asked)
    assert SETTLED in outcomes_seen


def test_every_known_unit_counts():
    """Unit 1 + j of the last cluster is connected to all known units but the one of cluster j."""
    shape = clusters, _, _ = (10, 64, 10)
    stored = [[0] * clusters]
    for j in range(clusters - 1):
        for i in set(range(clusters - 1)) - {j}:
            stored.append([63] * (clusters - 1) + [1 + j])
            stored[-1][i] = 0
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    asked = np.zeros((clusters, clusters), np.int32)
    for known, cue in enumerate(asked):
        cue[known:] = -1
    assert_equals_oracle(memory, network, shape, asked)


def test_a_cue_without_a_symbol_is_left_to_the_competition():
    memory = memory_of((4, 64, 4), [[1, 2, 3, 4]])
    found, outcomes = np.empty((1, 4), np.int32), np.empty((1, 2), np.int32)
    asked = np.full((1, 4), -1, np.int32)
    clique_kernels(4, 64, 4).eliminate(memory.bits, asked, 9, found, outcomes, np.empty((0, 4), np.uint64))
    assert outcomes[0, 1] == CONTRADICTED


def test_outcomes_in_their_order():
    """Answers that are not settled are at least OPEN."""
    assert SETTLED < OPEN < CONTRADICTED
