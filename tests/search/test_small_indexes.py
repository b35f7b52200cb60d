"""Indexes without pools: as long as searches need none, none are made; and nothing changes when they are."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.search import _vector_store, clique_index
from assocmem.search.clique_index import CliqueIndex
from tests.search.index_helpers import check_structure, store_of

LIMIT = 300


@pytest.fixture(autouse=True)
def pools_above_a_few_hundred(monkeypatch):
    monkeypatch.setattr(_vector_store, "POOLS_ABOVE", LIMIT)
    monkeypatch.setattr(_vector_store, "FEW_DIMENSIONS", 8)
    monkeypatch.setattr(clique_index, "EXACT_UP_TO", LIMIT)


def vectors(seed, n, dim=24):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def filled(n, dim=24, **more):
    index = CliqueIndex(dim, "l2", **more)
    index.add(vectors(1, n, dim))
    return index


@pytest.mark.parametrize(("n", "dim", "pooled"), [(LIMIT, 24, False), (LIMIT + 1, 24, True), (4 * LIMIT, 8, False)])
def test_pools_are_made_when_searches_need_them(n, dim, pooled):
    index = filled(n, dim)
    assert store_of(index).pooled == pooled
    assert (index.stats().pools > 0) == pooled
    check_structure(index)


def test_an_index_that_grows_one_by_one_finds_the_same_as_one_that_is_filled_at_once():
    x, q = vectors(1, LIMIT + 50), vectors(2, 20)
    one, all_ = CliqueIndex(24, "l2"), filled(LIMIT + 50)
    for row in x:
        one.add(row[None])
        assert store_of(one).pooled == (len(one) > LIMIT)
    check_structure(one)
    for found, expected in zip(one.search(q, effort=1.0), all_.search(q, effort=1.0), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert one.search(x[:50], 1, recall=0.9)[1].tolist() == [[i] for i in range(50)]


def test_pools_stay_when_items_go_and_compacting_gives_them_back():
    index = filled(LIMIT + 100)
    index.remove(np.arange(200))
    assert store_of(index).pooled
    assert index.search(vectors(1, LIMIT + 100)[250], 1)[1].tolist() == [[250]]
    index.compact()
    assert not store_of(index).pooled
    assert index.search(vectors(1, LIMIT + 100)[250], 1)[1].tolist() == [[250]]
    check_structure(index)


@pytest.mark.parametrize("mine", [50, LIMIT + 50])
@pytest.mark.parametrize("theirs", [50, LIMIT - 20, LIMIT + 50])
def test_indexes_with_and_without_pools_merge(mine, theirs):
    one, two = filled(mine), CliqueIndex(24, "l2")
    x = vectors(3, theirs)
    two.add(x, ids=np.arange(10_000, 10_000 + theirs))
    one |= two
    check_structure(one)
    assert store_of(one).pooled == (mine + theirs > LIMIT)
    assert one.search(x, 1, effort=1.0)[1][:, 0].tolist() == list(range(10_000, 10_000 + theirs))
    assert one.search(x, 1, recall=0.9)[1][:, 0].tolist() == list(range(10_000, 10_000 + theirs))


@pytest.mark.parametrize("mmap", [False, True])
def test_a_file_without_pools_is_read_and_grows(tmp_path, mmap):
    index = filled(LIMIT)
    index.remove([3, 5])
    index.save(tmp_path / "index.h5")
    again = CliqueIndex.load(tmp_path / "index.h5", mmap=mmap)
    assert again.ids().tolist() == index.ids().tolist()
    check_structure(again)
    assert again.add(vectors(4, 60)).tolist() == list(range(LIMIT, LIMIT + 60))
    check_structure(again)
    assert store_of(again).pooled
    assert again.search(vectors(4, 60), 1, recall=0.9)[1][:, 0].tolist() == list(range(LIMIT, LIMIT + 60))


def test_a_mean_that_moves_is_followed_without_pools_too():
    index = CliqueIndex(24, "l2", features="float32")
    index.add(vectors(1, 10))
    index.add(vectors(2, 280) + 50)
    index.add(vectors(3, 200) + 50)
    assert store_of(index).pooled
    np.testing.assert_allclose(index.mean, 50, atol=2)


def test_differences_that_float16_cannot_tell_are_noticed_one_by_one_without_pools():
    index = CliqueIndex(24, "l2")
    index.add(vectors(1, 100))
    rows = list(1000.3 + 1e-3 * vectors(2, 100))
    with pytest.warns(match="float16 can tell apart"):
        [index.add(row[None]) for row in rows]
