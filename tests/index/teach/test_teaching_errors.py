"""Teaching that fails: the error says why and nothing is changed; a killed one happened completely or not at all."""

from __future__ import annotations

import errno
import shutil
import signal
import sqlite3
from contextlib import closing

import h5py
import numpy as np
import pytest

from assocmem.concepts.memory import ConceptMemory
from assocmem.errors import CollectionError, InputError, LockedError, UnknownConceptError
from assocmem.index.derived.files import TAUGHT
from assocmem.index.ingest.indexer import Indexer
from assocmem.index.store.catalog import Catalog
from tests.fakes import damage, kinds, open_photos, picture, pictures
from tests.index.test_lock import held_elsewhere
from tests.processes import run_python

CHILD = """if 1:
    import os, signal, sys
    from assocmem.index.store.catalog import Catalog
    from tests.fakes import open_photos

    collection, folder, statement, count = sys.argv[1:]
    change, calls = Catalog.change, 0

    def deadly(self, sql, *values):
        global calls
        calls += sql.startswith(statement)
        if calls == int(count):
            os.kill(os.getpid(), signal.SIGKILL)
        return change(self, sql, *values)

    with open_photos(collection) as photos:
        photos.add(folder)
        Catalog.change = deadly
        photos.correct(folder, wrong="castle", right="harbour")
        print("done")
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A collection of three kinds, three pictures each, without teachings."""
    folder = tmp_path_factory.mktemp("template")
    files = kinds(folder / "in", (1, 2, 3), 3)
    with open_photos(folder / "photos.amem") as photos:
        photos.add(folder / "in")
    return folder / "photos.amem", files


@pytest.fixture
def photos(template, tmp_path):
    shutil.copytree(template[0], tmp_path / "photos.amem")
    with open_photos(tmp_path / "photos.amem") as collection:
        yield collection


@pytest.fixture
def files(template):
    return template[1]


def answers(photos, files):
    return photos.search("castle", 9), [photos.concepts(path, 3) for path in files[1] + files[2] + files[3]]


@pytest.fixture
def taught(photos, files):
    photos.teach("castle", files[1][:2], parent="place")
    photos.teach("harbour", files[2][:2])
    return photos


def test_a_concept_that_was_not_taught_is_unknown(taught, files):
    before = taught.teachings(), taught.taught_concepts()
    for ask in (
        lambda: taught.forget("castel"),
        lambda: taught.rename("castel", "fort"),
        lambda: taught.merge("castle", "harbor"),
        lambda: taught.merge("castel", "harbour"),
        lambda: taught.set_parent("castel", "place"),
        lambda: taught.forget("place"),  # a parent that has no examples
    ):
        with pytest.raises(UnknownConceptError, match="no taught concept is called"):
            ask()
    with pytest.raises(UnknownConceptError, match="the nearest names are: castle"):
        taught.forget("castel")
    with pytest.raises(UnknownConceptError):
        taught.teachings("fort")
    assert (taught.teachings(), taught.taught_concepts()) == before


@pytest.mark.parametrize("name", ["", "   ", "---", "\u200d", "a\x00b", "x" * 201, "\ud800", None, 7])
def test_an_invalid_name_teaches_nothing(photos, files, name):
    for teach in (
        lambda: photos.teach(name, files[1]),
        lambda: photos.teach("castle", files[1], parent=name) if name is not None else photos.teach(None, files[1]),
        lambda: photos.correct(files[1], right=name),
    ):
        with pytest.raises(InputError, match=r"concept: expected|correct: expected"):
            teach()
    assert photos.teachings() == []


def test_unusual_names_are_valid(photos, files):
    for name in ("x" * 200, "猫", "Tante Klärchens Häuschen", "🏰", "C-3PO; DROP TABLE teachings", "a/b"):
        photos.teach(name, files[1][:2])
        assert [one.concept for one in photos.taught_concepts()] == [name]
        if "/" not in name:
            assert len(photos.search(name.upper(), 2)) == 2
    assert photos.verify() == []


def test_one_example_makes_a_concept(photos, files):
    photos.teach("castle", files[1][0])
    one = photos.taught_concepts()[0]
    assert (one.examples, one.confidence) == (1, None)
    photos.teach("harbour", files[2][0])
    assert photos.concepts(files[1][0], 1)[0].concept == "castle"
    assert photos.concepts(files[2][1], 1)[0].concept == "harbour"
    assert photos.verify() == []


