"""What is no copy though it shows the same: links to a file, and files of one shot. Contains no SQL.

Whoever removes "the copy" must not lose the picture by it. So a group names each file once, by a name that is no link,
and of a raw photograph and its JPEG, or a live photo and its video, only the first.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from assocmem.extractors.sniff import has_raw_suffix
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
    copies, stacked = _without_stacks(original, copies)
    if all(files.identity(hit.path) == itself for hit, _ in copies):
        return None
    ranked = [replace(hit, rank=rank) for rank, (hit, _) in enumerate(copies, 1)]
    return Copies(original, ranked, links, [kind for _, kind in copies], stacked)


def _without_stacks(
    original: Hit, copies: Sequence[tuple[Hit, CopyKind]]
) -> tuple[list[tuple[Hit, CopyKind]], list[Hit]]:
    """Return the copies without those that are of one shot with another file of the group, and the latter."""
    kept: list[tuple[Hit, CopyKind]] = []
    stacked = []
    for hit, kind in copies:
        if any(_of_one_shot(hit, other) for other in (original, *(one for one, _ in kept))):
            stacked.append(hit)
        else:
            kept.append((hit, kind))
    return kept, stacked


def _of_one_shot(one: Hit, other: Hit) -> bool:
    """Return whether two files have one name in one folder, and are a raw photograph and a picture, or one and a video.

    Cameras and telephones name them so: IMG_1.CR2 beside IMG_1.JPG, IMG_2.HEIC beside IMG_2.MOV.
    """
    (stem, suffix), (their_stem, their_suffix) = (os.path.splitext(hit.path) for hit in (one, other))
    if stem.casefold() != their_stem.casefold():
        return False
    return {one.kind, other.kind} == {"image", "shot"} or has_raw_suffix(suffix) != has_raw_suffix(their_suffix)


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
