"""The disk: free space before a write, folders, sizes of files, and errors with the system's reason."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from assocmem._storage.hdf5 import sync
from assocmem.errors import CollectionError

SPARE_BYTES = 2**24
"""Left for the catalog and the derived memories, so that a full disk is noticed before one of them is half written."""


def check_room(folder: Path, needed: int) -> None:
    """Raise CollectionError if the disk has no room for this number of bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise CollectionError(
            f"{folder}: expected {(needed + SPARE_BYTES) / 1e6:.0f} MB of free space, found {free / 1e6:.0f} MB; "
            "make room and run this again, what was stored before is safe"
        )


def cannot_write(path: Path, error: BaseException) -> CollectionError:
    """Return the error for a write that failed, in one line; HDF5's own message takes ten."""
    inside = re.search(r"errno = (\d+)", str(error))  # the system's error, inside HDF5's message
    number = getattr(error, "errno", None) or (int(inside[1]) if inside else None)
    reason = os.strerror(number) if number else (str(error).splitlines() or [type(error).__name__])[0]
    return CollectionError(f"{path}: cannot be written ({reason}); what was stored before is safe")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; CollectionError if that fails."""
    if folder.is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CollectionError(f"{folder}: cannot be made ({reason}); choose another place") from error


def remove_file(path: Path) -> None:
    """Remove a file if it exists; on Windows a file that is open or mapped stays, for a later sweep."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        if sys.platform != "win32":
            raise


def file_size(path: Path) -> int:
    """Return the bytes of a file; 0 if it is missing, or was removed a moment ago."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
