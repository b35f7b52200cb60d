"""From a question to ranked hits: read a picture, a video, an array or words, choose an engine, search.

The policy of which engine answers is here: a process that asks again and again searches by pools from 20,000 items on,
a process that asks once scans all codes of up to 500,000.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from assocmem._numerics.types import F32, I8, U8
from assocmem.codes.dct_sketches import SKETCH_SIDE, sketch
from assocmem.codes.fine_detail import no_details
from assocmem.errors import CollectionError, InputError, MediaError
from assocmem.extractors.base import Extractor, Image
from assocmem.extractors.masked import Box, MaskedExtractor, check_boxes
from assocmem.extractors.sniff import has_media_suffix, sniff
from assocmem.index.ingest.pipeline import Item, Part, describe_parts, picture_part, read_parts, softmax
from assocmem.index.results import ConceptHit, Hit, Ranked, Seen
from assocmem.index.session import Session
from assocmem.index.store.catalog import StrPath, absolute
from assocmem.index.store.snapshot import Snapshot
from assocmem.index.teach.taught_model import TaughtLabel, TaughtModel, TaughtModels
from assocmem.search.exhaustive import Block, ExhaustiveEngine, SearchEngine

if TYPE_CHECKING:
    from assocmem.index.derived.familiarity import Familiarity
    from assocmem.index.derived.pools import PoolsReader
    from assocmem.index.query.concept_search import Meaning
    from assocmem.search.pooled import Pools

Mask = Box | Sequence[Box]

ONCE_FROM = 500_000
"""Living items from which on a process that asks once searches by pools.

It loads code, kernels and pools first: 58 ms of a core, as much as a scan of 700,000 items takes (0.08 ms per thousand;
extrapolated from 80,000).
"""
LEAST_PROBABILITY = 0.05
"""Least probability of a taught concept that is named."""
_NO_CONCEPTS = "extractor {} gives no ImageNet concepts; ask with a picture, or use one with a 1,000-class output"


@dataclass(frozen=True, slots=True)
class Query:
    """A question: words, or features of a picture or of a video's shots."""

    words: str | None
    features: F32
    """float32 (m, dim); (0, 0) for words"""
    logits: F32 | None
    """float32 (m, 1000), if the extractor has them"""
    grey: U8
    """uint8 (m, SKETCH_SIDE, SKETCH_SIDE): small grey pictures; (0, SKETCH_SIDE, SKETCH_SIDE) for words"""
    details: U8
    """uint8 (m, DETAIL_LENGTH), zeros for what has none; (0, DETAIL_LENGTH) for words"""

    def sketches(self) -> I8:
        """Return the sketches of the pictures, int8 (m, SKETCH_LENGTH)."""
        return sketch(self.grey)


class _OpenEngine(NamedTuple):
    generation: int
    large: bool
    pools: Pools | None
    engine: SearchEngine