def test_of_two_concepts_of_the_same_examples_the_later_holds(photos, files):
    photos.teach("castle", files[1])
    photos.teach("fort", files[1])
    assert [(one.concept, one.examples) for one in photos.taught_concepts()] == [("fort", 3)]
    assert [one.said for one in photos.teachings()] == ["castle"] * 3 + ["fort"] * 3
    assert all(one.undone is None for one in photos.teachings())
    assert photos.concepts(files[1][0], 1)[0].concept == "fort"
    assert photos.searcher.meant("castle").taught == ()
    assert photos.info().concepts == 1
    photos.forget("fort")
    assert [(one.concept, one.examples) for one in photos.taught_concepts()] == [("castle", 3)]


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_taught(photos, files, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    for _ in range(2):  # known to be bad, the second time
        with pytest.raises(CollectionError, match=r"bad\.png: .+; nothing was taught"):
            photos.teach("castle", [files[1][0], bad])
    with pytest.raises(CollectionError, match=r"none\.png: no such file or directory; nothing was taught"):
        photos.correct([files[1][0], tmp_path / "none.png"], right="castle")
    with pytest.raises(InputError, match="found an empty one"):
        photos.teach("castle", [files[1][0], ""])
    assert photos.teachings() == []
    assert photos.taught_concepts() == []


def test_a_typing_error_makes_no_collection(tmp_path):
    with open_photos(tmp_path / "new.amem") as photos:
        with pytest.raises(CollectionError, match="no such file or directory; nothing was taught"):
            photos.teach("castle", tmp_path / "typo")
        assert not photos.folder.exists()
        assert photos.taught_concepts() == []
        for ask in (photos.teachings, lambda: photos.rename("a", "b"), lambda: photos.undo(1)):
            with pytest.raises(CollectionError, match="there is no collection yet"):
                ask()


def test_folders_without_anything_to_teach(photos, tmp_path):
    (tmp_path / "empty" / "a").mkdir(parents=True)
    (tmp_path / "empty" / "a" / "notes.txt").write_text("no picture")
    (tmp_path / "nameless" / "---").mkdir(parents=True)
    with pytest.raises(CollectionError, match="expected pictures or videos, found none; nothing was taught"):
        photos.teach("castle", tmp_path / "empty")
    with pytest.raises(CollectionError, match="expected pictures or videos in its folders, found none"):
        photos.teach_folders(tmp_path / "empty")
    for folder in (tmp_path / "empty" / "a", tmp_path / "nowhere", tmp_path / "empty" / "a" / "notes.txt"):
        with pytest.raises(CollectionError, match="expected a folder with a folder for each concept in it, found none"):
            photos.teach_folders(folder)
    with pytest.raises(InputError, match="with a letter or a digit in it, found '---'"):
        photos.teach_folders(tmp_path / "nameless")
    with pytest.raises(InputError, match="expected files or folders, found none"):
        photos.teach("castle", [])
    assert photos.teachings() == []


def test_a_failed_indexing_is_not_reported_as_missing_folders(photos, files, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Indexer, "add", full)
    with pytest.raises(OSError, match="No space left"):
        photos.teach_folders(files[1][0].parents[1])


def test_a_concept_is_never_below_itself(taught, files):
    taught.teach("tower", files[3], parent="castle")
    before = taught.taught_concepts(), taught.teachings()
    for change in (
        lambda: taught.set_parent("castle", "TOWER"),
        lambda: taught.set_parent("castle", "Castle"),
        lambda: taught.teach("castle", files[1][2], parent="tower"),
        lambda: taught.teach("hall", files[1][2], parent="Hall"),
        lambda: taught.set_parent("castle", ""),
    ):
        with pytest.raises(InputError, match=r"expected a concept that is not below|concept: expected"):
            change()
    assert (taught.taught_concepts(), taught.teachings()) == before


def test_a_name_in_use_is_not_given_to_another_concept(taught):
    for name in ("harbour", "HARBOUR"):
        with pytest.raises(InputError, match="the concept 'harbour' exists already; merge the two if they are one"):
            taught.rename("castle", name)
    with pytest.raises(InputError, match="expected two concepts, found 'castle' twice"):
        taught.merge("castle", "Castle")
    assert [one.concept for one in taught.taught_concepts()] == ["castle", "harbour"]


def test_undo_of_unknown_teachings_changes_nothing(taught):
    for ids in (99, 0, -1, [1, 99], "1"):
        with pytest.raises(InputError, match="undo: expected the number of a teaching, found"):
            taught.undo(ids)
    assert all(one.undone is None for one in taught.teachings())
    assert taught.undo([1, 1, 2]) == 2
    assert taught.undo([]) == 0
    assert [one.concept for one in taught.taught_concepts()] == ["harbour"]


def test_a_file_that_was_not_taught_is_not_forgotten(taught, files, tmp_path):
    for path in (files[1][2], files[2][0], tmp_path / "nowhere"):
        with pytest.raises(CollectionError, match="was not taught as 'castle'; nothing was forgotten"):
            taught.forget("castle", [files[1][0], path])
    assert taught.taught_concepts()[0].examples == 2


def test_a_missing_item_is_not_taught(taught):
    item = taught.search("castle", 1)[0].item
    with pytest.raises(CollectionError, match="item 9999: not in the collection; nothing was taught"):
        taught.teacher.label_items([item, 9999], "tower")
    assert len(taught.teachings()) == 4


def test_one_writer_at_a_time_and_nothing_is_half_taught(taught, files, tmp_path):
    new = pictures(tmp_path / "new", [60])
    before = taught.teachings(), answers(taught, files), len(taught)
    with held_elsewhere(taught.folder):
        for change in (
            lambda: taught.teach("castle", [files[1][2], *new]),
            lambda: taught.teach_folders(files[1][0].parents[1]),
            lambda: taught.correct(files[1][0], wrong="castle", right="harbour"),
            lambda: taught.rename("castle", "fort"),
            lambda: taught.merge("castle", "harbour"),
            lambda: taught.set_parent("castle", None),
            lambda: taught.forget("castle"),
            lambda: taught.undo(1),
        ):
            with pytest.raises(LockedError, match="Reading works meanwhile"):
                change()
        assert (taught.teachings(), answers(taught, files), len(taught)) == before
    assert taught.teach("castle", [files[1][2], *new]).taught == 2


# Twenty items are denied one concept, then taught another; the version of the teachings is set before the COMMIT.
@pytest.mark.parametrize(
    ("statement", "count"),
    [("INSERT INTO teachings", 1), ("INSERT INTO teachings", 25), ("INSERT OR REPLACE INTO meta", 1)],
)
def test_killed_in_the_middle_of_teaching_nothing_was_taught(taught, files, tmp_path, statement, count):
    pictures(tmp_path / "many", range(100, 120))
    before = taught.teachings(), answers(taught, files)
    done = run_python(CHILD, taught.folder, tmp_path / "many", statement, count)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, ""), done.stderr
    assert len(taught) == 29  # they were indexed first
    with open_photos(taught.folder) as again:
        assert again.teachings() == before[0]
        assert again.verify() == []
        again.remove(tmp_path / "many")
        assert answers(again, files) == before[1]
        report = again.correct(tmp_path / "many", wrong="castle", right="harbour")
        assert (report.taught, len(again.teachings())) == (20, 4 + 40)


