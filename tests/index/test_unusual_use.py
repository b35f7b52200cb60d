"""Unusual uses of a collection: threads, typing errors, arguments that are invalid."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from assocmem.errors import CollectionError, InputError, MediaError
from tests.fakes import open_photos, picture, pictures


def _names(hits):
    return [os.path.basename(hit.path) for hit in hits]


def test_threads_may_share_a_collection(photos, tmp_path):
    pictures(tmp_path / "in", range(12))
    photos.add([tmp_path / "in"])
    more = pictures(tmp_path / "more", range(20, 60))
    queries = [np.asarray(picture(seed)) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        writing = pool.submit(photos.add, more)
        found = list(pool.map(lambda query: _names(photos.search(query, k=1)), queries * 10))
        assert writing.result().indexed == 40
    assert found == [[f"{seed:04d}.png"] for seed in range(12)] * 10
    assert len(photos) == 52


def test_a_closed_collection_says_so(photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    photos.close()
    for question in (photos.info, photos.verify, lambda: len(photos), lambda: photos.add(tmp_path / "in")):
        with pytest.raises(CollectionError, match="has been closed; open it again"):
            question()


def test_a_collection_made_meanwhile_is_seen(tmp_path):
    paths = pictures(tmp_path / "in", range(2))
    with open_photos(tmp_path / "a.amem") as early:
        assert len(early) == 0
        with open_photos(tmp_path / "a.amem") as writer:
            writer.add(paths)
        assert len(early) == 2


def test_a_typing_error_makes_no_collection(photos, tmp_path):
    report = photos.add([tmp_path / "typo"])
    assert [failure.reason for failure in report.failed] == ["no such file or directory"]
    assert not photos.folder.exists()


def test_an_empty_path_is_never_the_current_folder(photos, tmp_path, monkeypatch):
    paths = pictures(tmp_path / "in", range(3))
    photos.add(paths)
    monkeypatch.chdir(tmp_path)
    for question in (lambda: photos.remove([""]), lambda: photos.add([""]), lambda: photos.search("")):
        with pytest.raises(InputError, match="found an empty one"):
            question()
    assert len(photos) == 3


def test_a_folder_named_like_a_concept_does_not_hide_the_concept(photos, tmp_path, monkeypatch):
    pictures(tmp_path / "in", range(3))
    photos.add([tmp_path / "in"])
    monkeypatch.chdir(tmp_path)
    os.mkdir("tabby")
    (tmp_path / "lynx").touch()
    for words in ("tabby", "lynx"):
        assert isinstance(photos.search(words), list)
    with pytest.raises(MediaError, match="neither a picture nor a video"):
        photos.search("./lynx")


def test_an_explicitly_named_file_is_reported_if_it_cannot_be_read(photos, tmp_path):
    [good] = pictures(tmp_path / "in", [1])
    notes = tmp_path / "in" / "notes.txt"
    notes.write_text("text")
    report = photos.add([good, notes])
    assert [(failure.path, report.indexed) for failure in report.failed] == [(str(notes), 1)]


def test_a_file_that_became_something_else_is_no_longer_found(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    photos.add(paths)
    paths[1].write_text("now it is text")
    photos.add(paths)
    assert paths[1].name not in _names(photos.search(paths[0]))
    assert len(photos) == 2
    assert photos.verify() == []


@pytest.mark.parametrize("k", [0, -1, 2.5, "3"])
def test_k_is_a_whole_number(photos, tmp_path, k):
    [path] = pictures(tmp_path / "in", [1])
    photos.add(path)
    for question in (photos.search, photos.concepts):
        with pytest.raises(InputError, match="k: expected a whole number, at least 1"):
            question(path, k)


def test_a_pillow_picture_is_refused_with_the_conversion(photos):
    with pytest.raises(InputError, match=r"numpy\.asarray\(picture"):
        photos.search(picture(1))
