"""Families of vectors as people have them, drawn from a seed: no engine, nothing fetched.

Real features are one kind of data among many. These are away from the origin, in clusters, drifting, sorted, copied,
counted, sparse or of few dimensions; an index that holds on all of them may hold on the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from assocmem._numerics.types import F32, F64
from assocmem.bench.inputs import unit_rows
from assocmem.bench.recall.dataset import Dataset, exact_neighbors

Draw = Callable[[np.random.Generator, int], F64]
"""Draws some vectors; it may be called twice, for what is stored and for queries."""
Maker = Callable[[np.random.Generator], Draw]
DISTINCT = 2500
"""Different vectors among copies by a power law."""
COPIES = 12


class Family(NamedTuple):
    """A kind of data."""

    metric: Literal["euclidean", "angular"]
    make: Maker
    about: str
    store: Callable[[np.random.Generator, F64], F64] | None = None
    """Makes what is stored from what was drawn: sorted, copied; by default nothing is changed."""


def _gauss(dim: int, centre: float = 0.0) -> Maker:
    return lambda rng: lambda rng, n: centre + rng.standard_normal((n, dim))


def _clusters(count: int, dim: int, spread: float) -> Maker:
    """Round clusters with sizes by a power law."""

    def make(rng: np.random.Generator) -> Draw:
        middles = rng.standard_normal((count, dim))
        shares = np.arange(1, count + 1) ** -1.2
        shares /= shares.sum()
        return lambda rng, n: middles[rng.choice(count, n, p=shares)] + spread * rng.standard_normal((n, dim))

    return make


def _drift(rng: np.random.Generator) -> Draw:
    """A mean that moves by 40 deviations along a direction."""
    way = rng.standard_normal(64)
    way /= np.linalg.norm(way)
    return lambda rng, n: rng.standard_normal((n, 64)) + 40 * np.sort(rng.random(n))[:, None] * way


def _near_copies(rng: np.random.Generator) -> Draw:
    """Vectors near a few that are common by a power law; what is stored is rounded to those."""
    known = rng.standard_normal((DISTINCT, 64))
    shares = 1 / np.arange(1, DISTINCT + 1)
    shares /= shares.sum()
    return lambda rng, n: known[rng.choice(DISTINCT, n, p=shares)] + 0.2 * rng.standard_normal((n, 64))


def _round_to_first(rng: np.random.Generator, x: F64) -> F64:
    """Replace each vector by one of the first ``DISTINCT``, the first of them most often."""
    shares = 1 / np.arange(1, min(DISTINCT, len(x)) + 1)
    return x[rng.choice(len(shares), len(x), p=shares / shares.sum())]


def _twelve_times(rng: np.random.Generator, x: F64) -> F64:
    return x[rng.permutation(np.arange(len(x)) // COPIES)]


def _sorted(rng: np.random.Generator, x: F64) -> F64:
    return x[np.argsort(x @ rng.standard_normal(x.shape[1]))]


def _onehot(rng: np.random.Generator) -> Draw:
    """Ten columns of categories, which a hidden class decides mostly."""
    levels = np.array([4, 8, 12, 20, 30, 50, 10, 6, 3, 2])
    table, first = rng.integers(0, 1 << 30, (200, 10)) % levels, np.cumsum(levels) - levels

    def draw(rng: np.random.Generator, n: int) -> F64:
        told = table[rng.integers(0, 200, n)]
        mine = np.where(rng.random((n, 10)) < 0.7, told, rng.integers(0, 1 << 30, (n, 10)) % levels)
        x = np.zeros((n, int(levels.sum())))
        x[np.arange(n)[:, None], first + mine] = 1
        return x

    return draw


def _words(dim: int, own: int, common: int, *, weighted: bool) -> Maker:
    """Which words are in a text: some of its topic, some common ones; ``weighted``: how often, less for common ones."""

    def make(rng: np.random.Generator) -> Draw:
        topics = rng.integers(0, dim, (100, 30))
        weights = 1 / np.sqrt(1 + np.arange(dim)[::-1]) if weighted else np.ones(dim)

        def draw(rng: np.random.Generator, n: int) -> F64:
            x, rows = np.zeros((n, dim)), np.arange(n)[:, None]
            mine = topics[rng.integers(0, 100, n)]
            np.add.at(x, (rows, np.take_along_axis(mine, rng.integers(0, 30, (n, own)), axis=1)), 1)
            np.add.at(x, (rows, np.minimum(rng.zipf(1.5, (n, common)), dim) - 1), 1)
            return (x if weighted else np.minimum(x, 1)) * weights

        return draw

    return make


def _surface(inner: int, dim: int, noise: float = 0.0) -> Maker:
    """A bent surface of few dimensions in many."""

    def make(rng: np.random.Generator) -> Draw:
        outwards, across = rng.standard_normal((inner, dim)), rng.standard_normal((dim, dim)) / np.sqrt(dim)

        def draw(rng: np.random.Generator, n: int) -> F64:
            flat = np.tanh(rng.standard_normal((n, inner)) @ outwards)
            return np.asarray(np.tanh(flat @ across) + noise * rng.standard_normal((n, dim)))

        return draw

    return make


def _gist(rng: np.random.Generator) -> Draw:
    """Positive numbers whose principal components fall by a power law, like descriptions of scenes."""
    scales = np.arange(1, 961) ** -0.7
    turn = np.linalg.qr(rng.standard_normal((960, 960)))[0]
    return lambda rng, n: np.abs(0.3 + (rng.standard_normal((n, 960)) * scales) @ turn)


def _histograms(rng: np.random.Generator) -> Draw:
    """Histograms of 64 bins in eight groups, of 512 counts each."""

    def draw(rng: np.random.Generator, n: int) -> F64:
        x = rng.gamma(0.3, 1, (n, 64)) * np.exp(np.repeat(rng.standard_normal((n, 8)), 8, axis=1))
        return np.asarray(512 * x / x.sum(axis=1, keepdims=True))

    return draw


def _binary(rng: np.random.Generator) -> Draw:
    """Zeros and ones: words of 256 bits from 500 prototypes, a tenth of the bits turned."""
    words = rng.random((500, 256)) < 0.5
    return lambda rng, n: (words[rng.integers(0, 500, n)] ^ (rng.random((n, 256)) < 0.1)).astype(np.float64)


def _degrees(rng: np.random.Generator) -> Draw:
    return lambda rng, n: np.c_[rng.uniform(-90, 90, n), rng.uniform(-180, 180, n)]


FAMILIES: dict[str, Family] = {
    "gauss-32": Family("euclidean", _gauss(32), "independent Gaussians: no structure"),
    "gauss-128": Family("euclidean", _gauss(128), "the same in 128 dimensions"),
    "gauss-768": Family("angular", _gauss(768), "the same in 768, by angle"),
    "clusters-10": Family("euclidean", _clusters(10, 64, 0.3), "10 clusters of uneven sizes"),
    "clusters-1000": Family("euclidean", _clusters(1000, 128, 0.3), "1,000 clusters of uneven sizes"),
    "drift": Family("euclidean", _drift, "a mean that moves by 40 deviations while items come"),
    "sorted": Family("euclidean", _clusters(50, 96, 0.6), "50 clusters, added in the order of a projection", _sorted),
    "zipf-copies": Family("euclidean", _near_copies, "copies of 2,500 vectors by a power law", _round_to_first),
    "twelve-times": Family("euclidean", _gauss(64), "every vector twelve times", _twelve_times),
    "one-hot": Family("euclidean", _onehot, "ten columns of categories"),
    "bag-of-words": Family("angular", _words(1000, 8, 5, weighted=False), "which of 1,000 words are in a text"),
    "text-384": Family("angular", _words(384, 20, 10, weighted=True), "weighted words of a text, sparse"),
    "manifold": Family("euclidean", _surface(5, 128), "a bent surface of 5 dimensions in 128"),
    "histograms": Family("euclidean", _histograms, "64 bins, 512 counts"),
    "gist-960": Family("euclidean", _gist, "960 positive numbers of falling variances"),
    "binary-256": Family("euclidean", _binary, "256 bits from 500 prototypes"),
    "lat-lon": Family("euclidean", _degrees, "degrees on a map: two dimensions"),
    "offset-100": Family("euclidean", _gauss(32, 100.0), "Gaussians around 100"),
}
"""By name."""


def family(name: str, items: int, queries: int, seed: int = 0) -> Dataset:
    """Draw items and queries of a family, and find the truth."""
    known = FAMILIES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    draw = known.make(rng)
    base = draw(rng, items)
    base = base if known.store is None else known.store(rng, base)
    x, q = (_as_compared(part, angular=known.metric == "angular") for part in (base, draw(rng, queries)))
    return Dataset(name, known.metric, x, q, *exact_neighbors(x, q, known.metric))


def _as_compared(x: F64, *, angular: bool) -> F32:
    narrow = np.ascontiguousarray(x, np.float32)
    return unit_rows(narrow) if angular else narrow
