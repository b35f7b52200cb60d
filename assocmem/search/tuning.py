"""How much effort a wanted recall takes, found on queries like those to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assocmem._numerics.types import F32

if TYPE_CHECKING:
    from assocmem.search.clique_index import CliqueIndex

CLOSE = 1.05
"""Two efforts are told apart down to this ratio."""


def least_effort(index: CliqueIndex, queries: F32, recall: float, k: int) -> float:
    """Return the least effort whose answers have that share of the k nearest, ties counted as found.

    Recall rises with effort, so the interval is halved; ``queries``: float32 (nq, dim).
    """
    truth, _ = index.search(queries, k, effort=1.0)
    there = min(k, len(index))
    border = truth[:, there - 1 : there]
    low, high = 1 / max(2, index.stats().pools), 1.0
    while high / low > CLOSE:
        middle = float((low * high) ** 0.5)
        found, _ = index.search(queries, k, effort=middle)
        near = found >= border if index.cosine else found <= border
        low, high = (low, middle) if near.sum(axis=1).mean() / there >= recall else (middle, high)
    return high
