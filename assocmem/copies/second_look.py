"""A second look at two pictures that are alike: whether they are one picture, saved again, or only look-alikes.

Two pages of text, two receipts, two skies have nearly the same feature and sketch. A copy needs evidence: what one
picture shows in detail, the other must show at the same place. The look goes so:

    tones:    one picture gets the brightness and contrast of the other (the mean of its cells per grey level)
    filter:   the isotropic filter that explains the other best: blur, scaling and sharpening are undone by it
    rest:     what is then still different, in three bands of fineness, against the detail that is there

Noise and compression leave a rest that is spread evenly, or is small where there is detail. Another word, another sum,
another curve leaves a rest at one place as great as the detail itself. Pictures with hardly any detail (a sky, black)
are the same only if they are equal cell for cell.

The filter per frequency is that of Wiener (1949), fitted to the pair; all filters are products with the cosine basis
(DCT-II), so that the borders need no care.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import F32, I64, U8
from assocmem.codes.fine_detail import COLOUR_SIDE, DETAIL_SIDE, colours_of, greys_of, has_detail

BANDS = ((0.0, 1.0), (1.0, 2.5), (2.5, 6.0))
"""Bands of fineness: what a blur of the first width keeps and one of the second removes, in cells."""
WINDOWS = (1.5, 3.0, 6.0)
"""Widths over which energy is averaged, in cells, per band."""
ROUNDING = (6.0, 3.0, 3.0)
"""Squared grey levels by which pictures may differ anywhere, per band."""
OWN_DETAIL = 0.7
"""Share of the local detail that the rest may have: 2 if two details have nothing to do with each other."""
EVENLY = 4.0
"""How many times the rest at the quietest places it may be anywhere: noise is even."""
QUIET = 0.1
"""The share of the places that counts as quiet."""
MOST_REST = (1.7, 1.5, 1.2)
"""The greatest rest that is allowed at any place, relative to what detail, noise and rounding explain, per band."""
CLEAN_REST, PER_SHARE = 0.95, 12.0
"""Where nearly nothing is left over in all, a rest at one place is a change: the finest band's limit begins here and
rises with the share of the band that is left over."""
MOST_SHARE = (0.6, 0.4, 0.3)
"""Share of a band's energy that may be left over in all, per band, if the band has any."""
LITTLE = 1.0
"""Deviation of the cells, in grey levels, below which a band says nothing."""
LEAST_DETAIL = 1.2
"""Deviation that one band must reach: with less detail there is nothing to agree about. Above ``LITTLE``, so that the
band is then judged."""
EQUAL_GREY, EQUAL_COLOUR = 3.0, 6.0
"""Levels by which plain pictures may differ at most: in the mean of any 4 x 4 cells, and in any colour."""
MOST_COLOUR = 15.0
"""Deviation of the colours that a change of colour balance may leave, in levels."""
GAINS = (0.4, 2.5)
"""What a change of colour balance may multiply a colour by."""
_SMOOTH = 6.0  # grey levels over which the tones are smoothed
_RINGS = np.concatenate([np.arange(0, 24, 2), np.arange(24, 64, 5), np.arange(64, 181, 16), [400]])
_TINY = np.float32(1e-3)


class Look(NamedTuple):
    """What a second look finds; ``same`` is the verdict."""

    same: bool
    """one picture: saved again, scaled, or edited lightly"""
    plain: bool
    """at least one has hardly any detail, so only equality counts"""
    rest: tuple[float, float, float]
    """the greatest rest at any place, relative to what detail, noise and rounding explain, per band"""
    share: tuple[float, float, float]
    """share of the band's energy that is left over"""


def is_same(one: U8, other: U8) -> bool:
    """Return whether two details, uint8 (DETAIL_LENGTH,), are of one picture; False if one is missing."""
    return look(one, other).same


def look(one: U8, other: U8) -> Look:
    """Compare two details, uint8 (DETAIL_LENGTH,); see ``Look``. The order does not matter."""
    if not (has_detail(one) and has_detail(other)):
        return Look(False, False, (np.inf,) * 3, (1.0,) * 3)
    a, b = greys_of(one), greys_of(other)
    if _is_plain(a) or _is_plain(b):
        equal = _are_equal(a, b, colours_of(one), colours_of(other))
        return Look(equal, True, (0.0,) * 3 if equal else (np.inf,) * 3, (0.0,) * 3 if equal else (1.0,) * 3)
    coloured = _colours_agree(colours_of(one), colours_of(other))
    # Clipped lights and blur can be explained in one direction only: from the picture that has them still.
    forth = _explained(a, b)
    if coloured and _holds(*forth):
        return Look(True, False, *forth)
    back = _explained(b, a)
    held = coloured and _holds(*back)
    return Look(held, False, *(back if held or back[0][0] < forth[0][0] else forth))


def _holds(rest: tuple[float, float, float], share: tuple[float, float, float]) -> bool:
    limits = (min(CLEAN_REST + PER_SHARE * share[0], MOST_REST[0]), *MOST_REST[1:])
    return all(value < limit for value, limit in zip((*rest, *share), (*limits, *MOST_SHARE), strict=True))


def _explained(source: U8, target: U8) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return the rest and its share per band when one picture, uint8 (128, 128), is explained by another.

    Stops at the first band in which it is not: the others are then as bad as can be.
    """
    basis, spectrum = _cosines(), _spectrum(_with_tones_of(source, target))
    goal = _spectrum(target.astype(np.float32))
    explained = spectrum * _filter(spectrum, goal)
    rests, shares = [np.inf] * 3, [1.0] * 3
    for band, (passed, window) in enumerate(zip(_passbands(), _windows(), strict=True)):
        theirs = basis.T @ (passed * goal) @ basis
        ours = basis.T @ (passed * spectrum) @ basis
        left = basis.T @ (passed * (goal - explained)) @ basis
        energy = window @ (left * left) @ window.T
        detail = window @ ((theirs * theirs + ours * ours) / 2) @ window.T
        quiet = np.partition(energy.ravel(), int(QUIET * energy.size))[int(QUIET * energy.size)]
        rests[band] = float((energy / (OWN_DETAIL * detail + EVENLY * quiet + ROUNDING[band])).max())
        whole = float((theirs * theirs).mean())
        shares[band] = float((left * left).mean()) / whole if whole >= LITTLE * LITTLE else 0.0
        if rests[band] >= MOST_REST[band] or shares[band] >= MOST_SHARE[band]:
            break
    return (rests[0], rests[1], rests[2]), (shares[0], shares[1], shares[2])


def _with_tones_of(source: U8, target: U8) -> F32:
    """Give each cell the mean level, smoothed and rising, that its grey level has in the target."""
    levels = source.ravel()
    counts = np.bincount(levels, minlength=256).astype(np.float64)
    sums = np.bincount(levels, weights=target.ravel(), minlength=256)
    near = np.exp(-((np.arange(-24, 25) / _SMOOTH) ** 2) / 2)
    means = np.convolve(sums, near, "same") / np.maximum(np.convolve(counts, near, "same"), 1e-9)
    tones = np.asarray(np.maximum.accumulate(means), np.float32)
    return np.asarray(tones[source])


def _filter(spectrum: F32, goal: F32) -> F32:
    """Return the factor per frequency, the same in all directions, that explains the goal best, (128, 128)."""
    rings, count = _ring_numbers()
    common = np.bincount(rings, (spectrum * goal).ravel(), count)
    own = np.bincount(rings, (spectrum * spectrum).ravel(), count)
    factors = np.clip(common / np.maximum(own, _TINY), 0, 2).astype(np.float32)
    return np.asarray(factors[rings].reshape(spectrum.shape), np.float32)


def _is_plain(grey: U8) -> bool:
    spectrum, basis = _spectrum(grey.astype(np.float32)), _cosines()
    bands = (basis.T @ (passed * spectrum) @ basis for passed in _passbands())
    return all(float(band.std()) < LEAST_DETAIL for band in bands)


def _are_equal(a: U8, b: U8, a_colours: U8, b_colours: U8) -> bool:
    difference = a.astype(np.float32) - b
    blocks = difference.reshape(DETAIL_SIDE // 4, 4, DETAIL_SIDE // 4, 4).mean(axis=(1, 3))
    colours = np.abs(a_colours.astype(np.int16) - b_colours)
    return bool(np.abs(blocks).max() <= EQUAL_GREY and colours.max() <= EQUAL_COLOUR)


def _colours_agree(a: U8, b: U8) -> bool:
    """Return whether another balance of the colours, or none left at all, explains the difference."""
    x, y = (c.reshape(COLOUR_SIDE * COLOUR_SIDE, 3).astype(np.float32) for c in (a, b))
    if min(_most_chroma(x), _most_chroma(y)) <= EQUAL_COLOUR:  # one is grey: its light was compared already
        return True
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    gains = ((x - mean_x) * (y - mean_y)).sum(axis=0) / np.maximum(((x - mean_x) ** 2).sum(axis=0), 1)
    left = (y - mean_y) - np.clip(gains, *GAINS) * (x - mean_x)
    return bool(np.sqrt((left * left).mean()) <= MOST_COLOUR)


def _most_chroma(colours: F32) -> float:
    return float((colours.max(axis=1) - colours.min(axis=1)).max())


def _spectrum(values: F32) -> F32:
    basis = _cosines()
    return np.asarray(basis @ values @ basis.T, np.float32)


@cache
def _cosines() -> F32:
    """Return the orthonormal DCT-II, float32 (128, 128), a frequency per row."""
    frequency, cell = np.arange(DETAIL_SIDE)[:, None], np.arange(DETAIL_SIDE)[None, :]
    waves = np.cos(np.pi * frequency * (2 * cell + 1) / (2 * DETAIL_SIDE)) * np.sqrt(2 / DETAIL_SIDE)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, np.float32)


@cache
def _radii() -> F32:
    frequency = np.arange(DETAIL_SIDE)
    return np.hypot(frequency[:, None], frequency[None, :]).astype(np.float32)


@cache
def _ring_numbers() -> tuple[I64, int]:
    numbers = np.digitize(_radii(), _RINGS).ravel() - 1
    return numbers, int(numbers.max()) + 1


@cache
def _passbands() -> tuple[F32, ...]:
    def blurred(width: float) -> F32:
        return np.exp(-((np.pi * _radii() * width / DETAIL_SIDE) ** 2) / 2).astype(np.float32)

    return tuple(blurred(finer) - blurred(coarser) for finer, coarser in BANDS)


@cache
def _windows() -> tuple[F32, ...]:
    """Return for each band the Gaussian means around some places, float32 (places, 128)."""
    windows = []
    for width, step in zip(WINDOWS, (2, 4, 8), strict=True):
        places = np.arange(step / 2 - 0.5, DETAIL_SIDE, step)[:, None]
        weights = np.exp(-(((np.arange(DETAIL_SIDE)[None, :] - places) / width) ** 2) / 2)
        windows.append((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
    return tuple(windows)
