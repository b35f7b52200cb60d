"""Files with several names: hard and symbolic links are no copies of what they lead to. Contains no SQL.

Whoever removes "the copy" must not lose the picture by it, so a group names each file once, by a name that is no link.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from assocmem.index.results import Copies, CopyKind, Hit


def without_links(original: Hit, others: Sequence[tuple[Hit, CopyKind]], files: Files, *, alike: bool) -> Copies | None:
    """Return a group in which each file has one name; None if no other file is left.

    ``alike``: all are of one collection. Then a file may be the original under another name, and shots of one video are
    no copies of each other.
    """
    if alike and (better := files.name_of(original.path, [hit.path for hit, _ in others])) != original.path:
        same = next(hit for hit, _ in others if hit.path == better)
        others = [(replace(original, score=same.score) if hit is same else hit, kind) for hit, kind in others]
        original = replace(same, rank=1, score=original.score)
    names: dict[object, str] = {files.identity(original.path): original.path}
    for path in sorted({hit.path for hit, _ in others}, key=lambda path: (os.path.islink(path), path)):
        names.setdefault(files.identity(path), path)
    itself = files.identity(original.path)
    links = [hit for hit, _ in others if names[files.identity(hit.path)] != hit.path]
    copies = [(hit, kind) for hit, kind in others if names[files.identity(hit.path)] == hit.path]
    if not alike:
        copies = [(hit, kind) for hit, kind in copies if files.identity(hit.path) != itself]
    if all(files.identity(hit.path) == itself for hit, _ in copies):
        return None
    ranked = [replace(hit, rank=rank) for rank, (hit, _) in enumerate(copies, 1)]
    return Copies(original, ranked, links, [kind for _, kind in copies])


class Files:
    """Which paths lead to the same file. Each is looked at once."""

    def __init__(self) -> None:
        self._identities: dict[str, object] = {}

    def identity(self, path: str) -> object:
        """Return the device and number of a file, which its hard and symbolic links share; its path if it is gone."""
        if path not in self._identities:
            try:
                status = os.stat(path)
                self._identities[path] = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)
            except OSError:
                self._identities[path] = path
        return self._identities[path]

    def name_of(self, path: str, others: list[str]) -> str:
        """Return which of the names of a file is no link; the path itself if none or all are."""
        if not os.path.islink(path):
            return path
        same = [other for other in others if self.identity(other) == self.identity(path) and not os.path.islink(other)]
        return min(same, default=path)
