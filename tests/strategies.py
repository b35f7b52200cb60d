"""Random messages, cues and sets for the bit memories: few shapes, because each is compiled, and many seeds."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

PLAIN = bool(os.environ.get("NUMBA_DISABLE_JIT"))
"""Whether kernels run as plain Python, hundreds of times slower: fewer examples and smaller batches then."""
law = settings(max_examples=4 if PLAIN else 25, deadline=None)

SHAPES = [(3, 5, 3), (4, 64, 4), (5, 16, 5), (4, 70, 4), (6, 20, 3), (5, 64, 3)]
"""clusters, units, active: clusters that share a word, fill words, or cross word borders; dense and sparse"""

shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 10_000)


def messages(seed, shape, n, *, symbols=None):
    """Return random messages, int64 (n, clusters); with few ``symbols`` they overlap."""
    clusters, units, active = shape
    rng = np.random.default_rng(seed)
    out = rng.integers(0, min(units, symbols or units), (n, clusters))
    for row in out:
        row[rng.permutation(clusters)[active:]] = -1
    return out


def cues(seed, shape, stored, *, erased, wrong=0, guided=True):
    """Return cues made from messages: some symbols are erased, and some are replaced by random ones."""
    clusters, units, active = shape
    rng = np.random.default_rng(seed)
    out = np.where(stored < 0, -2 if guided and active < clusters else -1, stored)
    for row in out:
        places = rng.permutation(np.flatnonzero(row >= 0))
        row[places[:erased]] = -1
        for place in places[erased : erased + wrong]:
            row[place] = rng.integers(0, units)
    return out


SIZES = [(1, 1), (7, 63), (64, 64), (20, 65), (130, 200), (65, 1)]
"""rows, columns of a Willshaw memory, with last words that are full, nearly full, and nearly empty"""

sizes = st.sampled_from(SIZES)


def sets(seed, n, size, *, shortest=0, longest=5):
    """Return n lists of numbers below ``size``, of random lengths, with repetitions."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, size, rng.integers(shortest, longest + 1)).tolist() for _ in range(n)]


def padded(seed, ragged):
    """Return the same sets as int64 (n, m), with -1 at random places."""
    rng = np.random.default_rng(seed)
    out = np.full((len(ragged), 1 + max(map(len, ragged), default=0)), -1)
    for row, one in zip(out, ragged, strict=True):
        row[rng.permutation(out.shape[1])[: len(one)]] = one
    return out