def test_killed_after_the_commit_it_was_taught(kept_at_once, taught, files):
    """The model's file is that of the teaching before: it is not used for this one."""
    old = (taught.folder / TAUGHT).read_bytes()
    taught.correct(files[1][0], wrong="castle", right="harbour")
    told = answers(taught, files)
    (taught.folder / TAUGHT).write_bytes(old)
    leftovers = [taught.folder / name for name in (f".{TAUGHT}.4711.tmp", "memory-taught.tmp")]
    for path in leftovers:
        path.write_bytes(old[:100])
    with open_photos(taught.folder) as again:
        assert answers(again, files) == told
        again.rename("harbour", "port")
        assert (taught.folder / TAUGHT).read_bytes() != old
        again.add([])
        assert not any(path.exists() for path in leftovers)
        assert again.verify() == []


@pytest.mark.parametrize("place", ["sync", "file"])
def test_a_disk_too_full_for_the_models_file_changes_no_answer(kept_at_once, photos, files, monkeypatch, place):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if place == "sync":
            patch.setattr("assocmem._storage.hdf5.sync", full)
        else:
            patch.setattr(h5py.File, "create_dataset", full)
        assert photos.teach("castle", files[1][:2]).taught == 2
        assert photos.teach("harbour", files[2][:2]).taught == 2
        told = answers(photos, files)
    assert not [path for path in photos.folder.iterdir() if "taught" in path.name]
    with open_photos(photos.folder) as again:
        assert answers(again, files) == told
        assert again.verify() == []
        again.set_parent("castle", "place")
        assert (photos.folder / TAUGHT).exists()


