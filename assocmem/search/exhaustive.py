"""Nearest items among coded features: one engine interface, and the exhaustive engine every other is held against.

Arrays in, arrays out: blocks of (ids, codes, features) may be memory-mapped, but this module opens no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.simd import products
from assocmem._numerics.types import F32, I64, LANES, U8, Floats
from assocmem._numerics.validation import check_effort
from assocmem.codes.missing_values import SAMPLE, Moments, complete, split_known
from assocmem.codes.winner_codes import UNITS, CliqueCoder, byte_tables, score_codes
from assocmem.errors import InputError


def _no_rows() -> I64:
    return np.empty(0, np.int64)


class Rows(Protocol):
    """Feature vectors that are read a few rows at a time: an array, or rows mapped from a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole: (n, dim)."""

    def __getitem__(self, rows: I64) -> Floats:
        """Return a new array, float16 or float32 (len(rows), dim)."""


@dataclass(frozen=True, slots=True)
class Block:
    """n items that are stored together; nothing in it is ever changed."""

    ids: I64
    """int64 (n,)"""
    codes: U8
    """uint8 (n, code_bytes), C-contiguous"""
    features: Rows
    """float16 or float32 (n, dim)"""
    dead: I64 = field(default_factory=_no_rows)
    """int64: rows that are no longer to be found"""


class SearchEngine(Protocol):
    """What answers a query, however it does so."""

    def search(self, queries: npt.ArrayLike, k: int, *, effort: float | None = None) -> tuple[F32, I64]:
        """Return (D, I), shape (nq, k): cosine similarity, highest first, and ids; missing = 0 and -1."""


class ExhaustiveEngine:
    """Score every code with the real-valued query, take the best few, refine them by their stored features.

    Parameters
    ----------
    coder : CliqueCoder
        The encoder that made the codes.
    blocks : sequence of Block
        The items.
    candidates : int
        How many items, by code score, are compared by their features.
    """

    def __init__(self, coder: CliqueCoder, blocks: Sequence[Block], *, candidates: int = 300) -> None:
        for block in blocks:
            _check_block(block, coder)
        self.coder = coder
        self.blocks = tuple(blocks)
        self.candidates = candidates
        self._starts = np.cumsum([0, *(len(block.ids) for block in self.blocks)])

    def __len__(self) -> int:
        """Items that can be found."""
        return int(self._starts[-1]) - sum(len(block.dead) for block in self.blocks)

    def score(self, values: F32) -> F32:
        """Score every stored code by a value per unit, float32 (16 * clusters,); dead rows score -inf."""
        tables = byte_tables(values)
        scores = np.empty(int(self._starts[-1]), np.float32)
        for start, block in zip(self._starts, self.blocks, strict=False):
            part = scores[start : start + len(block.ids)]
            score_codes(block.codes, tables, part)
            part[block.dead] = -np.inf
        return scores

    def search(self, queries: npt.ArrayLike, k: int, *, effort: float | None = None) -> tuple[F32, I64]:
        """Return the k nearest items of each query by cosine similarity.

        Parameters
        ----------
        queries : array, shape (nq, dim) or (dim,)
            NaN where a number is missing: it is completed from what is stored (``partial.py``).
        k : int
            How many; more than there are items pads with id -1 and similarity 0.
        effort : float, optional
            About the share of the codes that an engine looks at which need not look at all, as this one does.

        Returns
        -------
        D : float32 (nq, k)
        I : int64 (nq, k)

        Raises
        ------
        InputError
            Wrong shape, infinite values, a query of NaN alone, k < 1, or an effort that is not above 0 and at most 1.
        """
        if k < 1:
            raise InputError(f"k: expected at least 1, found {k}")
        if effort is not None:
            effort = check_effort(effort)
        array = np.asarray(queries)
        if array.dtype.kind == "f" and np.isnan(array).any():
            queries = self._complete(queries)
        rotated = self.coder.rotate(queries)
        directions = _unit_rows(np.atleast_2d(np.asarray(queries, dtype=np.float32)))
        similarity = np.zeros((len(rotated), k), np.float32)
        ids = np.full((len(rotated), k), -1, np.int64)
        for i, (values, direction) in enumerate(zip(rotated, directions, strict=True)):
            rows = self._candidate_rows(values, max(self.candidates, 2 * k), effort)
            found, cosines = self._refine(rows, direction)
            order = np.lexsort((found, -cosines))[:k]  # ties go to the older item
            similarity[i, : len(order)] = cosines[order]
            ids[i, : len(order)] = found[order]
        return similarity, ids

    def _complete(self, queries: npt.ArrayLike) -> F32:
        rows, known = split_known(queries, self.coder.dim)
        return complete(rows, known, self._moments, self._near)

    def _near(self, query: F32) -> F32:
        """Features of the best candidates by code, float32 (m, dim)."""
        return self._features(self._candidate_rows(self.coder.rotate(query)[0], self.candidates, None))

    @cached_property
    def _moments(self) -> Moments:
        """Of features that lie evenly spread over all blocks."""
        living = self._living_rows()
        spread = np.unique(np.linspace(0, len(living) - 1, SAMPLE).astype(np.int64)) if len(living) else _no_rows()
        return Moments.of(self._features(living[spread]), unit=True)

    def _features(self, rows: I64) -> F32:
        """Read features of rows (ascending positions over all blocks), float32 (n, dim)."""
        features = np.empty((len(rows), self.coder.dim), np.float32)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for b in np.unique(owner):
            mine = owner == b
            features[mine] = self.blocks[b].features[rows[mine] - self._starts[b]]
        return features

    def _candidate_rows(self, rotated: F32, count: int, effort: float | None) -> I64:
        """Rows (positions over all blocks, ascending) to be compared with a rotated query, float32 (N,)."""
        return best_rows(self.score(rotated[: self.coder.clusters * UNITS]), count)

    @cached_property
    def _ids(self) -> I64:
        """Ids of all rows."""
        return np.concatenate([_no_rows(), *(block.ids for block in self.blocks)])

    def _living_rows(self) -> I64:
        """Rows of what can be found, ascending."""
        dead = [block.dead + start for start, block in zip(self._starts, self.blocks, strict=False)]
        living = np.ones(self._starts[-1], np.bool_)
        living[np.concatenate([_no_rows(), *dead])] = False
        return np.flatnonzero(living)

    def _refine(self, rows: I64, direction: F32) -> tuple[I64, F32]:
        """Ids and exact cosine similarities of rows (ascending positions over all blocks)."""
        cosines = np.empty(len(rows), np.float32)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for b in np.unique(owner):
            mine = owner == b
            local = rows[mine] - self._starts[b]
            cosines[mine] = _cosines(direction, self.blocks[b].features[local])
        return self._ids[rows], cosines


def best_rows(scores: F32, count: int) -> I64:
    """Rows of the ``count`` highest scores that are not -inf, in ascending order (so that reads go forward)."""
    rows = np.argpartition(scores, max(0, len(scores) - count))[-count:] if len(scores) else _no_rows()
    return np.sort(rows[scores[rows] > -np.inf]).astype(np.int64)


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def compare_rows(direction, rows, out):  # type: ignore[no-untyped-def]
    """Cosine similarities, float32 (n,), filled, of a vector of unit length, float32 (d,), and rows (n, d).

    ``rows``: as for ``lanes.products``; a row of zeros is 0 similar.
    """
    for i in range(out.shape[0]):
        product, square = products(direction, rows, i)
        cosine = product / np.sqrt(square) if square > np.float32(0.0) else np.float32(0.0)
        out[i] = min(max(cosine, np.float32(-1.0)), np.float32(1.0))  # rounding may exceed 1


def _cosines(direction: F32, rows: Floats) -> F32:
    """Compare float16 or float32 (n, dim). Not by `@`: BLAS sums in an order that depends on the number of rows."""
    spare = -rows.shape[1] % LANES
    if spare:
        direction, rows = np.pad(direction, (0, spare)), np.pad(rows, ((0, 0), (0, spare)))
    out = np.empty(len(rows), np.float32)
    kept = rows.view(np.uint16) if rows.dtype == np.float16 else rows.astype(np.float32, copy=False)
    compare_rows(np.ascontiguousarray(direction), np.ascontiguousarray(kept), out)
    return out


def _unit_rows(x: F32) -> F32:
    """Rows scaled to unit length; a zero row stays zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    return np.asarray(x / np.where(norms > 0, norms, 1), dtype=np.float32)


def _check_block(block: Block, coder: CliqueCoder) -> None:
    n = len(block.ids)
    expected = {"codes": (n, coder.code_bytes), "features": (n, coder.dim)}
    for name, shape in expected.items():
        found = getattr(block, name).shape
        if found != shape:
            raise InputError(f"block {name}: expected shape {shape}, found {found}")
