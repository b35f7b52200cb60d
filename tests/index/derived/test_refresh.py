"""When the files of derived memories are replaced, and that answers never depend on it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from assocmem.index.derived import refresh as policy
from assocmem.index.derived.files import CLIQUES, FAMILIARITY, LABEL_COUNTS, MESSAGES, NAMES
from tests.fakes import open_photos, picture, pictures

FILES = {LABEL_COUNTS, CLIQUES, MESSAGES, FAMILIARITY, NAMES}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """256 pictures and a collection of them: as many as the default takes for a refresh."""
    root = tmp_path_factory.mktemp("many")
    assert policy.REFRESH_AT == 256
    with open_photos(root / "photos.amem") as photos:
        photos.add(pictures(root / "in", range(255)))
        assert files_of(photos) == {}
        photos.add(pictures(root / "in", [255]))
        assert files_of(photos).keys() == FILES
    return root


@pytest.fixture
def large(many, tmp_path):
    shutil.copytree(many / "photos.amem", tmp_path / "large.amem")
    with open_photos(tmp_path / "large.amem") as photos:
        yield photos


@pytest.fixture
def at_four(monkeypatch):
    """Replace files from four new items on, and after removals from more than eight."""
    monkeypatch.setattr(policy, "REFRESH_AT", 4)
    monkeypatch.setattr(policy, "REBUILT_UP_TO", 8)


def files_of(photos):
    """The contents of the files of derived memories, by name."""
    return {path.name: path.read_bytes() for path in photos.folder.glob("memory-*.h5")}


def check_answers(photos, seen, unseen):
    """Check that questions are right, with whatever files there are."""
    for seed in seen:
        assert photos.seen(np.asarray(picture(seed))), seed
    for seed in unseen:
        assert not photos.seen(np.asarray(picture(seed))), seed
    info = photos.info()
    assert info.items == len(photos)
    assert info.memory.sampled == min(1000, len(photos))
    assert photos.verify() == []
    with open_photos(photos.folder) as again:  # another process has nothing in memory
        assert all(again.seen(np.asarray(picture(seed))) for seed in seen)
        assert not any(again.seen(np.asarray(picture(seed))) for seed in unseen)
        assert (again.info().memory, again.info().engine) == (info.memory, info.engine)
        assert again.searcher.common_concepts(5) == photos.searcher.common_concepts(5)


# Adding


def test_by_default_a_few_new_items_leave_the_files_alone(large, tmp_path):
    before = files_of(large)
    for seeds in (range(300, 303), range(303, 310)):
        large.add(pictures(tmp_path / "in", seeds))
        assert files_of(large) == before
    check_answers(large, seen=[0, 255, 300, 309], unseen=[400, 401])
    assert files_of(large) == before  # a question writes nothing


def test_the_files_are_replaced_when_enough_items_are_new(at_four, photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(3)))
    assert files_of(photos) == {}
    check_answers(photos, seen=range(3), unseen=[90])
    photos.add(pictures(tmp_path / "in", [3]))  # with those of before, four
    first = files_of(photos)
    assert first.keys() == FILES
    photos.add(pictures(tmp_path / "in", range(4, 7)))
    assert files_of(photos) == first
    check_answers(photos, seen=range(7), unseen=[90])
    photos.add(pictures(tmp_path / "in", [7]))
    second = files_of(photos)
    assert all(second[name] != first[name] for name in FILES)
    check_answers(photos, seen=range(8), unseen=[90])
    photos.add(tmp_path / "in")  # nothing new
    assert files_of(photos) == second


def test_items_that_were_removed_again_are_not_new(at_four, photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(4)))
    before = files_of(photos)
    photos.add(pictures(tmp_path / "in", range(4, 7)))
    photos.remove(tmp_path / "in" / "0005.png")
    photos.add(pictures(tmp_path / "in", [7]))
    assert files_of(photos) == before  # 4, 6 and 7 are new
    check_answers(photos, seen=[0, 4, 6, 7], unseen=[5, 90])


# Removing


def test_a_removal_from_a_small_collection_is_seen_at_once(at_four, photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(8)))
    before = files_of(photos)
    photos.remove(tmp_path / "in" / "0003.png")
    assert files_of(photos) == before
    check_answers(photos, seen=[0, 2, 4, 7], unseen=[3, 90])
    assert files_of(photos) == before


def test_a_removal_from_a_large_collection_replaces_the_files(at_four, photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(10)))
    before = files_of(photos)
    photos.remove(tmp_path / "in" / "0003.png")  # nine are left
    after = files_of(photos)
    assert all(after[name] != before[name] for name in FILES)
    check_answers(photos, seen=[0, 9], unseen=[3])
    photos.remove(tmp_path / "in" / "0004.png")
    assert files_of(photos) == after  # eight are left: few enough for a question
    check_answers(photos, seen=[0, 9], unseen=[3, 4])


def test_everything_may_be_removed(at_four, photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(10)))
    photos.remove(tmp_path / "in")
    assert not photos.seen(np.asarray(picture(3)))
    assert (photos.info().items, photos.info().seen.items) == (0, 0)
    assert photos.verify() == []


# Missing files


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_somebody_removed_is_built_again_by_the_next_writer(at_four, photos, tmp_path, name):
    photos.add(pictures(tmp_path / "in", range(4)))
    before = files_of(photos)
    (photos.folder / name).unlink()
    check_answers(photos, seen=range(4), unseen=[90])
    photos.add([])
    after = files_of(photos)
    assert after.keys() == FILES
    assert all(after[other] == before[other] for other in FILES - {name, MESSAGES, FAMILIARITY, NAMES})
    check_answers(photos, seen=range(4), unseen=[90])


def test_pools_are_built_as_soon_as_a_collection_is_large(at_four, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.index.store.snapshot.POOLED_FROM", 6)
    photos.add(pictures(tmp_path / "in", range(5)))
    assert files_of(photos).keys() == FILES
    photos.add(pictures(tmp_path / "in", [5]))  # one new item, but it makes the collection large
    assert files_of(photos).keys() == FILES | {"memory-pools.h5"}
    assert photos.info().engine.name == "pools"
    before = files_of(photos)
    photos.add(pictures(tmp_path / "in", [6]))
    assert files_of(photos) == before
    assert photos.info().engine.waiting == 1
    check_answers(photos, seen=range(7), unseen=[90])


# Leftovers


def test_the_next_writer_removes_the_unfinished_files_of_a_killed_one(photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    leftovers = [photos.folder / f".{name}.{number}.tmp" for number, name in enumerate(sorted(FILES), 4711)]
    leftovers.append(photos.folder / "memory-cliques.tmp")  # as earlier versions called them
    kept = [photos.folder / "notes.tmp", photos.folder / "memory-notes.txt"]
    for path in [*leftovers, *kept]:
        path.write_bytes(b"half a file")
    assert photos.verify() == []
    check_answers(photos, seen=range(2), unseen=[90])
    assert all(path.exists() for path in leftovers)  # readers remove nothing
    photos.add([])
    assert not any(path.exists() for path in leftovers)
    assert all(path.exists() for path in kept)