def test_a_catalog_that_cannot_be_written_teaches_nothing(taught, files, monkeypatch):
    before = taught.teachings(), answers(taught, files)
    change, written = Catalog.change, []

    def full(self, sql, values=()):
        if sql == "COMMIT" and written:
            raise CollectionError("the disk is full")
        written.extend([sql] * sql.startswith("INSERT INTO teachings"))
        return change(self, sql, values)

    monkeypatch.setattr(Catalog, "change", full)
    with pytest.raises(CollectionError, match="the disk is full"):
        taught.teacher.label_items([taught.search("castle", 1)[0].item], "fort")
    monkeypatch.undo()
    assert len(written) == 1
    assert (taught.teachings(), answers(taught, files)) == before


def test_a_damaged_file_of_the_model_is_not_used(kept_at_once, taught, files):
    told, path = answers(taught, files), taught.folder / TAUGHT
    for _ in damage(path):
        with open_photos(taught.folder) as again:
            assert answers(again, files) == told
    taught.set_parent("castle", None)
    with h5py.File(path, "r") as file:
        assert set(file) == {"weights", "offsets", "left_out", "left_out_joined", "joining", "strength"}
    assert taught.verify() == []


def test_a_collection_of_a_version_without_teaching(photos, session, files):
    """It has no tables for teachings; it can be asked, and taught like any other."""
    with closing(sqlite3.connect(photos.folder / "catalog.sqlite3")) as db:
        assert not {"teachings", "examples", "parents"} & {
            row[0] for row in db.execute("SELECT name FROM sqlite_master")
        }
    assert (photos.taught_concepts(), photos.teachings(), photos.teacher.example_counts()) == ([], [], {})
    assert (photos.info().concepts, photos.info().examples, photos.verify()) == (0, 0, [])
    assert [hit.source for hit in photos.concepts(files[1][0], 3)] == ["imagenet"] * 3
    assert photos.search(photos.concepts(files[1][0], 1)[0].concept)
    assert photos.search(files[1][0], 1)[0].path == str(files[1][0])
    for ask in (lambda: photos.forget("castle"), lambda: photos.rename("castle", "fort")):
        with pytest.raises(UnknownConceptError):
            ask()
    with session.reading() as catalog:
        assert catalog.taught_version is None
    photos.teach("castle", files[1][:2])
    with open_photos(photos.folder) as again:
        assert [one.concept for one in again.taught_concepts()] == ["castle"]


def test_a_read_only_folder_can_be_asked(kept_at_once, taught, files, request):
    told = answers(taught, files)
    taught.close()
    request.getfixturevalue("read_only")
    for remove in (False, True):
        if remove:
            (taught.folder / TAUGHT).unlink()
        before = {path: path.stat().st_mtime_ns for path in taught.folder.rglob("*")}
        with open_photos(taught.folder) as again:
            assert answers(again, files) == told
            assert len(again.taught_concepts()) == 2
            assert len(again.teachings()) == 4
            with pytest.raises(CollectionError):
                again.rename("castle", "fort")
            assert answers(again, files) == told
        after = {path: path.stat().st_mtime_ns for path in taught.folder.rglob("*") if path.name != "writer.lock"}
        assert after.items() <= before.items()


def test_a_memory_learns_many_examples_at_once():
    """10,000 of them: time grows with their number, and 100,000 take half a minute on one core."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((10, 16)).astype(np.float32)
    classes = rng.integers(0, 10, 10_000)
    vectors = (centres[classes] + 0.5 * rng.standard_normal((10_000, 16))).astype(np.float32)
    memory = ConceptMemory(16)
    ids = memory.teach(vectors, [f"concept {place}" for place in classes.tolist()])
    assert len(memory) == len(np.unique(ids)) == 10_000
    assert sum(memory.counts.values()) == 10_000
    found = memory.nearest(vectors[:500], 1)
    assert (found.concepts[:, 0] == classes[:500]).mean() > 0.98
    memory.unteach(ids[10:])
    assert len(memory) == 10


def test_asking_teaches_nothing(taught, files):
    before = taught.teachings(), len(taught)
    taught.concepts(np.asarray(picture(5)))
    taught.search("castle")
    assert (taught.teachings(), len(taught)) == before
