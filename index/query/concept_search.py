"""Words and concepts: what words mean among what was taught and ImageNet's, which items show it, what a file shows.

What was said of an item, or of a near copy of it, goes before whatever network and memory make of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from assocmem._numerics.types import F32, I8
from assocmem.data.labels import Label, imagenet_labels
from assocmem.errors import UnknownConceptError
from assocmem.index.query.label_names import match_words, named_labels, nearest_names
from assocmem.index.query.query import Query
from assocmem.index.query.ranking import Ranked, softmax
from assocmem.index.results import ConceptHit
from assocmem.index.store.segments import Segment
from assocmem.index.store.snapshot import Snapshot
from assocmem.search.exhaustive import SearchEngine

if TYPE_CHECKING:
    from assocmem.index.teach.taught_model import Standing, Taught

SCORED_UP_TO = 20_000
"""Items up to which a taught concept is searched by giving each of them a score, which takes 0.1 ms; of more, those
near to its examples get one."""
LEAST_PROBABILITY = 0.05
"""A taught concept is named from this probability on."""
_NEAR, _EXAMPLES = 200, 256
_ROWS = 1024
_LOOKED_AT = 4  # times as many hits as are asked for are held against examples


@dataclass(frozen=True, slots=True)
class Meaning:
    """What words are taken to mean."""

    words: str
    taught: tuple[str, ...]
    """concepts that were taught"""
    labels: tuple[Label, ...]
    """ImageNet's"""

    @property
    def own(self) -> bool:
        """Whether a concept was taught by just this name."""
        wanted = " ".join(self.words.split()).casefold()
        return any(name.casefold() == wanted for name in self.taught)

    @property
    def names(self) -> list[str]:
        """All of them by name, each once."""
        return list(dict.fromkeys([*self.taught, *(label.name for label in self.labels)]))


def meaning(words: str, known: Taught | None) -> Meaning:
    """Return what words mean: concepts of this name, and those below them.

    Raises
    ------
    UnknownConceptError
        Nothing; the error names what is spelt alike.
    """
    if known is None or not known.concepts:
        return Meaning(words, (), tuple(match_words(words)))
    labels = named_labels(words)
    wanted, places = " ".join(words.split()).casefold(), {label.index for label in labels}
    taught = [name for name in known.concepts if _stands_below(known.chain(name), wanted, places)]
    if not taught and not labels:
        try:
            return Meaning(words, (), tuple(match_words(words)))
        except UnknownConceptError:
            raise UnknownConceptError(words, [*nearest_taught(words, known.concepts), *nearest_names(words)]) from None
    return Meaning(words, tuple(taught), tuple(labels))


def nearest_taught(words: str, names: Sequence[str]) -> list[str]:
    """Return those of the names of taught concepts that are spelt like these words, at most three."""
    import difflib

    alike = difflib.get_close_matches(" ".join(words.split()).casefold(), [name.casefold() for name in names], 3, 0.6)
    return [name for name in names if name.casefold() in alike]


def _stands_below(chain: Sequence[str], wanted: str, places: set[int]) -> bool:
    """Whether a concept, or one above it, has the name, or is one of ImageNet's that all lie in ``places``."""
    if any(name.casefold() == wanted for name in chain):
        return True
    above = [{label.index for label in named_labels(name)} for name in chain[1:]] if places else []
    return any(mine and mine <= places for mine in above)


# items that show it


def find_meant(
    meant: Meaning, snapshot: Snapshot, engine: SearchEngine, known: Taught | None, examples: dict[int, int], k: int
) -> Ranked:
    """Return the k items that show most surely what is meant; ``examples``: item id -> example id."""
    shares: dict[int, float] = {}
    if meant.labels:
        ids, found = snapshot.with_label([label.index for label in meant.labels])
        shares = dict(zip(ids.tolist(), found.tolist(), strict=True))
    if known is None:
        return _best(shares, k)
    scores = _scored(meant, snapshot, engine, known) if meant.taught else {}
    for item, example in examples.items():
        stands = known.standing.get(example)
        if stands is not None:
            _put_right(item, stands, meant, snapshot, scores, shares)
    joined = {item: max(scores.get(item, 0.0), shares.get(item, 0.0)) for item in scores.keys() | shares.keys()}
    # Near copies of examples among what would be told: they are what the examples are.
    told = [item for item, _ in _best(joined, _LOOKED_AT * k) if item not in examples]
    features, sketches = _described(snapshot, told)
    for item, stands in zip(told, known.copies(features, sketches), strict=True):
        if stands is not None:
            _put_right(item, stands, meant, snapshot, scores, shares)
            joined[item] = max(scores.get(item, 0.0), shares.get(item, 0.0))
    return _best({item: score for item, score in joined.items() if score > 0}, k)


