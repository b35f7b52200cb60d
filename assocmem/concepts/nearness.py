"""How near the nearest example is: cosine similarity from the examples' mean; inner products. Arrays only."""

from __future__ import annotations

import numpy as np

from assocmem._numerics.rotation import inner_products, unit_rows
from assocmem._numerics.types import F32


class Nearness:
    """Of vectors to some examples.

    Parameters
    ----------
    shown : float32 (m, d)
        The examples, at least one.
    """

    def __init__(self, shown: F32) -> None:
        self._mean = shown.mean(axis=0, dtype=np.float64).astype(np.float32)
        self._examples = unit_rows(shown - self._mean)

    def of(self, shown: F32) -> F32:
        """Return it for vectors float32 (n, d), as float32 (n,)."""
        return np.asarray(inner_products(unit_rows(shown - self._mean), self._examples).max(axis=1))

    def left_out(self) -> F32:
        """Return it for each example had it been left out, float32 (m,); -1 for a single one."""
        alike = self._examples @ self._examples.T
        np.fill_diagonal(alike, -1)
        return np.asarray(alike.max(axis=1))
