"""Sessions: closed and missing collections, extractors that do not fit, networks that cannot be loaded, and hits."""

from __future__ import annotations

import os

import pytest

from assocmem.errors import CollectionError, CollectionMismatchError, DamagedCollectionError, ExtractorError, InputError
from assocmem.index.session import Session
from assocmem.index.store.catalog import Catalog
from tests.fakes import ColourExtractor, altered, open_photos, pictures


@pytest.fixture
def opened():
    """Open sessions, and close them after the test."""
    sessions = []

    def call(*arguments, **options):
        sessions.append(Session(*arguments, **options))
        return sessions[-1]

    yield call
    for session in sessions:
        session.close()


@pytest.fixture
def statements(monkeypatch):
    """List the SELECTs of all catalogs from now on."""
    seen = []
    rows = Catalog.rows
    monkeypatch.setattr(Catalog, "rows", lambda self, sql, values=(): seen.append(sql) or rows(self, sql, values))
    return seen


# Closed and missing


def test_a_closed_session_refuses_everything_that_needs_the_catalog(photos, opened, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    session = opened(photos.folder)
    assert len(session.snapshot()) == 2
    session.close()
    session.close()  # again, without an effect
    for question in (
        session.snapshot,
        session.made_with,
        lambda: session.hits([(1, 1.0)]),
        lambda: session.ids_below([tmp_path / "in"]),
        lambda: session.unchanged([str(tmp_path / "in" / "0000.png")]),
        lambda: session.writing().__enter__(),
    ):
        with pytest.raises(CollectionError, match=r"photos\.amem: this collection has been closed; open it again"):
            question()


def test_a_missing_collection_is_refused_until_it_is_made(opened, photos, tmp_path):
    session = opened(photos.folder)
    assert session.settings is None
    assert not session.unchanged([str(tmp_path / "in" / "0000.png")])
    for question in (session.snapshot, session.made_with, lambda: session.writing().__enter__()):
        with pytest.raises(CollectionError, match="there is no collection yet; make one with `assocmem index FOLDER`"):
            question()
    assert not photos.folder.exists()
    photos.add(pictures(tmp_path / "in", range(2)))  # by another session
    assert len(session.snapshot()) == 2
    assert session.made_with().identity == "colour-1"


def test_a_missing_segment_is_damage_for_readers_and_writers(photos, opened, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    (photos.folder / "segments" / "00000001.h5").unlink()
    session = opened(photos.folder)
    for question in (session.snapshot, lambda: session.segments([1])):
        with pytest.raises(DamagedCollectionError, match=r"00000001\.h5: expected a segment, found none; restore it"):
            question()
    with (
        open_photos(photos.folder) as again,
        pytest.raises(DamagedCollectionError, match="expected a segment, found none"),
    ):
        again.teach("castle", tmp_path / "in" / "0000.png")


# Extractors


def test_another_extractor_is_refused_when_it_is_first_needed(photos, opened, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    session = opened(photos.folder, extractor=ColourExtractor("colour-2"))
    assert len(session.snapshot()) == 2  # which needs no network
    with pytest.raises(CollectionMismatchError, match="made with extractor colour-1, but this is colour-2"):
        _ = session.extractor


def test_a_collection_that_another_process_made_meanwhile_is_not_written_with_another_extractor(opened, tmp_path):
    late = opened(tmp_path / "photos.amem", extractor=ColourExtractor("colour-2"))
    assert late.extractor.identity == "colour-2"
    with open_photos(tmp_path / "photos.amem") as early:
        early.add(pictures(tmp_path / "in", range(2)))
    with pytest.raises(CollectionMismatchError, match="colour-2"), late.writing(create=True):
        pytest.fail("features of two extractors in one collection")


def test_a_network_that_cannot_be_loaded_leaves_no_folder_behind(opened, tmp_path):
    paths = pictures(tmp_path / "in", range(2))
    folder = tmp_path / "parent" / "photos.amem"
    session = opened(folder, extractor=f"onnx:{tmp_path / 'missing.onnx'}")
    assert session.names_extractor
    with pytest.raises(ExtractorError), session.writing(create=True):
        pytest.fail("no network")
    with open_photos(folder, f"onnx:{tmp_path / 'missing.onnx'}") as photos, pytest.raises(ExtractorError):
        photos.add(paths)
    assert not folder.parent.exists()


def test_options_of_no_extractor_are_refused(opened, tmp_path):
    for options in ({"weights": tmp_path / "w.pt"}, {"options": {"size": "24"}}):
        with pytest.raises(InputError, match="weights and options belong to an extractor: name it too"):
            opened(tmp_path / "photos.amem", **options)


# Items


def test_hits_of_many_items_take_one_select(photos, opened, statements, tmp_path):
    photos.add(pictures(tmp_path / "in", range(60)))
    session = opened(photos.folder)
    session.snapshot()
    for count in (1, 60):
        statements.clear()
        hits = session.hits([(item, 1 / item) for item in range(count, 0, -1)])
        assert [hit.item for hit in hits] == list(range(count, 0, -1))
        assert [hit.rank for hit in hits] == list(range(1, count + 1))
        assert len([sql for sql in statements if "FROM items" in sql]) == 1
        assert len(statements) == 1


def test_groups_of_duplicates_take_as_many_selects_as_one_group(photos, statements, tmp_path):
    pictures(tmp_path / "in", range(40))
    altered(tmp_path / "copies", range(40))
    counts = []
    for groups in (1, 40):
        photos.add([*sorted((tmp_path / "in").iterdir())[:groups], *sorted((tmp_path / "copies").iterdir())[:groups]])
        photos.duplicates()
        statements.clear()
        assert len(photos.duplicates()) == groups
        counts.append(len([sql for sql in statements if "FROM items" in sql]))
    assert counts == [3, 3]  # their contents, originals, copies


def test_hits_of_removed_items_are_left_out_and_ranks_have_no_gaps(photos, opened, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    photos.add(paths)
    photos.remove(paths[1])
    hits = opened(photos.folder).hits([(3, 0.5), (2, 0.4), (99, 0.3), (1, 0.2)])
    assert [(hit.rank, hit.item, hit.score) for hit in hits] == [(1, 3, 0.5), (2, 1, 0.2)]


def test_a_file_is_unchanged_as_long_as_size_and_time_are_the_same(photos, opened, tmp_path):
    first, second = pictures(tmp_path / "in", range(2))
    (tmp_path / "in" / "broken.png").write_bytes(first.read_bytes()[:400])
    photos.add(tmp_path / "in")
    session = opened(photos.folder)
    assert session.unchanged([str(first), str(second)])
    for other in (tmp_path / "in", tmp_path / "in" / "broken.png", tmp_path / "in" / "gone.png"):
        assert not session.unchanged([str(first), str(other)])
    os.utime(second, (1, 1))
    assert not session.unchanged([str(first), str(second)])
    photos.add(second)
    assert session.unchanged([str(first), str(second)])
    second.unlink()
    assert not session.unchanged([str(second)])
