"""Synthetic vectors for the growth benchmark: any number of them, distributed like real ones.

A synthetic vector is a real one (its parent), moved about as far as its nearest neighbours are, in their directions:
the parent plus a random mixture of the differences to its neighbours. So it stays on the curved manifold of the real
vectors, dense regions stay dense, and the number of directions is that of the neighbourhood.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F32, I64, AnyArray
from assocmem.bench.growth.neighbourhoods import NeighbourhoodStats, nearest_rows, neighbourhood_stats
from assocmem.bench.inputs import unit_rows
from assocmem.errors import InputError

CHUNK = 8192
"""Vectors that share a stream of random numbers, so that any chunk can be drawn alone."""
MAX_PARENTS, MAX_SEARCHED = 200_000, 50_000
"""Real vectors at most that are parents, and among which their neighbours are searched."""
TRUSTED = 10
"""Vectors per parent up to which they are as hard to find as real ones; with a hundred, they are easier."""
HELD_OUT = 500
"""Real vectors that are held out as queries."""
NEIGHBOURS, REACHES = (8, 16, 32), (0.5, 0.6, 0.7, 0.85, 1.0)
"""Numbers of neighbours, and distances to move in root mean squared distances to them, that are tried."""
BASE, QUERIES = 0, 1
"""Streams of random numbers."""


@dataclass(frozen=True, slots=True)
class RealVectors:
    """Real vectors in random order."""

    name: str
    x: F32
    """float32 (n, dim); of length 1 if angular"""
    angular: bool
    fits_uint8: bool
    """Whether all numbers are whole and within 0 to 255."""

    def hold_out(self, count: int) -> tuple[RealVectors, F32]:
        """Return all but the first ``count`` vectors, and those."""
        return replace(self, x=self.x[count:]), self.x[:count]


def read(path: Path, dim: int) -> RealVectors:
    """Read a file in ann-benchmarks' layout; longer vectors are reduced to ``dim`` principal components.

    Raises
    ------
    InputError
        It is another kind of file, the distance is Hamming's, or there are too few vectors.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            metric, x = str(file.attrs["distance"]), np.asarray(file["train"][:], np.float32)
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: expected vectors 'train' and a 'distance' in HDF5, found another ({error})"
        ) from error
    if metric not in ("euclidean", "angular"):
        raise InputError(f"{path}: expected euclidean or angular vectors, found {metric}")
    if x.ndim != 2 or len(x) < 4 * HELD_OUT:
        raise InputError(f"{path}: expected at least {4 * HELD_OUT} vectors, found shape {x.shape}")
    x = x[np.random.default_rng(0).permutation(len(x))]
    angular = metric == "angular"
    x = unit_rows(x) if angular else x
    if x.shape[1] > dim:
        _, axes = np.linalg.eigh(np.cov(x[:20_000], rowvar=False))
        x = x @ np.ascontiguousarray(axes[:, -dim:], np.float32)
        x = unit_rows(x) if angular else x
    fits_uint8 = not angular and bool(((x >= 0) & (x <= 255) & (x == np.rint(x))).all())
    return RealVectors(path.stem, np.ascontiguousarray(x), angular, fits_uint8)


def made_up(dim: int, count: int = 20_000) -> RealVectors:
    """Make vectors to start from if there are no real ones: clusters of clusters, variances falling along the axes."""
    rng = np.random.default_rng(0)
    scales = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    x = np.zeros((1, dim), np.float32)
    for size, width in ((64, 1.0), (2048, 0.7), (count, 0.5)):
        offsets = rng.standard_normal((size, dim), np.float32) * scales * np.float32(width)
        x = x[rng.integers(0, len(x), size)] + offsets
    return RealVectors("made-up", x, angular=False, fits_uint8=False)


