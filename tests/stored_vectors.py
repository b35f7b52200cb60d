"""Vectors as an index keeps them, and a plain comparison, for tests."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.search.vector_storage import DTYPES, Features

DIM = 20
KINDS = pytest.mark.parametrize("kind", DTYPES)


def vectors(seed, n, kind, *, few=False):
    """Vectors that ``kind`` keeps as they are; a few different ones make ties."""
    x = np.random.default_rng(seed).integers(0, 3 if few else 256, (n, DIM)).astype(np.float32)
    x[:, 0] += 1
    return np.minimum(x, 255) if kind == "uint8" else (x - 100) / 8


def filled(x, kind, mapped=0):
    """Features that hold ``x``, the first rows of it as if in a file."""
    whole = Features(DIM, kind)
    whole.put(np.arange(len(x), dtype=np.int32), x)
    if not mapped:
        return whole
    split = Features(DIM, kind, whole.tail[:mapped].copy())
    split.put(np.arange(mapped, len(x), dtype=np.int32), x[mapped:])
    return split


def worse(query, row, *, cosine):
    """Squared distance or minus the similarity, in double precision."""
    q, x = query.astype(float), row.astype(float)
    if not cosine:
        return sum((a - b) ** 2 for a, b in zip(q, x, strict=True))
    return -(q @ x) / np.sqrt((q @ q) * (x @ x))


def widened(features, q):
    return features.widen(q), (1 / np.linalg.norm(q.astype(float), axis=1)).astype(np.float32)
