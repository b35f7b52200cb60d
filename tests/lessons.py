"""Lessons for concept memories: vectors in clusters, few waves for quick laws, and all that a memory answers."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from assocmem.concepts import classifiers as readers
from assocmem.concepts import random_features as waves
from assocmem.concepts import ridge
from assocmem.concepts.concept_file import state_of
from assocmem.concepts.memory import ConceptMemory

DIM = 12
READERS = ["ridge", "counts"]
SORTS = [("cosine", None), ("l2", None), ("cosine", 64), ("l2", 2)]
"""metric, code_bytes"""
BORDERS = [(2048, 1024), (2048, 8), (6, 6)]
"""Examples up to which the dual is solved, and those that are sampled: all, some, and the primal."""
NAMES = ["ant", "bee", "cat", "dog"]


@contextlib.contextmanager
def few_waves(border=BORDERS[0], count=64):
    """Features of 128 bytes and not 4,096: coarse answers, but by the same steps."""
    dual_up_to, sampled = border
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waves, "WAVES", count)
        patch.setattr(waves.RandomWaves, "SIZE", 2 * count)
        patch.setattr(ridge, "UNIT", float(waves.TOP**2 * count))
        patch.setattr(readers, "DUAL_UP_TO", dual_up_to)
        patch.setattr(readers, "SAMPLE", sampled)
        patch.setattr(readers, "CALIBRATED", sampled)
        yield


def memory_of(sort=SORTS[0], *lessons, **settings):
    """A memory that was taught some lessons."""
    metric, code_bytes = sort
    memory = ConceptMemory(DIM, metric, code_bytes=code_bytes, **settings)
    for lesson in lessons:
        memory.teach(*lesson)
    return memory


def vectors(seed, n, dim=DIM):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def clusters(seed, concepts=3, each=4, *, noise=0.3, dim=DIM, taken=0):
    """Vectors, names, ids of examples around a middle per concept; ``taken`` chooses others of the same concepts."""
    middles = vectors(seed, concepts, dim)
    x = np.repeat(middles, each, axis=0) + np.float32(noise) * vectors(seed + 1000 + taken, concepts * each, dim)
    names = [name for name in NAMES[:concepts] for _ in range(each)]
    return x, names, np.random.default_rng(seed + 7 + taken).permutation(1000)[: len(x)] + 1000 * taken


def take(lesson, places):
    x, names, ids = lesson
    return x[places], [names[place] for place in np.arange(len(x))[places]], ids[places]


def answers(memory, q, readers=READERS):
    """Every bit that the memory says of some vectors, and of itself."""
    said = [memory.concepts, memory.counts]
    for reader in readers:
        found = memory.nearest(q, 3, reader=reader)
        said += [part.tobytes() for part in (found.probabilities, found.concepts, found.none)]
        said += [found.names, memory.scores(q, reader=reader).tobytes() if memory.concepts else b""]
    return said


def state(memory):
    """All that a file of it would hold."""
    about, arrays = state_of(memory)
    return about, {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}


def told(memory):
    """What it was told, without the clock."""
    about, arrays = state(memory)
    return {name: fact for name, fact in about.items() if name != "clock"}, arrays
