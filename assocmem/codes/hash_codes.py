"""Feature vectors -> messages of whole-vector symbols, without training: the messages of the memory of what was seen.

Each symbol is the axis, with its sign, on which the whole vector is longest, in a pseudo-random rotation of its own:
a cross-polytope hash (Terasawa & Tanaka 2007; Andoni et al. 2015). Large alphabets are what such a memory needs: half
of the symbols of a near copy are still its original's, of an unlike picture's one in a thousand.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from assocmem._numerics.bits import options
from assocmem._numerics.rotation import make_signs, next_power_of_two, rotate_rows
from assocmem._numerics.types import F32, U16
from assocmem._numerics.validation import check_size
from assocmem.codes.winner_codes import CliqueCoder, as_matrix

AXES = 2048
SYMBOLS = 2 * AXES
"""Of each cluster: axes, two signs."""
CLUSTERS = 16
_BATCH = 512


@njit(**options)
def pick_longest(rotated, axes, symbols):  # type: ignore[no-untyped-def]
    """The axis of the greatest magnitude, with its sign.

    ``rotated``: float32 (n, N), the first ``axes`` columns of which count; ``symbols``: uint16 (n,), filled with 2 *
    axis, + 1 where it is negative. The first of equal magnitudes wins.
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


class MessageCoder:
    """Training-free encoder of messages: unit-length features, minus a fixed mean, rotated anew for each symbol.

    Parameters
    ----------
    dim : int
        Length of a feature vector.
    clusters : int
        Symbols of a message.
    mean : array of float32, shape (dim,), optional
        Mean of unit-length features, subtracted first.
    seed : int
        Chooses the rotations. Equal parameters give equal messages on every machine and version.

    Raises
    ------
    InputError
        Impossible sizes, or a mean of another length.
    """

    def __init__(self, dim: int, *, clusters: int = CLUSTERS, mean: F32 | None = None, seed: int = 0) -> None:
        self.dim, self.clusters = check_size("dim", dim, 1), check_size("clusters", clusters, 2)
        self.mean: F32 = np.zeros(dim, np.float32) if mean is None else as_matrix(mean, dim, "mean")[0].copy()
        width = max(next_power_of_two(dim), AXES)
        rounds = CliqueCoder.ROUNDS + clusters - 1
        self._signs = make_signs(width, rounds, seed)

    def messages(self, features: npt.ArrayLike) -> U16:
        """Return messages, uint16 (n, clusters), symbols below ``SYMBOLS``, for features (n, dim).

        Raises
        ------
        InputError
            Wrong shape, or values that are not finite.
        """
        x = as_matrix(features, self.dim, "features")
        out = np.empty((len(x), self.clusters), np.uint16)
        nothing = np.zeros(self._signs.shape[1], np.float32)
        for start in range(0, len(x), _BATCH):
            part = x[start : start + _BATCH]
            rotated = np.empty((len(part), self._signs.shape[1]), np.float32)
            symbols = np.empty((self.clusters, len(part)), np.uint16)
            first = CliqueCoder.ROUNDS
            rotate_rows(part, self.mean, self._signs[:first], rotated)
            pick_longest(rotated, AXES, symbols[0])
            for cluster in range(1, self.clusters):  # one more round makes another rotation of it
                rotate_rows(rotated, nothing, self._signs[first + cluster - 1 : first + cluster], rotated)
                pick_longest(rotated, AXES, symbols[cluster])
            out[start : start + _BATCH] = symbols.T
        return out
