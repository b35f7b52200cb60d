"""Search by words: what words mean among taught and ImageNet's concepts, and which items show it.

The label of an item, or of an example that it is a near copy of, comes before any prediction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F32, I8, I64
from assocmem.data.imagenet import Label
from assocmem.data.label_names import classes_named, match_words, named_labels, nearest_names
from assocmem.errors import UnknownConceptError
from assocmem.index.results import Ranked
from assocmem.index.store.segments import Segment
from assocmem.index.store.snapshot import Snapshot
from assocmem.index.teach.taught_model import TaughtLabel, TaughtModel, nearest_taught
from assocmem.search.exhaustive import SearchEngine

SCORED_UP_TO = 20_000
"""Items up to which a search for a taught concept scores each of them, which takes 0.1 ms; of more, those that are near
to its examples."""
_NEAR, _EXAMPLES = 200, 256
_ROWS = 1024
_LOOKED_AT = 4  # times as many hits as are asked for are compared with examples


@dataclass(frozen=True, slots=True)
class Meaning:
    """What words are taken to mean."""

    words: str
    taught: tuple[str, ...]
    """taught concepts"""
    labels: tuple[Label, ...]
    """ImageNet's concepts"""

    @property
    def own(self) -> bool:
        """Whether a concept was taught under exactly this name."""
        wanted = " ".join(self.words.split()).casefold()
        return any(name.casefold() == wanted for name in self.taught)

    @property
    def names(self) -> list[str]:
        """The names of all concepts, each once."""
        return list(dict.fromkeys([*self.taught, *(label.name for label in self.labels)]))


def meaning(words: str, model: TaughtModel | None) -> Meaning:
    """Return what words mean: concepts with this name, and those below them.

    Raises
    ------
    UnknownConceptError
        They mean nothing; the error lists names with a similar spelling.
    """
    if model is None or not model.concepts:
        return Meaning(words, (), tuple(match_words(words)))
    labels = named_labels(words)
    wanted, classes = " ".join(words.split()).casefold(), {label.index for label in labels}
    taught = [name for name in model.concepts if _is_below(model.chain(name), wanted, classes)]
    if not taught and not labels:
        try:
            return Meaning(words, (), tuple(match_words(words)))
        except UnknownConceptError:
            raise UnknownConceptError(words, [*nearest_taught(words, model.concepts), *nearest_names(words)]) from None
    return Meaning(words, tuple(taught), tuple(labels))


def _is_below(chain: Sequence[str], wanted: str, classes: set[int]) -> bool:
    """Return whether a concept, or one above it, has the name, or means only ImageNet concepts among ``classes``."""
    if any(name.casefold() == wanted for name in chain):
        return True
    above = [{label.index for label in named_labels(name)} for name in chain[1:]] if classes else []
    return any(mine and mine <= classes for mine in above)


def items_meant(
    meant: Meaning,
    snapshot: Snapshot,
    engine: SearchEngine,
    model: TaughtModel | None,
    examples: dict[int, int],
    k: int,
) -> Ranked:
    """Return the k items that show most surely what is meant; ``examples``: item id -> example id."""
    found = _FoundItems(meant, snapshot)
    if model is None:
        return _best(found.labelled, k)
    if meant.taught:
        found.predicted = _predictions(meant, snapshot, engine, model)
    for item, example in examples.items():
        if example in model.labels:
            found.correct(item, model.labels[example])
    # The best items may be near copies of examples: the examples' labels apply to them.
    best = [item for item, _ in _best(found.scores(), _LOOKED_AT * k) if item not in examples]
    data = _item_data(snapshot, best)
    features = np.stack([feature for feature, _ in data.values()]) if data else np.empty((0, 0), np.float32)
    labels = model.copies(features, lambda: np.stack([sketch for _, sketch in data.values()]))
    for item, label in zip(data, labels, strict=True):
        if label is not None:
            found.correct(item, label)
    return _best({item: score for item, score in found.scores().items() if score > 0}, k)


