"""Ranked answers from arrays: which items, which concepts. Knows no paths and no SQL."""

from __future__ import annotations

import numpy as np

from assocmem._numerics.types import F32
from assocmem.concepts.unit_counts import UnitCounts
from assocmem.data.labels import imagenet_labels
from assocmem.search.exhaustive import SearchEngine

Ranked = list[tuple[int, float]]
"""(item id, score), best first."""


def nearest_items(engine: SearchEngine, features: F32, k: int, effort: float | None = None) -> Ranked:
    """Return the k items nearest to any of the queries, float32 (m, dim); each item by its best similarity."""
    similarity, ids = engine.search(features, k, effort=effort)
    best: dict[int, float] = {}
    for score, item in zip(similarity.ravel().tolist(), ids.ravel().tolist(), strict=True):
        if item >= 0:
            best[item] = max(score, best.get(item, score))
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def softmax(logits: F32) -> F32:
    """Probabilities of logits, along the last axis, computed without overflow."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True), dtype=np.float32)


def common_concepts(memory: UnitCounts, k: int) -> list[str]:
    """Return the names of the ImageNet concepts that a memory was taught most of."""
    weight = memory.weight
    best = [i for i in np.argsort(-weight, kind="stable")[:k].tolist() if weight[i] > 0]
    return [imagenet_labels()[i].name for i in best]
