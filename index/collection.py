"""A collection of pictures and video shots on disk: the one class that programs and the command line use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

from assocmem.errors import CollectionError
from assocmem.extractors.base import Image
from assocmem.extractors.masked import Box, MaskedExtractor, check_boxes
from assocmem.index.derived.files import imagenet_memory
from assocmem.index.ingest.run import add_files
from assocmem.index.ingest.walk import absolute, listed
from assocmem.index.ingest.writer import Writer
from assocmem.index.query.concept_search import Meaning, find_meant, meaning, shown_concepts
from assocmem.index.query.query import Query, check_k, read_query, words_query
from assocmem.index.query.ranking import common_concepts, nearest_items
from assocmem.index.results import AddReport, ConceptHit, Hit, Progress, Seen
from assocmem.index.session import StrPath
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.disk import make_folder
from assocmem.index.store.lock import writer_lock
from assocmem.index.store.records import Failure
from assocmem.index.store.settings import ExtractorChoice, Settings
from assocmem.index.teach.teaching import TeachableCollection

Mask = Box | Sequence[Box]


class Collection(TeachableCollection):
    """A collection in a directory; made by ``assocmem.open``. One writer at a time, any number of readers.

    Threads may share one; a search does not wait for an ``add``.

    Parameters
    ----------
    folder : path
        The collection's directory. It comes into being with the first ``add``.
    extractor : str or Extractor, optional
        ``efficientnet-lite0`` (the default), ``onnx:PATH`` or ``torchvision:NAME``; an existing collection knows its
        own. One that differs from the collection's is refused when it is first needed.
    weights : path, optional
        File with the extractor's weights, for ``torchvision:NAME``.
    options : mapping of str to str, optional
        Preprocessing, for ``onnx:PATH``.

    Raises
    ------
    CollectionError
        The directory holds something else, or a collection that is damaged or of a newer format.
    """

    def __len__(self) -> int:
        """Number of pictures and shots."""
        with self._lock:
            catalog = self._found_catalog()
            counts = {"images": 0, "shots": 0} if catalog is None else catalog.counts()
        return counts["images"] + counts["shots"]

    # writing

    def add(
        self,
        paths: StrPath | Iterable[StrPath],
        *,
        progress: Callable[[Progress], None] | None = None,
        threads: int | None = None,
    ) -> AddReport:
        """Index files and folders: what is new or changed is read, everything else is left alone.

        Parameters
        ----------
        paths : path, or iterable of paths
            Pictures, videos, or folders, which are searched through.
        progress : function of Progress, optional
            Called after each file.
        threads : int, optional
            Decoding threads; as many as there are cores by default.

        Returns
        -------
        AddReport
            Files that could not be read are in it, and in the catalog; they stop nothing.

        Raises
        ------
        LockedError
            Another process is writing.
        CollectionMismatchError, DamagedCollectionError
            The collection cannot take the items; nothing is written.
        """
        started = time.perf_counter()
        named = [absolute(path) for path in listed(paths)]
        if self.settings is None and not any(map(os.path.lexists, named)):
            failed = [Failure(path, "no such file or directory", lasting=False) for path in named]
            return AddReport(failed=failed)  # a slip of the keyboard makes no collection
        extractor = self.extractor
        make_folder(self.folder)
        with writer_lock(self.folder):
            if self.settings is None:
                asked = self._asked or ExtractorChoice(extractor.name)
                Catalog(self.folder, create=Settings.of(extractor, asked).to_meta()).close()
            self._check_identity(extractor)  # another process may have made the collection meanwhile
            self.refresh()  # damage is found before anything is written or swept away
            with closing(Catalog(self.folder)) as catalog:
                writer = Writer(catalog, self.folder, self.coder)
                report = add_files(writer, extractor, named, progress, threads or os.cpu_count() or 1)
            self._refresh_memories()
        report.items = len(self)
        report.elapsed_s = time.perf_counter() - started
        return report

    def remove(self, paths: StrPath | Iterable[StrPath] = (), *, missing: bool = False) -> int:
        """Take items out: those of files and folders named, and with ``missing`` those whose files are gone.

        Returns how many items went. The files themselves are never touched.

        Raises
        ------
        CollectionError
            A path is not in the collection; nothing is removed.
        """
        named = [absolute(path) for path in listed(paths)]
        self.refresh()
        with writer_lock(self.folder), closing(Catalog(self.folder)) as catalog:
            self.refresh()
            count = Writer(catalog, self.folder, self.coder).remove(named, missing=missing)
            self._refresh_memories()
        return count

    def _refresh_memories(self) -> None:
        from assocmem.index.derived.refresh import keep_memories  # not before: a search need not wait for these kernels

        keep_memories(self.refresh(), self.folder, self.coder, self.message_coder)

    # asking

    def search(
        self, query: StrPath | Image, k: int = 10, *, mask: Mask | None = None, effort: float | None = None
    ) -> list[Hit]:
        """Return the nearest items of a picture, a video (any of its shots), or the items of a concept.

        Parameters
        ----------
        query : path, words, or uint8 array (height, width, 3)
            Words are taken as a concept's name when no file is called so.
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
            The words name no concept.
        InputError
            A mask that is none, or with words; an effort that is not above 0 and at most 1.
        """
        return self.answer(self.ask(query, mask=mask), k, effort=effort)

    def ask(self, query: StrPath | Image, *, mask: Mask | None = None) -> Query:
        """Turn a question into features (or words): the half of a search that needs the network."""
        if mask is None:
            known = self.learned() if isinstance(query, str) and not os.path.lexists(query) else None
            if known is not None and known.named(str(query)) is not None:  # it may have a slash in it
                return words_query(str(query))
            return read_query(query, lambda: self.extractor)
        boxes = check_boxes(mask)
        return read_query(query, lambda: MaskedExtractor(self.extractor, boxes), words=False)

    def answer(self, asked: Query, k: int = 10, *, effort: float | None = None) -> list[Hit]:
        """Find the items nearest to a question: the half of a search that needs the collection."""
        check_k(k)
        if asked.words is not None:
            return self._search_words(asked.words, k)
        return self.hits(nearest_items(self.engine(effort), asked.features, k, effort))

    def meant(self, words: str) -> Meaning:
        """Return the concepts that words are taken to mean; UnknownConceptError when there is none."""
        return meaning(words, self.learned())

    def _search_words(self, words: str, k: int) -> list[Hit]:
        meant = self.meant(words)
        snapshot = self.refresh()
        if not meant.taught and not snapshot.has_labels:
            raise CollectionError(_NO_CONCEPTS.format(self._made_with().choice.spec))
        examples: dict[int, int] = {}
        if (known := self.learned()) is not None:
            with self._reading() as catalog:
                examples = catalog.example_items()
        return self.hits(find_meant(meant, snapshot, self.engine(), known, examples, k))

    def concepts(self, query: StrPath | Image, k: int = 5) -> list[ConceptHit]:
        """Return the concepts nearest to a picture or video: up to k that were taught, then k of ImageNet's.

        Where none was taught, a collection may be empty. When it shows none of those taught, they are left out.

        Raises
        ------
        MediaError
            The query file cannot be read.
        CollectionError
            The collection's extractor knows no concepts.
        """
        check_k(k)
        asked = read_query(query, lambda: self.extractor, words=False)
        known = self.learned()
        if asked.logits is None and (known is None or not known.concepts):
            raise CollectionError(_NO_CONCEPTS.format(self.extractor.name))
        return shown_concepts(asked, known, k)

    def seen(self, query: StrPath | Image) -> Seen:
        """Say whether a picture or video, or a near copy of it, is in the collection.

        Answered by the memory of ties alone, in a time that does not depend on how much there is; so now and then
        wrongly: ``info().seen`` says how often. A video counts as seen when at least half of its shots are.

        Parameters
        ----------
        query : path, or uint8 array (height, width, 3)

        Returns
        -------
        Seen
            True or false when taken for a condition.

        Raises
        ------
        MediaError
            The query file cannot be read.
        """
        asked = read_query(query, lambda: self.extractor, words=False)
        path = os.fspath(query) if isinstance(query, str | os.PathLike) else ""
        return self.familiar().answer(path, self.message_coder.messages(asked.features))

    def common_concepts(self, k: int = 5) -> list[str]:
        """Return the names of the ImageNet concepts that the collection holds most of."""
        return common_concepts(imagenet_memory(self.refresh(), self.folder, self.coder.clusters), k)


_NO_CONCEPTS = "extractor {} gives no ImageNet concepts; ask with a picture, or use one with a 1,000-class output"
