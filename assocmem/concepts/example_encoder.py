"""How a concept memory stores the vectors of its examples: as float16, or as clique codes."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from assocmem._numerics.rotation import next_power_of_two, unit_rows
from assocmem._numerics.types import F32, AnyArray
from assocmem.codes.nibble_codes import FOUR_LEVELS, SIXTEEN_LEVELS, Rotation, decode_rows, encode_rows

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