class Searcher:
    """Answers questions about a collection.

    Parameters
    ----------
    session : Session
    models : TaughtModels
    once : bool
        The process asks one question: what only makes later ones faster is not loaded.
    """

    def __init__(self, session: Session, models: TaughtModels, *, once: bool = False) -> None:
        self._session = session
        self._models = models
        self._once = once
        self._pools: PoolsReader | None = None
        self._engine: _OpenEngine | None = None
        self._familiarity: tuple[int, Familiarity] | None = None

    # Questions

    def ask(self, query: StrPath | Image, *, mask: Mask | None = None) -> Query:
        """Turn a question into features, or words: the half of a search that needs the network."""
        if mask is None:
            if isinstance(query, str) and not os.path.lexists(query) and self._is_taught(query):
                return _words_query(query)  # the name may contain a slash
            return read_query(query, lambda: self._session.extractor)
        boxes = check_boxes(mask)
        return read_query(query, lambda: MaskedExtractor(self._session.extractor, boxes), words=False)

    def _is_taught(self, name: str) -> bool:
        with self._models.reading() as model:
            return model is not None and model.named(name) is not None

    def read(self, query: StrPath | Image) -> Query:
        """Read a picture or video."""
        return read_query(query, lambda: self._session.extractor, words=False)

    # Items

    def answer(self, asked: Query, k: int = 10, *, effort: float | None = None) -> list[Hit]:
        """Find the items nearest to a question: the half of a search that needs the collection."""
        check_k(k)
        if asked.words is not None:
            return self._search_words(asked.words, k)
        effort = self._effort(effort)
        return self._session.hits(nearest_items(self.engine(effort), asked.features, k, effort))

    def _effort(self, effort: float | None) -> float | None:
        """Return the effort that is fastest for a process that asks once, unless one is named."""
        return 1.0 if effort is None and self._once and len(self._session.snapshot()) < ONCE_FROM else effort

    def engine(self, effort: float | None = None) -> SearchEngine:
        """Return the engine over the last commit; at full effort, pools are not opened for it."""
        snapshot = self._session.snapshot()
        with self._session.lock:
            known = self._engine
            current = known is not None and known.generation == snapshot.generation
            if known is not None and current and (effort == 1 or not known.large):
                return known.engine
            large = snapshot.large
            pools = self._open_pools() if large and effort != 1 else None
            if known is None or not current or known.pools is not pools:
                known = _OpenEngine(snapshot.generation, large, pools, self._make_engine(snapshot, pools))
                self._engine = known
            return known.engine

    def _open_pools(self) -> Pools | None:
        if self._pools is None:
            from assocmem.index.derived.pools import PoolsReader  # small collections need none of its kernels

            self._pools = PoolsReader(self._session.folder, self._session.coder)
        return self._pools.pools()

    def _make_engine(self, snapshot: Snapshot, pools: Pools | None) -> SearchEngine:
        pairs = zip(snapshot.segments, snapshot.dead, strict=True)
        blocks = [Block(s.ids, s.codes, s.features, dead) for s, dead in pairs]
        if pools is None:
            return ExhaustiveEngine(self._session.coder, blocks)
        from assocmem.search.pooled import PooledEngine

        return PooledEngine(self._session.coder, blocks, pools)

    def warm(self, effort: float | None = None) -> None:
        """Open the engine that a search with this effort uses, and load its kernels."""
        engine = self.engine(self._effort(effort))
        if self._engine is not None and self._engine.pools is not None:
            engine.search(np.ones(self._session.coder.dim, np.float32), 1)

    # Words

    def meant(self, words: str) -> Meaning:
        """Return the concepts that words are taken to mean; UnknownConceptError if there are none."""
        from assocmem.index.query.concept_search import meaning

        with self._models.reading() as model:
            return meaning(words, model)

    def _search_words(self, words: str, k: int) -> list[Hit]:
        from assocmem.index.query.concept_search import items_meant, meaning

        with self._models.reading() as model:  # the meaning and the predictions are of one state
            meant = meaning(words, model)
            snapshot = self._session.snapshot()
            if not meant.taught and not snapshot.has_labels:
                raise CollectionError(_NO_CONCEPTS.format(self._session.made_with().choice.spec))
            examples = {} if model is None else self._models.example_items()
            ranked = items_meant(meant, snapshot, self.engine(), model, examples, k)
        return self._session.hits(ranked)

    def common_concepts(self, k: int = 5) -> list[str]:
        """Return the names of the ImageNet concepts that the collection contains most of."""
        from assocmem.data.imagenet import imagenet_labels
        from assocmem.index.derived.label_counts import label_counts

        counts = label_counts(self._session.snapshot(), self._session.folder, self._session.coder.clusters)
        weight, labels = counts.weight, imagenet_labels()
        return [labels[i].name for i in np.argsort(-weight, kind="stable")[:k].tolist() if weight[i] > 0]

    # Concepts

    def concepts(self, query: StrPath | Image, k: int = 5) -> list[ConceptHit]:
        """Return the concepts nearest to a picture or video; see ``Collection.concepts``."""
        check_k(k)
        asked = self.read(query)
        with self._models.reading() as model:
            if asked.logits is None and (model is None or not model.concepts):
                raise CollectionError(_NO_CONCEPTS.format(self._session.extractor.name))
            taught, copies = ([], []) if model is None else _taught_concepts(asked, model, k)
        return taught if asked.logits is None else taught + _imagenet_concepts(asked.logits, copies, k)

    # Familiarity

    def seen(self, query: StrPath | Image) -> Seen:
        """Return whether a picture or video, or a near copy of it, is in the collection, and which item it is."""
        from assocmem.index.query.recognition import recognise

        asked = self.read(query)
        path = os.fspath(query) if isinstance(query, str | os.PathLike) else ""
        messages = self._session.message_coder.messages(asked.features)
        return recognise(self._session, self._session.snapshot(), self.familiarity(), path, asked.details, messages)

    def familiarity(self) -> Familiarity:
        """Open the familiarity memory, once per generation."""
        from assocmem.index.derived.familiarity import familiarity

        snapshot, session = self._session.snapshot(), self._session
        with session.lock:
            if self._familiarity is None or self._familiarity[0] != snapshot.generation:
                made = familiarity(snapshot, session.folder, session.message_coder)
                self._familiarity = snapshot.generation, made
            return self._familiarity[1]


def nearest_items(engine: SearchEngine, features: F32, k: int, effort: float | None = None) -> Ranked:
    """Return the k items nearest to any of the queries, float32 (m, dim); each item by its best similarity."""
    similarity, ids = engine.search(features, k, effort=effort)
    return best_of(zip(ids.ravel().tolist(), similarity.ravel().tolist(), strict=True), k)


