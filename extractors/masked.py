"""An extractor that ignores parts of the picture: masked boxes are painted grey before the network sees them.

Grey is also what the network sees around a picture that is not square. For photographs with a rectangle covered by
another photograph, grey found more originals than the mean colour, colours extended from the edges, or a crop to the
largest rectangle that is not covered (`assocmem bench partial --pictures`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np

from assocmem.errors import InputError
from assocmem.extractors.base import Extraction, Extractor, Image

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of width and height, from the upper left corner."""
GREY: Final = 127
"""Grey level of masked boxes."""


def check_boxes(boxes: Sequence[Box] | Box) -> list[Box]:
    """Return one box or several as a list; InputError if one is invalid or covers the whole picture."""
    try:
        rows = np.atleast_2d(np.asarray(boxes, np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"mask: expected boxes of four numbers, found {boxes!r}") from error
    if rows.ndim != 2 or rows.shape[1] != 4 or not len(rows):
        raise InputError(f"mask: expected boxes (left, top, right, bottom), found {boxes!r}")
    found: list[Box] = []
    for left, top, right, bottom in rows.tolist():
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise InputError(
                "mask: expected shares of width and height, 0 <= left < right <= 1 and 0 <= top < bottom <= 1, "
                f"found {left:g}, {top:g}, {right:g}, {bottom:g}"
            )
        if (left, top, right, bottom) == (0, 0, 1, 1):
            raise InputError("mask: expected to see some of the picture, found all of it masked")
        found.append((left, top, right, bottom))
    return found


class MaskedExtractor:
    """Wraps an extractor and paints boxes of every picture grey, including pixels that a box covers only partly.

    Parameters
    ----------
    inner : Extractor
        Describes what is left; its name, identity and sizes are those of this extractor.
    boxes : sequence of boxes
        As ``check_boxes`` returns them.
    """

    def __init__(self, inner: Extractor, boxes: Sequence[Box]) -> None:
        self._inner, self._boxes = inner, boxes
        self.name, self.dim, self.identity = inner.name, inner.dim, inner.identity
        self.min_side, self.has_logits = inner.min_side, inner.has_logits

    def prepare(self, image: Image) -> Image:
        """Paint the boxes, then prepare the picture."""
        painted = image.copy()
        height, width = image.shape[:2]
        for left, top, right, bottom in self._boxes:
            rows = slice(math.floor(top * height), math.ceil(bottom * height))
            painted[rows, math.floor(left * width) : math.ceil(right * width)] = GREY
        return self._inner.prepare(painted)

    def extract(self, images: Sequence[Image]) -> Extraction:
        """Run the network on prepared pictures."""
        return self._inner.extract(images)
