"""The writer's lock: one process writes to a collection at a time, and its name is in the lock file.

The kernel holds the lock (``flock``), so a killed writer leaves none behind; the text in the file is for people.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from assocmem.errors import CollectionError, LockedError

NAME = "writer.lock"


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the writer's lock of the collection in ``folder``; LockedError when another process has it."""
    path = folder / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CollectionError(f"{path}: cannot be written ({error.strerror}); reading works all the same") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"{folder}: {_holder(path)} is writing to this collection; wait until it ends. Reading works meanwhile"
            ) from None
        except OSError as error:
            raise CollectionError(
                f"{path}: expected a disk with file locks, found one without ({error.strerror}); "
                "keep the collection on a local disk"
            ) from error
        os.ftruncate(descriptor, 0)
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        name = Path(sys.argv[0]).name or "python"
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "command": name, "since": since})
        os.pwrite(descriptor, text.encode(), 0)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text())
        return f"{who['command']} (process {who['pid']} on {who['host']}, since {who['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
