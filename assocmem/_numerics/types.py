"""Types of arrays, and what every kernel has in common."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Bools: TypeAlias = npt.NDArray[np.bool_]
I8: TypeAlias = npt.NDArray[np.int8]
I16: TypeAlias = npt.NDArray[np.int16]
I32: TypeAlias = npt.NDArray[np.int32]
I64: TypeAlias = npt.NDArray[np.int64]
U8: TypeAlias = npt.NDArray[np.uint8]
U16: TypeAlias = npt.NDArray[np.uint16]
U32: TypeAlias = npt.NDArray[np.uint32]
Words: TypeAlias = npt.NDArray[np.uint64]
"""Rows of bits, 64 to a word."""
F16: TypeAlias = npt.NDArray[np.float16]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.integer]
"""Whole numbers of any dtype."""
Floats: TypeAlias = npt.NDArray[np.floating]
AnyArray: TypeAlias = npt.NDArray[Any]
"""An array of any dtype."""
Arrays: TypeAlias = dict[str, AnyArray]
"""Arrays by name, as a file holds them."""

LANES = 16
"""Numbers that are worked on at once, and items per block of codes."""

KERNEL = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}
"""Options of every kernel: compiled once per machine, without the interpreter lock."""
