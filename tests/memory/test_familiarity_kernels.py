"""Kernels of the familiarity memory against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.hash_codes import ALPHABET
from assocmem.memory.familiarity import MAX_WEIGHT, WEIGHT_SCALE, SeenMemory
from assocmem.memory.familiarity_kernels import (
    POPULARITY_LEVELS,
    max_overlap,
    max_weight_clique,
    pair_clusters,
    score_simulated_cues,
)
from tests.memory.hash_messages import draw


def naive_connections(messages, units):
    """Return all connected pairs ((cluster, unit), (cluster, unit)), in both directions."""
    connections = set()
    for message in messages:
        own = [(c, int(s) * units // ALPHABET) for c, s in enumerate(message)]
        connections |= {(a, b) for a in own for b in own if a != b}
    return connections


def naive_evidence(memory, messages, cues):
    """Return the weight of the heaviest clique, by trying every subset of clusters and counting connections."""
    connections, pairs = naive_connections(messages, memory.units), pair_clusters(memory.clusters).tolist()
    lines = [[b for a, b in pairs if a == c] for c in range(memory.clusters)]

    def popularity(cluster, unit):
        found = sum(((cluster, unit), (b, u)) in connections for b in lines[cluster] for u in range(memory.units))
        return -math.log1p(-found / (len(lines[cluster]) * memory.units))

    every = [popularity(c, u) for c in range(memory.clusters) for u in range(memory.units)]
    mean = sum(every) / len(every)

    def weight(a, b):
        level = sum(round(8 * math.log2(popularity(*unit))) for unit in (a, b))
        chance = -math.expm1(-(2 ** (level / 8)) / mean)
        return round(WEIGHT_SCALE * min(MAX_WEIGHT, -math.log2(chance)))

    out = []
    for cue in cues:
        own = [(c, int(s) * memory.units // ALPHABET) for c, s in enumerate(cue)]
        best = 0
        for size in range(2, len(own) + 1):
            for chosen in itertools.combinations(own, size):
                edges = list(itertools.combinations(chosen, 2))
                if all(edge in connections for edge in edges):
                    best = max(best, sum(weight(*edge) for edge in edges))
        out.append(best / WEIGHT_SCALE)
    return out


@pytest.mark.parametrize("clusters", [2, 3, 4, 5, 16, 17])
def test_every_two_clusters_are_a_pair_and_have_about_as_many_rows(clusters):
    pairs = pair_clusters(clusters)
    assert {frozenset(pair) for pair in pairs.tolist()} == set(
        map(frozenset, itertools.combinations(range(clusters), 2))
    )
    assert len(pairs) == clusters * (clusters - 1) // 2
    rows = np.bincount(pairs[:, 0], minlength=clusters)
    assert rows.max() - rows.min() <= 1


def test_pairs_are_the_same_in_every_version():
    """Files have a table of bits for each pair, in this order: another order is another format."""
    assert pair_clusters(4).tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3], [3, 0]]
    assert pair_clusters(5).tolist() == sorted([a, (a + step) % 5] for a in range(5) for step in (1, 2))


@given(st.integers(2, 8), st.floats(0, 1), st.integers(0, 40), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_heaviest_clique_is_the_best_of_all_subsets(c, density, least, seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((c, c)) < density, 1)
    weights = np.triu(rng.integers(0, 12, (c, c)), 1) * upper
    upper, weights = upper | upper.T, (weights + weights.T).astype(np.int32)
    connected = np.array([sum(1 << b for b in range(c) if upper[a, b]) for a in range(c)], np.uint64)
    best = 0
    for size in range(2, c + 1):
        for chosen in itertools.combinations(range(c), size):
            edges = list(itertools.combinations(chosen, 2))
            if all(upper[edge] for edge in edges):
                best = max(best, int(sum(weights[edge] for edge in edges)))
    scratch = np.full((c + 1, 5), (1 << c) - 1, np.int64)  # what is left there must not matter
    found = max_weight_clique(connected, weights, max(1, least), scratch)
    assert found == (best if best >= max(1, least) else 0)


@pytest.mark.parametrize(("clusters", "units"), [(3, 64), (3, 192), (6, 64)])
def test_evidence_equals_plain_loops(clusters, units):
    symbols = 900 if units == 64 else ALPHABET
    memory, messages = SeenMemory(units, clusters=clusters), draw(60, clusters=clusters, symbols=symbols)
    memory.store(messages)
    cues = np.concatenate([messages[:5], draw(20, seed=1, clusters=clusters, symbols=symbols)])
    assert memory.evidence(cues).tolist() == naive_evidence(memory, messages, cues)
    connections = naive_connections(messages, units)
    assert int(sum(memory.pair_densities) * units**2 + 0.5) == len(connections) // 2
    assert memory.density == pytest.approx(memory.pair_densities.mean())


def test_simulated_evidence_equals_plain_loops():
    rng, n, clusters, units = np.random.default_rng(0), 40, 4, 3
    pairs, messages = pair_clusters(clusters), rng.integers(0, units, (n, clusters)).astype(np.int32)
    known, draws = rng.random((n, clusters)) < 0.4, rng.random((n, len(pairs))).astype(np.float32)
    levels = rng.integers(0, POPULARITY_LEVELS, (clusters, units)).astype(np.uint8)
    weights, chances = rng.integers(1, 50, 2 * POPULARITY_LEVELS), rng.random(2 * POPULARITY_LEVELS)
    tables = np.array([weights, chances], np.float32)
    out = np.empty(n, np.int32)
    score_simulated_cues(messages, known, draws, pairs, levels, tables, out)
    for i in range(n):
        edges = {}
        for p, (a, b) in enumerate(pairs.tolist()):
            place = int(levels[a, messages[i, a]]) + int(levels[b, messages[i, b]])
            if (known[i, a] and known[i, b]) or draws[i, p] < tables[1, place]:
                edges[frozenset((a, b))] = int(weights[place])
        best = 0
        for size in range(2, clusters + 1):
            for chosen in itertools.combinations(range(clusters), size):
                mine = [edges.get(frozenset(edge)) for edge in itertools.combinations(chosen, 2)]
                best = max(best, sum(mine) if None not in mine else 0)
        assert out[i] == best


def test_the_greatest_overlap_is_found():
    messages, cues = draw(50, symbols=3), draw(8, seed=1, symbols=3)
    skip = np.array([-1, 0, 1, 2, 3, 4, 5, 6])
    out = np.empty(8, np.int64)
    max_overlap(messages, cues, skip, out)
    for cue, without, found in zip(cues, skip, out, strict=True):
        assert found == max((messages[i] == cue).sum() for i in range(50) if i != without)
    max_overlap(messages[:0], cues, skip, out)
    assert not out.any()
