"""Looking after a collection: what it holds, what could not be read, what is missing, whether it is whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import closing
from typing import Any

from assocmem.errors import DamagedError
from assocmem.index.catalog import Catalog
from assocmem.index.info import collect_info
from assocmem.index.opened import OpenCollection
from assocmem.index.reports import Info
from assocmem.index.rows import Failure


class TendedCollection(OpenCollection):
    """What ``Collection`` has for whoever looks after it; nothing here changes anything."""

    def info(self) -> Info:
        """Return what the collection holds."""
        from assocmem.index.cliques import kept_info, memory_info
        from assocmem.index.seen import kept_judgement

        with self._reading() as catalog:
            memory = kept_info(self.folder, catalog.generation)
            seen = kept_judgement(self.folder, catalog.generation)
        with contextlib.suppress(DamagedError):  # what the catalog holds is worth telling all the same
            if memory is None:
                memory = memory_info(self.refresh(), self.folder, self.coder)
            if seen is None:
                seen = self.familiar().judgement
        with self._reading() as catalog:
            return collect_info(catalog, self.folder, self._made_with(), memory, seen)

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
