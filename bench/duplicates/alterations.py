"""Altered copies of pictures, as they are shared: the queries of the duplicates benchmark. Pillow and numpy only.

Every alteration is a function of the picture and a random generator: the same seed and name always give the same copy.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from assocmem._numerics.types import AnyArray

Picture = Image.Image
AlterFunction = Callable[[Picture, np.random.Generator], Picture]

SIDE = 512
"""Longest side of the originals, in pixels: so a blur of two pixels means the same for all."""


@dataclass(frozen=True, slots=True)
class Alteration:
    """One way to alter a picture."""

    kind: str
    """``jpeg``, ``crop``, ..."""
    level: str
    alter: AlterFunction

    @property
    def name(self) -> str:
        """``jpeg 30``."""
        return f"{self.kind} {self.level}".strip()


def _jpeg(picture: Picture, _: np.random.Generator, *, quality: int) -> Picture:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def _crop(picture: Picture, rng: np.random.Generator, *, share: float) -> Picture:
    """Cut away a share of the area; the rest keeps its proportions and is at a random place."""
    side = (1 - share) ** 0.5
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, top = int(rng.integers(picture.width - width + 1)), int(rng.integers(picture.height - height + 1))
    return picture.crop((left, top, left + width, top + height))


def _scale(picture: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    width, height = (max(8, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def _stretch(picture: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    return picture.resize((max(8, round(picture.width * factor)), picture.height), Image.Resampling.BICUBIC)


def _rotate(picture: Picture, rng: np.random.Generator, *, degrees: float) -> Picture:
    """Rotate in either direction; the frame stays the same, its corners become black."""
    return picture.rotate(degrees * float(rng.choice((-1, 1))), Image.Resampling.BICUBIC)


def _blur(picture: Picture, _: np.random.Generator, *, pixels: float) -> Picture:
    return picture.filter(ImageFilter.GaussianBlur(pixels))


def _noise(picture: Picture, rng: np.random.Generator, *, deviation: float) -> Picture:
    values = np.asarray(picture, np.float32)
    return _from_float(values + rng.normal(0, deviation, values.shape))


def _from_float(values: AnyArray) -> Picture:
    return Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))


def _light(picture: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    return ImageEnhance.Brightness(picture).enhance(factor)


def _contrast(picture: Picture, _: np.random.Generator, *, factor: float) -> Picture:
    return ImageEnhance.Contrast(picture).enhance(factor)


def _tint(picture: Picture, rng: np.random.Generator, *, gain: float) -> Picture:
    """Amplify one channel, attenuate another."""
    up, down = rng.permutation(3)[:2]
    gains = np.ones(3, np.float32)
    gains[up], gains[down] = 1 + gain, 1 - gain
    return _from_float(np.asarray(picture, np.float32) * gains)


def _grey(picture: Picture, _: np.random.Generator) -> Picture:
    return picture.convert("L").convert("RGB")


def _caption(picture: Picture, rng: np.random.Generator, *, place: str) -> Picture:
    """Write words over the lower part, or on a white bar above the picture."""
    height = max(16, picture.height // 7)
    words = " ".join(rng.permutation(["THE", "DAY", "WE", "WENT", "TO", "SEE", "IT"])[:5].tolist())
    if place == "bar":
        out = ImageOps.expand(picture, (0, height, 0, 0), "white")
        position, ink, outline = (picture.width // 2, height // 2), "black", 0
    else:
        out = picture.copy()
        position, ink, outline = (picture.width // 2, picture.height - height // 2), "white", 2
    size = min(0.7 * height, 1.5 * picture.width / len(words))
    draw = ImageDraw.Draw(out)
    font = _font(size)
    draw.text(position, words, ink, font=font, anchor="mm", stroke_width=outline, stroke_fill="black")
    return out


def _font(size: float) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(max(8, size))


def _border(picture: Picture, rng: np.random.Generator, *, share: float) -> Picture:
    """Add a black or white frame, whose width is a share of the longer side."""
    width = max(1, round(share * max(picture.size)))
    return ImageOps.expand(picture, width, str(rng.choice(("black", "white"))))


def _occlude(picture: Picture, rng: np.random.Generator, *, share: float) -> Picture:
    """Cover a share of the area by a rectangle of one colour, at a random place."""
    width, height = round(picture.width * share**0.5), round(picture.height * share**0.5)
    left, top = int(rng.integers(picture.width - width + 1)), int(rng.integers(picture.height - height + 1))
    out = picture.copy()
    out.paste(tuple(rng.integers(0, 256, 3).tolist()), (left, top, left + width, top + height))
    return out


def _mirror(picture: Picture, _: np.random.Generator) -> Picture:
    return ImageOps.mirror(picture)


_GRADED: Mapping[str, tuple[Callable[..., Picture], str, Mapping[str, float]]] = {
    "jpeg": (_jpeg, "quality", {f"{quality}": quality for quality in (90, 70, 50, 30, 10)}),
    "crop": (_crop, "share", {f"{percent}%": percent / 100 for percent in (5, 15, 30, 50)}),
    "scale": (_scale, "factor", {"50%": 0.5, "25%": 0.25, "12%": 0.125}),
    "stretch": (_stretch, "factor", {"80%": 0.8}),
    "rotate": (_rotate, "degrees", {f"{degrees}": degrees for degrees in (2, 5, 10, 15)}),
    "blur": (_blur, "pixels", {f"{pixels}": pixels for pixels in (1, 2, 4)}),
    "noise": (_noise, "deviation", {f"{deviation}": deviation for deviation in (10, 25, 50)}),
    "light": (_light, "factor", {"60%": 0.6, "150%": 1.5}),
    "contrast": (_contrast, "factor", {"50%": 0.5, "160%": 1.6}),
    "tint": (_tint, "gain", {"15%": 0.15, "30%": 0.30}),
    "border": (_border, "share", {"5%": 0.05, "15%": 0.15}),
    "occlusion": (_occlude, "share", {"30%": 0.3}),
}


def alterations() -> Iterator[Alteration]:
    """Yield all ways to alter a picture, the mildest of each kind first."""
    for kind, (alter, parameter, levels) in _GRADED.items():
        for level, value in levels.items():
            yield Alteration(kind, level, partial(alter, **{parameter: value}))
    yield Alteration("grey", "", _grey)
    for place in ("over", "bar"):
        yield Alteration("caption", place, partial(_caption, place=place))
    yield Alteration("mirror", "", _mirror)


def make_copy(picture: Picture, alteration: Alteration, number: int) -> Picture:
    """Alter picture ``number``; the same number gives the same copy."""
    return alteration.alter(picture, np.random.default_rng((number, *alteration.name.encode())))
