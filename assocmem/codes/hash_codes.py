"""Hash codes: feature vectors become messages whose every symbol hashes the whole vector, for the familiarity memory.

Each symbol is the axis, with its sign, of the greatest magnitude in a pseudo-random rotation of its own: a
cross-polytope hash (Terasawa & Tanaka 2007; Andoni et al. 2015). The familiarity memory needs a large alphabet: a near
copy shares about half of its original's symbols, an unrelated picture one in a thousand.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.rotation import as_matrix, make_signs, next_power_of_two, rotate_rows
from assocmem._numerics.types import F32, KERNEL, U16, Integers
from assocmem._numerics.validation import as_integers, check_size
from assocmem.errors import InputError

AXES = 2048
"""Axes that a symbol is chosen from."""
ALPHABET = 2 * AXES
"""Symbols of a cluster: axes with two signs."""
DEFAULT_CLUSTERS = 16
"""Symbols of a message, by default."""
_FIRST_ROUNDS = 3
_BATCH = 512


@njit(**KERNEL)
def pick_longest(rotated, axes, symbols):  # type: ignore[no-untyped-def]
    """Find the axis of the greatest magnitude, with its sign.

    ``rotated``: float32 (n, N), of which the first ``axes`` columns are used; ``symbols``: uint16 (n,), filled with
    2 * axis, + 1 for a negative value. The first of equal magnitudes wins.
    """
    for i in range(symbols.shape[0]):
        best = np.float32(-1.0)
        winner = 0
        for j in range(axes):
            magnitude = abs(rotated[i, j])
            if magnitude > best:
                best = magnitude
                winner = j
        symbols[i] = 2 * winner + (1 if rotated[i, winner] < 0.0 else 0)


def check_messages(messages: npt.ArrayLike, clusters: int) -> Integers:
    """Return messages as an array of integers (n, clusters), symbols below ``ALPHABET``.

    Raises
    ------
    InputError
        Wrong shape, dtype or symbols.
    """
    array = as_integers(messages, "messages")
    if array.ndim != 2 or array.shape[1] != clusters:
        raise InputError(f"messages: expected shape (n, {clusters}), found {array.shape}")
    if array.size and not 0 <= array.min() <= array.max() < ALPHABET:
        raise InputError(f"messages: expected symbols 0 to {ALPHABET - 1}, found {array.min()} to {array.max()}")
    return array


class MessageCoder:
    """Training-free encoder of messages: unit-length features, minus a fixed mean, rotated once more for each symbol.

    Parameters
    ----------
    dim : int
        Length of a feature vector.
    clusters : int
        Symbols of a message.
    mean : array of float32, shape (dim,), optional
        Mean of unit-length features, subtracted first.
    seed : int
        Chooses the rotations. Equal parameters give equal messages on every machine and in every version.

    Raises
    ------
    InputError
        Impossible sizes, or a mean of another length.
    """

    def __init__(self, dim: int, *, clusters: int = DEFAULT_CLUSTERS, mean: F32 | None = None, seed: int = 0) -> None:
        self.dim, self.clusters = check_size("dim", dim, 1), check_size("clusters", clusters, 2)
        self.mean: F32 = np.zeros(dim, np.float32) if mean is None else as_matrix(mean, dim, "mean")[0].copy()
        width = max(next_power_of_two(dim), AXES)
        self._signs = make_signs(width, _FIRST_ROUNDS + clusters - 1, seed)

    def messages(self, features: npt.ArrayLike) -> U16:
        """Return messages, uint16 (n, clusters), symbols below ``ALPHABET``, for features (n, dim).

        Raises
        ------
        InputError
            Wrong shape, or values that are not finite.
        """
        x = as_matrix(features, self.dim, "features")
        out = np.empty((len(x), self.clusters), np.uint16)
        no_mean = np.zeros(self._signs.shape[1], np.float32)
        for start in range(0, len(x), _BATCH):
            part = x[start : start + _BATCH]
            rotated = np.empty((len(part), self._signs.shape[1]), np.float32)
            symbols = np.empty((self.clusters, len(part)), np.uint16)
            rotate_rows(part, self.mean, self._signs[:_FIRST_ROUNDS], rotated)
            pick_longest(rotated, AXES, symbols[0])
            for cluster in range(1, self.clusters):  # one more round makes another rotation
                done = _FIRST_ROUNDS + cluster - 1
                rotate_rows(rotated, no_mean, self._signs[done : done + 1], rotated)
                pick_longest(rotated, AXES, symbols[cluster])
            out[start : start + _BATCH] = symbols.T
        return out
