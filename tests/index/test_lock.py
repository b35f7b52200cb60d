"""One writer at a time: the lock holds between processes and threads, ends with its holder, and names it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from assocmem.errors import CollectionError, LockedError
from assocmem.index.store import lock
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.lock import writer_lock

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """if 1:
    import sys
    from pathlib import Path
    from assocmem.index.store.lock import writer_lock
    sys.argv[0] = "/usr/bin/holder"
    with writer_lock(Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()
"""


@contextmanager
def held_elsewhere(folder):
    """Let another process hold the lock until its stdin is closed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def holder_text(folder):
    return json.loads((folder / lock.NAME).read_text())


def test_a_second_process_learns_who_holds_the_lock(tmp_path):
    with held_elsewhere(tmp_path) as child:
        expected = rf"holder \(process {child.pid} on .+, since \d{{4}}-.+ Reading works meanwhile"
        for _ in range(2):  # a failed attempt does not erase the name
            with pytest.raises(LockedError, match=expected), writer_lock(tmp_path):
                pytest.fail("two writers at once")
        child.stdin.close()
        assert child.wait(timeout=60) == 0
        with writer_lock(tmp_path):
            pass


def test_nobody_waits_for_the_lock(tmp_path, monkeypatch):
    with held_elsewhere(tmp_path):
        monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("it waited"))
        with pytest.raises(LockedError), writer_lock(tmp_path):
            pytest.fail("two writers at once")


def test_a_killed_writer_leaves_no_lock_behind(tmp_path):
    with held_elsewhere(tmp_path) as child:
        child.kill()
        assert child.wait(timeout=60) != 0
        assert holder_text(tmp_path)["pid"] == child.pid  # stale, and it does not matter
        assert Catalog.can_be_made(tmp_path)
        with writer_lock(tmp_path):
            assert holder_text(tmp_path)["pid"] == os.getpid()


def test_the_lock_is_free_after_an_error_and_names_nobody(tmp_path):
    with pytest.raises(KeyError), writer_lock(tmp_path):
        raise KeyError
    assert (tmp_path / lock.NAME).read_bytes() == b""
    with writer_lock(tmp_path):
        pass


def test_all_that_is_left_is_a_file_that_a_new_collection_tolerates(tmp_path):
    with writer_lock(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["writer.lock"]
        assert Catalog.can_be_made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["writer.lock"]
    assert Catalog.can_be_made(tmp_path)


def test_one_process_cannot_hold_the_lock_twice(tmp_path):
    with writer_lock(tmp_path):
        with pytest.raises(LockedError, match=f"process {os.getpid()} on"), writer_lock(tmp_path):
            pytest.fail("two writers at once")
        with pytest.raises(LockedError), writer_lock(tmp_path):  # the failed attempt did not release it
            pytest.fail("two writers at once")


def test_threads_of_one_process_exclude_each_other(tmp_path):
    holders, refused, together = [], [], []

    def work(number):
        held = 0
        while held < 20:
            try:
                with writer_lock(tmp_path):
                    holders.append(number)
                    together.append(len(holders))
                    time.sleep(0.0005)
                    holders.remove(number)
                held += 1
            except LockedError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1] * 80
    assert refused


def test_locks_of_two_collections_are_independent(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with held_elsewhere(tmp_path / "a"), writer_lock(tmp_path / "b"):
        assert holder_text(tmp_path / "b")["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_holder_without_a_name_is_another_process(tmp_path, text):
    with writer_lock(tmp_path):
        (tmp_path / lock.NAME).write_text(text)
        with pytest.raises(LockedError, match="another process is writing"), writer_lock(tmp_path):
            pytest.fail("two writers at once")


def test_the_name_is_readable_without_the_byte_that_windows_locks(tmp_path):
    with writer_lock(tmp_path):
        path = tmp_path / lock.NAME
        path.write_bytes(b"\xff" + path.read_bytes()[1:])
        with pytest.raises(LockedError, match=f"process {os.getpid()} on"), writer_lock(tmp_path):
            pytest.fail("two writers at once")


def test_a_text_that_cannot_be_written_does_not_stop_the_writer(tmp_path, monkeypatch):
    def full(descriptor, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with (
        writer_lock(tmp_path),
        pytest.raises(LockedError, match="another process is writing"),
        writer_lock(tmp_path),
    ):
        pytest.fail("two writers at once")


def test_a_place_where_no_file_can_be_written_is_named(tmp_path):
    expected = r"writer\.lock: cannot be written \(No such file or directory\); reading works all the same"
    with pytest.raises(CollectionError, match=expected), writer_lock(tmp_path / "nowhere"):
        pytest.fail("no lock file")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / lock.NAME).mkdir()
    with pytest.raises(CollectionError, match=r"writer\.lock: cannot be written"), writer_lock(tmp_path):
        pytest.fail("no lock file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        expected = r"writer\.lock: cannot be written \(Permission denied\)"
        with pytest.raises(CollectionError, match=expected), writer_lock(tmp_path):
            pytest.fail("no lock file")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_named(tmp_path, monkeypatch, number):
    fcntl = pytest.importorskip("fcntl")

    def no_locks(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    expected = rf"found one without \({os.strerror(number)}\); keep the collection on a local disk"
    with pytest.raises(CollectionError, match=expected) as caught, writer_lock(tmp_path):
        pytest.fail("no lock")
    assert not isinstance(caught.value, LockedError)
