"""A collection of pictures and video shots on disk: the one class that programs and the command line use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from assocmem.codes import CliqueCoder
from assocmem.errors import CollectionError, InputError, MismatchError
from assocmem.extractors.base import Extractor, Image
from assocmem.index.adding import add_files
from assocmem.index.answers import Ranked, common_concepts, nearest_concepts, nearest_items
from assocmem.index.catalog import NAME as CATALOG_NAME
from assocmem.index.catalog import Catalog
from assocmem.index.disk import make_folder
from assocmem.index.info import collect_info
from assocmem.index.lock import writer_lock
from assocmem.index.memories import imagenet_memory
from assocmem.index.names import match_words
from assocmem.index.query import Query, read_query
from assocmem.index.reports import AddReport, ConceptHit, Hit, Info, Progress
from assocmem.index.rows import Failure
from assocmem.index.settings import ExtractorChoice, Settings
from assocmem.index.snapshot import Snapshot, take_snapshot
from assocmem.index.verify import verify
from assocmem.index.walk import absolute, listed
from assocmem.index.writer import Writer

StrPath = str | os.PathLike[str]


class Collection:
    """A collection in a directory; made by ``assocmem.open``. One writer at a time, any number of readers.

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
        self._catalog: Catalog | None = None
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

    def close(self) -> None:
        """Let go of the catalog."""
        if self._catalog is not None:
            self._catalog.close()
            self._catalog = None

    def __len__(self) -> int:
        """Number of pictures and shots."""
        if self._catalog is None:
            return 0
        counts = self._catalog.counts()
        return counts["images"] + counts["shots"]

    # what the collection was made with

    @property
    def settings(self) -> Settings | None:
        """What the collection was made with; None as long as there is none."""
        if self._settings is None and self._catalog is not None:
            self._settings = Settings.from_meta(self._catalog.meta)
        return self._settings

    @property
    def extractor(self) -> Extractor:
        """The network, loaded when first needed; MismatchError when it is not the collection's."""
        if self._extractor is None:
            stored = None if self.settings is None else self.settings.choice
            extractor = self._given or (self._asked or stored or ExtractorChoice()).open()
            self._check_identity(extractor)
            self._extractor = extractor
        return self._extractor

    def _check_identity(self, extractor: Extractor) -> None:
        if self.settings is not None and self.settings.identity != extractor.identity:
            raise MismatchError(
                f"{self.folder}: this collection was made with extractor {self.settings.identity}, "
                f"but this is {extractor.identity}; features of two extractors cannot be compared. "
                "Use the collection's own extractor, or index into a new collection"
            )

    def _made_with(self) -> Settings:
        self._existing()
        assert self.settings is not None
        return self.settings

    @cached_property
    def coder(self) -> CliqueCoder:
        """The encoder of the collection's codes."""
        return self._made_with().coder()

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
        MismatchError, DamagedError
            The collection cannot take the items; nothing is written.
        """
        started = time.perf_counter()
        extractor = self.extractor
        make_folder(self.folder)
        with writer_lock(self.folder):
            if self._catalog is None:
                asked = self._asked or ExtractorChoice(extractor.name)
                self._catalog = Catalog(self.folder, create=Settings.of(extractor, asked).to_meta())
                self._check_identity(extractor)  # another process may have made the collection meanwhile
            self.refresh()  # damage is found before anything is written or swept away
            writer = Writer(self._catalog, self.folder, self.coder)
            report = add_files(writer, extractor, listed(paths), progress, threads or os.cpu_count() or 1)
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
        catalog = self._existing()
        with writer_lock(self.folder):
            self.refresh()
            writer = Writer(catalog, self.folder, self.coder)
            count = writer.remove([absolute(path) for path in listed(paths)], missing=missing)
            self._refresh_memories()
        return count

    def _refresh_memories(self) -> None:
        imagenet_memory(self.refresh(), self.folder, self.coder.clusters, keep=True)

    def _existing(self) -> Catalog:
        if self._catalog is None:
            raise CollectionError(f"{self.folder}: there is no collection yet; make one with `assocmem index FOLDER`")
        return self._catalog

    def refresh(self) -> Snapshot:
        """Open what was committed last. Every question does so itself; early, it need not be waited for then."""
        self._snapshot = take_snapshot(self._existing(), self.folder / "segments", self._snapshot)
        return self._snapshot

    # asking

    def search(self, query: StrPath | Image, k: int = 10) -> list[Hit]:
        """Return the nearest items of a picture, a video (any of its shots), or the items of a concept.

        Parameters
        ----------
        query : path, words, or uint8 array (height, width, 3)
            Words are taken as a concept's name when no file is called so.
        k : int
            How many hits at most.

        Raises
        ------
        MediaError
            The query file cannot be read.
        UnknownConceptError
            The words name no concept.
        """
        return self.answer(self.ask(query), k)

    def ask(self, query: StrPath | Image) -> Query:
        """Turn a question into features (or words): the half of a search that needs the network."""
        return read_query(query, lambda: self.extractor)

    def answer(self, asked: Query, k: int = 10) -> list[Hit]:
        """Find the items nearest to a question: the half of a search that needs the collection."""
        if asked.words is not None:
            return self._search_words(asked.words, k)
        engine = self.refresh().engine(self.coder)
        return self._hits(nearest_items(engine, asked.features, k))

    def _search_words(self, words: str, k: int) -> list[Hit]:
        labels = match_words(words)
        ids, shares = self.refresh().with_label([label.index for label in labels])
        return self._hits(list(zip(ids[:k].tolist(), shares[:k].tolist(), strict=True)))

    def _hits(self, ranked: Ranked) -> list[Hit]:
        items = self._existing().items(item for item, _ in ranked)
        hits: list[Hit] = []
        for item, score in ranked:
            if item in items:  # a writer may have removed it a moment ago
                row = items[item]
                hits.append(Hit(len(hits) + 1, item, row.path, row.kind, row.start, row.end, score))
        return hits

    def concepts(self, query: StrPath | Image, k: int = 5) -> list[ConceptHit]:
        """Return the concepts nearest to a picture or video; works with an empty collection too.

        Raises
        ------
        MediaError
            The query file cannot be read.
        CollectionError
            The collection's extractor knows no concepts.
        """
        asked = read_query(query, lambda: self.extractor, words=False)
        if asked.logits is None:
            raise CollectionError(
                f"extractor {self.extractor.name} gives no ImageNet concepts; use one with a 1,000-class output"
            )
        return nearest_concepts(asked.logits, k)

    def common_concepts(self, k: int = 5) -> list[str]:
        """Return the names of the ImageNet concepts that the collection holds most of."""
        return common_concepts(imagenet_memory(self.refresh(), self.folder, self.coder.clusters), k)

    # looking after it

    def info(self) -> Info:
        """Return what the collection holds."""
        return collect_info(self._existing(), self.folder, self._made_with())

    def failures(self) -> list[Failure]:
        """Return the files that could not be read, or not to their end, with the reason."""
        return self._existing().failures()

    def missing(self) -> list[str]:
        """Return the files of the collection that are no longer on the disk."""
        return [path for _, path in self._existing().paths() if not os.path.lexists(path)]

    def verify(self, *, progress: Callable[[int, int], Any] | None = None) -> list[str]:
        """Check catalog, segments and memories against each other; returns what is wrong, nothing if all is well."""
        return verify(self._existing(), self.folder, self.coder, progress)
