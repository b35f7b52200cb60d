"""What is asked of the disk: room before a write, folders, sizes; and how its refusals are told."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from assocmem._storage.hdf5 import sync
from assocmem.errors import CollectionError

SPARE_BYTES = 2**24
"""Left for the catalog and the memories, so that a full disk is noticed before they are in the middle of a write."""


def check_room(folder: Path, needed: int) -> None:
    """Raise CollectionError when the disk has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise CollectionError(
            f"{folder}: expected {(needed + SPARE_BYTES) / 1e6:.0f} MB of free space, found {free / 1e6:.0f} MB; "
            "make room and run this again, what was stored before is safe"
        )


def cannot_write(path: Path, error: BaseException) -> CollectionError:
    """Name a write that failed, in one line; HDF5's own words take ten."""
    said = re.search(r"errno = (\d+)", str(error))  # what the system said, among HDF5's own words
    number = getattr(error, "errno", None) or (int(said[1]) if said else None)
    reason = os.strerror(number) if number else (str(error).splitlines() or [type(error).__name__])[0]
    return CollectionError(f"{path}: cannot be written ({reason}); what was stored before is safe")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; CollectionError when that cannot be."""
    if folder.is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CollectionError(f"{folder}: cannot be made ({reason}); choose another place") from error


def file_size(path: Path) -> int:
    """Bytes of a file; 0 for what is none, or was removed a moment ago."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
