"""The examples of a concept memory: how their vectors are encoded, and a table of them with a statement about each.

Vectors are stored as they are, or as clique codes. Half of the bytes would do for most features, but not for those that
lie away from the origin, and whether they do is known only after the first of them are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self, TypeAlias

import numpy as np

from assocmem._numerics.rotation import Rotation, next_power_of_two, unit_rows
from assocmem._numerics.types import F32, I64, AnyArray, Arrays
from assocmem._numerics.validation import check_ids
from assocmem.codes.nibble_codes import FOUR_LEVELS, SIXTEEN_LEVELS, decode_rows, encode_rows
from assocmem.concepts.statements import Statement

_FIRST_ROWS = 64

Values: TypeAlias = AnyArray
"""Encoded vectors: float32 (n, dim) or uint8 (n, code_bytes)."""


class ExampleEncoder:
    """Encodes vectors, and decodes what classifiers learn from.

    Parameters
    ----------
    dim : int
        Length of a vector.
    code_bytes : int or None
        Bytes of a clique code, with two 4-bit symbols per byte; None stores float32 vectors. If there are more symbols
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
        return 4 * self.dim if self.code_bytes is None else self.code_bytes

    def empty(self, rows: int) -> Values:
        """Return an array of zeros for encoded vectors."""
        if self.code_bytes is None:
            return np.zeros((rows, self.dim), np.float32)
        return np.zeros((rows, self.code_bytes), np.uint8)

    def encode(self, x: F32) -> Values:
        """Encode vectors, float32 (n, dim)."""
        if self._rotation is None:
            return np.array(x, np.float32)
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
    values : float32 (m, dim) or uint8 (m, code_bytes)
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
        self._id_column: I64 = np.empty(0, np.int64)
        self._name_column: I64 = np.empty(0, np.int64)
        """number of the concept of each row, -1 for none; a name keeps its number"""
        self._numbers: dict[str, int] = {}
        self._counts: dict[str, int] = {}

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
            self._concepts = tuple(sorted(self._counts))
        return self._concepts

    @property
    def counts(self) -> dict[str, int]:
        """Number of examples of each concept, in the order of ``concepts``."""
        return {name: self._counts[name] for name in self.concepts}

    def is_taught(self, id_: int) -> bool:
        """Return whether an example is in the table and has a concept."""
        row = self._rows.get(id_)
        return row is not None and bool(self.statements[row].concept)

    def concept_of(self, id_: int) -> str:
        """Return the concept of an example in the table, empty if it has none."""
        return self.statements[self._rows[id_]].concept

    def ids_of(self, rows: I64) -> I64:
        """Return the ids of some rows, int64 (n,)."""
        return self._id_column[rows]

    def taught_rows(self) -> I64:
        """Return the rows of examples that have a concept, int64 (n,), in the order of ids."""
        return self._by_id(np.flatnonzero(self._name_column[: len(self)] >= 0))

    def denied_rows(self) -> I64:
        """Return the rows of examples that have denials only, int64 (n,), in the order of ids."""
        return self._by_id(np.flatnonzero(self._name_column[: len(self)] < 0))

    def _by_id(self, rows: I64) -> I64:
        return rows[np.argsort(self._id_column[rows])]

    def decoded(self, rows: I64) -> F32:
        """Return the vectors of some rows, float32 (n, decoded_dim)."""
        return self.encoder.decode(self.values[rows])

    def classes(self, rows: I64) -> I64:
        """Return the positions in ``concepts`` of some rows that have a concept, int64 (n,)."""
        places = np.full(len(self._numbers), -1, np.int64)
        places[[self._numbers[name] for name in self.concepts]] = np.arange(len(self.concepts))
        return places[self._name_column[rows]]

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
                self._grow(max(_FIRST_ROWS, 2 * row))
            self.ids.append(id_)
            self.statements.append(statement)
        else:
            self._count(self.statements[row].concept, -1)
        self._count(statement.concept, 1)
        self.statements[row] = statement
        self.values[row] = value
        self._id_column[row] = id_
        self._name_column[row] = self._number(statement.concept)
        self.clock = max(self.clock, statement.when)

    def drop(self, id_: int) -> None:
        """Remove an example; the last row moves to its place."""
        row, last = self._rows.pop(id_), len(self.ids) - 1
        self._count(self.statements[row].concept, -1)
        if row != last:
            self.ids[row], self.statements[row] = self.ids[last], self.statements[last]
            for column in (self.values, self._id_column, self._name_column):
                column[row] = column[last]
            self._rows[self.ids[row]] = row
        self.ids.pop()
        self.statements.pop()

    def _grow(self, room: int) -> None:
        used = len(self.ids)
        values, ids, names = self.encoder.empty(room), np.empty(room, np.int64), np.empty(room, np.int64)
        values[:used], ids[:used], names[:used] = self.values[:used], self._id_column[:used], self._name_column[:used]
        self.values, self._id_column, self._name_column = values, ids, names

    def _number(self, concept: str) -> int:
        return self._numbers.setdefault(concept, len(self._numbers)) if concept else -1

    def _count(self, concept: str, change: int) -> None:
        if not concept:
            return
        count = self._counts.get(concept, 0) + change
        if not count:
            del self._counts[concept]
        else:
            self._counts[concept] = count
        if count == 0 or count == change:
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
        if values.dtype == np.float16 and like.dtype == np.float32:  # of files before vectors were stored as they are
            values = values.astype(np.float32)
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


def hash_sample(ids: I64, count: int, classes: I64 | None = None) -> I64:
    """Return the positions of the ``count`` ids with the smallest hashes, int64, ascending.

    The sample depends on the ids only, and an id that comes or goes changes few of its members. With ``classes``, int64
    (n,), every class has the same number of members, or all its examples if there are fewer.
    """
    if len(ids) <= count:
        return np.arange(len(ids))
    hashed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    hashed ^= hashed >> np.uint64(31)
    hashed *= np.uint64(0xBF58476D1CE4E5B9)
    if classes is None:
        return np.sort(np.lexsort((ids, hashed))[:count])
    order = np.lexsort((ids, hashed, classes))
    sizes = np.bincount(classes)
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(np.lexsort((ids, hashed, rank))[:count])
