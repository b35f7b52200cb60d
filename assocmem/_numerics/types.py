"""Types of arrays, the compiler options that all kernels share, and whether kernels are compiled on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
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

_LOG = logging.getLogger("assocmem")
_told: set[str] = set()

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


def are_cached(kernels: Iterable[Any]) -> bool:
    """Return whether all kernels were compiled on this machine; if not, their first call takes seconds."""
    for kernel in kernels:
        stats = getattr(kernel, "stats", None)  # None if the compiler is switched off
        name = f"{kernel.__module__.rpartition('.')[2]}.{kernel.__name__}"
        if stats is not None and not any(Path(stats.cache_path).glob(f"{name}-*.nbi")):
            return False
    return True


def tell_if_new(what: str, kernels: Iterable[Any], seconds: int) -> None:
    """Log a line, once in a process, if kernels will be compiled now: about how long it takes, and that it is once.

    Without a handler, Python writes it to stderr; ``logging.getLogger("assocmem").setLevel("ERROR")`` hides it.
    """
    if what in _told:
        return
    _told.add(what)
    if not are_cached(kernels):
        _LOG.warning("assocmem compiles the kernels for %s: once on this machine, about %d seconds", what, seconds)
