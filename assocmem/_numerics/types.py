"""Types of arrays, and the compiler options that all kernels share."""

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
"""Rows of bits, 64 per word."""
F16: TypeAlias = npt.NDArray[np.float16]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.integer]
"""Integers of any dtype."""
Floats: TypeAlias = npt.NDArray[np.floating]
"""Floats of any dtype."""
AnyArray: TypeAlias = npt.NDArray[Any]
"""An array of any dtype."""
Arrays: TypeAlias = dict[str, AnyArray]
"""Arrays by name, as a file stores them."""

LANES = 16
"""Numbers that are processed at once, and items per block of codes."""

KERNEL = {"cache": True, "nogil": True, "boundscheck": False, "error_model": "numpy"}
"""Options of every kernel: compiled once per machine, and run without the interpreter lock."""
MAXIMUM_KERNEL = {**KERNEL, "fastmath": {"nnan", "nsz"}}
"""Options of kernels that count or find a maximum of numbers that are not NaN: they may compare in any order."""
RAW_KERNEL = {**KERNEL, "_nrt": False}
"""Options of kernels that take many arrays and make none: numba would count the references of each array at each call,
which takes longer than their work. Who calls them keeps the arrays alive, and makes the scratch arrays."""
RAW_MAXIMUM_KERNEL = {**MAXIMUM_KERNEL, "_nrt": False}
