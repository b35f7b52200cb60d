"""The pools of a collection: answers are the same whether their file is new, old, damaged or missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import InputError
from assocmem.index.derived import pools as pools_file
from assocmem.index.derived.files import POOLS
from assocmem.index.derived.pools import read_pools
from assocmem.search.exhaustive import ExhaustiveEngine
from assocmem.search.pooled import PooledEngine, Pools
from tests.fakes import damage, open_photos, picture, pictures
from tests.processes import run_python

# These tests are about the file, which a few pictures would not replace.
pytestmark = pytest.mark.usefixtures("refreshed_at_once")


@pytest.fixture(autouse=True)
def _pooled_from_100(monkeypatch):
    monkeypatch.setattr("assocmem.index.store.snapshot.POOLED_FROM", 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """150 pictures."""
    return pictures(tmp_path_factory.mktemp("in"), range(150))[0].parent


@pytest.fixture
def photos(tmp_path, folder):
    with open_photos(tmp_path / "photos.amem") as collection:
        collection.add([folder])
        yield collection


@pytest.fixture
def stored(session):
    """Read what the file contains."""
    return lambda: read_pools(session.folder / POOLS, session.coder, whole=True)


@pytest.fixture
def check_stored(stored, session, photos):
    """Check that the file contains the living items."""

    def check():
        found, now = stored(), session.snapshot()
        assert found.generation == now.generation
        assert found.pools.known().tolist() == now.living_ids().tolist()
        assert photos.verify() == []

    return check


def check_answers(photos, seeds=range(0, 150, 10)):
    """Check that hits have the scores of the exhaustive engine, and that each picture is nearest to itself."""
    for seed in seeds:
        exact = photos.search(np.asarray(picture(seed)), k=1000, effort=1)
        scores = {hit.item: hit.score for hit in exact}
        hits = photos.search(np.asarray(picture(seed)), k=5, effort=0.3)
        assert [hit.score for hit in hits] == [scores[hit.item] for hit in hits]
        assert hits[0].item == exact[0].item
        assert len(hits) == 5


# the file


def test_adding_and_removing_keep_the_pools_of_all_items(photos, stored, check_stored, tmp_path, folder):
    check_stored()
    assert isinstance(photos.searcher.engine(), PooledEngine)
    check_answers(photos)
    photos.add(pictures(tmp_path / "more", range(200, 230)))
    photos.remove([folder / "0010.png", folder / "0011.png"])
    check_stored()
    assert len(stored().pools) == 178
    hits = photos.search(folder / "0010.png", k=178, effort=0.2)
    assert not {hit.path for hit in hits} & {str(folder / "0010.png"), str(folder / "0011.png")}


def test_known_items_are_not_added_to_pools_again(photos, tmp_path, monkeypatch):
    added = []
    monkeypatch.setattr(Pools, "add", lambda self, x, ids: added.extend(ids.tolist()))
    photos.add(pictures(tmp_path / "more", [300, 301]))
    assert len(added) == 2


def test_pools_that_became_nearly_empty_are_built_again(photos, stored, check_stored, folder, monkeypatch):
    monkeypatch.setattr("assocmem.index.store.snapshot.POOLED_FROM", 10)
    photos.remove(sorted(folder.iterdir())[12:])
    check_stored()
    assert stored().pools.fill >= 12 / 64
    assert stored().pools.tree.items.pool_count == 1


def test_merging_segments_changes_no_pool(photos, session, check_stored, tmp_path):
    for seed in range(400, 408):
        photos.add(pictures(tmp_path / f"{seed}", [seed]))
    assert len(session.snapshot().segments) < 8
    check_stored()
    check_answers(photos)


def test_few_items_are_scanned_and_need_no_file(photos, check_stored, folder):
    assert (photos.folder / POOLS).exists()
    photos.remove(sorted(folder.iterdir())[99:])
    assert not (photos.folder / POOLS).exists()
    assert type(photos.searcher.engine()) is ExhaustiveEngine
    assert photos.info().engine.name == "exhaustive"
    photos.add([folder])
    check_stored()


def test_a_missing_or_damaged_file_never_gives_a_wrong_hit(photos):
    path = photos.folder / POOLS
    whole = path.read_bytes()
    for _ in damage(path):
        with open_photos(photos.folder) as reader:
            check_answers(reader, [20])
    path.write_bytes(whole)


def test_a_damaged_file_is_reported_and_built_again(photos, check_stored, tmp_path):
    path = photos.folder / POOLS
    with h5py.File(path, "r+") as file:
        file["items codes"][0, 3, 5] ^= 1  # the checksum stays
    assert [line for line in photos.verify() if "expected pools of this collection, found damage" in line]
    photos.add(pictures(tmp_path / "more", [500]))
    check_stored()


def test_verify_finds_codes_and_pools_that_are_not_the_items(photos, session, stored):
    path, now = photos.folder / POOLS, session.snapshot()
    found = stored().pools
    found.tree.items.arrays.codes[0, 0, 0] ^= 1
    pools_file.write_pools(path, now.generation, found)
    assert any("its codes are not those of the items; remove it" in line for line in photos.verify())
    found = Pools(session.coder)
    found.add(now.segments[0].features[np.arange(20)], now.segments[0].ids[:20])
    pools_file.write_pools(path, now.generation, found)
    assert any("its ids are not those of the items" in line for line in photos.verify())
    found.tree.pools.remove(0)
    pools_file.write_pools(path, now.generation - 1, found)
    assert any("its pools, groups are not those of the items" in line for line in photos.verify())


def test_a_newer_file_or_that_of_another_collection_is_not_used(photos, monkeypatch):
    assert type(photos.searcher.engine()) is PooledEngine
    monkeypatch.setattr(pools_file, "FORMAT", 2)
    with open_photos(photos.folder) as reader:
        assert type(reader.searcher.engine()) is ExhaustiveEngine
    monkeypatch.undo()
    other = CliqueCoder(108, clusters=128, seed=5)
    assert read_pools(photos.folder / POOLS, other) is None


def test_an_old_file_is_used_and_the_other_items_are_scanned(photos, tmp_path, folder, monkeypatch):
    monkeypatch.setattr("assocmem.index.derived.pools.keep_pools", lambda *_: None)
    photos.add(pictures(tmp_path / "more", range(600, 640)))
    photos.remove([folder / "0020.png"])
    about = photos.info().engine
    assert (about.name, about.waiting) == ("pools", 40)
    assert photos.verify() == []
    hits = photos.search(tmp_path / "more" / "0610.png", k=3, effort=0.05)
    assert hits[0].path == str(tmp_path / "more" / "0610.png")
    assert str(folder / "0020.png") not in {hit.path for hit in photos.search(folder / "0020.png", k=189, effort=0.5)}
    check_answers(photos, [30, 605])


def test_a_file_that_cannot_be_kept_changes_no_answer(photos, tmp_path):
    (photos.folder / POOLS).unlink()
    (photos.folder / POOLS).mkdir()
    photos.add(pictures(tmp_path / "more", [700]))
    check_answers(photos, [0, 700])
    assert not list(photos.folder.glob("*.tmp"))


KILLED = """if 1:
    import os, sys
    from pathlib import Path
    from assocmem._storage import hdf5
    from assocmem.index.derived import refresh
    from assocmem.index.store import snapshot
    from tests.fakes import open_photos

    moment, collection, *paths = sys.argv[1:]
    snapshot.POOLED_FROM = 100
    refresh.REFRESH_AT = 1

    def deadly(function):
        def call(path, *rest):
            if "pools" in path.name:
                print(moment, flush=True)
                os._exit(9)
            return function(path, *rest)
        return call

    if moment == "sync":
        hdf5.sync = deadly(hdf5.sync)
    else:
        Path.replace = deadly(Path.replace)
    open_photos(collection).add(paths)
