"""Find the files under the folders that a user names, by names and directories; reads no content.

Skipped inside folders: hidden names, folders of synchronisers, cameras and file managers, and collections. Companions
of pictures are skipped too, and counted: thumbnails, previews, backups that a program kept, unfinished downloads.
"""

from __future__ import annotations

import os
import re
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
COMPANION_FOLDERS = re.compile(r"(?i)thumbs|thumbnails|.*\.lrdata|.*\.lrprev")
"""Folders of small copies, made by cameras and by programs."""
LIBRARY = re.compile(r"(?i).*\.(photoslibrary|photolibrary|migratedphotolibrary)")
LIBRARY_ORIGINALS = frozenset({"originals", "masters", "modified"})
"""Folders of a photo library that contain pictures; the others contain previews, faces and databases."""
COMPANION_FILES = re.compile(
    r"(?i).*\.(thm|part|partial|crdownload|download|tmp)"
    r"|.*\.(jpe?g|png|gif|webp|tiff?|hei[cf]|avif|cr[23]|nef|arw|dng|raf|rw2|orf|pef|mp4|m4v|mov|avi|mkv|mts)(_original|\.bak)"
)
"""Thumbnails of video cameras, what editors keep of before, and downloads that are not finished."""
NO_MEDIA = ".nomedia"
"""A file by which phones say that the pictures beside it are not for galleries."""


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


def walk(paths: Iterable[StrPath], left_out: list[str] | None = None) -> Iterator[FoundFile | Failure]:
    """Yield every file, in a fixed order, each at most once; or the failure that prevented it.

    ``left_out`` is filled with the companions that were skipped, files and whole folders. A path that is named is taken
    even if it is hidden or a companion. Symbolic links to folders are followed, but no folder is visited
    twice, so circular links end; a link back to a folder that contains it is reported.
    """
    named = dict.fromkeys(map(absolute, paths))
    seen: dict[tuple[int, int], str] = {}
    for path in named:
        yield from _visit(path, named, seen, [] if left_out is None else left_out)


def _visit(
    root: str, named: Container[str], seen: dict[tuple[int, int], str], left_out: list[str]
) -> Iterator[FoundFile | Failure]:
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
        if current != root and NO_MEDIA in names:
            left_out.append(current)
        elif CATALOG_NAME not in names or current == root:
            stack.append(_inside(current, names, named, left_out))


def _file(path: str, status: os.stat_result, *, named: bool) -> Iterator[FoundFile | Failure]:
    """Yield a regular file, never a pipe or a device: opening one may wait forever."""
    if stat.S_ISREG(status.st_mode):
        yield FoundFile(path, status.st_size, status.st_mtime_ns, named=named)
    elif named:
        yield Failure(path, "not a regular file", lasting=False)


def _names(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _inside(folder: str, names: list[str], named: Container[str], left_out: list[str]) -> Iterator[str]:
    in_library = LIBRARY.fullmatch(os.path.basename(folder)) is not None
    for name in names:
        path = os.path.join(folder, name)
        if _skipped(name) or path in named:
            continue
        if _is_companion(path, name, in_library=in_library):
            left_out.append(path)
        else:
            yield path


def _is_companion(path: str, name: str, *, in_library: bool) -> bool:
    """Return whether a name in a folder is a companion; ``in_library``: the folder is a photo library."""
    if in_library:
        return name.lower() not in LIBRARY_ORIGINALS and os.path.isdir(path)
    if COMPANION_FOLDERS.fullmatch(name):
        return os.path.isdir(path)
    return COMPANION_FILES.fullmatch(name) is not None and not os.path.isdir(path)


def _leads_back(link: str, folder: str) -> bool:
    """Return whether ``folder`` contains ``link``: following it would go round in a circle."""
    return link.startswith(folder.rstrip(os.sep) + os.sep)


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED_FOLDERS


def os_reason(error: OSError) -> str:
    """Return the system's message, in a few words and without the path."""
    return (error.strerror or type(error).__name__).lower()
