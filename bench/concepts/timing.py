"""Times of the concepts benchmark: to learn one example, to get ready, to answer one; on one thread."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from assocmem._numerics.types import F32
from assocmem.bench.concepts.dataset import LabelledData, Split
from assocmem.bench.concepts.faiss_learner import FaissNeighboursLearner
from assocmem.bench.concepts.learner import Learner, MakeLearner, teach
from assocmem.bench.concepts.streaming_learners import RIDGES, RandomProjectionsLearner

SINGLES = 50
"""Examples taught one at a time, and answers given one at a time; all other examples are taught before."""
FEW = 5
"""Examples taught one at a time by RanPAC, where each updates a Gram matrix of up to 10,000 x 10,000."""


def measure(data: LabelledData, split: Split, make: MakeLearner) -> dict[str, Any]:
    """Time a learner.

    Returns
    -------
    dict
        ``teach_us`` per example taught singly, ``ready_ms`` until the first answer, ``answer_us`` per single answer
        and ``batch_us`` per answer of one call for all.
    """
    learner = make(data, 0)
    if isinstance(learner, RandomProjectionsLearner):
        return measure_gram_matrix(data, split, learner.width)
    train, test = split.train, split.test
    few = min(SINGLES, len(train) // 2)
    _warm_up(make(data, 0), data, split, few)
    teach(learner, data, train[:-few])
    learner.ready()
    learner.scores(data.x[test[:1]])
    times = [time.perf_counter()]
    for row in train[-few:]:
        teach(learner, data, np.array([row]))
    times.append(time.perf_counter())
    learner.ready()
    learner.scores(data.x[test[:1]])
    times.append(time.perf_counter())
    asked = test[:SINGLES]
    for row in asked:
        learner.scores(data.x[row : row + 1])
    times.append(time.perf_counter())
    learner.scores(data.x[test])
    times.append(time.perf_counter())
    found = _figures(times, few, len(asked), len(test))
    if isinstance(learner, FaissNeighboursLearner):  # without the communication between processes
        found["teach_us"], found["answer_us"] = learner.single_us(data.x[train[-few:]], data.x[asked])
    learner.close()
    return found


def _warm_up(learner: Learner, data: LabelledData, split: Split, few: int) -> None:
    """Compile or load the kernels."""
    teach(learner, data, split.train[: 2 * few])
    teach(learner, data, split.train[-1:])
    learner.ready()
    learner.scores(data.x[split.test[:2]])
    learner.close()


def _figures(times: list[float], taught: int, singles: int, batch: int) -> dict[str, float]:
    """Return the figures from the times before and after teaching, getting ready, single answers and a batch."""
    teaching, ready, single, together = np.diff(times).tolist()
    return {
        "teach_us": teaching / taught * 1e6,
        "ready_ms": ready * 1e3,
        "answer_us": single / singles * 1e6,
        "batch_us": together / batch * 1e6,
    }


def measure_gram_matrix(data: LabelledData, split: Split, width: int) -> dict[str, Any]:
    """Time RanPAC as published: its Gram matrix as float32, one example at a time, solved once."""
    projection = np.random.default_rng(0).standard_normal((data.x.shape[1], width), np.float32)
    classes = len(data.classes)
    gram: F32 = np.zeros((width, width), np.float32)
    sums: F32 = np.zeros((width, classes), np.float32)
    step = np.empty_like(gram)
    times = [time.perf_counter()]
    for row in split.train[:FEW]:
        projected = np.maximum(data.x[row] @ projection, 0)
        np.multiply(projected[:, None], projected, out=step)
        gram += step
        sums[:, data.y[row]] += projected
    times.append(time.perf_counter())
    gram[np.arange(width), np.arange(width)] += np.float32(RIDGES[12])
    weights = np.linalg.solve(gram, sums)
    times.append(time.perf_counter())
    asked = data.x[split.test[:SINGLES]]
    for row in asked:
        (np.maximum(row @ projection, 0) @ weights).argmax()
    times.append(time.perf_counter())
    (np.maximum(data.x[split.test] @ projection, 0) @ weights).argmax(axis=1)
    times.append(time.perf_counter())
    return _figures(times, FEW, len(asked), len(split.test))
