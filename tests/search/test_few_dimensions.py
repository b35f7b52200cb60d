"""Exact search by a tree of boxes, against a plain computation: any metric, offsets, ties, changes, filters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search import few_dimensions
from assocmem.search.clique_index import CliqueIndex
from assocmem.search.few_dimensions import LEAF_ITEMS, build
from tests.strategies import law, seeds

METRICS = ["l2", "cosine", "ip"]


def plain(x, q, metric):
    """Costs of all pairs, float64 (nq, n): the lowest is the nearest."""
    x, q = x.astype(np.float64), q.astype(np.float64)
    if metric == "l2":
        return ((q[:, None] - x[None]) ** 2).sum(axis=2)
    products = q @ x.T
    if metric == "cosine":
        products = products / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(x, axis=1)
    return -products


def check(index, kept, q, k=5, **how):
    """``kept``: id -> vector."""
    values, ids = index.search(q, k, **how)
    names = np.array(sorted(kept))
    costs = plain(np.stack([kept[name] for name in names.tolist()]), q, index.metric)
    expected = np.sort(costs, axis=1)[:, :k]
    found = values if index.metric == "l2" else -values
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, rtol=1e-4, atol=1e-5)
    assert (ids[:, expected.shape[1] :] == -1).all()
    for row, ranks in zip(ids[:, : expected.shape[1]], costs, strict=True):
        assert len(set(row.tolist())) == expected.shape[1]
        np.testing.assert_allclose(np.sort(ranks[np.searchsorted(names, row)]), np.sort(ranks)[: len(row)], rtol=1e-4,
                                   atol=1e-5)  # fmt: skip


@law
@given(seed=seeds, n=st.sampled_from([1, 31, 32, 33, 64, 65, 500]), dim=st.integers(1, 4))
def test_a_tree_holds_every_point_once_and_boxes_hold_their_points(seed, n, dim):
    points = np.random.default_rng(seed).integers(-4, 5, (n, dim)).astype(np.float32)
    rows = np.arange(n, dtype=np.int32) + 7
    tree = build(points, rows, n + 7)
    leaves = 1 << tree.levels
    assert sorted(tree.rows[tree.rows >= 0].tolist()) == rows.tolist()
    held = tree.blocks.transpose(0, 2, 1).reshape(leaves, LEAF_ITEMS, dim)
    for leaf, (mine, coordinates) in enumerate(zip(tree.rows.reshape(leaves, LEAF_ITEMS), held, strict=True)):
        inside = mine >= 0
        assert inside.any()
        assert coordinates[inside].tolist() == points[mine[inside] - 7].tolist()
        node = leaves + leaf
        assert tree.lows[node].tolist() == coordinates[inside].min(axis=0).tolist()
        while node > 1:
            node //= 2
            assert (tree.lows[node] <= coordinates[inside]).all()
            assert (coordinates[inside] <= tree.highs[node]).all()
    assert np.flatnonzero(tree.valid).tolist() == rows.tolist()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("kind", ["plain", "offset", "ties", "line"])
def test_a_search_is_exact(dim, metric, kind):
    rng = np.random.default_rng(dim)
    x, q = (rng.standard_normal((n, dim)).astype(np.float32) for n in (700, 30))
    if kind == "offset":
        x, q = x + np.float32(1000), q + np.float32(1000)
    elif kind == "ties":
        x, q = np.rint(x) + np.float32(0.5), np.rint(q) + np.float32(0.5)
    elif kind == "line":
        x[:, 1:] = 1
    index = CliqueIndex(dim, metric)
    index.add(x)
    if metric == "ip" and kind == "offset":
        return  # products of a million differ by less than float32 tells
    check(index, dict(enumerate(x)), q)
    check(index, dict(enumerate(x)), q[:3], k=60)


@law
@given(seed=seeds, metric=st.sampled_from(METRICS), fresh=st.sampled_from([0, 5, 1000]))
def test_items_that_come_and_go_are_followed(seed, metric, fresh):
    """Removed, replaced, added in rows that were used before; with the tree made again never, sometimes, always."""
    rng = np.random.default_rng(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_dimensions, "LEAST_FRESH", fresh)
        patch.setattr(few_dimensions, "FRESH_SHARE", 0.0)
        index, kept, following = CliqueIndex(3, metric), {}, 0
        for _ in range(8):
            x = rng.standard_normal((int(rng.integers(1, 40)), 3)).astype(np.float32)
            ids = np.arange(following, following + len(x))
            following += len(x)
            index.add(x, ids)
            kept.update(zip(ids.tolist(), x, strict=True))
            gone = rng.permutation(sorted(kept))[: rng.integers(0, 10)]
            if len(gone) < len(kept):
                index.remove(gone)
                for name in gone.tolist():
                    del kept[name]
            changed = rng.permutation(sorted(kept))[:2]
            new = rng.standard_normal((len(changed), 3)).astype(np.float32)
            index.update(changed, new)
            kept.update(zip(changed.tolist(), new, strict=True))
            check(index, kept, rng.standard_normal((4, 3)).astype(np.float32))
        other = CliqueIndex(3, metric)
        x = rng.standard_normal((20, 3)).astype(np.float32)
        other.add(x, np.arange(5000, 5020))
        index |= other
        kept.update(zip(range(5000, 5020), x, strict=True))
        q = rng.standard_normal((4, 3)).astype(np.float32)
        check(index, kept, q)
        index.compact()
        check(index, kept, q)


def test_only_what_is_allowed_is_found():
    rng = np.random.default_rng(3)
    x, q = (rng.standard_normal((n, 2)).astype(np.float32) for n in (60_000, 20))
    index = CliqueIndex(2, "l2")
    index.add(x)
    allowed = np.arange(0, 60_000, 2)
    check(index, {name: x[name] for name in allowed.tolist()}, q, allow=allowed)


def test_few_items_are_compared():
    rng = np.random.default_rng(4)
    x, q = (rng.uniform(-90, 90, (n, 2)).astype(np.float32) for n in (50_000, 100))
    index = CliqueIndex(2, "l2")
    index.add(x)
    report = index.search(q, 10, report=True)[2]
    assert report.compared.mean() < 100
    assert (report.recall == 1).all()