def best_of(scored: Iterable[tuple[int, float]], k: int) -> Ranked:
    """Return the k items with the highest scores, each by its best; ties by id; negative ids are skipped."""
    best: dict[int, float] = {}
    for item, score in scored:
        if item >= 0:
            best[item] = max(score, best.get(item, score))
    return sorted(best.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def _taught_concepts(asked: Query, model: TaughtModel, k: int) -> tuple[list[ConceptHit], list[TaughtLabel | None]]:
    """Return the most probable taught concepts over all rows, and the label that each row is a near copy of."""
    answer = model.answer(asked.features, asked.sketches)
    if answer.none.mean() > 0.5:
        return [], answer.copies
    mean = answer.probabilities.mean(axis=0)
    best = [i for i in np.argsort(-mean, kind="stable")[:k].tolist() if mean[i] >= LEAST_PROBABILITY]
    hits = [ConceptHit(rank, model.concepts[i], float(mean[i]), "taught") for rank, i in enumerate(best, 1)]
    return hits, answer.copies


def _imagenet_concepts(logits: F32, copies: list[TaughtLabel | None], k: int) -> list[ConceptHit]:
    """Return the most probable ImageNet concepts over all rows of logits, float32 (m, 1000), except denied ones."""
    from assocmem.data.imagenet import imagenet_labels

    shares, labels = softmax(logits), imagenet_labels()
    denied = [_denied_classes(label) for label in copies]
    for row, classes in enumerate(denied):
        shares[row, sorted(classes)] = 0
    mean = shares.mean(axis=0)
    left = np.setdiff1d(np.arange(len(labels)), list(set.intersection(*denied)) if denied else [])
    best = left[np.argsort(-mean[left], kind="stable")[:k]].tolist()
    return [ConceptHit(rank, labels[i].name, float(mean[i]), "imagenet") for rank, i in enumerate(best, 1)]


def _denied_classes(label: TaughtLabel | None) -> set[int]:
    if label is None or not label.denied:
        return set()
    from assocmem.data.label_names import classes_named

    return classes_named(label.denied)


# Questions


def read_query(query: StrPath | Image, extractor: Callable[[], Extractor], *, words: bool = True) -> Query:
    """Turn a question into features; ``extractor`` is called only if a network is needed.

    Raises
    ------
    MediaError
        A file that is missing, or neither picture nor video, or cannot be read.
    InputError
        An array that is not a picture.
    """
    if isinstance(query, np.ndarray):
        if query.dtype != np.uint8 or query.ndim != 3 or query.shape[2] != 3 or not query.size:
            raise InputError(f"query: expected a uint8 array (height, width, 3), found {query.dtype} {query.shape}")
        return _described([picture_part(query, extractor())], extractor())
    if not isinstance(query, str | os.PathLike):
        raise InputError(
            "query: expected a path, words, or a uint8 array (height, width, 3), "
            f"found {type(query).__name__}; of a Pillow picture, numpy.asarray(picture.convert('RGB'))"
        )
    path = absolute(query)
    text = os.fspath(query)
    has_folder = os.sep in text or (os.altsep is not None and os.altsep in text)  # Windows has two separators
    may_be_words = words and isinstance(query, str) and not has_folder and not has_media_suffix(text)
    if may_be_words and not (os.path.isfile(path) and sniff(path)):
        # A folder or a text file of this name is not a question; ./NAME asks for the file all the same.
        return _words_query(text)
    if not os.path.lexists(path):
        raise MediaError(f"{text}: no such file", lasting=False)
    try:
        kind = sniff(path)
        if kind is None:
            raise MediaError("neither a picture nor a video")
        return _described(read_parts(path, kind, extractor()), extractor())
    except MediaError as error:
        raise MediaError(f"{text}: {error.reason}", lasting=error.lasting) from error


def _words_query(text: str) -> Query:
    no_grey = np.empty((0, SKETCH_SIDE, SKETCH_SIDE), np.uint8)
    return Query(text, np.empty((0, 0), np.float32), None, no_grey, no_details(0))


def _described(parts: Iterable[Part], extractor: Extractor) -> Query:
    items: list[Item] = []
    try:
        for part in parts:  # one at a time: a long video's frames are never in memory together
            items += describe_parts([part], extractor)
    except MediaError:
        if not items:  # a video that breaks in the middle can be asked about as far as it goes
            raise
    logits = [item.logits for item in items if item.logits is not None]
    grey = [np.zeros((SKETCH_SIDE, SKETCH_SIDE), np.uint8) if item.grey is None else item.grey for item in items]
    details = [no_details(1)[0] if item.detail is None else item.detail for item in items]
    features = np.stack([item.feature for item in items])
    return Query(None, features, np.stack(logits) if logits else None, np.stack(grey), np.stack(details))


def check_k(k: int) -> None:
    """Raise InputError unless k is a valid number of hits."""
    if not isinstance(k, int) or k < 1:
        raise InputError(f"k: expected a whole number, at least 1, found {k!r}")
