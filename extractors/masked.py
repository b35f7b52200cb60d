"""An extractor that does not see part of the picture: what is masked is painted grey before the network gets it.

Grey is what the network sees around a picture that is no square: nothing. Of photographs with a rectangle covered by
another photograph, grey found more originals than the mean colour, colours drawn in from the edges, or the largest
rectangle that is left (`assocmem bench partial --pictures`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from assocmem.errors import InputError
from assocmem.extractors.base import Extraction, Extractor, Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of width and height, from the upper left corner."""
GREY = 127


def check_boxes(boxes: Sequence[Box] | Box) -> list[Box]:
    """Return boxes, one or several, or raise InputError that says what is wrong with them."""
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
    """Another extractor, with boxes of every picture painted grey; pixels that a box only touches are painted too.

    Parameters
    ----------
    inner : Extractor
    boxes : sequence of boxes
        As ``check_boxes`` returns them.
    """

    def __init__(self, inner: Extractor, boxes: Sequence[Box]) -> None:
        self._inner, self._boxes = inner, boxes
        self.name, self.dim, self.identity = inner.name, inner.dim, inner.identity
        self.min_side, self.has_logits = inner.min_side, inner.has_logits

    def prepare(self, image: Image) -> Image:
        """Paint, and prepare what is left."""
        seen = image.copy()
        height, width = image.shape[:2]
        for left, top, right, bottom in self._boxes:
            rows = slice(math.floor(top * height), math.ceil(bottom * height))
            seen[rows, math.floor(left * width) : math.ceil(right * width)] = GREY
        return self._inner.prepare(seen)

    def extract(self, images: Sequence[Image]) -> Extraction:
        """Run the network over prepared pictures."""
        return self._inner.extract(images)