@dataclass(frozen=True, slots=True)
class VectorGenerator:
    """Draws vectors that are distributed like real ones; the same ones every time.

    Parameters
    ----------
    real : RealVectors
        The parents.
    neighbours : int64 (n, k)
        Rows of the nearest others of each parent.
    reach : float
        How far to move, in root mean squared distances to the neighbours.
    seed : int
    """

    real: RealVectors
    neighbours: I64 = field(repr=False)
    reach: float
    seed: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the drawn vectors: uint8 if the real ones fit, else float16."""
        return np.dtype(np.uint8 if self.real.fits_uint8 else np.float16)

    def draw(self, start: int, stop: int, stream: int = BASE) -> AnyArray:
        """Draw the vectors from number ``start`` to ``stop``, (stop - start, dim), of a stream."""
        first = start // CHUNK
        chunks = [self._draw_chunk(chunk, stream) for chunk in range(first, -(-stop // CHUNK))]
        drawn = np.concatenate(chunks) if chunks else np.empty((0, self.real.x.shape[1]), self.dtype)
        return drawn[start - first * CHUNK : stop - first * CHUNK]

    def _draw_chunk(self, chunk: int, stream: int) -> AnyArray:
        rng = np.random.default_rng((self.seed, stream, chunk))
        x, directions = self.real.x, self.neighbours.shape[1]
        parents = rng.integers(0, len(x), CHUNK)
        weights = rng.standard_normal((CHUNK, directions), np.float32) * np.float32(self.reach / directions**0.5)
        drawn = x[parents] * (1 - weights.sum(axis=1, keepdims=True))
        for i in range(directions):
            drawn += weights[:, i, None] * x[self.neighbours[parents, i]]
        drawn *= _lengths(x[parents]) / np.maximum(_lengths(drawn), 1e-9)  # mixtures are longer than their parents
        if self.real.fits_uint8:
            drawn = np.clip(np.rint(drawn), 0, 255)
        return (unit_rows(drawn) if self.real.angular else drawn).astype(self.dtype)

    def as_compared(self, x: AnyArray) -> F32:
        """Convert drawn vectors to the form in which they are compared."""
        return as_compared(x, angular=self.real.angular)


def _lengths(x: F32) -> F32:
    lengths: F32 = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return lengths


def as_compared(x: AnyArray, *, angular: bool) -> F32:
    """Convert vectors to float32, scaled to length 1 if the distance is angular."""
    wide = x.astype(np.float32)
    return unit_rows(wide) if angular else wide


def fit_generator(
    real: RealVectors, queries: F32, parents: int = MAX_PARENTS
) -> tuple[VectorGenerator, NeighbourhoodStats]:
    """Choose the number of neighbours and the reach whose vectors have neighbourhoods most like real ones.

    Parameters
    ----------
    real : RealVectors
    queries : float32 (nq, dim)
        Other vectors of the same kind.
    parents : int
        Real vectors that are parents, at most.

    Returns
    -------
    generator : VectorGenerator
    stats : NeighbourhoodStats
        Of the parents; as many drawn vectors were compared with them.
    """
    source = replace(real, x=np.ascontiguousarray(real.x[:parents]))
    wanted = neighbourhood_stats(queries, source.x)
    rows = nearest_others(source.x, min(max(NEIGHBOURS), len(source.x) - 1))
    tried = [VectorGenerator(source, rows[:, :k], reach) for k in NEIGHBOURS for reach in REACHES]
    best = min(tried, key=lambda one: drawn_stats(one, len(source.x), len(queries)).difference(wanted))
    return best, wanted


def drawn_stats(generator: VectorGenerator, items: int, queries: int) -> NeighbourhoodStats:
    """Measure the neighbourhoods of drawn queries among the first ``items`` drawn vectors."""
    asked = generator.as_compared(generator.draw(0, queries, QUERIES))
    return neighbourhood_stats(asked, generator.as_compared(generator.draw(0, items)))


def nearest_others(x: F32, k: int, part: int = 1000) -> I64:
    """Return the rows of the k nearest others of each row among the first `MAX_SEARCHED`, int64 (n, k)."""
    found = []
    for at in range(0, len(x), part):
        rows = nearest_rows(x[at : at + part], x[:MAX_SEARCHED], k + 1)[1]
        is_itself = rows == np.arange(at, at + len(rows))[:, None]
        order = np.argsort(is_itself, axis=1, kind="stable")[:, :k]
        found.append(np.take_along_axis(rows, order, axis=1))
    return np.concatenate(found)
