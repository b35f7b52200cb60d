"""The collection's pools: the same answers whether their file is new, old, damaged or not there."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from assocmem.errors import InputError
from assocmem.index.derived import pools as pools_file
from assocmem.index.derived.pools import POOLS, read_pools
from assocmem.index.store import snapshot
from assocmem.search.exhaustive import ExhaustiveEngine
from assocmem.search.pooled import PooledEngine, Pools
from tests.fakes import ColourExtractor, damage, picture, pictures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(snapshot, "POOLED_FROM", 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """150 pictures."""
    return pictures(tmp_path_factory.mktemp("in"), range(150))[0].parent


@pytest.fixture
def photos(tmp_path, folder):
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        collection.add([folder])
        yield collection


def again(photos):
    return assocmem.open(photos.folder, extractor=ColourExtractor())


def stored(photos):
    return read_pools(photos.folder / POOLS, photos.coder, whole=True)


def check_stored(photos):
    """The file holds the living items, and each finds itself first."""
    found, now = stored(photos), photos.refresh()
    assert found.generation == now.generation
    assert found.pools.known().tolist() == now.living_ids().tolist()
    assert photos.verify() == []


def check_answers(photos, seeds=range(0, 150, 10)):
    """Every hit is where and what the exhaustive engine says, and each picture is its own nearest."""
    for seed in seeds:
        exact = photos.search(np.asarray(picture(seed)), k=1000, effort=1)
        scores = {hit.item: hit.score for hit in exact}
        hits = photos.search(np.asarray(picture(seed)), k=5, effort=0.3)
        assert [hit.score for hit in hits] == [scores[hit.item] for hit in hits]
        assert hits[0].item == exact[0].item
        assert len(hits) == 5


# the file


def test_adding_and_removing_keep_the_pools_of_all_items(photos, tmp_path, folder):
    check_stored(photos)
    assert isinstance(photos.engine(), PooledEngine)
    check_answers(photos)
    photos.add(pictures(tmp_path / "more", range(200, 230)))
    photos.remove([folder / "0010.png", folder / "0011.png"])
    check_stored(photos)
    assert len(stored(photos).pools) == 178
    hits = photos.search(folder / "0010.png", k=178, effort=0.2)
    assert not {hit.path for hit in hits} & {str(folder / "0010.png"), str(folder / "0011.png")}


def test_what_is_known_is_not_put_into_pools_again(photos, tmp_path, monkeypatch):
    added = []
    monkeypatch.setattr(Pools, "add", lambda self, x, ids: added.extend(ids.tolist()))
    photos.add(pictures(tmp_path / "more", [300, 301]))
    assert len(added) == 2
    monkeypatch.undo()


def test_pools_that_were_left_nearly_empty_are_made_anew(photos, tmp_path, folder, monkeypatch):
    monkeypatch.setattr(snapshot, "POOLED_FROM", 10)
    photos.remove(sorted(folder.iterdir())[12:])
    check_stored(photos)
    assert stored(photos).pools.fill >= 12 / 64
    assert stored(photos).pools.tree.items.pool_count == 1


def test_merging_segments_changes_no_pool(photos, tmp_path):
    for seed in range(400, 408):
        photos.add(pictures(tmp_path / f"{seed}", [seed]))
    assert len(photos.refresh().segments) < 8
    check_stored(photos)
    check_answers(photos)


def test_too_few_items_are_scanned_and_need_no_file(tmp_path, folder, photos):
    assert (photos.folder / POOLS).exists()
    photos.remove(sorted(folder.iterdir())[99:])
    assert not (photos.folder / POOLS).exists()
    assert type(photos.engine()) is ExhaustiveEngine
    assert photos.info().engine.name == "exhaustive"
    photos.add([folder])
    check_stored(photos)


def test_a_missing_or_damaged_file_is_no_trouble_and_never_a_wrong_hit(photos):
    path = photos.folder / POOLS
    whole = path.read_bytes()
    for _ in damage(path):
        with again(photos) as reader:
            check_answers(reader, [20])
    path.write_bytes(whole)


def test_a_damaged_file_is_told_of_and_made_anew(photos, tmp_path):
    path = photos.folder / POOLS
    with h5py.File(path, "r+") as file:
        file["items codes"][0, 3, 5] ^= 1  # the checksum is the old one's
    assert [line for line in photos.verify() if "expected pools of this collection, found damage" in line]
    photos.add(pictures(tmp_path / "more", [500]))
    check_stored(photos)


def test_verify_finds_codes_and_pools_that_are_not_the_items(photos):
    path, now = photos.folder / POOLS, photos.refresh()
    found = stored(photos).pools
    found.tree.items.arrays.codes[0, 0, 0] ^= 1
    pools_file.write_pools(path, now.generation, found)
    assert any("its codes are not those of the items; remove it" in line for line in photos.verify())
    found = Pools(photos.coder)
    found.add(now.segments[0].features[np.arange(20)], now.segments[0].ids[:20])
    pools_file.write_pools(path, now.generation, found)
    assert any("its ids are not those of the items" in line for line in photos.verify())
    found.tree.pools.remove(0)
    pools_file.write_pools(path, now.generation - 1, found)
    assert any("its pools, groups are not those of the items" in line for line in photos.verify())


def test_a_newer_or_another_collections_file_is_passed_over(photos, monkeypatch):
    assert type(photos.engine()) is PooledEngine
    monkeypatch.setattr(pools_file, "FORMAT", 2)
    with again(photos) as reader:
        assert type(reader.engine()) is ExhaustiveEngine
    monkeypatch.undo()
    other = assocmem.codes.winner_codes.CliqueCoder(108, clusters=128, seed=5)
    assert read_pools(photos.folder / POOLS, other) is None


def test_an_old_file_serves_and_the_rest_is_scanned(photos, tmp_path, folder, monkeypatch):
    monkeypatch.setattr("assocmem.index.derived.refresh.keep_pools", lambda *_: None)
    photos.add(pictures(tmp_path / "more", range(600, 640)))
    photos.remove([folder / "0020.png"])
    about = photos.info().engine
    assert (about.name, about.waiting) == ("pools", 40)
    assert photos.verify() == []
    hits = photos.search(tmp_path / "more" / "0610.png", k=3, effort=0.05)
    assert hits[0].path == str(tmp_path / "more" / "0610.png")
    assert str(folder / "0020.png") not in {hit.path for hit in photos.search(folder / "0020.png", k=189, effort=0.5)}
    check_answers(photos, [30, 605])


def test_a_file_that_cannot_be_kept_is_no_trouble(photos, tmp_path):
    (photos.folder / POOLS).unlink()
    (photos.folder / POOLS).mkdir()
    photos.add(pictures(tmp_path / "more", [700]))
    check_answers(photos, [0, 700])
    assert not list(photos.folder.glob("*.tmp"))


@pytest.mark.parametrize("moment", ["sync", "replace"])
def test_a_writer_killed_with_the_file_half_done_leaves_the_old_one(photos, tmp_path, moment):
    before = (photos.folder / POOLS).read_bytes()
    more = pictures(tmp_path / "more", [800])
    child = (
        "import os, sys, assocmem\n"
        "from assocmem.index import memories, snapshot\n"
        "from tests.fakes import ColourExtractor\n"
        "snapshot.POOLED_FROM = 100\n"
        "def deadly(function):\n"
        "    def call(path, *rest):\n"
        "        if 'pools' in str(path): os._exit(9)\n"
        "        return function(path, *rest)\n"
        "    return call\n"
        f"if {moment!r} == 'sync': memories.sync = deadly(memories.sync)\n"
        "else: memories.Path.replace = deadly(memories.Path.replace)\n"
        "assocmem.open(sys.argv[1], extractor=ColourExtractor()).add(sys.argv[2:])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", child, str(photos.folder), *map(str, more)]
    assert subprocess.run(arguments, env=environment, check=False).returncode == 9
    assert (photos.folder / POOLS).read_bytes() == before
    check_answers(photos, [0, 800])
    photos.add([])
    check_stored(photos)
    assert not list(photos.folder.glob("*.tmp*"))


# asking


def test_two_readers_and_a_writer(photos, tmp_path, folder):
    queries = [np.asarray(picture(seed)) for seed in range(0, 100, 5)]
    expected = [photos.search(query, k=1)[0].path for query in queries]
    with ThreadPoolExecutor(3) as pool, again(photos) as one, again(photos) as two:
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
        assert isinstance(one.engine(), PooledEngine)
        assert len(one.search(queries[0], k=1000)) == 144
    check_stored(photos)


def test_the_engine_is_made_once_per_generation(photos, tmp_path):
    engine = photos.engine()
    assert photos.engine() is engine
    photos.add(pictures(tmp_path / "more", [1000]))
    assert photos.engine() is not engine


def test_at_full_effort_no_pools_are_opened(photos):
    with again(photos) as reader:
        reader.warm(1)
        assert type(reader.engine(1)) is ExhaustiveEngine
        reader.warm()
        pooled = reader.engine()
        assert type(pooled) is PooledEngine
        assert reader.engine(1) is pooled  # which scans all then


@pytest.mark.parametrize(
    ("words", "once", "expected"),
    [([], 500, 1), ([], 100, None), (["--effort", "0.2"], 500, 0.2), (["--exact"], 100, 1)],
)
def test_the_command_scans_all_unless_there_is_much_or_it_is_told(photos, folder, monkeypatch, words, once, expected):
    asked = []
    search = ExhaustiveEngine.search
    monkeypatch.setattr(
        ExhaustiveEngine,
        "search",
        lambda self, q, k, effort=None: asked.append(effort) or search(self, q, k, effort=effort),
    )
    monkeypatch.setattr(snapshot, "ONCE_FROM", once)
    monkeypatch.setattr(assocmem.Collection, "extractor", ColourExtractor())
    result = _run("search", folder / "0007.png", "-c", photos.folder, *words, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["hits"][0]["path"] == str(folder / "0007.png")
    assert asked[-1] == expected


def test_effort_that_is_no_share_is_refused(photos):
    for effort in (0, 2):
        with pytest.raises(InputError, match="effort: expected a number above 0 and at most 1"):
            photos.search(np.asarray(picture(0)), effort=effort)


def _run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_info_shows_what_answers(photos):
    told = json.loads(_run("info", "-c", photos.folder, "--json").stdout)["engine"]
    assert told == dataclasses.asdict(photos.info().engine)
    assert (told["name"], told["waiting"]) == ("pools", 0)
    assert told["bytes"] > 64 * 150
    rows = dict(line.split("\t") for line in _run("info", "-c", photos.folder).stdout.splitlines())
    assert rows["searched"].endswith(f"in the nearest of {told['pools']} pools, {told['bytes'] / 1000:.1f} KB")


def test_info_of_few_items(photos, folder):
    photos.remove(sorted(folder.iterdir())[50:])
    rows = dict(line.split("\t") for line in _run("info", "-c", photos.folder).stdout.splitlines())
    assert rows["searched"] == "all codes, 3.2 KB"
