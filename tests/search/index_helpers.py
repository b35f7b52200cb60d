"""Vectors and indexes for tests, and what can be compared of two indexes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from assocmem.search import _vector_store
from assocmem.search.clique_index import CliqueIndex
from tests.search.pool_helpers import check_tree

DIM = 24
METRICS = ["cosine", "l2"]
KINDS = ["float16", "float32", "uint8"]
EFFORTS = [0.05, 0.3, 1.0]


def vectors(seed, n, kind="float16", dim=DIM):
    """Vectors around a few centres, one in ten the same; whole numbers for uint8."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((8, dim))[rng.integers(0, 8, n)] + 0.5 * rng.standard_normal((n, dim))
    x[rng.random(n) < 0.1] = rng.standard_normal(dim)
    return (x if kind != "uint8" else np.round(x * 20 + 100).clip(1, 255)).astype(np.float32)


def made(seed, n, metric="cosine", kind="float16", **more):
    index = CliqueIndex(DIM, metric, features=kind, **more)
    if n:
        index.add(vectors(seed, n, kind))
    return index


def answers(index, q, k=10, efforts=EFFORTS):
    """Results of an index at several efforts, as bytes."""
    return [array.tobytes() for effort in efforts for array in index.search(q, k, effort=effort)]


def saved(index):
    """The file of an index, as bytes: its whole state."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.h5"
        index.save(path)
        return path.read_bytes()


def store_of(index):
    """The store of an index, for its codes and pools, which have no public face."""
    return index._store


def facts_of(index):
    """Numbers that a file contains besides the arrays, such as ``rows`` and ``next_id``."""
    return store_of(index).state()[0]


def item_codes(index):
    """Id -> code, scale and bias."""
    store = store_of(index)
    rows = store.used_rows()
    parts = store.tree.items.coded(rows)[:3]
    entries = zip(store.ids.ids(rows).tolist(), *parts, strict=True)
    return {id_: (code.tobytes(), int(scale), int(bias)) for id_, code, scale, bias in entries}


def check_structure(index):
    store = store_of(index)
    assert len(index) == len(store.used_rows()) == len(index.ids())
    if not store.pooled:
        assert len(index) <= _vector_store.POOLS_ABOVE or index.dim <= _vector_store.FEW_DIMENSIONS
        assert store.tree.items.is_empty
        return
    check_tree(store.tree, store.used_rows().tolist())
    sizes = store.tree.items.arrays.sizes
    assert len(index) == int(sizes.sum()) == len(index.ids())
    assert int(sizes.max()) <= 64
