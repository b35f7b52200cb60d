"""Small grey pictures -> sketches: a hundred signed bytes that survive what blurs a network's view of a picture.

A network's feature outlives crops, turns and borders, but not blur, noise and heavy compression; the low frequencies of
a picture outlive exactly these. Together they find a copy whatever was done to it. Arrays only: no files, no media.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from assocmem._numerics.types import F32, I8, I64, U8
from assocmem.errors import InputError

SIDE = 32
"""Side of the small grey picture, in pixels."""
WAVES = 10
"""Frequencies kept, each way."""
LENGTH = WAVES * WAVES
"""Bytes of a sketch. The first half are the waves that a mirror leaves alone, the second those that it turns."""

SKETCH_FROM = 0.6
"""Cosine of two sketches that is no evidence yet: unlike pictures reach it now and then."""


@cache
def _cosines() -> F32:
    """Lowest rows of the orthonormal DCT-II, float32 (WAVES, SIDE)."""
    frequency, place = np.arange(WAVES)[:, None], np.arange(SIDE)[None, :]
    waves = np.cos(np.pi * frequency * (2 * place + 1) / (2 * SIDE)) * np.sqrt(2 / SIDE)
    return np.asarray(waves, np.float32)


@cache
def _order() -> I64:
    """Places of a row-by-row spectrum: even horizontal frequencies, then odd ones."""
    horizontal = np.arange(LENGTH) % WAVES
    return np.argsort(horizontal % 2, kind="stable")


def sketch(pictures: U8) -> I8:
    """Return sketches, int8 (n, LENGTH), of small grey pictures, uint8 (n, SIDE, SIDE).

    The square roots of the magnitudes of the spectrum, the higher frequencies weighted up, scaled so that the greatest
    is 127. Brightness is left out; a picture of one colour has the sketch of zeros, which is like nothing.

    Raises
    ------
    InputError
        Another shape or dtype.
    """
    if pictures.ndim != 3 or pictures.shape[1:] != (SIDE, SIDE) or pictures.dtype != np.uint8:
        raise InputError(f"pictures: expected uint8 (n, {SIDE}, {SIDE}), found {pictures.dtype} {pictures.shape}")
    waves = _cosines()
    spectrum = (waves @ pictures.astype(np.float32) @ waves.T).reshape(len(pictures), LENGTH)[:, _order()]
    vertical, horizontal = np.divmod(_order(), WAVES)
    spectrum *= np.sqrt(np.hypot(vertical, horizontal)).astype(np.float32)  # zero for the brightness
    values = np.sign(spectrum) * np.sqrt(np.abs(spectrum))
    greatest = np.abs(values).max(axis=1, initial=0, keepdims=True)
    flat = greatest < 1  # rounding errors of a picture without any structure
    return np.rint(np.where(flat, 0, values) * (127 / np.where(flat, 1, greatest))).astype(np.int8)


def mirrored(sketches: I8) -> I8:
    """Return the sketches that the mirrored pictures would have."""
    out = sketches.copy()
    out[:, LENGTH // 2 :] *= -1
    return out


def scales_of(sketches: I8) -> F32:
    """One over the lengths of sketches, float32 (n,); 0 where there is none."""
    values = sketches.astype(np.int32)
    squares = np.einsum("ij,ij->i", values, values)
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1)), 0).astype(np.float32)


def sketch_cosines(queries: I8, sketches: I8) -> F32:
    """Return the cosine similarity, float32 (nq, n), of each query's sketch, or its mirror image, to each sketch."""
    half = LENGTH // 2
    ours, theirs = (x * scales_of(x)[:, None] for x in (queries, sketches))
    same, turned = ours[:, :half] @ theirs[:, :half].T, ours[:, half:] @ theirs[:, half:].T
    return np.asarray(same + np.abs(turned), np.float32)
