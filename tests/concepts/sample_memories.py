"""Concept memories for tests: examples in clusters, few frequencies so that fits are quick, all answers at once."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from assocmem.concepts import random_features, ridge
from assocmem.concepts.memory import ConceptMemory

DIM = 12
READERS = ["ridge", "counts"]
KINDS = [("cosine", None), ("l2", None), ("cosine", 64), ("l2", 2)]
"""metric, code_bytes"""
LIMITS = [(2048, 1024), (2048, 8), (6, 6)]
"""Examples up to which the dual problem is solved, and examples that are left out: dual with all, dual with some,
primal"""
NAMES = ["ant", "bee", "cat", "dog"]


@contextlib.contextmanager
def few_frequencies(limits=LIMITS[0], count=64):
    """Features of 128 bytes instead of 4,096: coarse answers by the same steps."""
    dual_limit, sampled = limits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_features, "FREQUENCIES", count)
        patch.setattr(ridge, "DUAL_LIMIT", dual_limit)
        patch.setattr(ridge, "SAMPLE", sampled)
        patch.setattr(ridge, "STRENGTH_SAMPLE", sampled)
        yield


def memory_of(kind=KINDS[0], *batches, **settings):
    """A memory that was taught some batches of vectors, names and ids."""
    metric, code_bytes = kind
    memory = ConceptMemory(DIM, metric, code_bytes=code_bytes, **settings)
    for batch in batches:
        memory.teach(*batch)
    return memory


def vectors(seed, n, dim=DIM):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def clusters(seed, concepts=3, each=4, *, noise=0.3, dim=DIM, draw=0):
    """Vectors, names and ids of examples around a centre per concept; ``draw`` gives others around the same centres."""
    centres = vectors(seed, concepts, dim)
    x = np.repeat(centres, each, axis=0) + np.float32(noise) * vectors(seed + 1000 + draw, concepts * each, dim)
    names = [name for name in NAMES[:concepts] for _ in range(each)]
    return x, names, np.random.default_rng(seed + 7 + draw).permutation(1000)[: len(x)] + 1000 * draw


def take(batch, places):
    x, names, ids = batch
    return x[places], [names[place] for place in np.arange(len(x))[places]], ids[places]


def answers(memory, q, readers=READERS):
    """Every bit of what a memory answers about some vectors and about itself."""
    found = [memory.concepts, memory.counts]
    for reader in readers:
        nearest = memory.nearest(q, 3, reader=reader)
        found += [part.tobytes() for part in (nearest.probabilities, nearest.concepts, nearest.none)]
        found += [nearest.names, memory.scores(q, reader=reader).tobytes() if memory.concepts else b""]
    return found


def content(memory):
    """Everything that a file or a pickle of a memory contains, without solutions."""
    state = memory.__getstate__()
    return state["about"], {name: (x.dtype, x.shape, x.tobytes()) for name, x in state["arrays"].items()}


def statements(memory):
    """Everything that was stated, without the clock."""
    about, arrays = content(memory)
    return {name: fact for name, fact in about.items() if name != "clock"}, arrays


def denied(memory, id_):
    """The concepts that an example is stated not to be."""
    state = memory.__getstate__()
    place = state["arrays"]["ids"].tolist().index(id_)
    return state["about"]["denied"].get(str(place), ())
