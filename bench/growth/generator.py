"""Vectors that the growth benchmark draws: as many as one likes, so that they follow real ones.

A drawn vector is a real one, moved about as far as its nearest neighbours are, in their directions: the real one plus
a random mixture of the differences to them. So it stays on whatever curved sheet the real ones lie, sheets of close
neighbours overlap, dense places stay dense, and the number of directions is that of the neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, AnyArray
from assocmem.bench.growth.neighbourhoods import Spread, measure, nearest
from assocmem.bench.recall.dataset import unit
from assocmem.errors import InputError

CHUNK = 8192
"""Vectors that are drawn together, from random numbers of their own: so any chunk can be drawn alone."""
SEEDS, AMONG = 200_000, 50_000
"""Real vectors at most that others are drawn from, and among which their neighbours are looked for."""
TRUSTED = 10
"""Vectors drawn of each real one up to which they are as hard to find as real ones; of a hundred, they are easier."""
HELD = 500
"""Real vectors that are kept out, to ask with."""
NEIGHBOURS, REACHES = (8, 16, 32), (0.5, 0.6, 0.7, 0.85, 1.0)
"""What is tried: how many neighbours give directions, and how far to move, in root mean squared distances to them."""
BASE, QUERIES = 0, 1
"""Streams of random numbers."""


@dataclass(frozen=True, slots=True)
class Real:
    """Real vectors, in random order.

    ``angular`` ones have unit length; ``whole`` ones are numbers from 0 to 255.
    """

    name: str
    x: F32
    angular: bool
    whole: bool

    def split(self, held: int) -> tuple[Real, F32]:
        """Return all but the first, and those."""
        return replace(self, x=self.x[held:]), self.x[:held]


def read(path: Path, dim: int) -> Real:
    """Read a file in ann-benchmarks' layout; longer vectors are reduced to ``dim`` principal components.

    Raises
    ------
    InputError
        No such file, Hamming's distance, or too few vectors.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            kind, x = str(file.attrs["distance"]), np.asarray(file["train"][:], np.float32)
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: expected vectors 'train' and a 'distance' in HDF5, found another ({error})"
        ) from error
    if kind not in ("euclidean", "angular"):
        raise InputError(f"{path}: expected euclidean or angular vectors, found {kind}")
    if x.ndim != 2 or len(x) < 4 * HELD:
        raise InputError(f"{path}: expected at least {4 * HELD} vectors, found shape {x.shape}")
    x = x[np.random.default_rng(0).permutation(len(x))]
    angular = kind == "angular"
    x = unit(x) if angular else x
    if x.shape[1] > dim:
        _, axes = np.linalg.eigh(np.cov(x[:20_000], rowvar=False))
        x = x @ np.ascontiguousarray(axes[:, -dim:], np.float32)
        x = unit(x) if angular else x
    whole = not angular and bool(((x >= 0) & (x <= 255) & (x == np.rint(x))).all())
    return Real(path.stem, np.ascontiguousarray(x), angular, whole)


def made_up(dim: int, count: int = 20_000) -> Real:
    """Make vectors up, where there are no real ones: clusters of clusters, with variances that fall along the axes."""
    rng = np.random.default_rng(0)
    scales = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    x = np.zeros((1, dim), np.float32)
    for size, width in ((64, 1.0), (2048, 0.7), (count, 0.5)):
        own = rng.standard_normal((size, dim), np.float32) * scales * np.float32(width)
        x = x[rng.integers(0, len(x), size)] + own
    return Real("made-up", x, angular=False, whole=False)


@dataclass(frozen=True, slots=True)
class Source:
    """Draws vectors that follow real ones; the same ones every time.

    Parameters
    ----------
    real : Real
    neighbours : int64 (n, k)
        Rows of the nearest others of each.
    reach : float
        How far to move, in root mean squared distances to the neighbours.
    seed : int
    """

    real: Real
    neighbours: I64 = field(repr=False)
    reach: float
    seed: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """In which vectors are kept: uint8 if they are whole, else float16."""
        return np.dtype(np.uint8 if self.real.whole else np.float16)

    def draw(self, start: int, stop: int, stream: int = BASE) -> AnyArray:
        """Draw the vectors of these numbers, (stop - start, dim), of ``dtype``; ``stream``: `BASE` or `QUERIES`."""
        first = start // CHUNK
        chunks = [self._chunk(chunk, stream) for chunk in range(first, -(-stop // CHUNK))]
        drawn = np.concatenate(chunks) if chunks else np.empty((0, self.real.x.shape[1]), self.dtype)
        return drawn[start - first * CHUNK : stop - first * CHUNK]

    def _chunk(self, chunk: int, stream: int) -> AnyArray:
        rng = np.random.default_rng((self.seed, stream, chunk))
        x, directions = self.real.x, self.neighbours.shape[1]
        parents = rng.integers(0, len(x), CHUNK)
        shares = rng.standard_normal((CHUNK, directions), np.float32) * np.float32(self.reach / directions**0.5)
        drawn = x[parents] * (1 - shares.sum(axis=1, keepdims=True))
        for i in range(directions):
            drawn += shares[:, i, None] * x[self.neighbours[parents, i]]
        drawn *= _lengths(x[parents]) / np.maximum(_lengths(drawn), 1e-9)  # a mixture is longer than what it is made of
        if self.real.whole:
            drawn = np.clip(np.rint(drawn), 0, 255)
        return (unit(drawn) if self.real.angular else drawn).astype(self.dtype)

    def compared(self, x: AnyArray) -> F32:
        """Turn vectors as they are kept into the form in which they are compared."""
        return as_compared(x, angular=self.real.angular)


def _lengths(x: F32) -> F32:
    lengths: F32 = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return lengths


def as_compared(x: AnyArray, *, angular: bool) -> F32:
    """Widen vectors to float32, of unit length where the distance is angular."""
    wide = x.astype(np.float32)
    return unit(wide) if angular else wide


def follow(real: Real, queries: F32, seeds: int = SEEDS) -> tuple[Source, Spread]:
    """Find the way of drawing whose vectors are spread most like real ones.

    Parameters
    ----------
    real : Real
    queries : float32 (nq, dim)
        Others of the kind.
    seeds : int
        At most so many real vectors are drawn from.

    Returns
    -------
    source : Source
    spread : Spread
        Of the seeds; what is drawn was compared at their number.
    """
    seed = replace(real, x=np.ascontiguousarray(real.x[:seeds]))
    wanted = measure(queries, seed.x)
    rows = _others(seed.x, min(max(NEIGHBOURS), len(seed.x) - 1))
    tried = [Source(seed, rows[:, :k], reach) for k in NEIGHBOURS for reach in REACHES]
    return min(tried, key=lambda source: drawn_spread(source, len(seed.x), len(queries)).apart(wanted)), wanted


def drawn_spread(source: Source, items: int, queries: int) -> Spread:
    """Measure the first so many drawn vectors around drawn queries."""
    return measure(source.compared(source.draw(0, queries, QUERIES)), source.compared(source.draw(0, items)))


def _others(x: F32, k: int, part: int = 1000) -> I64:
    """Return the rows of the k nearest of each row, among the first `AMONG`; itself is left out."""
    found = []
    for at in range(0, len(x), part):
        rows = nearest(x[at : at + part], x[:AMONG], k + 1)[1]
        itself = rows == np.arange(at, at + len(rows))[:, None]
        order = np.argsort(itself, axis=1, kind="stable")[:, :k]
        found.append(np.take_along_axis(rows, order, axis=1))
    return np.concatenate(found)
