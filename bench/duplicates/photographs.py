"""The photographs of the duplicates benchmark: those of a folder, or of packages that are installed on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from assocmem._numerics.types import F32, I64, U8
from assocmem.bench.duplicates.alterations import SIDE, Picture
from assocmem.bench.inputs import unit_rows_float32
from assocmem.errors import InputError, MediaError

_PACKAGES = {"skimage": "data", "sklearn": "datasets/images"}
_DEBIAN_FOLDERS = (
    "/usr/share/tuxpaint/stamps",
    "/usr/share/doc/opencv-doc/examples/data",
    "/usr/share/gcompris-qt",
)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
MIN_PHOTOGRAPHS = 10
MIN_SIDE = 64
"""Smaller pictures, in pixels, are skipped: icons."""
MAX_COSINE, MAX_DISTANCE = 0.9, 8
"""Pictures above this cosine of features, or up to this Hamming distance of hashes, are copies of each other."""


def find_pictures(folder: Path | None) -> list[Path]:
    """Return the pictures below a folder, or those of installed packages; InputError if there are fewer than 10."""
    folders = list(_package_folders()) if folder is None else [folder]
    paths = sorted(path for place in folders for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if len(paths) < MIN_PHOTOGRAPHS:
        searched = ", ".join(map(str, folders)) or "the packages scikit-image and scikit-learn, which are not installed"
        raise InputError(
            f"expected at least {MIN_PHOTOGRAPHS} photographs, found {len(paths)} below {searched}; "
            "name a folder with photographs"
        )
    return paths


def _package_folders() -> Iterator[Path]:
    for package, inside in _PACKAGES.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            yield Path(spec.submodule_search_locations[0]) / inside
    yield from (Path(folder) for folder in _DEBIAN_FOLDERS if Path(folder).is_dir())


def read_picture(path: Path) -> Picture | None:
    """Read a picture, reduced to at most `SIDE` pixels; None if it cannot be read or is tiny."""
    from assocmem.extractors.image import read_image

    try:
        picture = Image.fromarray(read_image(path, min_side=SIDE // 2))
    except MediaError:
        return None
    if min(picture.size) < MIN_SIDE:
        return None
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return picture


def without_copies(features: F32, hashes: U8) -> I64:
    """Return the rows of pictures that are no copies of an earlier one, by features or hashes, so neither is favoured.

    Parameters
    ----------
    features : float32 (n, d)
    hashes : uint8 (n, 8)
        Perceptual hashes.

    Returns
    -------
    int64 (m,)
    """
    unit = unit_rows_float32(features)
    kept: list[int] = []
    for i in range(len(unit)):
        distances = np.bitwise_count(hashes[kept] ^ hashes[i]).sum(axis=1)
        is_copy = (unit[kept] @ unit[i] > MAX_COSINE) | (distances <= MAX_DISTANCE)
        if not is_copy.any():
            kept.append(i)
    return np.array(kept, np.int64)
