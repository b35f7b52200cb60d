"""The catalog: transactions are atomic, paths survive, and a file that is no catalog is refused and left alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assocmem.errors import CollectionError, DamagedError, LockedError, MismatchError
from assocmem.index.store.catalog import NAME, Catalog
from assocmem.index.store.records import Failure, FileRow

META = {"identity": "x"}
ODD_PATHS = ["/plain/a.jpg", "/with space/ü/日本.png", os.fsdecode(b"/caf\xe9/\xff\xfe.jpg"), "/new\nline'\"%_.gif"]


@pytest.fixture
def catalog(tmp_path):
    with closing(Catalog(tmp_path, create=META)) as made:
        yield made


def fill(catalog, files=3):
    """Files with two items each, in one segment."""
    with catalog.transaction():
        number = catalog.take("next_segment", 1)
        for i in range(files):
            file = catalog.add_file(FileRow(f"/f{i}.mp4", "video", bytes([i % 256]) * 16, 100 + i, 1000 + i))
            first = catalog.take("next_item", 2)
            catalog.add_items((first + j, file, "shot", j, j + 1, number, 2 * i + j) for j in range(2))
        catalog.add_segment(number, 2 * files)
        catalog.next_generation()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def dump(catalog):
    with closing(sqlite3.connect(catalog.path)) as db:
        return list(db.iterdump())


def change_and_fail(catalog, error):
    with catalog.transaction():
        catalog.take("next_item", 5)
        catalog.remove_files([1, 2])
        catalog.set_failure(Failure("/f9.jpg", "empty file"))
        catalog.next_generation()
        raise error


def test_a_transaction_that_fails_changes_nothing(catalog):
    fill(catalog)
    before = dump(catalog)
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            change_and_fail(catalog, error)
    assert dump(catalog) == before
    fill(catalog, files=0)  # the connection can be used for the next one
    assert catalog.generation == 2


def test_a_commit_that_fails_changes_nothing(catalog, monkeypatch):
    fill(catalog)
    before = dump(catalog)
    change = Catalog.change

    def full(self, sql, values=()):
        if sql == "COMMIT":
            raise CollectionError("database or disk is full")
        return change(self, sql, values)

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "change", full)
        with pytest.raises(CollectionError, match="disk is full"), catalog.transaction():
            catalog.next_generation()
    assert dump(catalog) == before
    assert catalog.generation == 1
    fill(catalog, files=0)
    assert catalog.generation == 2


def test_counters_never_go_back(catalog):
    fill(catalog)
    assert catalog.take("next_item", 1) == 7
    with catalog.transaction():
        catalog.remove_files([1, 2, 3])
        catalog.replace_segments([1], 2, [])
    assert catalog.items(range(10)) == {}
    assert catalog.take("next_item", 3) == 8
    assert catalog.take("next_item", 1) == 11
    assert catalog.take("next_segment", 1) == 2
    with closing(Catalog(catalog.path.parent, create=META)) as again:
        assert again.take("next_item", 1) == 12
        assert (again.generation, again.meta("identity")) == (1, "x")


@pytest.mark.parametrize("path", ODD_PATHS)
def test_any_path_comes_back_as_it_was(catalog, path):
    file = catalog.add_file(FileRow(path, "image", b"h" * 16, 1, 2))
    catalog.add_items([(1, file, "image", None, None, 1, 0)])
    catalog.set_failure(Failure(path, "broken after 1.0 s", 1, 2))
    row = FileRow(path, "image", b"h" * 16, 1, 2)
    assert catalog.file(path) == (file, row)
    assert catalog.paths() == [(file, path)]
    assert catalog.items([1])[1].path == path
    assert catalog.failure(path) == catalog.failures()[0] == Failure(path, "broken after 1.0 s", 1, 2)
    assert catalog.files_with_hash(b"h" * 16)[0][1].reason == "broken after 1.0 s"
    catalog.clear_failure(path)
    assert catalog.failures() == []
    catalog.touch_file(file, path + "2", 3)
    assert catalog.file(path) is None
    assert catalog.file(path + "2") == (file, FileRow(path + "2", "image", b"h" * 16, 1, 3))


# Characters next to the separator, wildcards of SQL, bytes that are not UTF-8, and text beyond them.
LETTERS = [
    "a",
    "A",
    "%",
    "_",
    ".",
    "0",
    " ",
    "'",
    "\n",
    "é",
    "\u0301",
    "日",
    "\uffff",
    "\U0001f3f0",
    "\udcff",
    "\udc80",
]
names = st.text(st.sampled_from(LETTERS), min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@pytest.fixture(scope="module")
def one_catalog(tmp_path_factory):
    """A catalog that many examples share, each in a transaction that is taken back."""
    with closing(Catalog(tmp_path_factory.mktemp("catalog"), create=META)) as made:
        yield made


@settings(max_examples=300, deadline=None)
@given(
    stored=st.dictionaries(paths, st.integers(0, 2), max_size=12),
    folders=st.lists(paths, max_size=4),
)
@example(stored={"/a": 1, "/a.jpg": 1, "/a/b": 1, "/a0": 1, "/a%/b": 1, "/\udcff/b": 1, "/é": 1}, folders=["/a%", "/_"])
def test_files_and_items_below_a_path_are_those_of_a_plain_search(one_catalog, stored, folders):
    """Against an oracle in Python; the paths are files, folders above them, and others."""

    class Undone(Exception):
        pass

    catalog = one_catalog
    above = {path[:place] or "/" for path in stored for place in range(len(path)) if path[place] == "/"}
    with contextlib.suppress(Undone), catalog.transaction():  # nothing stays for the next example
        files, items = {}, {}
        for row, (path, count) in enumerate(stored.items()):
            file = catalog.add_file(FileRow(path, "image", bytes([row]) * 16, 1, 2))
            first = catalog.take("next_item", count + 1)
            catalog.add_items((first + n, file, "shot", n, n + 1, 1, n) for n in range(count))
            files[file], items[file] = path, set(range(first, first + count))
        for asked in {*stored, *folders, *above, "/"}:
            inside = asked if asked == "/" else f"{asked}/"
            expected = {file: path for file, path in files.items() if path == asked or path.startswith(inside)}
            assert catalog.files_below(asked) == expected
            assert list(catalog.files_below(asked)) == sorted(expected)
            assert catalog.ids_below(asked) == set().union(*(items[file] for file in expected))
        raise Undone


def test_items_of_removed_files_are_not_below_a_path(catalog):
    fill(catalog)
    assert catalog.ids_below("/") == {1, 2, 3, 4, 5, 6}
    catalog.remove_files([2])
    assert catalog.ids_below("/") == {1, 2, 5, 6}
    assert catalog.ids_below("/f1.mp4") == set()


def test_many_ids_are_looked_up_in_few_statements(catalog, monkeypatch):
    fill(catalog, files=600)
    statements = []
    rows = Catalog.rows
    monkeypatch.setattr(Catalog, "rows", lambda self, sql, values=(): statements.append(sql) or rows(self, sql, values))
    found = catalog.placed([*range(1200, 0, -1), 7, 9999])
    assert [placed.item.id for placed in found] == list(range(1, 1201))
    assert len(statements) == 3  # 500 ids each


def test_content_that_was_cut_short_by_circumstances_is_not_known(catalog):
    fill(catalog)
    digest = b"\1" * 16
    assert [row.reason for _, row in catalog.files_with_hash(digest)] == [None]
    catalog.set_failure(Failure("/f1.mp4", "input/output error", 101, 1001, lasting=False))
    assert catalog.files_with_hash(digest) == []
    catalog.set_failure(Failure("/f1.mp4", "permission denied", 101, 5555, lasting=False))  # of a later state
    assert [row.reason for _, row in catalog.files_with_hash(digest)] == [None]
    catalog.set_failure(Failure("/f1.mp4", "broken after 2.0 s", 101, 1001))
    assert [row.reason for _, row in catalog.files_with_hash(digest)] == ["broken after 2.0 s"]


def test_a_reader_sees_the_last_commit_while_a_writer_works(catalog):
    fill(catalog)
    with closing(Catalog(catalog.path.parent)) as reader:
        with catalog.transaction():
            catalog.remove_files([1])
            catalog.next_generation()
            assert (reader.generation, len(reader.paths())) == (1, 3)
        assert (reader.generation, len(reader.paths())) == (2, 2)
        with reader.reading():
            assert reader.generation == 2
            fill(catalog, files=0)
            assert reader.generation == 2
        assert reader.generation == 3


def test_a_second_transaction_waits_and_then_gives_the_reason(catalog, monkeypatch):
    monkeypatch.setattr("assocmem.index.store.catalog.BUSY_SECONDS", 0.05)
    with closing(Catalog(catalog.path.parent)) as other, catalog.transaction():
        with pytest.raises(LockedError, match="another process keeps the catalog busy; try"), other.transaction():
            pytest.fail("two writers at once")
        assert other.generation == 0  # reading goes on


def test_a_folder_without_a_catalog_is_refused_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(CollectionError, match=r"found no catalog\.sqlite3; make one with `assocmem index"):
        Catalog(tmp_path)
    assert contents(tmp_path) == {}


def refused(
    folder, error=DamagedError, match="found damage or another program's file|found [0-9]+: the catalog is cut"
):
    before = contents(folder)
    for create in (None, META):
        with pytest.raises(error, match=match):
            Catalog(folder, create=create)
        assert contents(folder) == before


@pytest.mark.parametrize("content", [b"", b"just text", b"SQLite format 3\0", b"SQLite format 3\0" + bytes(8000)])
def test_another_file_of_that_name_is_refused_and_left_alone(tmp_path, content):
    (tmp_path / NAME).write_bytes(content)
    refused(tmp_path)


def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute("CREATE TABLE photos (id)")
    refused(tmp_path)
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute("CREATE TABLE meta (key, value)")
    refused(tmp_path, MismatchError, "expected collection format 1, found None")


def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    with closing(Catalog(tmp_path, create=META)) as catalog:
        catalog.set_meta("format", "2")
    refused(tmp_path, MismatchError, "expected collection format 1, found 2; .*update assocmem")


def test_a_folder_of_that_name_is_refused(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(CollectionError, match="the catalog cannot be used"):
        Catalog(tmp_path)


def test_a_catalog_cut_short_is_refused_and_left_alone(tmp_path):
    with closing(Catalog(tmp_path, create=META)) as catalog:
        fill(catalog, files=200)
    whole = (tmp_path / NAME).read_bytes()
    for length in (0, 1, 99, 100, 4095, 4096, 5000, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        (tmp_path / NAME).write_bytes(whole[:length])
        refused(tmp_path)


def test_damage_further_on_is_named_when_it_is_read(tmp_path):
    with closing(Catalog(tmp_path, create=META)) as catalog:
        fill(catalog, files=2000)
    whole = bytearray((tmp_path / NAME).read_bytes())
    whole[8 * 4096 :] = b"\x5a" * (len(whole) - 8 * 4096)
    (tmp_path / NAME).write_bytes(whole)
    with closing(Catalog(tmp_path)) as catalog:
        assert catalog.integrity() != []
        with pytest.raises(DamagedError, match="expected a catalog, found damage"):
            catalog.paths()


def test_rows_that_point_to_nothing_are_named(catalog):
    fill(catalog)
    assert catalog.integrity() == []
    with closing(sqlite3.connect(catalog.path)) as db, db:
        db.execute("UPDATE items SET file = NULL WHERE id = 1")
        db.execute("UPDATE items SET file = 77 WHERE id = 2")
        db.execute("UPDATE items SET segment = 9 WHERE id = 3")
    assert catalog.integrity() == [
        "catalog: item 1 belongs to no file",
        "catalog: item 2 belongs to no file",
        "catalog: item 3 is in segment 9, which is not live",
    ]


def test_a_catalog_whose_making_was_cut_short_is_made_again(tmp_path):
    for suffix in ("", "-journal", "-wal"):
        (tmp_path / f"catalog.tmp{suffix}").write_bytes(b"half a catalog")
    assert Catalog.can_be_made(tmp_path)
    with closing(Catalog(tmp_path, create=META)) as catalog:
        fill(catalog)
    assert os.listdir(tmp_path) == [NAME]
    assert not Catalog.can_be_made(tmp_path)


def test_a_read_only_folder_can_be_read(tmp_path, read_only):
    with closing(Catalog(tmp_path, create=META)):
        pass
    with closing(sqlite3.connect(tmp_path / NAME)) as db, db:
        db.execute("INSERT INTO meta VALUES ('seen', 'yes')")
    before = contents(tmp_path)
    with closing(Catalog(tmp_path)) as catalog:
        assert catalog.meta("seen") == "yes"
        assert contents(tmp_path) == before  # not even shared memory
        with pytest.raises(CollectionError, match=r"readonly database.*is the disk full, or the folder read-only"):
            catalog.set_meta("seen", "no")


def test_commits_that_a_killed_writer_left_in_the_log_are_not_skipped(tmp_path, request):
    (tmp_path / "a").mkdir()
    with closing(Catalog(tmp_path / "a", create=META)) as catalog:
        fill(catalog)
        shutil.copytree(tmp_path / "a", tmp_path / "b")  # as a kill leaves it, the log not yet in the file
    assert (tmp_path / "b" / f"{NAME}-wal").stat().st_size > 0
    request.getfixturevalue("read_only")
    with closing(Catalog(tmp_path / "b")) as catalog:
        assert (catalog.generation, len(catalog.paths())) == (1, 3)
