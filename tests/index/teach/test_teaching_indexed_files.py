"""Teaching a file that is indexed and unchanged takes the catalog alone: no network, no kernels, no new segment."""

from __future__ import annotations

import os

import pytest

import assocmem
from assocmem.errors import CollectionError
from assocmem.index.teach.taught_model import TaughtModel
from tests.fakes import kin
from tests.media import cut_off, scenes, write_video
from tests.processes import run_python

TEACHING = """if 1:
    import sys
    import assocmem

    folder, *paths = sys.argv[1:]
    with assocmem.open(folder) as photos:
        report = photos.teach("castle", paths)
        print(report.taught, report.indexed)
        photos.correct(paths[:1], wrong="castle", right="gate")
        photos.rename("gate", "portal")
        photos.forget("portal")
        photos.undo(report.teachings[1:2])
    heavy = {"numba", "llvmlite", "onnxruntime", "onnx", "av", "PIL", "sklearn", "scenedetect"}
    print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
SEARCHING = """if 1:
    import sys
    from tests.fakes import open_photos

    with open_photos(sys.argv[1]) as photos:
        print(photos.concepts(sys.argv[2], 1)[0].concept)
    print("numba" in sys.modules)
"""


@pytest.fixture
def indexed(refreshed_at_once, photos, files):
    """A collection of all files, with the files of derived memories."""
    photos.add([*files[1], *files[2]])
    return photos


@pytest.fixture
def forbidden(monkeypatch):
    """Let everything fail that teaching an indexed, unchanged file can do without."""

    def no(what):
        return lambda *_, **__: pytest.fail(what)

    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", no("it loaded the network"))
    monkeypatch.setattr("assocmem.index.ingest.indexer.walk", no("it walked"))
    monkeypatch.setattr("assocmem.index.ingest.indexer.refresh_if_due", no("it looked at derived memories"))
    monkeypatch.setattr("assocmem.index.derived.refresh.refresh", no("it rebuilt derived memories"))
    monkeypatch.setattr("assocmem.index.ingest.writer.write_segment", no("it wrote a segment"))
    monkeypatch.setattr("assocmem.concepts.memory.ConceptMemory.teach", no("it opened a model that nobody asked"))
    return monkeypatch


def contents(folder):
    """All files except the catalog and the lock."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("catalog", "writer"))
    }


def test_only_the_catalog_changes(indexed, files, forbidden):
    before, generation = contents(indexed.folder), indexed.info().generation
    assert len(before) == 6  # a segment, and five files of derived memories
    with assocmem.open(indexed.folder) as photos:  # with the network that the collection names
        assert photos.teach("castle", files[1]).taught == 4
        assert photos.correct(files[2][:2], wrong="castle").taught == 2
        assert photos.correct(files[2], right="harbour").taught == 4
        assert photos.forget("castle", files[1][:1]) == 1
        assert photos.rename("castle", "fort") == "fort"
        assert photos.teacher.example_counts() == {"fort": 3, "harbour": 4}
        assert photos.info().generation == generation
    assert contents(indexed.folder) == before


def test_a_process_that_teaches_imports_no_kernels_and_no_network(indexed, files):
    done = run_python(TEACHING, indexed.folder, *files[1])
    assert done.stdout.splitlines() == ["4 0", "[]"], done.stderr
    asked = run_python(SEARCHING, indexed.folder, files[1][3])
    assert asked.stdout.splitlines() == ["castle", "True"], asked.stderr  # the check can fail


def test_a_changed_file_is_indexed_first(indexed, files, extractor):
    seen, size = extractor.seen, len(indexed)
    kin(2, 9).save(files[1][0])
    report = indexed.teach("harbour", files[1][0])
    assert (report.indexed, report.taught, extractor.seen, len(indexed)) == (1, 1, seen + 1, size)
    assert indexed.search("harbour", 1)[0].path == str(files[1][0])
    os.utime(files[1][1], (1, 1))  # another time, the same content
    report = indexed.teach("harbour", files[1][1])
    assert (report.indexed, report.taught, extractor.seen) == (0, 1, seen + 1)
    assert indexed.verify() == []


def test_a_new_file_among_indexed_ones_is_indexed_first(indexed, files, tmp_path, extractor):
    seen = extractor.seen
    kin(1, 9).save(tmp_path / "in" / "kind1" / "new.png")
    report = indexed.teach("castle", [*files[1], tmp_path / "in" / "kind1" / "new.png"])
    assert (report.indexed, report.taught, extractor.seen) == (1, 5, seen + 1)
    kin(1, 10).save(tmp_path / "in" / "kind1" / "newer.png")
    report = indexed.teach("castle", tmp_path / "in" / "kind1")  # a folder may contain new files
    assert (report.indexed, report.known, report.taught, extractor.seen) == (1, 5, 1, seen + 2)


def test_a_file_that_could_not_be_read_is_tried_again(indexed, files):
    whole = files[1][0].read_bytes()
    files[1][0].write_bytes(whole[:300])
    status = os.stat(files[1][0])
    assert indexed.add(files[1][0]).failed
    files[1][0].write_bytes(whole[:200] + b"\0" * 100)  # of the same size
    os.utime(files[1][0], ns=(status.st_mtime_ns, status.st_mtime_ns))
    with pytest.raises(CollectionError, match="nothing was taught"):
        indexed.teach("castle", files[1][:2])
    assert indexed.teachings() == []


def test_a_file_that_could_only_be_read_in_part_is_not_taught(photos, tmp_path):
    """It has items, but also a failure, which is reported."""
    video = write_video(tmp_path / "broken.mp4", scenes([30, 30, 30, 30]), faststart=True)
    cut_off(video, 0.7)
    assert photos.add(video).indexed == 3
    with pytest.raises(CollectionError, match=r"broken after .*; nothing was taught"):
        photos.teach("harbour", video)
    assert photos.teachings() == []


def test_concepts_looks_for_near_copies_once(indexed, files, monkeypatch):
    indexed.teach("castle", files[1])
    indexed.teach("harbour", files[2])
    calls = []
    copies = TaughtModel.copies
    monkeypatch.setattr(TaughtModel, "copies", lambda self, *a: calls.append(len(a[0])) or copies(self, *a))
    shown = indexed.concepts(files[1][0], 3)
    assert {hit.source for hit in shown} == {"taught", "imagenet"}  # both use the copies
    assert calls == [1]
