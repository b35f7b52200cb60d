"""What the user said are no copies is not listed again, wherever the files go; it can be taken back."""

from __future__ import annotations

import shutil

import pytest

from assocmem.errors import CollectionError, InputError
from tests.fakes import altered, open_photos, pictures


def groups(photos, **options):
    return [
        sorted(hit.path.rpartition("/")[2] for hit in (g.original, *g.copies)) for g in photos.duplicates(**options)
    ]


@pytest.fixture
def pairs(photos, tmp_path):
    """Three pictures, and a copy of each."""
    pictures(tmp_path / "in", range(3))
    altered(tmp_path / "copies", range(3))
    photos.add([tmp_path / "in", tmp_path / "copies"])
    assert len(groups(photos)) == 3
    return tmp_path / "in" / "0001.png", tmp_path / "copies" / "0001-jpeg.jpg"


def test_a_pair_that_is_no_copy_is_left_out_and_others_are_not(photos, pairs):
    assert photos.not_copies(pairs) == 1
    assert photos.not_copies(reversed(pairs)) == 0
    assert len(groups(photos)) == 2
    assert not any("0001.png" in names for names in groups(photos))
    assert photos.copies_of(pairs[1]) is None
    assert photos.not_copies(pairs, undo=True) == 1
    assert photos.not_copies(pairs, undo=True) == 0
    assert len(groups(photos)) == 3


def test_it_holds_for_the_content_wherever_it_is(photos, pairs, tmp_path):
    photos.not_copies(pairs)
    (tmp_path / "moved").mkdir()
    shutil.move(pairs[1], tmp_path / "moved" / "again.jpg")
    photos.remove([pairs[1]])
    with open_photos(photos.folder) as again:
        again.add(tmp_path / "moved")
        assert len(groups(again)) == 2
        assert groups(again, against=[tmp_path / "moved"]) == []


def test_two_that_are_copies_of_a_third_are_not_brought_together_by_it(photos, tmp_path):
    pictures(tmp_path / "in", [4])
    for name in ("a", "b"):
        altered(tmp_path / name, [4])
    with (tmp_path / "b" / "0004-jpeg.jpg").open("ab") as file:
        file.write(b"another file")
    photos.add([tmp_path / "in", tmp_path / "a", tmp_path / "b"])
    first = tmp_path / "in" / "0004.png"
    photos.not_copies([first, tmp_path / "a" / "0004-jpeg.jpg"])
    for group in photos.duplicates():
        paths = {group.original.path, *(hit.path for hit in group.copies)}
        if group.original.path in (str(first), str(tmp_path / "a" / "0004-jpeg.jpg")):
            assert not {str(first), str(tmp_path / "a" / "0004-jpeg.jpg")} <= paths


def test_too_few_files_and_strange_ones_are_refused(photos, pairs, tmp_path):
    with pytest.raises(InputError, match="expected two files or more"):
        photos.not_copies([pairs[0]])
    with pytest.raises(CollectionError, match="not in the collection"):
        photos.not_copies([pairs[0], tmp_path / "none.jpg"])
    assert len(groups(photos)) == 3
