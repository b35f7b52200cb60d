"""float32 in two bytes: its upper half, as bfloat16 (8 bits of precision, the whole range)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from assocmem._numerics.types import F32, U16


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def shorten(bits, out):  # type: ignore[no-untyped-def]
    """Round to the upper half of 32 bits, ties to even; ``bits``: uint32 (n,); ``out``: uint16 (n,), filled."""
    for i in range(bits.shape[0]):
        out[i] = (bits[i] + np.uint32(0x7FFF) + ((bits[i] >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)


def to_short(values: F32) -> U16:
    """Upper half of float32's bits (n,), rounded to nearest: 8 bits of precision in two bytes (bfloat16)."""
    out = np.empty(len(values), np.uint16)
    shorten(np.ascontiguousarray(values, np.float32).view(np.uint32), out)
    return out


def from_short(values: Any) -> F32:
    """Undo ``to_short``, but for the rounding."""
    return np.asarray((values.astype(np.uint32) << np.uint32(16)).view(np.float32))
