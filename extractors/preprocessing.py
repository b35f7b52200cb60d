"""Turns a picture into a network's input: size, border or crop, channel order, scale. Contains no network runtime."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import PIL.Image

from assocmem._numerics.types import AnyArray
from assocmem.errors import ExtractorError, InputError
from assocmem.extractors.base import Image

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "resize": ("pad", "crop", "squash"),
    "interpolation": ("nearest", "bilinear", "bicubic", "lanczos"),
    "order": ("rgb", "bgr"),
    "layout": ("auto", "nchw", "nhwc"),
    "tokens": ("first", "mean"),
}
# Pillow first shrinks by whole factors to three times the target size: fast, without a visible difference.
_REDUCING_GAP = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Parameters that turn a picture into a network's input, and the output that is the feature.

    A value out of range raises `ExtractorError` with the name of the field.
    """

    size: int = 224
    """Side of the square input, in pixels."""
    resize: str = "crop"
    """How a picture becomes square: by a border (pad), by cutting out its centre (crop), or by distortion (squash)."""
    crop: float = 0.875
    """With ``resize=crop``: the fraction of the shorter side that is kept."""
    fill: int = 127
    """With ``resize=pad``: the grey level of the border."""
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Subtracted from red, green, blue in 0..1. A model with uint8 input uses neither ``mean`` nor ``std``."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    order: str = "rgb"
    """Order of the input's channels, rgb or bgr; ``mean`` and ``std`` are always for red, green, blue."""
    layout: str = "auto"
    """Axis order of input and feature maps: nchw or nhwc; auto takes it from the input's shape."""
    tokens: str = "first"
    """For an output of shape (n, tokens, d): use the first token or the mean."""
    output: str = ""
    """Name of the output that is the feature; if empty, the first output whose shape is not (n, 1000)."""
    logits: str = ""
    """Name of the output, (n, 1000), with ImageNet logits; empty if there is none."""

    def __post_init__(self) -> None:
        rules = {
            "size": (8 <= self.size <= 4096, "pixels from 8 to 4096"),
            "crop": (0 < self.crop <= 1, "a share above 0, at most 1"),
            "fill": (0 <= self.fill <= 255, "a grey level from 0 to 255"),
            "mean": (len(self.mean) == 3 and all(map(math.isfinite, self.mean)), "1 or 3 finite numbers"),
            "std": (len(self.std) == 3 and all(0 < v < math.inf for v in self.std), "1 or 3 above zero"),
            **{key: (getattr(self, key) in names, " or ".join(names)) for key, names in _CHOICES.items()},
        }
        for key, (good, expected) in rules.items():
            if not good:
                raise ExtractorError(f"option {key}: expected {expected}, found {getattr(self, key)!r}")

    def with_options(self, options: Mapping[str, str]) -> Self:
        """Return a copy changed by texts such as ``{"size": "384", "mean": "0.5,0.5,0.5"}``.

        Raises `ExtractorError` for an unknown key and a value that does not parse or is out of range.
        """
        known = [field.name for field in fields(self)]
        for key in options:
            if key not in known:
                raise ExtractorError(f"unknown extractor option {key!r}; there are {', '.join(known)}")
        changes: dict[str, Any] = {key: _parse(key, text) for key, text in options.items()}
        return replace(self, **changes)

    def canonical(self, *, normalised: bool = True) -> str:
        """Return a line that is equal for two preprocessings only if they give the same features.

        Collections on disk store it, so a field added later must not change it while it has its default.
        """
        resize = {"pad": f"pad:{self.fill}", "crop": f"crop:{self.crop:.6g}", "squash": "squash"}[self.resize]
        mean, std = (",".join(f"{v:.6g}" for v in values) for values in (self.mean, self.std))
        scale = f"mean={mean} std={std} " if normalised else ""
        return (
            f"size={self.size} resize={resize} interpolation={self.interpolation} {scale}order={self.order} "
            f"layout={self.layout} tokens={self.tokens} output={self.output}"
        )

    @property
    def min_side(self) -> int:
        """Pixels that a picture's shorter side must keep so that the input is not enlarged."""
        return math.ceil(self.size / self.crop) if self.resize == "crop" else self.size

    def prepare(self, image: Image) -> Image:
        """Resize a picture to the input's size: uint8 (height, width, 3) -> uint8 (size, size, 3), C-contiguous.

        Raises `InputError` for another dtype or shape, and for a picture without pixels.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            found = f"{image.dtype} {image.shape}"
            raise InputError(f"expected a picture, uint8 (height, width, 3), found {found}")
        height, width = image.shape[:2]
        inner, box = (self.size, self.size), (0.0, 0.0, float(width), float(height))
        if self.resize == "crop":
            left, top = ((side - min(height, width) * self.crop) / 2 for side in (width, height))
            box = (left, top, width - left, height - top)
        elif self.resize == "pad":
            scale = self.size / max(height, width)
            inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        filter_ = PIL.Image.Resampling[self.interpolation.upper()]
        resized = PIL.Image.fromarray(image).resize(inner, filter_, box, reducing_gap=_REDUCING_GAP)
        canvas = np.full((self.size, self.size, 3), self.fill, np.uint8)
        left, top = (self.size - inner[0]) // 2, (self.size - inner[1]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = np.asarray(resized)
        return canvas

    def tensor(self, image: Image, dtype: npt.DTypeLike, layout: str) -> AnyArray:
        """Turn a prepared picture into a batch of one: (1, 3, size, size), or (1, size, size, 3) for nhwc.

        Raises `InputError` if the picture does not come from `prepare`.
        """
        if image.dtype != np.uint8 or image.shape != (self.size, self.size, 3):
            found = f"{image.dtype} {image.shape}"
            raise InputError(f"expected a picture from prepare(), {self.size} pixels square, found {found}")
        mean, std = np.array((self.mean, self.std), np.float32)
        scale, shift = 1 / (255 * std), mean / std
        if self.order == "bgr":
            image, scale, shift = image[..., ::-1], scale[::-1], shift[::-1]
        if layout == "nchw":
            image, scale, shift = image.transpose(2, 0, 1), scale[:, None, None], shift[:, None, None]
        pixels = np.ascontiguousarray(image)[None]
        return pixels if dtype == np.uint8 else (pixels * scale - shift).astype(dtype, copy=False)


def _parse(key: str, text: str) -> object:
    try:
        if key in ("size", "fill"):
            return int(text)
        if key == "crop":
            return float(text)
        if key in ("mean", "std"):
            values = tuple(float(part) for part in text.split(","))
            return values * 3 if len(values) == 1 else values
    except ValueError:
        raise ExtractorError(f"option {key}: expected numbers, found {text!r}") from None
    return text
