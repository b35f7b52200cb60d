"""Files that are gone, and files that are only out of reach: real folders, links, permissions."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from assocmem.index.ingest.gone import find_gone
from assocmem.index.results import OutOfReach

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="links and permissions of POSIX")


@pytest.fixture
def tree(tmp_path):
    """Two roots with albums; the collection knows every file."""
    names = ["one/a.jpg", "one/trip/b.jpg", "one/trip/c.jpg", "two/d.jpg", "two/deep/er/e.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return [(number, str(tmp_path / name)) for number, name in enumerate(names)]


def look(tree, tmp_path, roots=("one", "two")):
    found = find_gone(tree, [str(tmp_path / root) for root in roots])
    assert found.gone.keys() | found.kept.keys() <= {number for number, _ in tree}
    assert not found.gone.keys() & found.kept.keys()
    assert len(found.kept) == sum(place.files for place in found.out_of_reach)
    return sorted(found.gone), found.out_of_reach


def test_nothing_is_gone(tree, tmp_path):
    assert look(tree, tmp_path) == ([], [])


def test_a_deleted_file_and_a_deleted_album_are_gone(tree, tmp_path):
    (tmp_path / "two/d.jpg").unlink()
    shutil.rmtree(tmp_path / "one/trip")
    assert look(tree, tmp_path) == ([1, 2, 3], [])


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
def test_a_root_that_has_vanished_keeps_its_files(tree, tmp_path, left):
    shutil.rmtree(tmp_path / "two")
    if left == "an empty folder":  # as where a disk is mounted
        (tmp_path / "two").mkdir()
    reason = {"nothing": "no such folder"}.get(left, left)
    assert look(tree, tmp_path) == ([], [OutOfReach(str(tmp_path / "two"), reason, 2)])


def test_a_folder_inside_a_root_may_be_a_disk_too(tree, tmp_path):
    shutil.rmtree(tmp_path / "two/deep/er")
    place = tmp_path / "two/deep"
    assert look(tree, tmp_path) == ([], [OutOfReach(str(place), "an empty folder", 1)])
    assert look(tree, tmp_path, ["one", "two/deep/er"]) == ([], [OutOfReach(str(place / "er"), "no such folder", 1)])


def test_an_emptied_album_may_be_a_disk(tree, tmp_path):
    for path in (tmp_path / "one/trip").iterdir():
        path.unlink()
    assert look(tree, tmp_path) == ([], [OutOfReach(str(tmp_path / "one/trip"), "an empty folder", 2)])


def test_without_known_roots_a_folder_without_survivors_beside_it_is_out_of_reach(tree, tmp_path):
    """Collections of before know no roots: a deleted album is told from a missing disk by what is left beside it."""
    (tmp_path / "two/deep/er/e.jpg").unlink()
    (tmp_path / "two/deep/er").rmdir()
    (tmp_path / "two/deep/other.txt").touch()
    shutil.rmtree(tmp_path / "one/trip")
    gone, kept = look(tree, tmp_path, [])
    assert gone == [1, 2]
    assert kept == [OutOfReach(str(tmp_path / "two/deep/er"), "no such folder", 1)]
    assert look(tree, tmp_path) == ([1, 2, 4], [])


def test_a_file_that_was_named_is_gone_if_its_folder_is_there(tree, tmp_path):
    Path(tree[0][1]).unlink()
    assert look(tree, tmp_path, ["one/a.jpg", "two"]) == ([0], [])


@POSIX
def test_a_link_without_target_says_nothing(tree, tmp_path):
    (tmp_path / "one/trip").rename(tmp_path / "elsewhere")
    (tmp_path / "one/trip").symlink_to(tmp_path / "elsewhere")
    assert look(tree, tmp_path) == ([], [])
    shutil.rmtree(tmp_path / "elsewhere")
    assert look(tree, tmp_path) == ([], [OutOfReach(str(tmp_path / "one/trip"), "a link whose target is missing", 2)])


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_folder_that_cannot_be_read_says_nothing(tree, tmp_path, mode):
    folder = tmp_path / "one/trip"
    folder.chmod(mode)
    try:
        assert look(tree, tmp_path) == ([], [OutOfReach(str(folder), "permission denied", 2)])
    finally:
        folder.chmod(0o755)


@POSIX
def test_an_error_of_the_disk_says_nothing(tree, tmp_path, monkeypatch):
    whole = os.lstat

    def broken(path, **more):
        if str(path).endswith("b.jpg"):
            raise OSError(5, "Input/output error", path)
        return whole(path, **more)

    monkeypatch.setattr(os, "lstat", broken)
    assert look(tree, tmp_path) == ([], [OutOfReach(str(tmp_path / "one/trip"), "input/output error", 1)])
