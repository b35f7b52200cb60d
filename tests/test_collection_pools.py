"""The collection's pools: the same answers from a file that comes, goes, is old or damaged."""

from __future__ import annotations

import pytest

import assocmem
from assocmem.index import snapshot
from assocmem.index.pools import POOLS, read_pools
from assocmem.pooled import PooledEngine
from tests.fakes import ColourExtractor, pictures


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setattr(snapshot, "POOLED_FROM", 100)
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        collection.add(pictures(tmp_path / "in", range(150)))
        yield collection


def kept(photos):
    return read_pools(photos.folder / POOLS, photos.coder, whole=True)


def test_adding_keeps_pools_of_all_items(photos, tmp_path):
    assert kept(photos).pools.known().tolist() == photos.refresh().living_ids().tolist()
    assert isinstance(photos.engine(), PooledEngine)
    assert photos.verify() == []