class _FoundItems:
    """Scores of items: predicted for taught concepts, and labelled by the network for ImageNet's."""

    def __init__(self, meant: Meaning, snapshot: Snapshot) -> None:
        self._meant, self._snapshot = meant, snapshot
        self.predicted: dict[int, float] = {}
        self.labelled: dict[int, float] = {}
        if meant.labels:
            ids, shares = snapshot.with_label([label.index for label in meant.labels])
            self.labelled = dict(zip(ids.tolist(), shares.tolist(), strict=True))

    def scores(self) -> dict[int, float]:
        """Return the score of every item: the better of the two."""
        items = self.predicted.keys() | self.labelled.keys()
        return {item: max(self.predicted.get(item, 0.0), self.labelled.get(item, 0.0)) for item in items}

    def correct(self, item: int, label: TaughtLabel) -> None:
        """Replace an item's scores where they contradict its label."""
        meant = self._meant
        if label.concept is not None:
            self.predicted[item] = 1.0 if label.concept in meant.taught else 0.0
            if meant.own and label.concept not in meant.taught:
                self.labelled[item] = 0.0  # a user who taught both names distinguishes them
        elif any(name.casefold() in label.denied for name in meant.taught):
            self.predicted[item] = 0.0
        if meant.words.casefold() in label.denied:
            self.labelled[item] = 0.0
        elif label.denied and item in self.labelled:
            left = {imagenet.index for imagenet in meant.labels} - classes_named(label.denied)
            self.labelled[item] = self._share(item, left)

    def _share(self, item: int, classes: Iterable[int]) -> float:
        """Return the probability that the network gives an item for some classes."""
        for segment, rows in _rows_of(self._snapshot, [item]):
            mine = np.isin(segment.labels[rows[0]], np.fromiter(classes, np.int16))
            return float(segment.label_scores[rows[0]][mine].sum(dtype=np.float32))
        return 0.0


def _best(scores: dict[int, float], k: int) -> Ranked:
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def _predictions(meant: Meaning, snapshot: Snapshot, engine: SearchEngine, model: TaughtModel) -> dict[int, float]:
    """Return the scores of items for the taught concepts that are meant."""
    columns = [model.concepts.index(name) for name in meant.taught]
    parts: Iterable[tuple[list[int], F32]]
    if len(snapshot) <= SCORED_UP_TO:
        parts = (
            (segment.ids[rows].tolist(), segment.features[rows].astype(np.float32))
            for segment, rows in snapshot.living(_ROWS)
            if len(rows)
        )
    else:
        _, near = engine.search(model.features_of(meant.taught, _EXAMPLES), _NEAR)
        data = _item_data(snapshot, np.unique(near[near >= 0]).tolist())
        parts = [(list(data), np.stack([feature for feature, _ in data.values()]))] if data else []
    scores: dict[int, float] = {}
    for ids, features in parts:
        best = model.memory.scores(features)[:, columns].max(axis=1)
        scores |= dict(zip(ids, np.clip(best, 0, 1).tolist(), strict=True))
    return scores


def _rows_of(snapshot: Snapshot, items: Sequence[int]) -> Iterator[tuple[Segment, I64]]:
    """Yield segments and the rows of items in them, int64 (n,)."""
    wanted = np.array(sorted(items), np.int64)
    for segment in snapshot.segments:
        rows = np.flatnonzero(np.isin(segment.ids, wanted))
        if len(rows):
            yield segment, rows


def _item_data(snapshot: Snapshot, items: Sequence[int]) -> dict[int, tuple[F32, I8]]:
    """Return feature float32 (dim,) and sketch int8 (LENGTH,) of items, by id."""
    found: dict[int, tuple[F32, I8]] = {}
    for segment, rows in _rows_of(snapshot, items):
        features, sketches = segment.features[rows].astype(np.float32), segment.sketches[rows]
        found |= dict(zip(segment.ids[rows].tolist(), zip(features, sketches, strict=True), strict=True))
    return found
