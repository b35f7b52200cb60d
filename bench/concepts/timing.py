"""Times of the concepts benchmark: learning one example, getting ready, answering one; on this machine, one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64
from assocmem.bench.concepts.dataset import Data, Split
from assocmem.bench.concepts.learner import Learner
from assocmem.bench.concepts.streaming_learners import RIDGES, RandomProjections

ONCE = 50
"""Examples taught one at a time, and answers given singly; the rest is taught before, in one portion."""
FEW = 5
"""As many where each takes as long as a Gram matrix of 10,000 x 10,000."""


def measure(data: Data, parts: Split, make: Callable[[Data, int], Learner]) -> dict[str, Any]:
    """Time a learner.

    Returns
    -------
    dict
        ``teach_us`` per example taught singly, ``ready_ms`` until the first answer, ``answer_us`` per single answer
        and ``batch_us`` per answer of one call for all.
    """
    learner = make(data, 0)
    if isinstance(learner, RandomProjections):
        return measure_gram(data, parts, learner.width)
    train, test = parts.train, parts.test
    few = min(ONCE, len(train) // 2)
    warm = make(data, 0)  # kernels are compiled or loaded
    _teach(warm, data, train[: 2 * few])
    _teach(warm, data, train[-1:])
    warm.ready()
    warm.scores(data.x[test[:2]])
    warm.close()
    _teach(learner, data, train[:-few])
    learner.ready()
    learner.scores(data.x[test[:1]])
    started = time.perf_counter()
    for row in train[-few:]:
        _teach(learner, data, np.array([row]))
    taught = time.perf_counter()
    learner.ready()
    learner.scores(data.x[test[:1]])
    ready = time.perf_counter()
    asked = test[:ONCE]
    for row in asked:
        learner.scores(data.x[row : row + 1])
    single = time.perf_counter()
    learner.scores(data.x[test])
    batch = time.perf_counter()
    found = {
        "teach_us": (taught - started) / few * 1e6,
        "ready_ms": (ready - taught) * 1e3,
        "answer_us": (single - ready) / len(asked) * 1e6,
        "batch_us": (batch - single) / len(test) * 1e6,
    }
    if hasattr(learner, "times"):  # in another process: without what goes between
        found["teach_us"], found["answer_us"] = learner.times(data.x[train[-few:]], data.x[asked])
    learner.close()
    return found


def _teach(learner: Learner, data: Data, rows: I64) -> None:
    learner.teach(data.x[rows], data.y[rows], rows)


def measure_gram(data: Data, parts: Split, width: int) -> dict[str, Any]:
    """Time RanPAC as published: its Gram matrix as float32, one example at a time, one solution of it."""
    projection = np.random.default_rng(0).standard_normal((data.x.shape[1], width), np.float32)
    classes, few = len(data.classes), FEW
    gram: F32 = np.zeros((width, width), np.float32)
    sums: F32 = np.zeros((width, classes), np.float32)
    step = np.empty_like(gram)
    started = time.perf_counter()
    for row in parts.train[:few]:
        projected = np.maximum(data.x[row] @ projection, 0)
        np.multiply(projected[:, None], projected, out=step)
        gram += step
        sums[:, data.y[row]] += projected
    taught = time.perf_counter()
    gram[np.arange(width), np.arange(width)] += np.float32(RIDGES[12])
    weights = np.linalg.solve(gram, sums)
    ready = time.perf_counter()
    asked = data.x[parts.test[:ONCE]]
    for row in asked:
        (np.maximum(row @ projection, 0) @ weights).argmax()
    single = time.perf_counter()
    (np.maximum(data.x[parts.test] @ projection, 0) @ weights).argmax(axis=1)
    batch = time.perf_counter()
    return {
        "teach_us": (taught - started) / few * 1e6,
        "ready_ms": (ready - taught) * 1e3,
        "answer_us": (single - ready) / len(asked) * 1e6,
        "batch_us": (batch - single) / len(parts.test) * 1e6,
    }
