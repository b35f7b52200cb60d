"""Teaching a collection: concepts come by examples, are corrected, renamed, merged and forgotten; nothing is retrained.

Every change is one transaction under the writer's lock; what was said stays in the history.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from assocmem._numerics.validation import check_name
from assocmem.errors import CollectionError, InputError
from assocmem.index.ingest.walk import absolute, listed
from assocmem.index.results import AddReport, TeachReport
from assocmem.index.session import StrPath
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.segments import Segment
from assocmem.index.store.teaching_tables import Example, Teaching, example_id
from assocmem.index.teach.curating import CuratedCollection

if TYPE_CHECKING:
    from assocmem.index.teach.review import Review


class TeachableCollection(CuratedCollection):
    """What ``Collection`` has for whoever teaches it."""

    def add(self, paths: StrPath | Iterable[StrPath]) -> AddReport:
        """See ``Collection.add``."""
        raise NotImplementedError

    # saying

    def teach(self, concept: str, paths: StrPath | Iterable[StrPath], *, parent: str | None = None) -> TeachReport:
        """Teach a concept by files, and by all files in folders; what is not in the collection is indexed first.

        Each file has one concept: what was said of it before no longer stands, but stays in the history. A video
        teaches all its shots.

        Parameters
        ----------
        concept : str
            A new name, or that of a concept that is there, in whatever case.
        paths : path, or iterable of paths
        parent : str, optional
            A concept above it, taught or ImageNet's: a search for that one finds this one too.

        Raises
        ------
        InputError
            The name is none, or the parent would stand below the concept.
        CollectionError
            A file that was named cannot be read. Nothing is taught.
        LockedError
        """
        name, named = check_name(concept), listed(paths)
        report = self._index_first(named, parent is not None)
        with self._teaching() as catalog:
            name = self._spelling(catalog, name) if named else self._known(catalog, name)
            if parent is not None:
                self._set_parent(catalog, name, parent)
            self._say(catalog, name, [absolute(path) for path in named], report, is_one=True)
        report.concepts = [name]
        return report

    def teach_folders(self, folder: StrPath) -> TeachReport:
        """Teach one concept for each folder in a folder: its name, by the pictures and videos in it.

        Raises
        ------
        CollectionError
            There are no folders in it, or nothing in them can be read.
        """
        root = absolute(folder)
        inside: list[str] = []
        with contextlib.suppress(OSError):
            inside = sorted(entry.path for entry in os.scandir(root) if entry.is_dir() and entry.name[0] != ".")
        if inside:
            return self._teach_folders(inside)
        raise CollectionError(f"{folder}: expected a folder with a folder for each concept in it, found none")

    def _teach_folders(self, folders: Sequence[str]) -> TeachReport:
        names = {path: check_name(os.path.basename(path)) for path in folders}
        report = self._index_first(folders, empty=False)
        with self._teaching() as catalog:
            for path, name in names.items():
                spelt = self._spelling(catalog, name)
                if catalog.ids_below(path):
                    self._say(catalog, spelt, [path], report, is_one=True)
                    report.concepts.append(spelt)
        if not report.concepts:
            raise CollectionError(
                f"{os.path.dirname(folders[0])}: expected pictures or videos in its folders, found none"
            )
        return report

    def correct(
        self, paths: StrPath | Iterable[StrPath], *, wrong: str | None = None, right: str | None = None
    ) -> TeachReport:
        """Say what files are not, or are instead; the answer for them and their near copies changes at once.

        Parameters
        ----------
        paths : path, or iterable of paths
            What is not in the collection is indexed first.
        wrong : str, optional
            A taught concept, or one of ImageNet's.
        right : str, optional
            What they are, as of ``teach``.

        Raises
        ------
        InputError
            Neither is given, or both are the same.
        UnknownConceptError
            Nothing is called ``wrong``; nothing is changed.
        """
        if wrong is None and right is None:
            raise InputError("correct: expected what the file is, what it is not, or both; found neither")
        names = [None if name is None else check_name(name) for name in (wrong, right)]
        if names[0] is not None and names[1] is not None and names[0].casefold() == names[1].casefold():
            raise InputError(f"correct: expected two concepts, found {names[0]!r} twice")
        wrong = None if names[0] is None else self._existing(names[0])
        named = listed(paths)
        report = self._index_first(named, empty=False)
        found = [absolute(path) for path in named]
        with self._teaching() as catalog:
            if wrong is not None:
                denied = report if right is None else TeachReport(teachings=report.teachings)
                self._say(catalog, wrong, found, denied, is_one=False)
            if names[1] is not None:
                name = self._spelling(catalog, names[1])
                self._say(catalog, name, found, report, is_one=True)
                report.concepts = [name]
        return report

    def forget(self, concept: str, paths: StrPath | Iterable[StrPath] | None = None) -> int:
        """Take back what was taught of a concept: all of it, or of some files; returns how many teachings.

        Afterwards it is as if they had never been taught; the history has them all the same.

        Raises
        ------
        UnknownConceptError
        CollectionError
            A file was not taught as this concept; nothing is changed.
        """
        named = None if paths is None else [absolute(path) for path in listed(paths)]
        with self._teaching() as catalog:
            name = self._known(catalog, concept, denied=True)
            mine = [teaching for teaching in catalog.teachings(standing=True) if teaching.concept == name]
            chosen = mine if named is None else [t for path in named for t in _of_path(catalog, mine, path, name)]
            ids = {teaching.id for teaching in chosen}
            catalog.undo_teachings(ids)
        return len(ids)

    def say_of(self, items: int | Iterable[int], concept: str, *, is_one: bool = True) -> TeachReport:
        """Teach a concept by items, which may be single shots of a video; or say that they are not of it.

        Parameters
        ----------
        items : int, or iterable of int
            Ids, as of ``Hit.item``.
        concept : str
        is_one : bool

        Raises
        ------
        InputError
            The name is none.
        CollectionError
            An item is not, or no longer, in the collection; nothing is said.
        """
        name, report = check_name(concept), TeachReport()
        ids = [items] if isinstance(items, int) else list(items)
        with self._teaching() as catalog:
            name = self._spelling(catalog, name)
            self._say_of(catalog, name, ids, report, is_one=is_one)
        report.concepts = [name] if is_one else []
        return report

    def review(self, paths: StrPath | Iterable[StrPath] = ()) -> Review:
        """Begin a review: questions about the pictures whose names would teach most, one after the other.

        Parameters
        ----------
        paths : path, or iterable of paths
            Ask only about these files and folders; by default about all.

        Examples
        --------
        ::

            review = photos.review()
            for question in review:
                print(question.item.path, question.concept)
                review.yes(question)
            print(review.ended)

        Raises
        ------
        CollectionError
            A path is not in the collection.
        """
        from assocmem.index.teach.review import Review

        return Review(self, listed(paths))

    # how

    def _index_first(self, paths: Sequence[StrPath], empty: bool) -> TeachReport:
        """Index what is new; CollectionError when a file that was named cannot be read, Ctrl-C goes on its way."""
        if not paths:
            if empty:
                return TeachReport()
            raise InputError("teach: expected files or folders, found none")
        added = self.add(paths)
        if added.interrupted:
            raise KeyboardInterrupt
        named = {absolute(path) for path in paths}
        bad = [failure for failure in added.failed if failure.path in named]
        if bad:
            raise CollectionError(f"{bad[0].path}: {bad[0].reason}; nothing was taught")
        return TeachReport(indexed=added.indexed, failed=added.failed)

    def _say(self, catalog: Catalog, name: str, paths: Sequence[str], report: TeachReport, *, is_one: bool) -> None:
        """Say something of all items of files and folders."""
        ids: list[int] = []
        for path in paths:
            mine = catalog.ids_below(path)
            if not mine:
                raise CollectionError(f"{path}: expected pictures or videos, found none; nothing was taught")
            ids += mine
        self._say_of(catalog, name, ids, report, is_one=is_one)

    def _say_of(self, catalog: Catalog, name: str, ids: Sequence[int], report: TeachReport, *, is_one: bool) -> None:
        """Say something of items, but of those of which it stands already."""
        from assocmem.index.teach.taught_model import standing

        known = standing(catalog.teachings(standing=True))
        examples: dict[int, Example] = {}
        for example in self._examples(catalog, ids):
            said = known.get(example.id)
            if said is not None and ((said.concept == name) if is_one else (name.casefold() in said.denied)):
                report.known += 1
            elif example.id not in examples:
                examples[example.id] = example
                report.changed += said is not None and said.concept is not None
        report.teachings += catalog.add_teachings(examples.values(), name, is_one=is_one)
        report.taught += len(examples)

    def _examples(self, catalog: Catalog, ids: Sequence[int]) -> Iterator[Example]:
        segments = {segment.number: segment for segment in self.refresh().segments}
        rows = catalog.places(set(ids))
        if len(rows) < len(set(ids)):
            gone = sorted(set(ids) - {item.id for item, *_ in rows})
            raise CollectionError(f"item {gone[0]}: not in the collection; nothing was taught")
        for item, digest, number, row in rows:
            feature, sketch = _described(segments[number], row)
            yield Example(digest, feature, sketch, item.path, item.start, item.end)

    def _existing(self, name: str) -> str:
        """Return the spelling of a taught concept, or the name of one of ImageNet's."""
        from assocmem.errors import UnknownConceptError
        from assocmem.index.query.concept_search import nearest_taught
        from assocmem.index.query.label_names import named_labels, nearest_names

        with self._reading() as catalog:
            spelt, names = self._spelling(catalog, name), catalog.concept_names()
        if spelt in names:
            return spelt
        labels = named_labels(name)
        if not labels:
            raise UnknownConceptError(name, [*nearest_taught(name, names), *nearest_names(name)], file=False)
        return labels[0].name if len(labels) == 1 else name


def _of_path(catalog: Catalog, teachings: Sequence[Teaching], path: str, name: str) -> list[Teaching]:
    """Of teachings those of a file or folder: taught there, or of a content that is there now."""
    inside = path.rstrip(os.sep) + os.sep
    here = {example_id(digest, item.start) for item, digest, *_ in catalog.places(catalog.ids_below(path))}
    mine = [t for t in teachings if t.example in here or t.path == path or t.path.startswith(inside)]
    if not mine:
        raise CollectionError(f"{path}: was not taught as {name!r}; nothing was forgotten")
    return mine


def _described(segment: Segment, row: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array([row], np.int64)
    return segment.features[rows][0], segment.sketches[rows][0]