def _best(scores: dict[int, float], k: int) -> Ranked:
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def _put_right(
    item: int,
    stands: Standing,
    meant: Meaning,
    snapshot: Snapshot,
    scores: dict[int, float],
    shares: dict[int, float],
) -> None:
    """Let what stands of an item go before its scores."""
    if stands.concept is not None:
        scores[item] = 1.0 if stands.concept in meant.taught else 0.0
        if meant.own and stands.concept not in meant.taught:
            shares[item] = 0.0  # who taught both names tells them apart
    elif any(name.casefold() in stands.denied for name in meant.taught):
        scores[item] = 0.0
    if meant.words.casefold() in stands.denied:
        shares[item] = 0.0
    elif stands.denied and item in shares:
        left = {label.index for label in meant.labels} - _denied_labels(stands.denied)
        shares[item] = _share(snapshot, item, left)


def _share(snapshot: Snapshot, item: int, labels: Iterable[int]) -> float:
    for segment, row in _places(snapshot, [item]):
        mine = np.isin(segment.labels[row], np.fromiter(labels, np.int16))
        return float(segment.label_scores[row][mine].sum(dtype=np.float32))
    return 0.0


def _places(snapshot: Snapshot, items: Iterable[int]) -> Iterator[tuple[Segment, int]]:
    """Segment and row of items, in their order."""
    for item in items:
        for segment in snapshot.segments:
            for row in np.flatnonzero(segment.ids == item).tolist():
                yield segment, row


def _described(snapshot: Snapshot, items: Sequence[int]) -> tuple[F32, I8]:
    """Features float32 (n, dim) and sketches int8 (n, LENGTH) of items."""
    places = [(segment, np.array([row], np.int64)) for segment, row in _places(snapshot, items)]
    if not places:
        return np.empty((0, 0), np.float32), np.empty((0, 0), np.int8)
    features = [segment.features[row][0] for segment, row in places]
    return np.stack(features).astype(np.float32), np.stack([segment.sketches[row][0] for segment, row in places])


def _scored(meant: Meaning, snapshot: Snapshot, engine: SearchEngine, known: Taught) -> dict[int, float]:
    """Give items their score for taught concepts."""
    columns = [known.concepts.index(name) for name in meant.taught]
    if len(snapshot) <= SCORED_UP_TO:
        parts = _all_features(snapshot)
    else:
        _, near = engine.search(known.features_of(meant.taught, _EXAMPLES), _NEAR)
        items = np.unique(near[near >= 0]).tolist()
        parts = iter([(items, _described(snapshot, items)[0])])
    scores: dict[int, float] = {}
    for ids, features in parts:
        if len(ids):
            best = known.memory.scores(features)[:, columns].max(axis=1)
            scores |= dict(zip(ids, np.clip(best, 0, 1).tolist(), strict=True))
    return scores


def _all_features(snapshot: Snapshot) -> Iterator[tuple[list[int], F32]]:
    for segment, dead in zip(snapshot.segments, snapshot.dead, strict=True):
        rows = np.setdiff1d(np.arange(len(segment.ids)), dead)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            yield segment.ids[part].tolist(), segment.features[part].astype(np.float32)


# what a file shows


def shown_concepts(asked: Query, known: Taught | None, k: int) -> list[ConceptHit]:
    """Return the nearest concepts of a picture or video: first those taught, unless it is none, then ImageNet's."""
    taught: list[ConceptHit] = []
    copies: list[Standing | None] = []
    if known is not None and known.concepts:
        shares, none = known.probabilities(asked.features, asked.sketches)
        mean = shares.mean(axis=0)
        if none.mean() <= 0.5:
            best = [i for i in np.argsort(-mean, kind="stable")[:k].tolist() if mean[i] >= LEAST_PROBABILITY]
            taught = [ConceptHit(rank, known.concepts[i], float(mean[i]), "taught") for rank, i in enumerate(best, 1)]
    if asked.logits is None:
        return taught
    if known is not None:
        copies = known.copies(asked.features, asked.sketches)
    return taught + _labels_shown(asked.logits, copies, k)


def _denied_labels(denied: Iterable[str]) -> set[int]:
    """ImageNet's among names that were denied: what is no dog is no beagle either."""
    return {label.index for name in denied for label in named_labels(name)}


def _labels_shown(logits: F32, copies: Sequence[Standing | None], k: int) -> list[ConceptHit]:
    """Return the most probable ImageNet concepts over all rows of logits, float32 (m, 1000), but for those denied."""
    shares, labels = softmax(logits), imagenet_labels()
    denied = [set() if stands is None else _denied_labels(stands.denied) for stands in copies]
    for row, places in enumerate(denied):
        shares[row, sorted(places)] = 0
    mean = shares.mean(axis=0)
    left = np.setdiff1d(np.arange(len(labels)), list(set.intersection(*denied)) if denied else [])
    best = left[np.argsort(-mean[left], kind="stable")[:k]].tolist()
    return [ConceptHit(rank, labels[i].name, float(mean[i]), "imagenet") for rank, i in enumerate(best, 1)]
