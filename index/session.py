"""An open collection: its directory, catalog, settings, network and last snapshot, shared safely between threads."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import CollectionError, CollectionMismatchError, InputError
from assocmem.extractors.base import Extractor
from assocmem.index.ingest.walk import absolute
from assocmem.index.query.ranking import Ranked
from assocmem.index.results import Hit
from assocmem.index.store.catalog import NAME as CATALOG_NAME
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.settings import ExtractorChoice, Settings
from assocmem.index.store.snapshot import Snapshot, take_snapshot
from assocmem.search.exhaustive import SearchEngine

if TYPE_CHECKING:
    from assocmem.codes.hash_codes import MessageCoder
    from assocmem.index.derived.familiarity import Familiar
    from assocmem.index.derived.pools import PoolsReader
    from assocmem.search.pooled import Pools

StrPath = str | os.PathLike[str]


class OpenCollection:
    """What ``Collection`` stands on; its docstring tells the parameters.

    One connection to the catalog serves all threads, one at a time and for moments; whoever writes opens another.
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        extractor: str | Extractor | None = None,
        weights: StrPath | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(absolute(folder))
        if (weights or options) and not isinstance(extractor, str):
            raise InputError("weights and options belong to an extractor: name it too")
        self._given = None if isinstance(extractor, str) else extractor
        self._asked = ExtractorChoice.named(extractor, weights, options) if isinstance(extractor, str) else None
        self._extractor: Extractor | None = None
        self._settings: Settings | None = None
        self._snapshot: Snapshot | None = None
        self._engine: tuple[int, Pools | None, SearchEngine] | None = None
        self._familiar: tuple[int, Familiar] | None = None
        self._catalog: Catalog | None = None
        self._closed = False
        self._lock = threading.RLock()
        if (self.folder / CATALOG_NAME).exists():
            self._catalog = Catalog(self.folder)
        elif self.folder.exists() and not Catalog.can_be_made(self.folder):
            raise CollectionError(
                f"{self.folder}: expected a collection or an empty directory, found something else; "
                "choose another place for the collection"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<assocmem.Collection {str(self.folder)!r}>"

    def close(self) -> None:
        """Let go of the catalog; the collection can no longer be asked."""
        with self._lock:
            self._closed = True
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None

    def _found_catalog(self) -> Catalog | None:
        """Return the catalog, which another process may have made meanwhile; None as long as there is none."""
        if self._closed:
            raise CollectionError(f"{self.folder}: this collection has been closed; open it again")
        if self._catalog is None and (self.folder / CATALOG_NAME).exists():
            self._catalog = Catalog(self.folder)
        return self._catalog

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Catalog]:
        """Hold the catalog for a moment; CollectionError when there is none."""
        with self._lock:
            catalog = self._found_catalog()
            if catalog is None:
                raise CollectionError(
                    f"{self.folder}: there is no collection yet; make one with `assocmem index FOLDER`"
                )
            yield catalog

    def refresh(self) -> Snapshot:
        """Open what was committed last. Every question does so itself; early, it need not be waited for then."""
        with self._reading() as catalog:
            self._snapshot = take_snapshot(catalog, self.folder / "segments", self._snapshot)
            return self._snapshot

    def engine(self, effort: float | None = None) -> SearchEngine:
        """Open what answers queries over what was committed last; at full effort, no pools are opened for it."""
        snapshot = self.refresh()
        with self._lock:
            known = self._engine
            if known is not None and known[0] == snapshot.generation and effort == 1:
                return known[2]
            pools = self._pools.pools() if snapshot.large and effort != 1 else None
            if known is None or known[:2] != (snapshot.generation, pools):
                known = self._engine = snapshot.generation, pools, snapshot.engine(self.coder, pools)
            return known[2]

    def warm(self, effort: float | None = None) -> None:
        """Open what answers queries and, where it takes kernels of its own, ask it once: then they are loaded."""
        engine = self.engine(effort)
        if self._engine is not None and self._engine[1] is not None:
            engine.search(np.ones(self.coder.dim, np.float32), 1)

    def familiar(self) -> Familiar:
        """Open the memory of what was seen, once per generation."""
        from assocmem.index.derived.familiarity import familiar

        snapshot = self.refresh()
        with self._lock:
            if self._familiar is None or self._familiar[0] != snapshot.generation:
                self._familiar = snapshot.generation, familiar(snapshot, self.folder, self.message_coder)
            return self._familiar[1]

    def hits(self, ranked: Ranked) -> list[Hit]:
        """Items by id and score -> hits with their paths, in the same order."""
        with self._reading() as catalog:
            items = catalog.items(item for item, _ in ranked)
        hits: list[Hit] = []
        for item, score in ranked:
            if item in items:  # a writer may have removed it a moment ago
                row = items[item]
                hits.append(Hit(len(hits) + 1, item, row.path, row.kind, row.start, row.end, score))
        return hits

    def ids_below(self, paths: Iterable[StrPath]) -> set[int]:
        """Return the living items of files and of everything in folders; CollectionError for a path that has none."""
        found: set[int] = set()
        for path in paths:
            with self._reading() as catalog:
                mine = catalog.ids_below(absolute(path))
            if not mine:
                raise CollectionError(f"{path}: not in the collection; index it first")
            found |= mine
        return found

    # what the collection was made with

    @property
    def settings(self) -> Settings | None:
        """What the collection was made with; None as long as there is none."""
        with self._lock:
            if self._settings is None and (catalog := self._found_catalog()) is not None:
                self._settings = Settings.from_meta(catalog.meta)
            return self._settings

    @property
    def extractor(self) -> Extractor:
        """The network, loaded when first needed; CollectionMismatchError when it is not the collection's."""
        with self._lock:
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

    def _made_with(self) -> Settings:
        with self._reading():
            assert self.settings is not None
            return self.settings

    @cached_property
    def coder(self) -> CliqueCoder:
        """The encoder of the collection's codes."""
        return self._made_with().coder()

    @cached_property
    def _pools(self) -> PoolsReader:
        from assocmem.index.derived.pools import PoolsReader  # not before: small collections need none of its kernels

        return PoolsReader(self.folder, self.coder)

    @cached_property
    def message_coder(self) -> MessageCoder:
        """The encoder of the messages that tell what was seen."""
        return self._made_with().message_coder()
