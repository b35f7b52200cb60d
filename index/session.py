"""An open collection: its folder, catalog, settings, network and last snapshot, shared safely between threads.

One connection to the catalog serves all threads, one at a time and for moments; a writer opens another.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from assocmem.errors import CollectionError, CollectionMismatchError, InputError
from assocmem.extractors.base import Extractor
from assocmem.index.results import Hit, Ranked
from assocmem.index.store.catalog import NAME as CATALOG_NAME
from assocmem.index.store.catalog import Catalog, StrPath, absolute
from assocmem.index.store.disk import make_folder
from assocmem.index.store.lock import writer_lock
from assocmem.index.store.segments import Segment, read_segment
from assocmem.index.store.settings import ExtractorChoice, Settings
from assocmem.index.store.snapshot import Snapshot, missing_segment, take_snapshot

if TYPE_CHECKING:
    from assocmem.codes.hash_codes import MessageCoder
    from assocmem.codes.winner_codes import CliqueCoder


class Session:
    """The state that all parts of a collection share; parameters as in ``Collection``."""

    def __init__(
        self,
        folder: StrPath,
        *,
        extractor: str | Extractor | None = None,
        weights: StrPath | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(absolute(folder))
        self._segments = self.folder / "segments"
        if (weights or options) and not isinstance(extractor, str):
            raise InputError("weights and options belong to an extractor: name it too")
        self._given = None if isinstance(extractor, str) else extractor
        self._asked = ExtractorChoice.named(extractor, weights, options) if isinstance(extractor, str) else None
        self._extractor: Extractor | None = None
        self._settings: Settings | None = None
        self._snapshot: Snapshot | None = None
        self._catalog: Catalog | None = None
        self._closed = False
        self.lock = threading.RLock()
        """Held while the catalog is read, and while something that is shared is replaced."""
        if (self.folder / CATALOG_NAME).exists():
            self._catalog = Catalog(self.folder)
        elif self.folder.exists() and not Catalog.can_be_made(self.folder):
            raise CollectionError(
                f"{self.folder}: expected a collection or an empty directory, found something else; "
                "choose another place for the collection"
            )

    def close(self) -> None:
        """Close the catalog; the collection can no longer be used."""
        with self.lock:
            self._closed = True
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None

    # Catalog

    def catalog(self) -> Catalog | None:
        """Return the catalog, which another process may have made meanwhile; None if there is no collection yet.

        The caller holds ``lock``.
        """
        if self._closed:
            raise CollectionError(f"{self.folder}: this collection has been closed; open it again")
        if self._catalog is None and (self.folder / CATALOG_NAME).exists():
            self._catalog = Catalog(self.folder)
        return self._catalog

    @contextlib.contextmanager
    def reading(self) -> Iterator[Catalog]:
        """Hold the catalog for a moment; CollectionError if there is no collection yet."""
        with self.lock:
            catalog = self.catalog()
            if catalog is None:
                raise CollectionError(
                    f"{self.folder}: there is no collection yet; make one with `assocmem index FOLDER`"
                )
            yield catalog

    @contextlib.contextmanager
    def writing(self, *, create: bool = False) -> Iterator[Catalog]:
        """Hold the writer's lock and a catalog for the writer; with ``create`` the collection is made if missing.

        Raises
        ------
        LockedError
            Another process is writing.
        CollectionError
            There is no collection yet.
        """
        if not create:
            self.made_with()
        elif self.settings is None:
            _ = self.extractor  # a network that cannot be loaded leaves no folder behind
            make_folder(self.folder)
        with writer_lock(self.folder):
            if self.settings is None:
                extractor = self.extractor
                choice = self._asked or ExtractorChoice(extractor.name)
                Catalog(self.folder, create=Settings.of(extractor, choice).to_meta()).close()
            if self._extractor is not None:  # another process may have made the collection meanwhile
                self._check_identity(self._extractor)
            with closing(Catalog(self.folder)) as catalog:
                yield catalog

    def snapshot(self) -> Snapshot:
        """Return the last committed generation."""
        with self.reading() as catalog:
            if self._snapshot is None or self._snapshot.generation != catalog.generation:
                self._snapshot = take_snapshot(catalog, self._segments, self._snapshot)
            return self._snapshot

    def segments(self, numbers: Iterable[int]) -> dict[int, Segment]:
        """Return live segments by number, for the writer; those of the last snapshot are open already."""
        with self.lock:
            known = {} if self._snapshot is None else {segment.number: segment for segment in self._snapshot.segments}
        try:
            return {number: known.get(number) or read_segment(self._segments, number) for number in set(numbers)}
        except FileNotFoundError as error:
            raise missing_segment(error) from error

    # Items

    def hits(self, ranked: Ranked) -> list[Hit]:
        """Return the hits of (item, score) pairs, in the same order; items that were just removed are skipped."""
        with self.reading() as catalog:
            items = catalog.items(item for item, _ in ranked)
        found = [(items[item], score) for item, score in ranked if item in items]
        return [
            Hit(rank, row.id, row.path, row.kind, row.start, row.end, score)
            for rank, (row, score) in enumerate(found, 1)
        ]

    def ids_below(self, paths: Iterable[StrPath]) -> set[int]:
        """Return the living items of files and of everything in folders; CollectionError for a path without any."""
        found: set[int] = set()
        for path in paths:
            with self.reading() as catalog:
                mine = catalog.ids_below(absolute(path))
            if not mine:
                raise CollectionError(f"{os.fspath(path)}: not in the collection; index it first")
            found |= mine
        return found

    def unchanged(self, paths: Iterable[str]) -> bool:
        """Return whether all paths are files that the collection has with this size and time, without a failure."""
        with self.lock:
            catalog = self.catalog()
            return catalog is not None and all(_unchanged(catalog, path) for path in paths)

    # Settings and network

    @property
    def settings(self) -> Settings | None:
        """The settings the collection was made with; None if there is no collection yet."""
        with self.lock:
            if self._settings is None and (catalog := self.catalog()) is not None:
                self._settings = Settings.from_meta(catalog.meta)
            return self._settings

    def made_with(self) -> Settings:
        """Return the settings; CollectionError if there is no collection yet."""
        with self.reading():
            assert self.settings is not None
            return self.settings

    @property
    def names_extractor(self) -> bool:
        """Whether the program names an extractor; otherwise the collection's own is used."""
        return self._given is not None or self._asked is not None

    @property
    def extractor(self) -> Extractor:
        """The network, loaded on first use; CollectionMismatchError if it is not the collection's."""
        with self.lock:
            if self._extractor is None:
                stored = None if self.settings is None else self.settings.choice
                extractor = self._given or (self._asked or stored or ExtractorChoice()).open()
                self._check_identity(extractor)
                self._extractor = extractor
            return self._extractor

    def _check_identity(self, extractor: Extractor) -> None:
        if self.settings is not None and self.settings.identity != extractor.identity:
            raise CollectionMismatchError(
                f"{self.folder}: this collection was made with extractor {self.settings.identity}, "
                f"but this is {extractor.identity}; features of two extractors cannot be compared. "
                "Use the collection's own extractor, or index into a new collection"
            )

    @cached_property
    def coder(self) -> CliqueCoder:
        """The encoder of the collection's codes."""
        return self.made_with().coder()

    @cached_property
    def message_coder(self) -> MessageCoder:
        """The encoder of the messages of the familiarity memory."""
        return self.made_with().message_coder()


def _unchanged(catalog: Catalog, path: str) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    known = catalog.file(path)
    same = known is not None and (known[1].size, known[1].mtime_ns) == (status.st_size, status.st_mtime_ns)
    return same and catalog.failure(path) is None
