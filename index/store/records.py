"""Rows of the catalog as plain data: files, items, failures, teachings, examples."""

from __future__ import annotations

from dataclasses import dataclass

from assocmem._numerics.types import F16, I8


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of the collection."""

    path: str
    kind: str
    """``image`` or ``video``"""
    hash: bytes
    """of the content"""
    size: int
    """bytes"""
    mtime_ns: int
    reason: str | None = None
    """why the file could not be read to its end, if so"""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """An item: a picture, or one shot of a video."""

    id: int
    path: str
    kind: str
    """``image`` or ``shot``"""
    start: float | None
    """seconds, for shots"""
    end: float | None


@dataclass(frozen=True, slots=True)
class PlacedItem:
    """An item, and where its feature is stored."""

    item: ItemRow
    hash: bytes
    """of the file's content"""
    segment: int
    row: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read, or not to its end."""

    path: str
    reason: str
    size: int | None = None
    mtime_ns: int | None = None
    lasting: bool = True
    """False if circumstances decide, such as permissions"""


@dataclass(frozen=True, slots=True)
class Teaching:
    """One statement about one picture or shot."""

    id: int
    """later ones are greater"""
    example: int
    concept: str
    """its present name"""
    is_one: bool
    """False: the example is not of the concept"""
    said: str
    """the concept's name at that time"""
    at: str
    """UTC, ISO 8601"""
    who: str
    path: str
    """of the file at that time"""
    start: float | None
    """seconds, for shots"""
    end: float | None
    undone: str | None
    """when it was taken back: UTC, ISO 8601"""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture or shot that a teaching is about."""

    id: int
    """number of its content"""
    hash: bytes
    """of the file's content"""
    feature: F16
    """float16 (dim,)"""
    sketch: I8
    """int8 (LENGTH,)"""
    path: str
    start: float | None
    end: float | None
