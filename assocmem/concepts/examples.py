"""Examples of concepts: by id what each looks like, what it was said to be and what not, and when.

What was said of an example is a register that the latest saying wins, so two tables can be united in any order, any
number of times (Shapiro et al., Conflict-free Replicated Data Types, 2011). Knows arrays and names only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from assocmem._numerics.rotation import next_power_of_two
from assocmem._numerics.types import F32, I64, AnyArray
from assocmem.codes.nibble_codes import FOUR_LEVELS, SIXTEEN_LEVELS, Rotation, decode_rows, encode_rows

Values: TypeAlias = AnyArray
"""float16 (n, dim) or uint8 (n, code_bytes)"""
LEAST = 64


@dataclass(frozen=True, slots=True)
class Saying:
    """What is said of an example; of two sayings the greater stands."""

    when: int
    concept: str
    """empty when it was only said what it is not"""
    denied: tuple[str, ...] = ()
    """sorted"""

    @property
    def rank(self) -> tuple[int, str, int, tuple[str, ...]]:
        """What decides which is greater: of two of one time the one that denies more, so that denials add up."""
        return self.when, self.concept, len(self.denied), self.denied


class Keeper:
    """How examples are kept: as float16 vectors, or as clique codes of some bytes.

    Parameters
    ----------
    dim : int
        Length of a vector.
    code_bytes : int or None
        Bytes of a code, two 4-bit symbols each; None keeps float16 vectors. More symbols than axes are projections on
        more directions than there are.
    seed : int
    """

    def __init__(self, dim: int, code_bytes: int | None, seed: int) -> None:
        self.dim, self.code_bytes = dim, code_bytes
        self.shown = dim if code_bytes is None else next_power_of_two(max(16, dim, 2 * code_bytes))
        self._rotation = None if code_bytes is None else Rotation(dim, self.shown, unit=False, seed=seed)

    @property
    def bytes(self) -> int:
        """Bytes per example."""
        return 2 * self.dim if self.code_bytes is None else self.code_bytes

    def empty(self, rows: int) -> Values:
        """Return room for so many examples."""
        if self.code_bytes is None:
            return np.zeros((rows, self.dim), np.float16)
        return np.zeros((rows, self.code_bytes), np.uint8)

    def keep(self, x: F32) -> Values:
        """Vectors float32 (n, dim) -> what is kept of them."""
        if self._rotation is None:
            return x.astype(np.float16)
        rotated = self._rotation(np.ascontiguousarray(x))
        codes = np.empty((len(x), self.bytes), np.uint8)
        scales, squares = np.empty(len(x), np.float32), np.empty(len(x), np.float32)
        encode_rows(rotated, self._levels, codes, scales, squares)
        return codes

    def show(self, kept: Values) -> F32:
        """Return what was kept as vectors, float32 (n, shown); of codes the directions only, of length 1."""
        if self.code_bytes is None:
            return np.ascontiguousarray(kept, np.float32)
        out, ones = np.empty((len(kept), self.shown), np.float32), np.ones(len(kept), np.float32)
        decode_rows(np.ascontiguousarray(kept), self._levels, ones, ones, out)
        lengths = np.sqrt(np.einsum("ij,ij->i", out, out, dtype=np.float64))
        return np.asarray(out / lengths[:, None], dtype=np.float32)

    @property
    def _levels(self) -> F32:
        return SIXTEEN_LEVELS if self.shown < 4 * self.bytes else FOUR_LEVELS


class Examples:
    """A table of examples; equal tables have equal contents in the order of ids, however they came about.

    Attributes
    ----------
    values : (rows, ...)
        What is kept of each, with spare room.
    sayings : list of Saying
    ids : list of int
    """

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.values: Values = keeper.empty(0)
        self.sayings: list[Saying] = []
        self.ids: list[int] = []
        self._rows: dict[int, int] = {}
        self.clock = 0
        """of the latest saying"""

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._rows

    def saying(self, id_: int) -> Saying | None:
        """What is said of an example; None where there is none."""
        row = self._rows.get(id_)
        return None if row is None else self.sayings[row]

    def value(self, id_: int) -> Values:
        """What is kept of an example."""
        value: Values = self.values[self._rows[id_]]
        return value

    def stands(self, id_: int, value: Values, saying: Saying) -> bool:
        """Whether this goes before what is known; sayings that are equal are told apart by what was seen."""
        known = self.saying(id_)
        if known is None or known.rank != saying.rank:
            return known is None or known.rank < saying.rank
        return self.value(id_).tobytes() < value.tobytes()

    def put(self, id_: int, value: Values, saying: Saying) -> None:
        """Enter an example, or replace what is known of it."""
        row = self._rows.get(id_)
        if row is None:
            row = self._rows[id_] = len(self.ids)
            if row == len(self.values):
                grown = self.keeper.empty(max(LEAST, 2 * row))
                grown[:row] = self.values
                self.values = grown
            self.ids.append(id_)
            self.sayings.append(saying)
        self.sayings[row] = saying
        self.values[row] = value
        self.clock = max(self.clock, saying.when)

    def drop(self, id_: int) -> None:
        """Take an example out; the last one moves to its place."""
        row, last = self._rows.pop(id_), len(self.ids) - 1
        if row != last:
            self.ids[row], self.sayings[row] = self.ids[last], self.sayings[last]
            self.values[row] = self.values[last]
            self._rows[self.ids[row]] = row
        self.ids.pop()
        self.sayings.pop()

    def unite(self, other: Examples) -> list[int]:
        """Take over what the other table knows that this one does not, or knows from later; returns those ids."""
        taken = []
        for row, id_ in enumerate(other.ids):
            if self.stands(id_, other.values[row], other.sayings[row]):
                self.put(id_, other.values[row], other.sayings[row])
                taken.append(id_)
        return taken

    def rows(self, *, said: bool = True) -> I64:
        """Rows in the order of ids, int64 (m,): of examples of a concept, or of those only denied one."""
        wanted = [row for row, saying in enumerate(self.sayings) if bool(saying.concept) == said]
        return np.array(sorted(wanted, key=self.ids.__getitem__), np.int64)

    def names(self) -> Iterable[str]:
        """Concept of every example that has one."""
        return (saying.concept for saying in self.sayings if saying.concept)