"""


@pytest.mark.parametrize("moment", ["sync", "replace"])
def test_a_writer_killed_with_the_file_half_done_leaves_the_old_one(photos, check_stored, tmp_path, moment):
    before = (photos.folder / POOLS).read_bytes()
    more = pictures(tmp_path / "more", [800])
    done = run_python(KILLED, moment, photos.folder, *more)
    assert (done.returncode, done.stdout) == (9, f"{moment}\n"), done.stderr
    assert (photos.folder / POOLS).read_bytes() == before
    assert list(photos.folder.glob(f".{POOLS}.*.tmp"))  # the new one, not in use yet
    check_answers(photos, [0, 800])
    photos.add([])
    check_stored()
    assert not list(photos.folder.glob("*.tmp*"))


# asking


def test_two_readers_and_a_writer(photos, check_stored, tmp_path, folder):
    queries = [np.asarray(picture(seed)) for seed in range(0, 100, 5)]
    expected = [photos.search(query, k=1)[0].path for query in queries]
    with ThreadPoolExecutor(3) as pool, open_photos(photos.folder) as one, open_photos(photos.folder) as two:
        writing = pool.submit(
            lambda: (
                [photos.add(pictures(tmp_path / f"{seed}", range(seed, seed + 12))) for seed in (900, 950)]
                + [photos.remove(sorted(folder.iterdir())[120:])]
            )
        )
        while not writing.done():
            answers = [pool.submit(lambda r=r: [r.search(q, k=1)[0].path for q in queries]) for r in (one, two)]
            assert [answer.result() for answer in answers] == [expected, expected]
        writing.result()
        assert isinstance(one.searcher.engine(), PooledEngine)
        assert len(one.search(queries[0], k=1000)) == 144
    check_stored()


def test_the_engine_is_opened_once_per_generation(photos, tmp_path):
    engine = photos.searcher.engine()
    assert photos.searcher.engine() is engine
    photos.add(pictures(tmp_path / "more", [1000]))
    assert photos.searcher.engine() is not engine


def test_at_full_effort_no_pools_are_opened(photos):
    with open_photos(photos.folder) as reader:
        reader.searcher.warm(1)
        assert type(reader.searcher.engine(1)) is ExhaustiveEngine
        reader.searcher.warm()
        pooled = reader.searcher.engine()
        assert type(pooled) is PooledEngine
        assert reader.searcher.engine(1) is pooled  # which scans all then


def test_an_effort_outside_0_to_1_is_refused(photos):
    for effort in (0, 2):
        with pytest.raises(InputError, match="effort: expected a number above 0 and at most 1"):
            photos.search(np.asarray(picture(0)), effort=effort)
