"""Tables of stored vectors, and a comparison in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from assocmem.search.rerank import COSINE, L2, PRODUCT
from assocmem.search.vector_table import DTYPES, VectorTable
from tests.strategies import seeds

DIM = 20
COMPARISONS = {
    "seed": seeds,
    "kind": st.sampled_from(list(DTYPES)),
    "metric": st.sampled_from([L2, COSINE, PRODUCT]),
    "in_head": st.sampled_from([0, 4]),
    "named": st.booleans(),
}
"""What comparisons of queries with a table must not depend on: values, types, metrics, mapped rows, ids."""
EVERY_KIND = pytest.mark.parametrize("kind", DTYPES)


def vectors(seed, n, kind, *, few=False):
    """Vectors that ``kind`` stores exactly; with ``few`` different values, there are ties."""
    x = np.random.default_rng(seed).integers(0, 3 if few else 256, (n, DIM)).astype(np.float32)
    x[:, 0] += 1
    return np.minimum(x, 255) if kind == "uint8" else (x - 100) / 8


def filled(x, kind, in_head=0):
    """A table that contains ``x``, the first rows in the head, as if they were mapped from a file."""
    whole = VectorTable(DIM, kind)
    whole.put(np.arange(len(x), dtype=np.int32), x)
    if not in_head:
        return whole
    table = VectorTable(DIM, kind, whole.tail[:in_head].copy())
    if in_head < len(x):
        table.put(np.arange(in_head, len(x), dtype=np.int32), x[in_head:])
    return table


def cost(query, row, metric):
    """The squared distance, or minus the similarity or the product, in double precision."""
    q, x = query.astype(float), row.astype(float)
    if metric == L2:
        return sum((a - b) ** 2 for a, b in zip(q, x, strict=True))
    return -(q @ x) / (np.sqrt((q @ q) * (x @ x)) if metric == COSINE else 1)


def widened(table, q):
    return table.widen(q), (1 / np.linalg.norm(q.astype(float), axis=1)).astype(np.float32)
