"""What a collection was taught, looked after: listed, renamed, merged, put in order, undone.

Every change is one transaction under the writer's lock; what was said stays in the history.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from assocmem._numerics.validation import check_name
from assocmem.errors import InputError, UnknownConceptError
from assocmem.index.results import Concept
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.lock import writer_lock
from assocmem.index.store.teaching_tables import Teaching
from assocmem.index.tended import TendedCollection

if TYPE_CHECKING:
    from assocmem.index.teach.taught_model import Taught


class CuratedCollection(TendedCollection):
    """What ``Collection`` has for whoever looks after its concepts."""

    _taught: Taught | None = None

    def taught(self) -> Taught:
        """Open what was taught, anew when something was taught since."""
        from assocmem.index.teach.taught_model import (
            Taught,  # not before: who teaches nothing need not wait for its kernels
        )

        with self._reading() as catalog:
            version = int(catalog.meta("taught") or "0")
            if self._taught is None or self._taught.version != version:
                self._taught = Taught(catalog, self._made_with().dim, self.folder)
            return self._taught

    def learned(self) -> Taught | None:
        """What was taught, None as long as nothing ever was."""
        return self.taught() if self.has_taught else None

    @property
    def has_taught(self) -> bool:
        """Whether anything was ever taught; costs nothing where there is not even a collection."""
        with self._lock:
            catalog = self._found_catalog()
            return catalog is not None and catalog.meta("taught") is not None

    def rename(self, concept: str, name: str) -> str:
        """Give a concept another name; its examples and history stay. Returns the name as it is kept.

        Raises
        ------
        UnknownConceptError
        InputError
            The name is none, or another concept's: ``merge`` them then.
        """
        new = check_name(name)
        with self._teaching() as catalog:
            old = self._known(catalog, concept)
            other = self._spelling(catalog, new)
            if (other != new and other != old) or (other == new and new in catalog.concept_names() and new != old):
                raise InputError(f"rename: there is a concept {other!r} already; merge the two if they are one")
            catalog.rename_concept(old, new)
        return new

    def merge(self, concept: str, into: str) -> str:
        """Make two concepts one, under the second name.

        Raises
        ------
        UnknownConceptError
        InputError
            They are the same.
        """
        with self._teaching() as catalog:
            old, new = self._known(catalog, concept), self._known(catalog, into)
            if old == new:
                raise InputError(f"merge: expected two concepts, found {old!r} twice")
            catalog.rename_concept(old, new)
        return new

    def set_parent(self, concept: str, parent: str | None) -> None:
        """Put a concept below another one, taught or ImageNet's, or below none.

        Raises
        ------
        UnknownConceptError
        InputError
            The parent's name is none, or it stands below the concept.
        """
        with self._teaching() as catalog:
            self._set_parent(catalog, self._known(catalog, concept), parent)

    def undo(self, teachings: int | Iterable[int]) -> int:
        """Take teachings back by their ids, as ``teachings`` lists them; returns how many stood until now.

        Raises
        ------
        InputError
            There is no such teaching; nothing is changed.
        """
        ids = [teachings] if isinstance(teachings, int | np.integer) else list(teachings)
        with self._teaching() as catalog:
            known = {teaching.id: teaching for teaching in catalog.teachings()}
            for id_ in ids:
                if id_ not in known:
                    raise InputError(f"undo: expected the number of a teaching, found {id_}; `history` lists them")
            standing = [int(id_) for id_ in dict.fromkeys(ids) if known[id_].undone is None]
            catalog.undo_teachings(standing)
        return len(standing)

    # asking

    def teachings(self, concept: str | None = None) -> list[Teaching]:
        """Return everything that was ever taught, in order; or what was said of one concept.

        Raises
        ------
        UnknownConceptError
        """
        with self._reading() as catalog:
            found = catalog.teachings()
        if concept is None:
            return found
        wanted = check_name(concept).casefold()
        mine = [t for t in found if wanted in (t.concept.casefold(), t.said.casefold())]
        if not mine:
            raise _unknown(concept, sorted({t.concept for t in found}))
        return mine

    def is_concept(self, name: str) -> bool:
        """Whether a concept has this name: one that was taught, one of ImageNet's, or a kind of them."""
        from assocmem.index.query.label_names import named_labels

        known = self.learned()
        return bool(named_labels(name)) or (known is not None and known.named(name) is not None)

    def taught_concepts(self) -> list[Concept]:
        """Return the concepts that were taught, by name."""
        if not self.has_taught:
            return []
        known = self.taught()
        with self._reading() as catalog:
            last = {teaching.concept: teaching.at for teaching in catalog.teachings(standing=True)}
        confidence, counts = known.memory.confidence, known.memory.counts
        denied = [name for one in known.standing.values() if one.concept is None for name in one.denied]
        return [
            Concept(
                name,
                known.parents.get(name),
                count,
                denied.count(name.casefold()),
                None if np.isnan(confidence[name]) else confidence[name],
                last[name],
            )
            for name, count in counts.items()
        ]

    # how

    @contextlib.contextmanager
    def _teaching(self) -> Iterator[Catalog]:
        """One transaction under the writer's lock; afterwards what was found is kept."""
        self._made_with()
        with writer_lock(self.folder), closing(Catalog(self.folder)) as catalog:
            with catalog.transaction():
                catalog.make_teachings()
                yield catalog
                catalog.drop_parents()
                catalog.set_meta("taught", str(int(catalog.meta("taught") or "0") + 1))
            self.taught().keep()

    def _spelling(self, catalog: Catalog, name: str, *, denied: bool = False) -> str:
        """Return a concept's name as it is spelt already, or the name itself."""
        names = catalog.concept_names(denied=denied)
        return next((known for known in names if known.casefold() == name.casefold()), name)

    def _known(self, catalog: Catalog, concept: str, *, denied: bool = False) -> str:
        name, names = self._spelling(catalog, check_name(concept), denied=denied), catalog.concept_names(denied=denied)
        if name not in names:
            raise _unknown(name, names)
        return name

    def _set_parent(self, catalog: Catalog, name: str, parent: str | None) -> None:
        if parent is None:
            catalog.set_parent(name, None)
            return
        above = self._spelling(catalog, check_name(parent))
        parents = {child.casefold(): upper for child, upper in catalog.parents().items()}
        step: str | None = above
        while step is not None:
            if step.casefold() == name.casefold():
                raise InputError(f"parent: expected a concept that is not below {name!r}, found {above!r}")
            step = parents.get(step.casefold())
        catalog.set_parent(name, above)


def _unknown(name: str, names: Sequence[str]) -> UnknownConceptError:
    import difflib

    alike = difflib.get_close_matches(name.casefold(), [other.casefold() for other in names], 5)
    return UnknownConceptError(name, [other for other in names if other.casefold() in alike], taught=True)
