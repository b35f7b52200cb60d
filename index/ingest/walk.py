"""Find the files under the folders that a user names, by names and directories; reads no content.

Skipped inside folders: hidden names, folders of synchronisers, cameras and file managers, and collections.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from assocmem.index.store.catalog import NAME as CATALOG_NAME
from assocmem.index.store.catalog import StrPath, absolute
from assocmem.index.store.records import Failure

SKIPPED_FOLDERS = frozenset({
    "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX",
    "__pycache__", "node_modules",
})  # fmt: skip
"""Folders that nobody means by "my pictures"; hidden ones (.git, .thumbnails) are skipped because of their dot."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file."""

    path: str
    """absolute"""
    size: int
    """bytes"""
    mtime_ns: int
    named: bool = False
    """by the user, not found in a folder"""


def walk(paths: Iterable[StrPath]) -> Iterator[FoundFile | Failure]:
    """Yield every file, in a fixed order, each at most once; or the failure that prevented it.

    A path that is named is taken even if it is hidden. Symbolic links to folders are followed, but no folder is visited
    twice, so circular links end; a link back to a folder that contains it is reported.
    """
    named = dict.fromkeys(map(absolute, paths))
    seen: dict[tuple[int, int], str] = {}
    for path in named:
        yield from _visit(path, named, seen)


def _visit(root: str, named: Container[str], seen: dict[tuple[int, int], str]) -> Iterator[FoundFile | Failure]:
    """Walk one path without recursion, because photo archives nest deeply. Paths in ``named`` have their own turn.

    A folder is visited once, so each name in it appears once: no set of all files is needed.
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
            yield from _file(current, status, named=current == root)
            continue
        first = seen.setdefault((status.st_dev, status.st_ino), current)
        if first is not current:
            if os.path.islink(current) and _leads_back(current, first):
                yield Failure(current, f"symbolic link back to {first}", lasting=False)
            continue
        try:
            names = _names(current)
        except OSError as error:
            yield Failure(current, os_reason(error), lasting=False)
            continue
        if CATALOG_NAME not in names or current == root:
            stack.append(_inside(current, names, named))


def _file(path: str, status: os.stat_result, *, named: bool) -> Iterator[FoundFile | Failure]:
    """Yield a regular file, never a pipe or a device: opening one may wait forever."""
    if stat.S_ISREG(status.st_mode):
        yield FoundFile(path, status.st_size, status.st_mtime_ns, named=named)
    elif named:
        yield Failure(path, "not a regular file", lasting=False)


def _names(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _inside(folder: str, names: list[str], named: Container[str]) -> Iterator[str]:
    paths = (os.path.join(folder, name) for name in names if not _skipped(name))
    return (path for path in paths if path not in named)


def _leads_back(link: str, folder: str) -> bool:
    """Return whether ``folder`` contains ``link``: following it would go round in a circle."""
    return link.startswith(folder.rstrip(os.sep) + os.sep)


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED_FOLDERS


def os_reason(error: OSError) -> str:
    """Return the system's message, in a few words and without the path."""
    return (error.strerror or type(error).__name__).lower()
