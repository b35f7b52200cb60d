"""The writer lock: one process writes to a collection at a time, and the lock file names that process.

The operating system holds the lock (``flock``; on Windows ``LockFileEx``), so a killed writer leaves no lock behind.
The text in the file is for people: it may be stale, and nothing depends on it.

The file is opened here and only locked by filelock. Its class ``FileLock`` does more than is wanted: it removes the
file on Windows, makes missing folders, and on a disk without locks it can fall back to a file that outlives a killed
writer.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from assocmem.errors import CollectionError, LockedError

NAME = "writer.lock"
_TEXT_START = 1  # On Windows the first byte is locked: no other process can read it.


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the writer lock of the collection in ``folder``, without waiting for it.

    Raises
    ------
    LockedError
        Another process, or another collection object of this process, holds the lock.
    CollectionError
        The lock file cannot be written, or the disk has no locks.
    """
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CollectionError(f"{path}: cannot be written ({error.strerror}); reading works all the same") from error
    try:
        if not _try_lock(descriptor, path):
            raise LockedError(
                f"{folder}: {_holder(path)} is writing to this collection; wait until it ends. Reading works meanwhile"
            )
        with contextlib.suppress(OSError):  # on a full disk the writes that matter report it
            _write_holder(descriptor)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)  # releases the lock


def _try_lock(descriptor: int, path: Path) -> bool:
    """Lock an open file; return False when it is locked already."""
    from filelock import lock_descriptor  # only writers need it

    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError as error:
        raise CollectionError(
            f"{path}: expected a disk with file locks, found one without ({error.strerror}); "
            "keep the collection on a local disk"
        ) from error


def _write_holder(descriptor: int) -> None:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    command = Path(sys.argv[0]).name or "python"
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": since}
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b" " * _TEXT_START + json.dumps(holder).encode())


def _holder(path: Path) -> str:
    """Describe the process that holds the lock, as far as its text can be read."""
    try:
        with path.open("rb", buffering=0) as file:  # a buffer would read the locked byte too
            file.seek(_TEXT_START)
            holder = json.loads(file.read())
        return f"{holder['command']} (process {holder['pid']} on {holder['host']}, since {holder['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
