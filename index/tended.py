"""Looking after a collection: what it holds, what could not be read, what is missing, whether it is whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from assocmem.errors import DamagedCollectionError
from assocmem.extractors.base import Image
from assocmem.index.info import collect_info
from assocmem.index.ingest.walk import listed
from assocmem.index.query.query import check_k, read_query
from assocmem.index.results import COPY, Copies, Hit, Info
from assocmem.index.session import OpenCollection, StrPath
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.records import Failure


class TendedCollection(OpenCollection):
    """What ``Collection`` has for whoever looks after it; nothing here changes anything."""

    def info(self) -> Info:
        """Return what the collection holds."""
        from assocmem.index.derived.clique_memory import kept_info, memory_info
        from assocmem.index.derived.familiarity import kept_judgement
        from assocmem.index.derived.pools import engine_info

        engine = None
        with self._reading() as catalog:
            memory = kept_info(self.folder, catalog.generation)
            seen = kept_judgement(self.folder, catalog.generation)
        with contextlib.suppress(DamagedCollectionError):  # what the catalog holds is worth telling all the same
            if memory is None:
                memory = memory_info(self.refresh(), self.folder, self.coder)
            if seen is None:
                seen = self.familiar().judgement
            engine = engine_info(self.refresh(), self.folder, self.coder)
        with self._reading() as catalog:
            return collect_info(catalog, self.folder, self._made_with(), memory, seen, engine)

    def failures(self) -> list[Failure]:
        """Return the files that could not be read, or not to their end, with the reason."""
        with self._reading() as catalog:
            return catalog.failures()

    def missing(self) -> list[str]:
        """Return the files of the collection that are no longer on the disk."""
        with self._reading() as catalog:
            paths = catalog.paths()
        return [path for _, path in paths if not os.path.lexists(path)]

    def verify(self, *, progress: Callable[[int, int], Any] | None = None) -> list[str]:
        """Check catalog, segments and memories against each other; returns what is wrong, nothing if all is well."""
        from assocmem.index.verify import verify

        self._made_with()
        with closing(Catalog(self.folder)) as catalog:
            return verify(catalog, self.folder, self.coder, self.message_coder, progress)

    def duplicates(
        self,
        paths: StrPath | Iterable[StrPath] = (),
        *,
        against: StrPath | Iterable[StrPath] | OpenCollection | None = None,
        least: float = COPY,
    ) -> list[Copies]:
        """Return groups of near copies; or which items have a copy somewhere else.

        Parameters
        ----------
        paths : path, or iterable of paths
            Look only among the items of these files and folders; by default among all.
        against : path, iterable of paths, or Collection, optional
            Look for copies there: in other folders of this collection, or in another collection.
        least : float
            Likeness from which two items belong together: 1.0 for copies, 0.85 for similar ones too.

        Returns
        -------
        list of Copies
            Groups, the largest first, each around the item that most of its members are like. With ``against``, one
            for each item that has a copy there. What is alike only within one video is left out.

        Raises
        ------
        CollectionError
            A path is not in the collection.
        CollectionMismatchError
            The other collection was made with another extractor.
        InputError
            ``least`` is below 0.5: unlike pictures would be paired, and not even all of them.
        """
        from assocmem.index.query.near_duplicates import (
            find_copies,  # not before: a search need not wait for these kernels
        )

        elsewhere = against if against is None or isinstance(against, OpenCollection) else listed(against)
        return find_copies(self, listed(paths), elsewhere, least)

    def originals(self, query: StrPath | Image, k: int = 10) -> list[Hit]:
        """Return what a picture or video may be a copy of, the likest first; scores as in ``Copies``.

        Raises
        ------
        MediaError
            The query file cannot be read.
        """
        from assocmem.index.query.near_duplicates import find_query_originals

        check_k(k)
        return find_query_originals(self, read_query(query, lambda: self.extractor, words=False), k)
