"""DCT sketches: a small grey picture becomes a hundred signed bytes, a perceptual hash for near copies.

The feature of a network survives crops, rotations and borders, but not blur, noise and heavy compression; the low
frequencies of a picture survive exactly these. Features and sketches together find a copy after any of them.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from assocmem._numerics.types import F32, I8, I64, U8
from assocmem.errors import InputError

SKETCH_SIDE = 32
"""Side of the small grey picture, in pixels."""
FREQUENCIES = 10
"""Frequencies kept, per direction."""
SKETCH_LENGTH = FREQUENCIES * FREQUENCIES
"""Bytes of a sketch. Mirroring a picture keeps the first half of them and negates the second."""
SKETCH_THRESHOLD = 0.6
"""Cosine of two sketches above which it is evidence for a copy: unrelated pictures reach it now and then."""


@cache
def _cosines() -> F32:
    """Return the lowest rows of the orthonormal DCT-II, float32 (FREQUENCIES, SKETCH_SIDE)."""
    frequency, pixel = np.arange(FREQUENCIES)[:, None], np.arange(SKETCH_SIDE)[None, :]
    waves = np.cos(np.pi * frequency * (2 * pixel + 1) / (2 * SKETCH_SIDE)) * np.sqrt(2 / SKETCH_SIDE)
    return np.asarray(waves, np.float32)


@cache
def _order() -> I64:
    """Return positions in a row-by-row spectrum: even horizontal frequencies, then odd ones."""
    horizontal = np.arange(SKETCH_LENGTH) % FREQUENCIES
    return np.argsort(horizontal % 2, kind="stable")


def sketch(pictures: U8) -> I8:
    """Return sketches, int8 (n, SKETCH_LENGTH), of small grey pictures, uint8 (n, SKETCH_SIDE, SKETCH_SIDE).

    A sketch is the spectrum with higher frequencies weighted up, the square roots of the magnitudes with their signs,
    scaled so that the greatest is 127. Brightness is left out. The sketch of a picture of one colour is zero, which is
    similar to nothing.

    Raises
    ------
    InputError
        Another shape or dtype.
    """
    if pictures.shape[1:] != (SKETCH_SIDE, SKETCH_SIDE) or pictures.dtype != np.uint8:
        found = f"{pictures.dtype} {pictures.shape}"
        raise InputError(f"pictures: expected uint8 (n, {SKETCH_SIDE}, {SKETCH_SIDE}), found {found}")
    waves = _cosines()
    spectrum = (waves @ pictures.astype(np.float32) @ waves.T).reshape(len(pictures), SKETCH_LENGTH)[:, _order()]
    vertical, horizontal = np.divmod(_order(), FREQUENCIES)
    spectrum *= np.sqrt(np.hypot(vertical, horizontal)).astype(np.float32)  # zero for the brightness
    values = np.sign(spectrum) * np.sqrt(np.abs(spectrum))
    greatest = np.abs(values).max(axis=1, keepdims=True)
    flat = greatest < 1  # only rounding errors: a picture without any structure
    return np.rint(np.where(flat, 0, values) * (127 / np.where(flat, 1, greatest))).astype(np.int8)


def inverse_norms(sketches: I8) -> F32:
    """Return one over the lengths of sketches, float32 (n,); 0 for a sketch of zeros."""
    values = sketches.astype(np.int32)
    squares = np.einsum("ij,ij->i", values, values)
    return np.where(squares > 0, 1 / np.sqrt(np.maximum(squares, 1)), 0).astype(np.float32)


def sketch_cosines(queries: I8, sketches: I8) -> F32:
    """Return the cosine similarity of each query's sketch to each sketch, float32 (nq, n).

    Of the query's sketch and its mirror image, the more similar one counts.
    """
    half = SKETCH_LENGTH // 2
    ours, theirs = (x * inverse_norms(x)[:, None] for x in (queries, sketches))
    same, turned = ours[:, :half] @ theirs[:, :half].T, ours[:, half:] @ theirs[:, half:].T
    return np.asarray(same + np.abs(turned), np.float32)
