"""Search among coded items: the interface of the engines, and the exhaustive engine, the reference for the others.

The items come in blocks of ids, codes and features. These arrays may be memory-mapped, but this module opens no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.simd import products
from assocmem._numerics.types import F32, I64, KERNEL, LANES, U8, Floats
from assocmem._numerics.validation import check_effort
from assocmem.codes.missing_values import MOMENT_ROWS, Moments, impute, split_known
from assocmem.codes.winner_codes import UNITS, CliqueCoder, byte_tables, score_codes
from assocmem.errors import InputError


def _no_rows() -> I64:
    return np.empty(0, np.int64)


class FeatureRows(Protocol):
    """Feature vectors of which a few rows are read at a time: an array, or rows of a mapped file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole: (n, dim)."""

    def __getitem__(self, rows: I64) -> Floats:
        """Return a new array, float16 or float32 (len(rows), dim)."""


@dataclass(frozen=True, slots=True)
class Block:
    """n items that are stored together; a block never changes."""

    ids: I64
    """int64 (n,)"""
    codes: U8
    """uint8 (n, code_bytes), C-contiguous"""
    features: FeatureRows
    """float16 or float32 (n, dim)"""
    dead: I64 = field(default_factory=_no_rows)
    """int64: rows of removed items, which are never found"""


class SearchEngine(Protocol):
    """Anything that answers queries."""

    def search(self, queries: npt.ArrayLike, k: int, *, effort: float | None = None) -> tuple[F32, I64]:
        """Return (D, I), both (nq, k): cosine similarity, highest first, and ids; 0 and -1 if there are fewer items."""


class ItemBlocks:
    """The items of several blocks. A row is here a position in all blocks, one behind the other.

    Parameters
    ----------
    coder : CliqueCoder
        The encoder of the codes.
    blocks : sequence of Block
    """

    def __init__(self, coder: CliqueCoder, blocks: Sequence[Block]) -> None:
        for block in blocks:
            _check_block(block, coder)
        self.coder = coder
        self.blocks = tuple(blocks)
        self._starts = np.cumsum([0, *(len(block.ids) for block in self.blocks)])

    def __len__(self) -> int:
        """Items that can be found."""
        return int(self._starts[-1]) - sum(len(block.dead) for block in self.blocks)

    @cached_property
    def ids(self) -> I64:
        """Ids of all rows, int64 (rows,)."""
        return np.concatenate([_no_rows(), *(block.ids for block in self.blocks)])

    def living_rows(self) -> I64:
        """Return the rows of items that can be found, ascending."""
        dead = [block.dead + start for start, block in zip(self._starts, self.blocks, strict=False)]
        living = np.ones(self._starts[-1], np.bool_)
        living[np.concatenate([_no_rows(), *dead])] = False
        return np.flatnonzero(living)

    def score(self, values: F32) -> F32:
        """Score all codes by a value per unit, float32 (16 * clusters,); rows of removed items score -inf."""
        tables = byte_tables(values)
        scores = np.empty(int(self._starts[-1]), np.float32)
        for start, block in zip(self._starts, self.blocks, strict=False):
            part = scores[start : start + len(block.ids)]
            score_codes(block.codes, tables, part)
            part[block.dead] = -np.inf
        return scores

    def codes(self, rows: I64) -> U8:
        """Return the codes of rows, ascending, uint8 (n, code_bytes)."""
        parts = [np.empty((0, self.coder.code_bytes), np.uint8)]
        for start, block in zip(self._starts, self.blocks, strict=False):
            local = rows - start
            parts.append(block.codes[local[(local >= 0) & (local < len(block.ids))]])
        return np.concatenate(parts)

    def features(self, rows: I64) -> F32:
        """Return the features of rows, ascending, float32 (n, dim)."""
        features = np.empty((len(rows), self.coder.dim), np.float32)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for b in np.unique(owner):
            mine = owner == b
            features[mine] = self.blocks[b].features[rows[mine] - self._starts[b]]
        return features

    def cosines(self, rows: I64, direction: F32) -> F32:
        """Return the cosine similarities of a vector of unit length and rows, ascending, float32 (n,)."""
        cosines = np.empty(len(rows), np.float32)
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        for b in np.unique(owner):
            mine = owner == b
            cosines[mine] = _cosines(direction, self.blocks[b].features[rows[mine] - self._starts[b]])
        return cosines


class ExhaustiveEngine:
    """Score every code with the real-valued query, then compare the best few items by their stored features.

    Parameters
    ----------
    coder : CliqueCoder
        The encoder of the codes.
    blocks : sequence of Block
        The items.
    candidates : int
        Number of items that are compared by their features.
    """

    def __init__(self, coder: CliqueCoder, blocks: Sequence[Block], *, candidates: int = 300) -> None:
        self.coder = coder
        self.items = ItemBlocks(coder, blocks)
        self.candidates = candidates

    def __len__(self) -> int:
        """Items that can be found."""
        return len(self.items)

    def search(self, queries: npt.ArrayLike, k: int, *, effort: float | None = None) -> tuple[F32, I64]:
        """Return the k nearest items of each query by cosine similarity.

        Parameters
        ----------
        queries : array, shape (nq, dim) or (dim,)
            NaN for missing values, which are estimated from the stored features (``codes.missing_values``).
        k : int
            Number of results; id -1 and similarity 0 if there are fewer items.
        effort : float, optional
            About the share of the codes that are scored, for engines that need not score all. This one always does.

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
        directions = unit_rows(np.atleast_2d(np.asarray(queries, dtype=np.float32)))
        similarity = np.zeros((len(rotated), k), np.float32)
        ids = np.full((len(rotated), k), -1, np.int64)
        for i, (values, direction) in enumerate(zip(rotated, directions, strict=True)):
            rows = self.candidate_rows(values, max(self.candidates, 2 * k), effort)
            found, cosines = self.items.ids[rows], self.items.cosines(rows, direction)
            order = np.lexsort((found, -cosines))[:k]  # the older of equal items comes first
            similarity[i, : len(order)] = cosines[order]
            ids[i, : len(order)] = found[order]
        return similarity, ids

    def candidate_rows(self, rotated: F32, count: int, effort: float | None) -> I64:
        """Return the rows, ascending, to compare with a rotated query, float32 (N,). Other engines override this."""
        return best_rows(self.items.score(rotated[: self.coder.clusters * UNITS]), count)

    def _complete(self, queries: npt.ArrayLike) -> F32:
        rows, known = split_known(queries, self.coder.dim)
        return impute(rows, known, self._moments, self._candidate_features)

    def _candidate_features(self, query: F32) -> F32:
        """Return the features of the best candidates by code, float32 (m, dim)."""
        return self.items.features(self.candidate_rows(self.coder.rotate(query)[0], self.candidates, None))

    @cached_property
    def _moments(self) -> Moments:
        """Mean and covariance of features that are evenly spread over all blocks."""
        living = self.items.living_rows()
        spread = np.unique(np.linspace(0, len(living) - 1, MOMENT_ROWS).astype(np.int64)) if len(living) else _no_rows()
        return Moments.estimate(self.items.features(living[spread]), unit=True)


def best_rows(scores: F32, count: int) -> I64:
    """Return the rows of the ``count`` highest scores above -inf, ascending, so that files are read forwards."""
    rows = np.argpartition(scores, max(0, len(scores) - count))[-count:] if len(scores) else _no_rows()
    return np.sort(rows[scores[rows] > -np.inf]).astype(np.int64)


@njit(**KERNEL)
def compare_rows(direction, rows, out):  # type: ignore[no-untyped-def]
    """Fill ``out``, float32 (n,), with the cosine similarities of a vector and rows.

    ``direction``: float32 (d,), of unit length; ``rows``: (n, d), as for ``simd.products``. A row of zeros has
    similarity 0.
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
    values = rows.view(np.uint16) if rows.dtype == np.float16 else rows.astype(np.float32, copy=False)
    compare_rows(np.ascontiguousarray(direction), np.ascontiguousarray(values), out)
    return out


def _check_block(block: Block, coder: CliqueCoder) -> None:
    n = len(block.ids)
    expected = {"codes": (n, coder.code_bytes), "features": (n, coder.dim)}
    for name, shape in expected.items():
        found = getattr(block, name).shape
        if found != shape:
            raise InputError(f"block {name}: expected shape {shape}, found {found}")
