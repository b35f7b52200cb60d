"""What the concepts benchmark wants of a learner, ours or another's. No learner lives here."""

from __future__ import annotations

import numpy as np

from assocmem._numerics.types import F32, F64, I64
from assocmem.bench.concepts.dataset import Data


class Learner:
    """Learns examples in the order they come, in as many portions as it is given them.

    Parameters
    ----------
    data : Data
        Tells the width of features, the metric and the number of classes; not to be looked at further.
    seed : int
        For whatever is random in it.
    """

    sure = False
    """Whether its scores are probabilities."""

    def __init__(self, data: Data, seed: int) -> None:
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
            Their places in the data set: ids.
        """
        raise NotImplementedError

    def ready(self) -> None:
        """Do what must be done between learning and answering; a group of classes has ended."""

    def scores(self, x: F32) -> F64:
        """Return each class's score, float64 (n, classes); -inf for classes never taught."""
        raise NotImplementedError

    def doubt(self, x: F32) -> F64:
        """Return how little each resembles what was taught, float64 (n,)."""
        return np.asarray(-self.scores(x).max(axis=1))

    def nbytes(self) -> int:
        """Bytes of what it must keep to go on learning, numbers as float32 or as it keeps them."""
        raise NotImplementedError

    def close(self) -> None:
        """End what it has started."""
