"""Teach a collection: concepts by examples, corrected, renamed, merged, undone and forgotten; nothing is retrained.

Every change is one transaction under the writer's lock, and every statement stays in the history.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.validation import check_name
from assocmem.errors import CollectionError, InputError, UnknownConceptError
from assocmem.index.ingest.indexer import Indexer
from assocmem.index.results import Concept, TeachReport
from assocmem.index.session import Session
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.records import Example, Teaching
from assocmem.index.store.teaching_tables import TeachingTables, example_id
from assocmem.index.teach.taught_model import TaughtModels, current_labels, nearest_taught


@dataclass(frozen=True, slots=True)
class _Change:
    """A transaction that changes teachings."""

    catalog: Catalog
    tables: TeachingTables

    def spelling(self, name: str, *, denied: bool = False) -> str:
        """Return a concept's name as it is spelt already, or the name itself."""
        return _spelling(self.tables, name, denied=denied)

    def known(self, concept: str, *, denied: bool = False) -> str:
        """Return the spelling of a taught concept; UnknownConceptError if nothing was taught under this name."""
        name = self.spelling(check_name(concept), denied=denied)
        names = self.tables.concept_names(denied=denied)
        if name not in names:
            raise _unknown(name, names)
        return name


class Teacher:
    """Changes what a collection was taught."""

    def __init__(self, session: Session, indexer: Indexer, models: TaughtModels) -> None:
        self._session = session
        self._indexer = indexer
        self._models = models

    # Teach

    def teach(self, concept: str, paths: Sequence[str], *, parent: str | None = None) -> TeachReport:
        """See ``Collection.teach``; paths are absolute."""
        name = check_name(concept)
        report = self._index_first(paths) if paths or parent is None else TeachReport()
        with self._changing() as change:
            name = change.spelling(name) if paths else change.known(name)
            if parent is not None:
                self._set_parent(change, name, parent)
            self._label_paths(change, name, paths, report, is_one=True)
        report.concepts = [name]
        return report

    def teach_folders(self, folder: str) -> TeachReport:
        """See ``Collection.teach_folders``; the path is absolute."""
        inside: list[str] = []
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            inside = sorted(entry.path for entry in entries if entry.is_dir() and entry.name[0] != ".")
        if not inside:
            raise CollectionError(f"{folder}: expected a folder with a folder for each concept in it, found none")
        names = {path: check_name(os.path.basename(path)) for path in inside}
        report = self._index_first(inside)
        with self._changing() as change:
            for path, name in names.items():
                spelt = change.spelling(name)
                if change.catalog.ids_below(path):
                    self._label_paths(change, spelt, [path], report, is_one=True)
                    report.concepts.append(spelt)
        if not report.concepts:
            raise CollectionError(f"{folder}: expected pictures or videos in its folders, found none")
        return report

    def correct(self, paths: Sequence[str], *, wrong: str | None = None, right: str | None = None) -> TeachReport:
        """See ``Collection.correct``; paths are absolute."""
        if wrong is None and right is None:
            raise InputError("correct: expected what the file is, what it is not, or both; found neither")
        wrong = None if wrong is None else check_name(wrong)
        right = None if right is None else check_name(right)
        if wrong is not None and right is not None and wrong.casefold() == right.casefold():
            raise InputError(f"correct: expected two concepts, found {wrong!r} twice")
        wrong = None if wrong is None else self._existing(wrong)
        report = self._index_first(paths)
        with self._changing() as change:
            if wrong is not None:
                denied = report if right is None else TeachReport(teachings=report.teachings)
                self._label_paths(change, wrong, paths, denied, is_one=False)
            if right is not None:
                name = change.spelling(right)
                self._label_paths(change, name, paths, report, is_one=True)
                report.concepts = [name]
        return report

    def label_items(self, items: int | Iterable[int], concept: str, *, is_one: bool = True) -> TeachReport:
        """Teach a concept by items, which may be single shots of a video; or deny that they are of it.

        Raises
        ------
        InputError
            The name is invalid.
        CollectionError
            An item is not, or no longer, in the collection; nothing is taught.
        """
        name, report = check_name(concept), TeachReport()
        ids = [items] if isinstance(items, int) else list(items)
        with self._changing() as change:
            name = change.spelling(name)
            self._label(change, name, ids, report, is_one=is_one)
        report.concepts = [name] if is_one else []
        return report

    # Take back

    def forget(self, concept: str, paths: Sequence[str] | None = None) -> int:
        """See ``Collection.forget``; paths are absolute."""
        with self._changing() as change:
            name = change.known(concept, denied=True)
            mine = [teaching for teaching in change.tables.teachings(standing=True) if teaching.concept == name]
            chosen = mine if paths is None else [t for path in paths for t in _of_path(change, mine, path, name)]
            ids = {teaching.id for teaching in chosen}
            change.tables.undo_teachings(sorted(ids))
        return len(ids)

    def undo(self, teachings: int | Iterable[int]) -> int:
        """See ``Collection.undo``."""
        ids = [teachings] if isinstance(teachings, int | np.integer) else list(teachings)
        with self._changing() as change:
            known = {teaching.id: teaching for teaching in change.tables.teachings()}
            for id_ in ids:
                if id_ not in known:
                    raise InputError(f"undo: expected the number of a teaching, found {id_}; `history` lists them")
            standing = [int(id_) for id_ in dict.fromkeys(ids) if known[id_].undone is None]
            change.tables.undo_teachings(standing)
        return len(standing)

    # Names

    def rename(self, concept: str, name: str) -> str:
        """See ``Collection.rename``."""
        new = check_name(name)
        with self._changing() as change:
            old = change.known(concept)
            other = change.spelling(new)
            taken = other == new and new in change.tables.concept_names() and new != old
            if (other not in (new, old)) or taken:
                raise InputError(f"rename: the concept {other!r} exists already; merge the two if they are one")
            change.tables.rename_concept(old, new)
        return new

    def merge(self, concept: str, into: str) -> str:
        """See ``Collection.merge``."""
        with self._changing() as change:
            old, new = change.known(concept), change.known(into)
            if old == new:
                raise InputError(f"merge: expected two concepts, found {old!r} twice")
            change.tables.rename_concept(old, new)
        return new

    def set_parent(self, concept: str, parent: str | None) -> None:
        """See ``Collection.set_parent``."""
        with self._changing() as change:
            self._set_parent(change, change.known(concept), parent)

    @staticmethod
    def _set_parent(change: _Change, name: str, parent: str | None) -> None:
        if parent is None:
            change.tables.set_parent(name, None)
            return
        above = change.spelling(check_name(parent))
        parents = {child.casefold(): upper for child, upper in change.tables.parents().items()}
        step: str | None = above
        while step is not None:
            if step.casefold() == name.casefold():
                raise InputError(f"parent: expected a concept that is not below {name!r}, found {above!r}")
            step = parents.get(step.casefold())
        change.tables.set_parent(name, above)

    # Ask

    def teachings(self, concept: str | None = None) -> list[Teaching]:
        """See ``Collection.teachings``."""
        with self._session.reading() as catalog:
            found = TeachingTables(catalog).teachings()
        if concept is None:
            return found
        wanted = check_name(concept).casefold()
        mine = [t for t in found if wanted in (t.concept.casefold(), t.said.casefold())]
        if not mine:
            raise _unknown(concept, sorted({t.concept for t in found}))
        return mine

    def concepts(self) -> list[Concept]:
        """See ``Collection.taught_concepts``."""
        with self._models.reading() as model:
            if model is None:
                return []
            confidence = model.memory.confidence
            denied = Counter(name for label in model.labels.values() if label.concept is None for name in label.denied)
            return [
                Concept(
                    name,
                    model.parents.get(name),
                    count,
                    denied[name.casefold()],
                    None if np.isnan(confidence[name]) else confidence[name],
                    model.last_taught[name],
                )
                for name, count in model.memory.counts.items()
            ]

    def example_counts(self) -> dict[str, int]:
        """Return the number of examples of each taught concept, by name."""
        with self._session.lock:
            catalog = self._session.catalog()
            teachings = [] if catalog is None else TeachingTables(catalog).teachings(standing=True)
        names = [label.concept for label in current_labels(teachings).values() if label.concept is not None]
        return dict(sorted(Counter(names).items()))

    def is_concept(self, name: str) -> bool:
        """See ``Collection.is_concept``."""
        from assocmem.data.label_names import named_labels

        if named_labels(name):
            return True
        with self._models.reading() as model:
            return model is not None and model.named(name) is not None

    # How

    @contextlib.contextmanager
    def _changing(self) -> Iterator[_Change]:
        """One transaction under the writer's lock; afterwards an open model follows."""
        with self._session.writing() as catalog:
            tables = TeachingTables(catalog)
            with catalog.transaction():
                tables.make()
                yield _Change(catalog, tables)
                tables.drop_parents()
                catalog.next_taught_version()
            self._models.follow()

    def _index_first(self, paths: Sequence[str]) -> TeachReport:
        """Index what is new; CollectionError if a named file cannot be read. Ctrl-C is passed on."""
        if not paths:
            raise InputError("teach: expected files or folders, found none")
        if self._session.unchanged(paths):
            return TeachReport()
        added = self._indexer.add(list(paths))
        if added.interrupted:
            raise KeyboardInterrupt
        named = set(paths)
        bad = [failure for failure in added.failed if failure.path in named]
        if bad:
            raise CollectionError(f"{bad[0].path}: {bad[0].reason}; nothing was taught")
        return TeachReport(indexed=added.indexed, failed=added.failed)

    def _label_paths(
        self, change: _Change, name: str, paths: Sequence[str], report: TeachReport, *, is_one: bool
    ) -> None:
        """Label all items of files and folders."""
        ids: list[int] = []
        for path in paths:
            mine = change.catalog.ids_below(path)
            if not mine:
                raise CollectionError(f"{path}: expected pictures or videos, found none; nothing was taught")
            ids += mine
        self._label(change, name, ids, report, is_one=is_one)

    def _label(self, change: _Change, name: str, ids: Sequence[int], report: TeachReport, *, is_one: bool) -> None:
        """Label items, except those that have this label already."""
        found = list(self._examples(change.catalog, ids))
        labels = current_labels(change.tables.teachings(standing=True, examples=[example.id for example in found]))
        examples: dict[int, Example] = {}
        for example in found:
            label = labels.get(example.id)
            if label is not None and ((label.concept == name) if is_one else (name.casefold() in label.denied)):
                report.known += 1
            elif example.id not in examples:
                examples[example.id] = example
                report.changed += label is not None and label.concept is not None
        report.teachings += change.tables.add_teachings(examples.values(), name, is_one=is_one)
        report.taught += len(examples)

    def _examples(self, catalog: Catalog, ids: Sequence[int]) -> Iterator[Example]:
        wanted = set(ids)
        placed = catalog.placed(wanted)
        if len(placed) < len(wanted):
            gone = min(wanted - {one.item.id for one in placed})
            raise CollectionError(f"item {gone}: not in the collection; nothing was taught")
        segments = self._session.segments(one.segment for one in placed)
        for one in placed:
            segment, rows, item = segments[one.segment], np.array([one.row], np.int64), one.item
            feature, sketch = segment.features[rows][0], segment.sketches[rows][0]
            yield Example(example_id(one.hash, item.start), one.hash, feature, sketch, item.path, item.start, item.end)

    def _existing(self, name: str) -> str:
        """Return the spelling of a taught concept, or the name of one of ImageNet's."""
        from assocmem.data.label_names import named_labels, nearest_names  # not for those who only teach

        with self._session.reading() as catalog:
            tables = TeachingTables(catalog)
            spelt, names = _spelling(tables, name), tables.concept_names()
        if spelt in names:
            return spelt
        labels = named_labels(name)
        if not labels:
            raise UnknownConceptError(name, [*nearest_taught(name, names), *nearest_names(name)], file=False)
        return labels[0].name if len(labels) == 1 else name


def _spelling(tables: TeachingTables, name: str, *, denied: bool = False) -> str:
    names = tables.concept_names(denied=denied)
    return next((known for known in names if known.casefold() == name.casefold()), name)


def _unknown(name: str, names: Sequence[str]) -> UnknownConceptError:
    alike = difflib.get_close_matches(name.casefold(), [other.casefold() for other in names], 5)
    return UnknownConceptError(name, [other for other in names if other.casefold() in alike], taught=True)


def _of_path(change: _Change, teachings: Sequence[Teaching], path: str, name: str) -> list[Teaching]:
    """Return the teachings of a file or folder: taught there, or with a content that is there now."""
    inside = path.rstrip(os.sep) + os.sep
    here = {example_id(one.hash, one.item.start) for one in change.catalog.placed(change.catalog.ids_below(path))}
    mine = [t for t in teachings if t.example in here or t.path == path or t.path.startswith(inside)]
    if not mine:
        raise CollectionError(f"{path}: was not taught as {name!r}; nothing was forgotten")
    return mine
