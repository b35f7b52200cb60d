"""Which files there are under the folders a user names. Knows names and directories; reads no content.

Left out inside folders: hidden names, what synchronisers, cameras and file managers leave behind, and collections.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from assocmem.errors import InputError
from assocmem.index.store.catalog import NAME as CATALOG_NAME
from assocmem.index.store.records import Failure

SKIPPED_FOLDERS = frozenset({
    "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX",
    "__pycache__", "node_modules",
})  # fmt: skip
"""Folders nobody means when they say "my pictures"; hidden ones (.git, .thumbnails) are left out by their dot."""


def absolute(path: str | os.PathLike[str]) -> str:
    """One spelling per path: ``~`` expanded, absolute, without ``..``; symbolic links are left alone."""
    if not os.fspath(path):
        raise InputError("expected a path, found an empty one; an unset variable, perhaps?")
    return os.path.abspath(os.path.expanduser(os.fspath(path)))


def listed(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str | os.PathLike[str]]:
    """One path is a list of one; taken as an iterable, a string would be its letters."""
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file."""

    path: str
    """absolute"""
    size: int
    """bytes"""
    mtime_ns: int
    named: bool = False
    """by the user, not found in a folder"""


def walk(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Found | Failure]:
    """Yield every file, in a fixed order, each at most once; or what kept us from one.

    What is named outright is taken even if it is hidden. Symbolic links to folders are followed, but no folder is
    visited twice, so links in a circle end; a link back to a folder that holds it is reported.
    """
    named = dict.fromkeys(map(absolute, paths))
    seen: dict[tuple[int, int], str] = {}
    for path in named:
        yield from _visit(path, named, seen)


def _visit(root: str, named: Container[str], seen: dict[tuple[int, int], str]) -> Iterator[Found | Failure]:
    """Walk one path without recursion: photo archives nest deeper than one expects. What is ``named`` has its own turn.

    A folder is visited once, and so has each name in it once: no set of all files is needed, of which there are many.
    """
    stack = [iter([root])]
    while stack:
        current = next(stack[-1], None)
        if current is None:
            stack.pop()
            continue
        try:
            status = os.stat(current)
        except OSError as error:
            yield Failure(current, os_reason(error), lasting=False)
            continue
        if not stat.S_ISDIR(status.st_mode):
            if stat.S_ISREG(status.st_mode):  # never a pipe or a device: opening one may wait forever
                yield Found(current, status.st_size, status.st_mtime_ns, named=current == root)
            elif current == root:
                yield Failure(current, "not a regular file", lasting=False)
            continue
        key = (status.st_dev, status.st_ino)
        if key in seen:
            if os.path.islink(current) and _leads_back(current, seen[key]):
                yield Failure(current, f"symbolic link back to {seen[key]}", lasting=False)
            continue
        seen[key] = current
        try:
            with os.scandir(current) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            yield Failure(current, os_reason(error), lasting=False)
            continue
        if CATALOG_NAME in names and current != root:
            continue
        stack.append(_inside(current, names, named))


def _inside(folder: str, names: list[str], named: Container[str]) -> Iterator[str]:
    paths = (os.path.join(folder, name) for name in names if not _skipped(name))
    return (path for path in paths if path not in named)


def _leads_back(link: str, folder: str) -> bool:
    """Whether ``folder`` holds ``link``: following it would go round in a circle."""
    return link.startswith(folder.rstrip(os.sep) + os.sep)


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED_FOLDERS


def os_reason(error: OSError) -> str:
    """What the system says, in a few words and without the path."""
    return (error.strerror or type(error).__name__).lower()
