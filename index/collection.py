"""A collection of pictures and video shots on disk: the one class that programs and the command line use.

``Collection`` is a facade: a session (folder, catalog, network), an indexer, a searcher and a teacher do the work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from assocmem.extractors.base import Extractor, Image
from assocmem.index.ingest.indexer import Indexer
from assocmem.index.results import (
    COPY,
    AddReport,
    Concept,
    ConceptHit,
    Copies,
    Gone,
    Hit,
    Info,
    Progress,
    Seen,
    TeachReport,
)
from assocmem.index.session import Session
from assocmem.index.store.catalog import StrPath, absolute, listed
from assocmem.index.store.records import Failure, Teaching
from assocmem.index.teach.taught_model import TaughtModels
from assocmem.index.teach.teaching import Teacher

if TYPE_CHECKING:
    from assocmem.index.query.searcher import Mask, Searcher
    from assocmem.index.teach.review import Review


def open_collection(
    path: StrPath | None = None,
    *,
    extractor: str | Extractor | None = None,
    weights: StrPath | None = None,
    options: Mapping[str, str] | None = None,
) -> Collection:
    """Open a collection; a new one is made by its first ``add``.

    Parameters
    ----------
    path : path, optional
        The collection's folder; ``$ASSOCMEM_COLLECTION`` or one place per user by default.
    extractor, weights, options
        See ``Collection``.
    """
    return Collection(default_folder() if path is None else path, extractor=extractor, weights=weights, options=options)


def default_folder() -> Path:
    """Return the folder of the collection if none is named: ``$ASSOCMEM_COLLECTION``, else one place per user."""
    from_environment = os.environ.get("ASSOCMEM_COLLECTION")
    if from_environment:
        return Path(from_environment)
    import platformdirs

    return Path(platformdirs.user_data_dir("assocmem", appauthor=False)) / "default.amem"


class Collection:
    """A collection in a folder; opened by ``assocmem.open``. One writer at a time, any number of readers.

    Threads may share one; a search does not wait for an ``add``.

    Parameters
    ----------
    folder : path
        The collection's folder. It is made by the first ``add``.
    extractor : str or Extractor, optional
        ``efficientnet-lite0`` (the default), ``onnx:PATH`` or ``torchvision:NAME``; an existing collection has its
        own. One that differs from the collection's is refused when it is first needed.
    weights : path, optional
        File with the extractor's weights, for ``torchvision:NAME``.
    options : mapping of str to str, optional
        Preprocessing, for ``onnx:PATH``.
    once : bool
        The process asks one question, as the command line does: it loads nothing that only makes later ones faster.

    Raises
    ------
    CollectionError
        The folder contains something else, or a collection that is damaged or of a newer format.
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        extractor: str | Extractor | None = None,
        weights: StrPath | None = None,
        options: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> None:
        self._session = Session(folder, extractor=extractor, weights=weights, options=options)
        self._indexer = Indexer(self._session)
        self._models = TaughtModels(self._session)
        self._teacher = Teacher(self._session, self._indexer, self._models)
        self._once = once
        self._again = partial(Collection, self.folder, extractor=extractor, weights=weights, options=options, once=once)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how a copy or a pickle comes back: the folder is opened again, as this collection was."""
        return self._again, ()

    @property
    def folder(self) -> Path:
        """The collection's folder."""
        return self._session.folder

    @cached_property
    def searcher(self) -> Searcher:
        """Searching in steps, for a front end that shows what it does."""
        from assocmem.index.query.searcher import Searcher  # kernels take a second to import: teaching needs none

        return Searcher(self._session, self._models, once=self._once)

    @property
    def teacher(self) -> Teacher:
        """Teaching in steps, for a front end."""
        return self._teacher

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<assocmem.Collection {str(self.folder)!r}>"

    def __len__(self) -> int:
        """Number of pictures and shots."""
        with self._session.lock:
            catalog = self._session.catalog()
            counts = {"images": 0, "shots": 0} if catalog is None else catalog.counts()
        return counts["images"] + counts["shots"]

    def close(self) -> None:
        """Close the catalog; the collection can no longer be used."""
        self._session.close()

    # Files

    def add(
        self,
        paths: StrPath | Iterable[StrPath],
        *,
        progress: Callable[[Progress], None] | None = None,
        threads: int | None = None,
        recheck: bool = False,
        max_pixels: int | None = None,
    ) -> AddReport:
        """Index files and folders: only what is new or changed is read.

        Parameters
        ----------
        paths : path, or iterable of paths
            Pictures, videos, or folders, which are searched recursively.
        progress : function of Progress, optional
            Called after each file.
        threads : int, optional
            Decoding threads; one per core by default.
        recheck : bool
            Read the contents of all files: a file may have been replaced by one of the same size and time, or be
            damaged. Only what is not what it was is described anew.
        max_pixels : int, optional
            Pictures with more pixels are refused before they take memory; by default with more than 100 million.

        Returns
        -------
        AddReport
            It lists files that could not be read, as the catalog does; they stop nothing.

        Raises
        ------
        LockedError
            Another process is writing.
        CollectionMismatchError, DamagedCollectionError
            The collection cannot take the items; nothing is written.
        """
        files = [absolute(path) for path in listed(paths)]
        return self._indexer.add(files, progress, threads, recheck=recheck, max_pixels=max_pixels)

    def remove(self, paths: StrPath | Iterable[StrPath] = (), *, missing: bool = False, insist: bool = False) -> int:
        """Remove the items of files and folders, and with ``missing`` those whose files are gone.

        Files of a folder that is missing as a whole, empty or unreadable are kept, because a disk that is not mounted
        looks like that (see ``gone``); with ``insist`` they are removed too. Returns the number of removed items. The
        files themselves are never touched.

        Raises
        ------
        CollectionError
            A path is not in the collection; nothing is removed.
        """
        return self._indexer.remove([absolute(path) for path in listed(paths)], missing=missing, insist=insist)

    # Search

    def search(
        self, query: StrPath | Image, k: int = 10, *, mask: Mask | None = None, effort: float | None = None
    ) -> list[Hit]:
        """Return the nearest items of a picture, a video (any of its shots), or the items of a concept.

        Parameters
        ----------
        query : path, words, or uint8 array (height, width, 3)
            Words name a concept if no file has that name.
        k : int
            How many hits at most.
        mask : box or boxes, optional
            Parts of the picture that do not count: left, top, right, bottom, as shares of its width and height.
        effort : float, optional
            About the share of a large collection that is looked at; 1 for all of it.

        Raises
        ------
        MediaError
            The query file cannot be read.
        UnknownConceptError
            No concept has this name.
        InputError
            An invalid mask, or a mask with words; an effort that is not above 0 and at most 1.
        """
        return self.searcher.answer(self.searcher.ask(query, mask=mask), k, effort=effort)

    def concepts(self, query: StrPath | Image, k: int = 5) -> list[ConceptHit]:
        """Return the concepts nearest to a picture or video: up to k taught ones, then k of ImageNet's.

        A collection without taught concepts may be empty. Taught concepts are left out if the picture shows none of
        them.

        Raises
        ------
        MediaError
            The query file cannot be read.
        CollectionError
            The collection's extractor has no ImageNet concepts, and none was taught.
        """
        return self.searcher.concepts(query, k)

    # Copies

    def seen(self, query: StrPath | Image) -> Seen:
        """Return whether a picture or video, or a near copy of it, is in the collection.

        Only the familiarity memory answers, in a time that does not depend on the number of items; so it is sometimes
        wrong: ``info().seen`` says how often. A video counts as seen if at least half of its shots are.

        Parameters
        ----------
        query : path, or uint8 array (height, width, 3)

        Returns
        -------
        Seen
            True or false as a condition.

        Raises
        ------
        MediaError
            The query file cannot be read.
        """
        return self.searcher.seen(query)

    def duplicates(
        self,
        paths: StrPath | Iterable[StrPath] = (),
        *,
        against: StrPath | Iterable[StrPath] | Collection | None = None,
        least: float = COPY,
    ) -> list[Copies]:
        """Return groups of copies; or which items have a copy somewhere else.

        Likeness proposes pairs, and a second look at their fine detail decides: a page of text is no copy of another
        page. ``Copies.kinds`` says how certain each is.

        Parameters
        ----------
        paths : path, or iterable of paths
            Look only among the items of these files and folders; by default among all.
        against : path, iterable of paths, or Collection, optional
            Look for copies there: in other folders of this collection, or in another collection.
        least : float
            Similarity from which two items belong together: 1.0 for copies; below that, pictures that share a part
            count too (cut, turned, captioned, mirrored; of one scene), and 0.85 finds most of them.

        Returns
        -------
        list of Copies
            Groups, those with identical files first, then the largest, each around the item that most of its members
            are similar to. With ``against``,
            one group for each item that has a copy there. Similar shots within one video are left out.

        Raises
        ------
        CollectionError
            A path is not in the collection.
        CollectionMismatchError
            The other collection was made with another extractor.
        InputError
            ``least`` is below 0.5: unlike pictures would be paired, and not even all of them.
        """
        from assocmem.index.query.near_duplicates import find_copies  # a search does not wait for these kernels

        elsewhere: Session | list[StrPath] | None = None
        if against is not None:
            elsewhere = against._session if isinstance(against, Collection) else listed(against)
        return find_copies(self._session, listed(paths), elsewhere, least)

    def originals(self, query: StrPath | Image, k: int = 10) -> list[Hit]:
        """Return the items that a picture or video may be a copy of, most similar first; scores as in ``Copies``.

        They are ranked, not judged: of a picture that is not there, too, some item is the most similar. ``copies_of``
        judges.

        Raises
        ------
        MediaError
            The query file cannot be read.
        """
        from assocmem.index.query.near_duplicates import find_query_originals

        return find_query_originals(self._session, lambda: self.searcher.read(query), k)

    def not_copies(self, paths: StrPath | Iterable[StrPath], *, undo: bool = False) -> int:
        """Say that files of the collection are no copies of each other; ``duplicates`` then never says so again.

        It is remembered by their content. With ``undo``, it is taken back. Returns how many pairs changed.

        Raises
        ------
        CollectionError
            A path is not in the collection.
        InputError
            Fewer than two paths, or too many items.
        """
        from assocmem.index.query.near_duplicates import say_unlike

        return say_unlike(self._session, listed(paths), undo=undo)

    def copies_of(self, query: StrPath | Image, *, least: float = COPY) -> Copies | None:
        """Return what a picture or video is a copy of; None if of nothing.

        Parameters
        ----------
        query : path, or uint8 (height, width, 3)
        least : float
            As for ``duplicates``.

        Returns
        -------
        Copies
            Its original is the query: item -1, and kind ``query``.

        Raises
        ------
        MediaError
            The query file cannot be read.
        """
        from assocmem.index.query.near_duplicates import find_query_copies

        return find_query_copies(self._session, lambda: self.searcher.read(query), query, least)

    # Teach

    def teach(self, concept: str, paths: StrPath | Iterable[StrPath], *, parent: str | None = None) -> TeachReport:
        """Teach a concept by files, and by all files in folders; new files are indexed first.

        Each file has one concept: an earlier statement about it is replaced, but stays in the history. A video teaches
        all its shots.

        Parameters
        ----------
        concept : str
            A new name, or the name of a taught concept, in any case.
        paths : path, or iterable of paths
        parent : str, optional
            A concept above it, taught or ImageNet's: a search for that one finds this one too.

        Raises
        ------
        InputError
            The name is invalid, or the parent would be below the concept.
        CollectionError
            A named file cannot be read. Nothing is taught.
        LockedError
        """
        return self._teacher.teach(concept, [absolute(path) for path in listed(paths)], parent=parent)

    def teach_folders(self, folder: StrPath) -> TeachReport:
        """Teach one concept for each folder in a folder: its name, by the pictures and videos in it.

        Raises
        ------
        CollectionError
            The folder contains no folders, or nothing in them can be read.
        """
        return self._teacher.teach_folders(absolute(folder))

    def correct(
        self, paths: StrPath | Iterable[StrPath], *, wrong: str | None = None, right: str | None = None
    ) -> TeachReport:
        """Say what files are not, or what they are instead; the answer for them and their near copies changes at once.

        Parameters
        ----------
        paths : path, or iterable of paths
            Files that are not in the collection are indexed first.
        wrong : str, optional
            A taught concept, or one of ImageNet's.
        right : str, optional
            What they are, as in ``teach``.

        Raises
        ------
        InputError
            Neither is given, or both are the same.
        UnknownConceptError
            No concept is called ``wrong``; nothing is changed.
        """
        return self._teacher.correct([absolute(path) for path in listed(paths)], wrong=wrong, right=right)

    def forget(self, concept: str, paths: StrPath | Iterable[StrPath] | None = None) -> int:
        """Take back the teachings of a concept, all or those of some files; returns how many.

        Afterwards it is as if they had never been taught; the history still lists them.

        Raises
        ------
        UnknownConceptError
        CollectionError
            A file was not taught as this concept; nothing is changed.
        """
        return self._teacher.forget(concept, None if paths is None else [absolute(path) for path in listed(paths)])

    def rename(self, concept: str, name: str) -> str:
        """Give a concept another name; its examples and history stay. Returns the name as it is stored.

        Raises
        ------
        UnknownConceptError
        InputError
            The name is invalid, or another concept's: ``merge`` them then.
        """
        return self._teacher.rename(concept, name)

    def merge(self, concept: str, into: str) -> str:
        """Make two concepts one, under the second name.

        Raises
        ------
        UnknownConceptError
        InputError
            They are the same.
        """
        return self._teacher.merge(concept, into)

    def set_parent(self, concept: str, parent: str | None) -> None:
        """Put a concept below another one, taught or ImageNet's, or below none.

        Raises
        ------
        UnknownConceptError
        InputError
            The parent's name is invalid, or the parent is below the concept.
        """
        self._teacher.set_parent(concept, parent)

    def undo(self, teachings: int | Iterable[int]) -> int:
        """Take teachings back by their ids, as ``teachings`` lists them; returns how many were in force until now.

        Raises
        ------
        InputError
            No teaching has this id; nothing is changed.
        """
        return self._teacher.undo(teachings)

    def teachings(self, concept: str | None = None) -> list[Teaching]:
        """Return everything that was ever taught, in order; or all statements about one concept.

        Raises
        ------
        UnknownConceptError
        """
        return self._teacher.teachings(concept)

    def taught_concepts(self) -> list[Concept]:
        """Return the taught concepts, by name."""
        return self._teacher.concepts()

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

        return Review(self._session, self._teacher, self._models, listed(paths))

    # Inspect

    def info(self) -> Info:
        """Return what the collection contains."""
        from assocmem.index.inspection import collect_info

        return collect_info(self._session)

    def failures(self) -> list[Failure]:
        """Return the files that could not be read, or not to their end, with the reason."""
        with self._session.reading() as catalog:
            return catalog.failures()

    def missing(self) -> list[str]:
        """Return the files of the collection that are no longer on the disk."""
        with self._session.reading() as catalog:
            paths = catalog.paths()
        return [path for _, path in paths if not os.path.lexists(path)]

    def gone(self) -> Gone:
        """Return which files no longer exist, and which are only out of reach; see ``remove``."""
        from assocmem.index.ingest.gone import find_gone

        with self._session.reading() as catalog:
            found = find_gone(catalog.paths(), catalog.roots)
        return Gone(sorted(found.gone.values()), found.out_of_reach)

    def verify(self, *, progress: Callable[[int, int], Any] | None = None) -> list[str]:
        """Check catalog, segments and memories against each other; returns what is wrong, nothing if all is well."""
        from assocmem.index.inspection import find_problems

        return find_problems(self._session, progress)
