"""One writer at a time: the lock holds between processes, dies with its holder, and says who that is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from assocmem.errors import CollectionError, LockedError
from assocmem.index.store import lock
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
    """The lock in the hands of another process, until its stdin is closed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def test_a_second_process_is_told_who_holds_the_lock(tmp_path):
    with held_elsewhere(tmp_path) as child:
        expected = rf"holder \(process {child.pid} on .+, since \d{{4}}-.+ Reading works meanwhile"
        with pytest.raises(LockedError, match=expected), writer_lock(tmp_path):
            pytest.fail("two writers at once")
        child.stdin.close()
        assert child.wait(timeout=60) == 0
        with writer_lock(tmp_path):
            pass


def test_a_killed_writer_leaves_no_lock_behind(tmp_path):
    with held_elsewhere(tmp_path) as child:
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait(timeout=60) == -signal.SIGKILL
        assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == child.pid  # its name is stale, and no matter
        with writer_lock(tmp_path):
            assert json.loads((tmp_path / lock.NAME).read_text())["pid"] == os.getpid()


def test_the_lock_is_free_after_an_error_and_names_nobody(tmp_path):
    with pytest.raises(KeyError), writer_lock(tmp_path):
        raise KeyError
    assert (tmp_path / lock.NAME).read_bytes() == b""
    with writer_lock(tmp_path):
        pass


def test_one_process_is_no_two_writers_either(tmp_path):
    with writer_lock(tmp_path):
        with pytest.raises(LockedError, match=f"process {os.getpid()} on"), writer_lock(tmp_path):
            pytest.fail("two writers at once")
        with pytest.raises(LockedError), writer_lock(tmp_path):  # the failed try took nothing away
            pytest.fail("two writers at once")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_holder_without_a_name_is_another_process(tmp_path, text):
    with writer_lock(tmp_path):
        (tmp_path / lock.NAME).write_text(text)
        with pytest.raises(LockedError, match="another process is writing"), writer_lock(tmp_path):
            pytest.fail("two writers at once")


def test_a_place_that_cannot_be_locked_is_named(tmp_path, monkeypatch):
    expected = r"writer\.lock: cannot be written \(No such file or directory\)"
    with pytest.raises(CollectionError, match=expected), writer_lock(tmp_path / "nowhere"):
        pytest.fail("no lock file")

    def no_locks(descriptor, operation):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", no_locks)
    with pytest.raises(CollectionError, match="found one without"), writer_lock(tmp_path):
        pytest.fail("no lock")
