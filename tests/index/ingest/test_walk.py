"""Walking: every file once, in a fixed order; some folders are skipped, those that cannot be read are reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assocmem.index.ingest import walk as walk_module
from assocmem.index.ingest.walk import FoundFile, walk
from assocmem.index.store.catalog import absolute
from assocmem.index.store.records import Failure


def tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names(root, *paths):
    """Files found, relative to ``root``, in order; nothing may go wrong."""
    found = list(walk(paths or [root]))
    assert all(isinstance(entry, FoundFile) for entry in found), found
    return [os.path.relpath(entry.path, root) for entry in found]


def failures(paths):
    return {entry.path: entry for entry in walk(paths) if isinstance(entry, Failure)}


def test_files_come_with_size_and_time(tmp_path):
    tree(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 123_456_789))
    assert list(walk([tmp_path])) == [FoundFile(str(tmp_path / "a.jpg"), 5, 123_456_789)]


def test_files_come_in_the_order_of_their_names(tmp_path, monkeypatch):
    tree(tmp_path, "b/2.jpg", "b/1.jpg", "a.jpg", "b.jpg", "c/d/e/f.jpg", "Z/x.jpg", "c/a.jpg")
    expected = ["Z/x.jpg", "a.jpg", "b/1.jpg", "b/2.jpg", "b.jpg", "c/a.jpg", "c/d/e/f.jpg"]
    assert names(tmp_path) == expected
    scandir = os.scandir

    class Backwards:
        """File systems list folders in any order."""

        def __init__(self, path):
            with scandir(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(walk_module.os, "scandir", Backwards)
    assert names(tmp_path) == expected


SKIPPED = [".hidden.jpg", "._a.jpg", ".git/a.jpg", ".thumbnails/a.jpg", "@eaDir/a.jpg", "#recycle/a.jpg",
    "$RECYCLE.BIN/a.jpg", "lost+found/a.jpg", "node_modules/a.jpg", "sub/@eaDir/deeper/a.jpg"]  # fmt: skip


def test_hidden_names_and_folders_of_programs_are_skipped(tmp_path):
    tree(tmp_path, "a.jpg", "sub/b.jpg", "my.git/c.jpg", *SKIPPED)
    assert names(tmp_path) == ["a.jpg", "my.git/c.jpg", "sub/b.jpg"]


@pytest.mark.parametrize("name", SKIPPED)
def test_a_skipped_name_is_taken_if_it_is_named_explicitly(tmp_path, name):
    tree(tmp_path, "a.jpg", *SKIPPED)
    assert names(tmp_path, tmp_path / name) == [name]
    parent = (tmp_path / name).parent
    if parent != tmp_path:
        assert names(tmp_path, parent) == [name]


COMPANIONS = ["MVI_1.THM", "a.JPG_original", "a.jpg.bak", "b.jpg.part", "c.crdownload", "Thumbnails", "sub/thumbs",
    "My Previews.lrdata", "L.photoslibrary/resources", "L.photoslibrary/database", "WhatsApp"]  # fmt: skip
INSIDE = ["Thumbnails/t.jpg", "sub/thumbs/t.jpg", "My Previews.lrdata/1/p.jpg", "WhatsApp/.nomedia",
    "WhatsApp/sub/w.jpg", "L.photoslibrary/resources/d.jpg", "L.photoslibrary/database/search/s.jpg",
    *COMPANIONS[:5]]  # fmt: skip
TAKEN = ["L.photoslibrary/originals/0/o.jpg", "a.jpg", "original.jpg", "thumbs up.jpg", "thumbs.jpg", "sub/b.jpg"]


def test_companions_of_pictures_are_left_out_and_counted(tmp_path):
    tree(tmp_path, *TAKEN, *INSIDE, "notes.bak", ".hidden/c.jpg")
    left_out = []
    found = [os.path.relpath(found.path, tmp_path) for found in walk([tmp_path], left_out)]
    assert sorted(set(found) - {"notes.bak"}) == sorted(TAKEN)
    assert sorted(os.path.relpath(path, tmp_path) for path in left_out) == sorted(COMPANIONS)


@pytest.mark.parametrize("name", COMPANIONS)
def test_a_companion_is_taken_if_it_is_named(tmp_path, name):
    tree(tmp_path, *TAKEN, *INSIDE)
    assert any(inside == name or inside.startswith(name + "/") for inside in names(tmp_path, tmp_path / name))


def test_collections_are_skipped_unless_named_explicitly(tmp_path):
    tree(tmp_path, "a.jpg", "my.amem/catalog.sqlite3", "my.amem/segments/00000001.h5", "my.amem/x.jpg", "z.jpg")
    assert names(tmp_path) == ["a.jpg", "z.jpg"]
    assert "my.amem/x.jpg" in names(tmp_path, tmp_path / "my.amem")


def test_no_file_comes_twice_when_paths_overlap(tmp_path, monkeypatch):
    tree(tmp_path, "a/1.jpg", "a/b/2.jpg", "a/b/.h.jpg", "c.jpg")
    a, b, c = tmp_path / "a", tmp_path / "a/b", tmp_path / "c.jpg"
    monkeypatch.chdir(tmp_path)
    everything = ["a/1.jpg", "a/b/2.jpg", "c.jpg"]
    for paths in ([tmp_path, tmp_path], [a, b, c, a], [b, a, c, tmp_path], [c, a / "1.jpg", tmp_path],
                  [tmp_path, a / "1.jpg", b / "2.jpg"], ["a", "./a/../a/b", "c.jpg", tmp_path]):  # fmt: skip
        assert sorted(names(tmp_path, *paths)) == everything
    assert sorted(names(tmp_path, a, b / ".h.jpg", b)) == ["a/1.jpg", "a/b/.h.jpg", "a/b/2.jpg"]


def test_paths_are_made_absolute_and_the_tilde_expanded(tmp_path, monkeypatch):
    tree(tmp_path, "home/a.jpg")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "home")
    expected = str(tmp_path / "home" / "a.jpg")
    for path in ("~/a.jpg", "a.jpg", "./x/../a.jpg", Path("a.jpg")):
        assert absolute(path) == expected
        assert [entry.path for entry in walk([path])] == [expected]


def test_symbolic_links_are_followed_and_not_resolved(tmp_path):
    tree(tmp_path, "elsewhere/a.jpg", "in/b.jpg")
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/c.jpg").symlink_to(tmp_path / "elsewhere/a.jpg")
    assert names(tmp_path, tmp_path / "in") == ["in/b.jpg", "in/c.jpg", "in/link/a.jpg"]


def test_two_links_to_one_folder_are_visited_once(tmp_path):
    tree(tmp_path, "elsewhere/a.jpg")
    (tmp_path / "in").mkdir()
    for link in ("one", "two"):
        (tmp_path / "in" / link).symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path, tmp_path / "in") == ["in/one/a.jpg"]
    assert names(tmp_path, tmp_path / "in", tmp_path / "elsewhere") == ["in/one/a.jpg"]


def test_links_in_a_circle_end_and_are_reported(tmp_path):
    tree(tmp_path, "a/b/1.jpg", "a/2.jpg")
    (tmp_path / "a/b/up").symlink_to("..")
    (tmp_path / "a/self").symlink_to(".")
    (tmp_path / "a/nowhere").symlink_to("nowhere")
    found = list(walk([tmp_path / "a"]))
    assert [os.path.relpath(f.path, tmp_path) for f in found if isinstance(f, FoundFile)] == ["a/2.jpg", "a/b/1.jpg"]
    reported = failures([tmp_path / "a"])
    back = f"symbolic link back to {tmp_path / 'a'}"
    reasons = {os.path.relpath(path, tmp_path): failure.reason for path, failure in reported.items()}
    assert reasons == {"a/b/up": back, "a/self": back, "a/nowhere": "too many levels of symbolic links"}
    assert not any(failure.lasting for failure in reported.values())


def test_only_regular_files_are_found(tmp_path, monkeypatch):
    tree(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/null")

    def no_opening(*arguments, **options):
        pytest.fail("opening a pipe that nobody writes to would wait forever")

    monkeypatch.setattr("builtins.open", no_opening)
    monkeypatch.setattr(os, "open", no_opening)
    assert names(tmp_path) == ["a.jpg"]
    [refused] = walk([tmp_path / "pipe.jpg"])
    assert refused.reason == "not a regular file"


def test_a_folder_that_cannot_be_entered_is_reported_and_stops_nothing(tmp_path, monkeypatch):
    tree(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg")
    scandir = os.scandir

    def guarded(path):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(walk_module.os, "scandir", guarded)
    found = list(walk([tmp_path]))
    assert [os.path.relpath(f.path, tmp_path) for f in found] == ["a/1.jpg", "b", "c/3.jpg"]
    assert found[1] == Failure(str(tmp_path / "b"), "permission denied", lasting=False)


def test_a_missing_file_is_reported(tmp_path):
    (tmp_path / "dangling").symlink_to("gone")
    for path in (tmp_path / "nowhere", tmp_path / "dangling"):
        assert list(walk([path])) == [Failure(str(path), "no such file or directory", lasting=False)]


def test_a_file_that_vanishes_during_the_walk_is_reported(tmp_path):
    tree(tmp_path, "a.jpg", "b.jpg")
    steps = walk([tmp_path])
    assert next(steps).path.endswith("a.jpg")
    (tmp_path / "b.jpg").unlink()
    assert [entry.reason for entry in steps] == ["no such file or directory"]


def test_deep_folders_need_no_deep_stack(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(400):  # longer than a path may be: made and entered step by step
        os.mkdir("dddddddddd")
        os.chdir("dddddddddd")
    found = list(walk([tmp_path]))
    assert [type(entry) for entry in found] == [Failure]
    assert found[0].reason == "file name too long"
    assert len(found[0].path) > 4000
