"""What the catalog holds: files, items, failures. Plain data, and how a path is kept as SQL text."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of the collection."""

    path: str
    kind: str
    """``image`` or ``video``"""
    hash: bytes
    size: int
    mtime_ns: int
    reason: str | None = None
    """why it could not be read to its end, if so"""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item: a picture, or one shot of a video."""

    id: int
    path: str
    kind: str
    """``image`` or ``shot``"""
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read, or not to its end."""

    path: str
    reason: str
    size: int | None = None
    mtime_ns: int | None = None
    lasting: bool = True


def path_to_sql(path: str) -> str | bytes:
    """A path as SQLite can keep it: text, or its bytes where they are no UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


def path_from_sql(path: str | bytes) -> str:
    """Undo ``path_to_sql``; bytes that are no UTF-8 come back as surrogates, as ``os.fsdecode`` has it."""
    return path if isinstance(path, str) else os.fsdecode(path)
