"""Families of vectors as people have them, made from a seed: structure that an index may stumble over.

Each family is a function of a generator and two counts that returns items and queries, (n, dim) and (nq, dim), of the
same kind. Nothing is read or fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from assocmem._numerics.types import F32, F64, I64, AnyArray
from assocmem.bench.inputs import unit_rows
from assocmem.bench.recall.adapter import Metric
from assocmem.bench.recall.dataset import Dataset, exact_neighbors
from assocmem.errors import InputError

Rng = np.random.Generator
Pair = tuple[AnyArray, AnyArray]
"""Items (n, dim) and queries (nq, dim)."""

PATH = 40.0
"""How far the mean of the drifting family moves, in standard deviations of its numbers."""
ORIGINALS = 2000
"""Different vectors of the family of Zipf's copies."""
COPIES = 12
"""Of each vector, in the family of copies."""
CATEGORIES = (3, 5, 7, 9, 12, 16, 24, 36, 48, 60)
"""Values of each column of the one-hot family."""
WORDS, TEXT_WORDS, TOPIC_WORDS = 1000, 15, 25
"""Words of the language, of a text (drawn, so that some occur twice), and of a topic."""
OFFSET = 100.0
BINS, HISTOGRAM_SUM = 64, 1000.0
TOPICS, TEXT_TOPICS = 384, 8
"""Topics of all texts, which are the numbers of a vector, and of one text (drawn, so that some occur twice)."""
DECAY = 1.0
"""Exponent by which the spread of GIST-like vectors falls along their axes."""


def _normal(rng: Rng, rows: int, dim: int) -> F32:
    return rng.standard_normal((rows, dim), dtype=np.float32)


def _zipf(rng: Rng, values: int, count: int | tuple[int, int], exponent: float = 1.0) -> I64:
    """Draw numbers from 0 to ``values - 1``, each as often as 1 / (number + 1) to the power of ``exponent``."""
    weights = np.arange(1, values + 1) ** -exponent
    drawn: I64 = rng.choice(values, count, p=weights / weights.sum())
    return drawn


def _gaussian(dim: int, rng: Rng, items: int, queries: int) -> Pair:
    """No structure at all."""
    return _normal(rng, items, dim), _normal(rng, queries, dim)


def _clusters(count: int, dim: int, rng: Rng, items: int, queries: int) -> Pair:
    """Round clusters; the second has half as many items as the first, the third a third ..."""
    centres = _normal(rng, count, dim)

    def draw(rows: int) -> F32:
        return centres[_zipf(rng, count, rows)] + np.float32(0.4) * _normal(rng, rows, dim)

    return draw(items), draw(queries)


def _drift(rng: Rng, items: int, queries: int) -> Pair:
    """The mean moves along the diagonal while items are added; queries are from everywhere along the path."""
    step = PATH / np.sqrt(64)

    def draw(places: F64) -> AnyArray:
        return np.asarray(_normal(rng, len(places), 64) + (step * places)[:, None])

    return draw(np.linspace(0, 1, items)), draw(rng.uniform(0, 1, queries))


def _sorted(rng: Rng, items: int, queries: int) -> Pair:
    """Clusters, added in the order of their first number."""
    base, asked = _clusters(40, 96, rng, items, queries)
    return base[np.argsort(base[:, 0])], asked


def _zipf_copies(rng: Rng, items: int, queries: int) -> Pair:
    """Few different vectors, the first of them stored thousands of times; queries are near one of them."""
    originals = _normal(rng, ORIGINALS, 64)
    asked = originals[_zipf(rng, ORIGINALS, queries)] + np.float32(0.2) * _normal(rng, queries, 64)
    return originals[_zipf(rng, ORIGINALS, items)], asked


