"""The protocol between the concepts benchmark and a learner: `Learner`. Contains no learner itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import LabelledData
from assocmem.bench.concepts.metrics import is_correct


class Learner:
    """Learns examples in the order they come, in any number of portions.

    Parameters
    ----------
    data : LabelledData
        Only the width of its features, its metric, mean and classes may be used.
    seed : int
        For everything random in the learner.
    """

    gives_probabilities = False
    """Whether its scores are probabilities."""

    def __init__(self, data: LabelledData, seed: int) -> None:
        self.dim, self.classes, self.metric, self.mean = data.x.shape[1], len(data.classes), data.metric, data.mean
        self.seed = seed

    def teach(self, x: F32, y: I64, rows: I64) -> None:
        """Learn n examples, one after another.

        Parameters
        ----------
        x : float32 (n, d)
        y : int64 (n,)
            Numbers of their classes.
        rows : int64 (n,)
            Their row numbers in the data set, as ids.
        """
        raise NotImplementedError

    def ready(self) -> None:
        """Do what is necessary between learning and answering; called at the end of a group of classes."""

    def scores(self, x: F32) -> F64:
        """Return the score of each class, float64 (n, classes); -inf for classes that were never taught."""
        raise NotImplementedError

    def novelty(self, x: F32) -> F64:
        """Return how unlike everything that was taught each row is, float64 (n,); the greater, the less alike."""
        return np.asarray(-self.scores(x).max(axis=1))

    def nbytes(self) -> int:
        """Return the bytes of everything that is needed to go on learning, floats as float32 or as they are stored."""
        raise NotImplementedError

    def close(self) -> None:
        """End everything that was started, such as processes."""


MakeLearner: TypeAlias = Callable[[LabelledData, int], Learner]
"""Makes a learner of data and seed."""


def teach(learner: Learner, data: LabelledData, rows: I64) -> None:
    """Teach rows of the data, in their order."""
    learner.teach(data.x[rows], data.y[rows], rows)


def accuracy(learner: Learner, data: LabelledData, rows: I64) -> float:
    """Return the share of rows that are answered correctly."""
    return float(is_correct(learner.scores(data.x[rows]), data.y[rows]).mean())
