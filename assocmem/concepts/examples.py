"""The examples of a concept memory: how their vectors are encoded, and a table of them with a statement about each.

Vectors are stored as float16, or as clique codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self, TypeAlias

import numpy as np

from assocmem._numerics.rotation import Rotation, next_power_of_two, unit_rows
from assocmem._numerics.types import F32, I64, AnyArray, Arrays
from assocmem._numerics.validation import check_ids
from assocmem.codes.nibble_codes import FOUR_LEVELS, SIXTEEN_LEVELS, decode_rows, encode_rows
from assocmem.concepts.statements import Statement

_FIRST_ROWS = 64

Values: TypeAlias = AnyArray
"""Encoded vectors: float16 (n, dim) or uint8 (n, code_bytes)."""


class ExampleEncoder:
    """Encodes vectors, and decodes what classifiers learn from.

    Parameters
    ----------
    dim : int
        Length of a vector.
    code_bytes : int or None
        Bytes of a clique code, with two 4-bit symbols per byte; None stores float16 vectors. If there are more symbols
        than axes, the vectors are projected on more directions than they have axes.
    seed : int
        Chooses the rotation before encoding.

    Attributes
    ----------
    decoded_dim : int
        Length of a decoded vector.
    """

    def __init__(self, dim: int, code_bytes: int | None, seed: int) -> None:
        self.dim, self.code_bytes = dim, code_bytes
        self.decoded_dim = dim if code_bytes is None else next_power_of_two(max(16, dim, 2 * code_bytes))
        self._rotation = None if code_bytes is None else Rotation(dim, self.decoded_dim, unit=False, seed=seed)

    @property
    def example_bytes(self) -> int:
        """Bytes per encoded vector."""
        return 2 * self.dim if self.code_bytes is None else self.code_bytes

    def empty(self, rows: int) -> Values:
        """Return an array of zeros for encoded vectors."""
        if self.code_bytes is None:
            return np.zeros((rows, self.dim), np.float16)
        return np.zeros((rows, self.code_bytes), np.uint8)

    def encode(self, x: F32) -> Values:
        """Encode vectors, float32 (n, dim)."""
        if self._rotation is None:
            return x.astype(np.float16)
        rotated = self._rotation(np.ascontiguousarray(x))
        codes = np.empty((len(x), self.example_bytes), np.uint8)
        scales, squares = np.empty(len(x), np.float32), np.empty(len(x), np.float32)
        encode_rows(rotated, self._levels, codes, scales, squares)
        return codes

    def decode(self, values: Values) -> F32:
        """Return vectors, float32 (n, decoded_dim); of a clique code only the direction, as a vector of length 1."""
        if self.code_bytes is None:
            return np.ascontiguousarray(values, np.float32)
        out, ones = np.empty((len(values), self.decoded_dim), np.float32), np.ones(len(values), np.float32)
        decode_rows(np.ascontiguousarray(values), self._levels, ones, ones, out)
        return unit_rows(out)

    @property
    def _levels(self) -> F32:
        return SIXTEEN_LEVELS if self.decoded_dim < 4 * self.example_bytes else FOUR_LEVELS


class ExampleTable:
    """Examples by id, in rows without gaps.

    The order of rows depends on the history of the table; ``taught_rows``, ``denied_rows`` and ``to_arrays`` order by
    id, so that tables with the same examples give the same results.

    Parameters
    ----------
    encoder : ExampleEncoder

    Attributes
    ----------
    values : float16 (m, dim) or uint8 (m, code_bytes)
        Encoded vectors by row, followed by spare rows.
    ids : list of int
        By row.
    statements : list of Statement
        By row.
    clock : int
        Time of the latest statement that was ever stored.
    """

    def __init__(self, encoder: ExampleEncoder) -> None:
        self.encoder = encoder
        self.values: Values = encoder.empty(0)
        self.ids: list[int] = []
        self.statements: list[Statement] = []
        self.clock = 0
        self._rows: dict[int, int] = {}
        self._concepts: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id_: int) -> bool:
        return id_ in self._rows

    def __iter__(self) -> Iterator[tuple[int, Values, Statement]]:
        """Iterate over ids, encoded vectors and statements."""
        return zip(self.ids, self.values[: len(self)], self.statements, strict=True)

    def statement(self, id_: int) -> Statement | None:
        """Return the statement about an example, or None if it is not in the table."""
        row = self._rows.get(id_)
        return None if row is None else self.statements[row]

    def value(self, id_: int) -> Values:
        """Return the encoded vector of an example."""
        value: Values = self.values[self._rows[id_]]
        return value

    @property
    def concepts(self) -> tuple[str, ...]:
        """Concepts that have an example, sorted."""
        if self._concepts is None:
            self._concepts = tuple(sorted({statement.concept for statement in self.statements} - {""}))
        return self._concepts

    def taught_rows(self) -> I64:
        """Return the rows of examples that have a concept, int64 (n,), in the order of ids."""
        return self._by_id(row for row, statement in enumerate(self.statements) if statement.concept)

    def denied_rows(self) -> I64:
        """Return the rows of examples that have denials only, int64 (n,), in the order of ids."""
        return self._by_id(row for row, statement in enumerate(self.statements) if not statement.concept)

    def _by_id(self, rows: Iterable[int]) -> I64:
        return np.array(sorted(rows, key=self.ids.__getitem__), np.int64)

    def decoded(self, rows: I64) -> F32:
        """Return the vectors of some rows, float32 (n, decoded_dim)."""
        return self.encoder.decode(self.values[rows])

    def classes(self, rows: I64) -> I64:
        """Return the positions in ``concepts`` of some rows that have a concept, int64 (n,)."""
        numbers = {name: number for number, name in enumerate(self.concepts)}
        return np.array([numbers[self.statements[row].concept] for row in rows.tolist()], np.int64)

    # changes

    def would_change(self, id_: int, value: Values, statement: Statement) -> bool:
        """Return whether a statement wins over the stored one; of equal statements the one with the greater vector."""
        known = self.statement(id_)
        if known is None or statement.supersedes(known):
            return True
        return statement == known and self.value(id_).tobytes() < value.tobytes()

    def put(self, id_: int, value: Values, statement: Statement) -> None:
        """Store an example, or replace it, whatever is known of it."""
        row = self._rows.get(id_)
        if row is None:
            row = self._rows[id_] = len(self.ids)
            if row == len(self.values):
                grown = self.encoder.empty(max(_FIRST_ROWS, 2 * row))
                grown[:row] = self.values
                self.values = grown
            self.ids.append(id_)
            self.statements.append(statement)
        self.statements[row] = statement
        self.values[row] = value
        self.clock = max(self.clock, statement.when)
        self._concepts = None

    def drop(self, id_: int) -> None:
        """Remove an example; the last row moves to its place."""
        row, last = self._rows.pop(id_), len(self.ids) - 1
        if row != last:
            self.ids[row], self.statements[row] = self.ids[last], self.statements[last]
            self.values[row] = self.values[last]
            self._rows[self.ids[row]] = row
        self.ids.pop()
        self.statements.pop()
        self._concepts = None

    # files

    def to_arrays(self) -> tuple[dict[str, Any], Arrays]:
        """Return the content of the table: facts that can be written as JSON, and arrays in the order of ids."""
        order = sorted(range(len(self)), key=self.ids.__getitem__)
        statements = [self.statements[row] for row in order]
        numbers = {name: number for number, name in enumerate(self.concepts)}
        arrays: Arrays = {
            "ids": np.array([self.ids[row] for row in order], np.int64),
            "whens": np.array([statement.when for statement in statements], np.int64),
            "concepts": np.array([numbers.get(statement.concept, -1) for statement in statements], np.int64),
            "values": self.values[np.array(order, np.int64)],
        }
        denied = {str(place): statement.denied for place, statement in enumerate(statements) if statement.denied}
        return {"names": self.concepts, "denied": denied, "clock": self.clock}, arrays

    @classmethod
    def from_arrays(cls, encoder: ExampleEncoder, facts: dict[str, Any], arrays: Arrays) -> Self:
        """Undo ``to_arrays``; ValueError or KeyError if the arrays cannot be those of such a table."""
        table, ids, values, like = cls(encoder), check_ids(arrays["ids"]), arrays["values"], encoder.empty(0)
        names = [*facts["names"], ""]
        if values.shape != (len(ids), *like.shape[1:]) or values.dtype != like.dtype:
            raise ValueError(f"examples of shape {values.shape} and dtype {values.dtype}")
        if not len(ids) == len(arrays["whens"]) == len(arrays["concepts"]):
            raise ValueError("examples that are not those of the ids")
        if len(ids) and not -1 <= arrays["concepts"].min() <= arrays["concepts"].max() < len(facts["names"]):
            raise ValueError("examples of concepts that have no name")
        columns = zip(ids.tolist(), values, arrays["whens"].tolist(), arrays["concepts"].tolist(), strict=True)
        for place, (id_, value, when, number) in enumerate(columns):
            denied = tuple(facts["denied"].get(str(place), ()))
            table.put(id_, value, Statement(when, names[number], denied))
        table.clock = int(facts["clock"])
        return table


def hash_sample(ids: I64, count: int) -> I64:
    """Return the positions of the ``count`` ids with the smallest hashes, int64, ascending.

    The sample depends on the ids only, and an id that comes or goes changes at most one member of the sample.
    """
    if len(ids) <= count:
        return np.arange(len(ids))
    hashed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashed ^= hashed >> np.uint64(31)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    return np.sort(np.lexsort((ids, hashed))[:count])