def _copies(rng: Rng, items: int, queries: int) -> Pair:
    """Every vector is stored `COPIES` times, in random order; the last one possibly less often."""
    originals = _normal(rng, -(-items // COPIES), 64)
    return originals[rng.permutation(items) // COPIES], _normal(rng, queries, 64)


def _one_hot(rng: Rng, items: int, queries: int) -> Pair:
    """Columns of categories, one-hot; most rows follow one of 150 hidden types."""
    types = np.stack([rng.integers(0, values, 150) for values in CATEGORIES], axis=1)
    starts = np.cumsum((0, *CATEGORIES[:-1]))

    def draw(rows: int) -> F32:
        typical = types[rng.integers(0, len(types), rows)]
        chosen = np.where(rng.random(typical.shape) < 0.7, typical, rng.integers(0, CATEGORIES, typical.shape))
        x = np.zeros((rows, sum(CATEGORIES)), np.float32)
        x[np.arange(rows)[:, None], starts + chosen] = 1
        return x

    return draw(items), draw(queries)


def _words(rng: Rng, items: int, queries: int) -> Pair:
    """Which words a text contains: those of its topic, and common ones."""
    topics = rng.integers(0, WORDS, (120, TOPIC_WORDS))

    def draw(rows: int) -> F32:
        own = topics[_zipf(rng, len(topics), rows, 0.5)]
        said = np.take_along_axis(own, rng.integers(0, TOPIC_WORDS, (rows, TEXT_WORDS - 5)), axis=1)
        x = np.zeros((rows, WORDS), np.float32)
        x[np.arange(rows)[:, None], np.hstack([said, _zipf(rng, WORDS, (rows, 5))])] = 1
        return x

    return draw(items), draw(queries)


def _manifold(rng: Rng, items: int, queries: int) -> Pair:
    """A smooth surface of 5 dimensions, bent into 128: waves of its coordinates."""
    directions, phases = 0.7 * _normal(rng, 5, 128), rng.uniform(0, 2 * np.pi, 128)

    def draw(rows: int) -> F32:
        return np.asarray(np.sin(_normal(rng, rows, 5) @ directions + phases), np.float32)

    return draw(items), draw(queries)


def _histograms(rng: Rng, items: int, queries: int) -> Pair:
    """Shares of bins: not negative, most of them near 0, all of them together always the same."""

    def draw(rows: int) -> F64:
        heights = rng.standard_gamma(0.4, (rows, BINS)) * np.repeat(rng.lognormal(0, 1, (rows, 8)), BINS // 8, axis=1)
        return np.asarray(HISTOGRAM_SUM * heights / heights.sum(axis=1, keepdims=True))

    return draw(items), draw(queries)


def _places(rng: Rng, items: int, queries: int) -> Pair:
    """Latitude and longitude in degrees, evenly on the globe."""

    def draw(rows: int) -> AnyArray:
        return np.stack([np.degrees(np.arcsin(rng.uniform(-1, 1, rows))), rng.uniform(-180, 180, rows)], axis=1)

    return draw(items), draw(queries)


def _offset(rng: Rng, items: int, queries: int) -> Pair:
    """Gaussian, far from the origin."""
    return _normal(rng, items, 32) + np.float32(OFFSET), _normal(rng, queries, 32) + np.float32(OFFSET)


def _gist(rng: Rng, items: int, queries: int) -> Pair:
    """Energies of 960 filters of a picture: not negative, all related, a few axes hold most of the spread."""
    axes = np.linalg.qr(_normal(rng, 960, 240))[0].T * (np.arange(1, 241, dtype=np.float32) ** -DECAY)[:, None]
    scenes = 2 * _normal(rng, 60, 240)

    def draw(rows: int) -> F32:
        hidden = scenes[rng.integers(0, len(scenes), rows)] + _normal(rng, rows, 240)
        return np.asarray(np.abs(hidden @ axes) + np.float32(0.005) * np.abs(_normal(rng, rows, 960)))

    return draw(items), draw(queries)


def _binary(rng: Rng, items: int, queries: int) -> Pair:
    """Bits that hang together, as those of learned hashes: signs of 256 mixtures of 24 numbers, a tenth flipped."""
    mixtures = _normal(rng, 24, 256)

    def draw(rows: int) -> F32:
        signs = (_normal(rng, rows, 24) @ mixtures) > 0
        return np.asarray(signs ^ (rng.random(signs.shape) < 0.1), np.float32)

    return draw(items), draw(queries)


def _topics(rng: Rng, items: int, queries: int) -> Pair:
    """Weights of topics in a text: a few that are not 0, and some topics are far more frequent than others."""

    def draw(rows: int) -> F32:
        x = np.zeros((rows, TOPICS), np.float32)
        chosen = _zipf(rng, TOPICS, (rows, TEXT_TOPICS), 0.8)
        x[np.arange(rows)[:, None], chosen] = rng.standard_gamma(1.0, chosen.shape) + 0.05
        return x

    return draw(items), draw(queries)


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of vectors."""

    metric: Metric
    draw: Callable[[Rng, int, int], Pair]
    """Takes a generator, the numbers of items and of queries."""


FAMILIES = {
    "gaussian-32": Family("euclidean", partial(_gaussian, 32)),
    "gaussian-128": Family("euclidean", partial(_gaussian, 128)),
    "gaussian-768": Family("angular", partial(_gaussian, 768)),
    "clusters-10": Family("euclidean", partial(_clusters, 10, 64)),
    "clusters-1000": Family("euclidean", partial(_clusters, 1000, 128)),
    "drift": Family("euclidean", _drift),
    "sorted": Family("euclidean", _sorted),
    "zipf-copies": Family("euclidean", _zipf_copies),
    "twelve-copies": Family("euclidean", _copies),
    "one-hot": Family("euclidean", _one_hot),
    "words": Family("angular", _words),
    "manifold": Family("euclidean", _manifold),
    "histograms": Family("euclidean", _histograms),
    "places": Family("euclidean", _places),
    "offset-100": Family("euclidean", _offset),
    "gist-like": Family("euclidean", _gist),
    "binary": Family("euclidean", _binary),
    "topics": Family("angular", _topics),
}


def make_family(name: str, items: int, queries: int, seed: int = 0) -> Dataset:
    """Draw a family, with the true neighbours of its queries.

    Parameters
    ----------
    name : str
        A key of `FAMILIES`.
    items, queries : int
    seed : int

    Returns
    -------
    Dataset
        float32; of length 1 if the metric is angular.

    Raises
    ------
    InputError
        There is no such family.
    """
    if name not in FAMILIES:
        raise InputError(f"--family {name}: expected one of {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    rng = np.random.default_rng([seed, list(FAMILIES).index(name)])
    base, asked = (np.ascontiguousarray(x, np.float32) for x in family.draw(rng, items, queries))
    if family.metric == "angular":
        base, asked = unit_rows(base), unit_rows(asked)
    return Dataset(name, family.metric, base, asked, *exact_neighbors(base, asked, family.metric))
