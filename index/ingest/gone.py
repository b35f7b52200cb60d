"""Which files of a collection are gone, and which are only out of reach: on a disk that is not mounted, for example.

A file is gone if the folder that should contain it can be read, and does not contain it. A folder that was indexed and
does not exist, that is empty, or that cannot be read says nothing about its files: so unmounted disks look.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from assocmem.index.ingest.walk import os_reason
from assocmem.index.results import OutOfReach

_GONE = (errno.ENOENT, errno.ENOTDIR)


@dataclass(slots=True)
class GoneFiles:
    """Files that cannot be found."""

    gone: dict[int, str] = field(default_factory=dict)
    """file id -> path"""
    out_of_reach: list[OutOfReach] = field(default_factory=list)
    """by path"""
    kept: dict[int, str] = field(default_factory=dict)
    """file id -> path, of the files that are out of reach"""


def find_gone(files: Iterable[tuple[int, str]], roots: Iterable[str]) -> GoneFiles:
    """Look for files; ``files``: ids and absolute paths; ``roots``: what was indexed, files or folders."""
    found, survivors, absent = GoneFiles(), set[str](), list[tuple[int, str]]()
    reasons: dict[str, str] = {}
    counts: dict[str, int] = {}

    def keep(number: int, path: str, place: str, reason: str) -> None:
        found.kept[number] = path
        reasons.setdefault(place, reason)
        counts[place] = counts.get(place, 0) + 1

    for number, path in files:
        try:
            os.lstat(path)
        except OSError as error:
            if error.errno in _GONE:
                absent.append((number, path))
            else:
                keep(number, path, os.path.dirname(path), os_reason(error))
        else:
            for folder in _above(path):
                if folder in survivors:
                    break
                survivors.add(folder)
    places = _Places(survivors, [root.rstrip(os.sep) or os.sep for root in roots])
    for number, path in absent:
        place = places.out_of_reach(path)
        if place is None:
            found.gone[number] = path
        else:
            keep(number, path, *place)
    found.out_of_reach = [OutOfReach(place, reasons[place], counts[place]) for place in sorted(counts)]
    return found


class _Places:
    """Folders by what they say about the files that they should contain.

    Parameters
    ----------
    survivors : set of str
        All folders below which a file of the collection exists.
    roots : list of str
        What was indexed.
    """

    def __init__(self, survivors: set[str], roots: list[str]) -> None:
        self._survivors, self._roots = survivors, set(roots)
        self._known: dict[str, tuple[str, str] | None] = {}

    def out_of_reach(self, path: str) -> tuple[str, str] | None:
        """Return the folder that says nothing about a missing file, and why; None if the file is gone."""
        folder = os.path.dirname(path)
        if folder not in self._known:
            self._known[folder] = self._judge(folder)
        return self._known[folder]

    def _judge(self, folder: str) -> tuple[str, str] | None:
        missing = folder
        for above in (folder, *_above(folder)):
            if os.path.isdir(above):
                return self._judge_existing(above, missing)
            missing = above
            if os.path.islink(above):
                return above, "a link whose target is missing"
            if above in self._roots:
                return above, "no such folder"
        return missing, "no such folder"

    def _judge_existing(self, folder: str, missing: str) -> tuple[str, str] | None:
        """Judge by the first folder that exists; ``missing``: the one in it that does not, or itself."""
        try:
            with os.scandir(folder) as entries:
                empty = next(entries, None) is None
        except OSError as error:
            return folder, os_reason(error)
        if empty:
            return folder, "an empty folder"
        inside = not self._roots.isdisjoint((folder, *_above(folder)))
        if missing != folder and not inside and folder not in self._survivors:
            return missing, "no such folder"
        return None


def _above(path: str) -> Iterable[str]:
    """Yield the folders that contain a path, the nearest first."""
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent
