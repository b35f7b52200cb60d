"""Whether one picture shows a part of another, turned, cut, framed, captioned or mirrored: found by lining them up.

Points of interest (SIFT; Lowe, IJCV 2004) of the two details are matched, an affine map that many of them agree on is
fitted (RANSAC), and what then lies upon each other is compared. OpenCV does the first two.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from assocmem._numerics.types import F32, U8, AnyArray
from assocmem.codes.fine_detail import DETAIL_SIDE, greys_of, has_detail

LEAST_POINTS = 12
"""Points that must agree on one map: unlike pictures reach 11, by chance and by patterns that repeat."""
LEAST_AGREEMENT = 0.5
"""Share of the detail, where the two overlap, that must agree."""
CLEAR_AGREEMENT, LARGEST_CHANGE = 0.8, 0.6
"""With less agreement than the first, what differs must lie together, as a caption does: in a frame of at most the
second's share of the overlap. Receipts of one shop differ all over."""
LEAST_OVERLAP = 0.15
"""Share of a picture that the other must cover."""
_ENLARGED = 2  # so that points of one or two cells are found too
_POINTS = 300
_CLEARLY_NEAREST = 0.8  # of the second nearest's distance; Lowe's ratio
_TOLERANCE = 4.0  # enlarged cells
_LARGEST_SCALE, _LARGEST_STRETCH = 3.0, 1.6


class Points(NamedTuple):
    """Points of interest of a picture."""

    places: F32
    """float32 (n, 2): x, y in enlarged cells"""
    descriptors: F32
    """float32 (n, 128), of length 1"""


class Registration(NamedTuple):
    """How a second picture lies upon a first."""

    mirrored: bool
    points: int
    """points that agree on the map"""
    overlap: float
    """share of the first that the second covers"""
    agreement: float
    """share of the detail in the overlap that both have"""
    change: float
    """share of the overlap that the frame around what differs takes up"""
    scale: float
    """cells of the second per cell of the first"""
    moved: float
    """cells by which the corner that is shifted most is shifted"""


def register(one: U8, other: U8) -> Registration | None:
    """Line up two details, uint8 (DETAIL_LENGTH,); None if they do not show the same thing, or one is missing."""
    if not (has_detail(one) and has_detail(other)):
        return None
    first = greys_of(one)
    points = _points(first)
    for mirrored in (False, True):
        second = np.ascontiguousarray(greys_of(other)[:, ::-1]) if mirrored else greys_of(other)
        fitted = _fitted(points, _points(second))
        if fitted is not None:
            overlap, agreement, change = _agreement(first, second, fitted[0])
            local = agreement >= CLEAR_AGREEMENT or change <= LARGEST_CHANGE
            if overlap >= LEAST_OVERLAP and agreement >= LEAST_AGREEMENT and local:
                scale = float(np.sqrt(abs(np.linalg.det(fitted[0][:, :2]))))
                return Registration(mirrored, fitted[1], overlap, agreement, change, scale, _shift(fitted[0]))
    return None


@cache
def _detector() -> Any:
    import cv2

    return cv2.SIFT.create(nfeatures=_POINTS, contrastThreshold=0.02)


def _points(grey: U8) -> Points:
    import cv2

    side = _ENLARGED * DETAIL_SIDE
    enlarged = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
    found, descriptors = _detector().detectAndCompute(enlarged, None)
    if descriptors is None:
        return Points(np.empty((0, 2), np.float32), np.empty((0, 128), np.float32))
    # Square roots of shares: the descriptors compare better so (RootSIFT; Arandjelovic & Zisserman, CVPR 2012).
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return Points(np.array([point.pt for point in found], np.float32), np.sqrt(shares).astype(np.float32))


def _fitted(one: Points, other: Points) -> tuple[AnyArray, int] | None:
    """Return the map, float64 (2, 3), from the one's places to the other's, and how many points agree on it."""
    import cv2

    if min(len(one.places), len(other.places)) < LEAST_POINTS:
        return None
    cosines = one.descriptors @ other.descriptors.T
    every, nearest = np.arange(len(cosines)), cosines.argmax(axis=1)
    best = np.sqrt(np.maximum(0, 2 - 2 * cosines[every, nearest]))
    cosines[every, nearest] = -1
    second = np.sqrt(np.maximum(0, 2 - 2 * cosines.max(axis=1)))
    clear = np.flatnonzero(best < _CLEARLY_NEAREST * second)
    if len(clear) < LEAST_POINTS:
        return None
    cv2.setRNGSeed(0)  # the same pair always gives the same answer
    map_, agreeing = cv2.estimateAffine2D(
        one.places[clear], other.places[nearest[clear]], ransacReprojThreshold=_TOLERANCE, maxIters=1000
    )
    if map_ is None or int(agreeing.sum()) < LEAST_POINTS or not _is_plausible(map_[:, :2]):
        return None
    return map_, int(agreeing.sum())


def _is_plausible(linear: AnyArray) -> bool:
    """Return whether a map only turns, scales and stretches a little, and does not mirror."""
    greatest, least = np.linalg.svd(linear, compute_uv=False)
    within = greatest < _LARGEST_SCALE and least > 1 / _LARGEST_SCALE and greatest < _LARGEST_STRETCH * least
    return bool(within and np.linalg.det(linear) > 0)


def _shift(map_: AnyArray) -> float:
    """Return by how many cells the corner that is shifted most is shifted."""
    corners = np.array([(x, y) for x in (0, 1) for y in (0, 1)]) * (_ENLARGED * DETAIL_SIDE)
    return float(np.linalg.norm(corners @ map_[:, :2].T + map_[:, 2] - corners, axis=1).max()) / _ENLARGED


def _agreement(one: U8, other: U8, map_: AnyArray) -> tuple[float, float, float]:
    """Return the overlap, the share of the detail in it that both have, and the frame of the rest."""
    import cv2

    shift = (map_[:, :2].sum(axis=1) * (_ENLARGED - 1) / 2 + map_[:, 2] - (_ENLARGED - 1) / 2) / _ENLARGED
    in_cells = np.column_stack([map_[:, :2], shift])
    size, back = (DETAIL_SIDE, DETAIL_SIDE), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    first = one.astype(np.float32)
    covered = cv2.warpAffine(np.ones_like(first), in_cells, size, flags=back) > 0.99
    inside = cv2.erode(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if not inside.any():
        return 0.0, 0.0, 1.0
    second = np.where(covered, cv2.warpAffine(other.astype(np.float32), in_cells, size, flags=back), first)
    a, b = (_blurred(values, 0.7) - _blurred(values, 5) for values in (first, second))
    b = b * np.sqrt((a[inside] ** 2).mean() / max(float((b[inside] ** 2).mean()), 1e-3))  # contrast counts for nothing
    most = np.maximum(_blurred(a * a, 3), _blurred(b * b, 3))
    common = np.clip(_blurred(a * b, 3), 0, most)
    # Deviations, not energies: a strong edge does not decide alone.
    weights = np.where(inside, 1 / np.sqrt(np.maximum(most, 1e-3)), 0)
    total = float((most * weights).sum())
    agreement = float((common * weights).sum()) / total if total > 0 else 0.0
    frame = np.prod([_spread((most - common) * weights, axis) for axis in (0, 1)])
    return float(inside.mean()), agreement, float(frame / inside.mean())


def _spread(values: AnyArray, axis: int) -> float:
    """Return the shortest stretch along an axis, as a share of it, that contains nine tenths of the values."""
    sums = np.concatenate([[0], np.cumsum(values.sum(axis=axis))])
    ends = np.searchsorted(sums, sums + 0.9 * sums[-1])
    lengths = (ends - np.arange(len(sums)))[ends < len(sums)]
    return float(lengths.min(initial=DETAIL_SIDE)) / DETAIL_SIDE


def _blurred(values: AnyArray, width: float) -> AnyArray:
    import cv2

    return np.asarray(cv2.GaussianBlur(values, (0, 0), width))
