"""The photographs of the duplicates benchmark: a folder's, or those that packages have put on this machine."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from assocmem._numerics.types import F32, I64, U8
from assocmem.bench.duplicates.alterations import SIDE, Picture
from assocmem.errors import InputError, MediaError

_PACKAGES = {"skimage": "data", "sklearn": "datasets/images"}
_DEBIAN = (
    "/usr/share/tuxpaint/stamps",
    "/usr/share/doc/opencv-doc/examples/data",
    "/usr/share/gcompris-qt",
)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
LEAST_SIDE = 64
"""Smaller pictures, in pixels, are left out: icons."""


def picture_paths(folder: Path | None) -> list[Path]:
    """Return the pictures below a folder, or those of installed packages; InputError when there are hardly any."""
    places = list(_places()) if folder is None else [folder]
    paths = sorted(path for place in places for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if len(paths) < 10:
        looked = ", ".join(map(str, places)) or "the packages scikit-image and scikit-learn, which are not installed"
        raise InputError(f"expected at least 10 photographs, found {len(paths)} below {looked}; name a folder of some")
    return paths


def _places() -> Iterator[Path]:
    for package, inside in _PACKAGES.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            yield Path(spec.submodule_search_locations[0]) / inside
    yield from (Path(place) for place in _DEBIAN if Path(place).is_dir())


def read_picture(path: Path) -> Picture | None:
    """Read a picture, at most ``SIDE`` pixels long; None for one that cannot be read or is tiny."""
    from assocmem.extractors.image import read_image

    try:
        picture = Image.fromarray(read_image(path, min_side=SIDE // 2))
    except MediaError:
        return None
    if min(picture.size) < LEAST_SIDE:
        return None
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return picture


def unlike(features: F32, hashes: U8) -> I64:
    """Rows of pictures that are no copies of an earlier one, by either kind of method: neither is favoured.

    Parameters
    ----------
    features : float32 (n, d)
    hashes : uint8 (n, 8)
        Perceptual hashes.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    kept: list[int] = []
    for i in range(len(unit)):
        near = (unit[kept] @ unit[i] > 0.9) | (np.bitwise_count(hashes[kept] ^ hashes[i]).sum(axis=1) <= 8)
        if not near.any():
            kept.append(i)
    return np.array(kept, np.int64)
