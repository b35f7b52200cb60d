"""TIFFs that Pillow refuses or shows wrongly, read by tifffile: wide and signed numbers, planes, many channels."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from assocmem._numerics.types import U8, AnyArray
from assocmem.errors import MediaError
from assocmem.extractors.sniff import too_large

TRIMMED = 0.001
"""Share of the values, at each end, that may be dead and hot pixels."""
OUTLYING = 2.0
"""They are, if with them the range is more than this many times as wide."""
_SAMPLE = 2**20
"""Values that the range is taken from, about; of fewer, all."""
_BITS, _PHOTOMETRIC, _ORIENTATION, _PLANES, _NUMBERS = 258, 262, 0x0112, 284, 339
_WHITE_IS_ZERO, _APART, _SIGNED = 0, 2, 2
_CHANNELS = 3


def is_shown_wrongly(directory: ImageFileDirectory_v2) -> bool:
    """Return whether Pillow opens a TIFF without an error, but not as it is meant."""
    bits = max(directory.get(_BITS, (1,)))
    if bits == 8:
        return set(directory.get(_NUMBERS, (1,))) == {_SIGNED}
    return bits > 8 and (directory.get(_PLANES) == _APART or directory.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def open_wide_tiff(file: BinaryIO, orientation: int | None, max_pixels: int) -> ImageFile.ImageFile:
    """Open the first page as 8-bit grey or RGB.

    Raises
    ------
    MediaError
        Too many pixels, or a compression that needs imagecodecs.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as pages:
        page = pages.pages.first
        width, height = page.imagewidth, page.imagelength
        if width * height > max_pixels:
            raise too_large(width, height, max_pixels)
        try:
            values = np.asarray(page.asarray())
        except ValueError as error:
            if "imagecodecs" in str(error):
                what = "a compressed TIFF, of numbers that few programs read"
                raise MediaError(f"{what}: it needs pip install imagecodecs", lasting=False) from None
            raise
        inverted = page.photometric == _WHITE_IS_ZERO
        shown = eight_bits(_channels_last(values, height, width))
    picture = as_file(255 - shown if inverted else shown)
    if orientation is not None:
        picture.getexif()[_ORIENTATION] = orientation
    return picture


def as_file(values: U8) -> ImageFile.ImageFile:
    """Return pixels, uint8 (h, w) or (h, w, 3), as a picture that is read like one in a file."""
    out = io.BytesIO()
    Pillow.fromarray(values).save(out, "BMP")
    out.seek(0)
    return BmpImageFile(out)


def _channels_last(values: AnyArray, height: int, width: int) -> AnyArray:
    """Return (height, width), or the first three channels, (height, width, 3)."""
    values = np.squeeze(values)
    if values.ndim == 2 or values.size == height * width:
        return values.reshape(height, width)
    if values.shape[-2:] == (height, width):
        values = np.moveaxis(values.reshape(-1, height, width), 0, -1)
    values = values.reshape(height, width, -1)
    return values[..., :_CHANNELS] if values.shape[2] >= _CHANNELS else values[..., 0]


def eight_bits(values: AnyArray) -> U8:
    """Map numbers of any kind to 0..255.

    Of unsigned 8 and 16 bits, the greatest possible number is white; 4095 of 16 bits if there is none above it, as in
    files of 12-bit sensors. Of floats from 0 to 1, 1 is. All others are stretched from the least to the greatest, or
    without dead and hot pixels. What is not finite becomes black.
    """
    if values.dtype == np.uint8:
        return values
    step = max(1, values.size // _SAMPLE)
    sample = np.ravel(values)[::step].astype(np.float64)
    known = np.sort(sample[np.isfinite(sample)])
    if not len(known):
        return np.zeros(values.shape, np.uint8)
    low, high = _range(known, values.dtype)
    wide = values.astype(np.float64)
    scaled = np.where(np.isfinite(wide), wide - low, 0) * (255 / (high - low) if high > low else 0)
    return np.asarray(np.rint(scaled.clip(0, 255)), np.uint8)


def _range(known: AnyArray, kind: np.dtype[Any]) -> tuple[float, float]:
    """Return what becomes black and white; ``known``: finite values, ascending."""
    low, high = float(known[0]), float(known[-1])
    if kind == np.uint16:
        return 0.0, 4095.0 if 255 < high <= 4095 else 65535.0
    if np.issubdtype(kind, np.floating) and low >= 0 and 0.5 < high <= 1:
        return 0.0, 1.0
    trimmed = int(TRIMMED * len(known))
    inner = float(known[trimmed]), float(known[-1 - trimmed])
    return inner if high - low > OUTLYING * (inner[1] - inner[0]) > 0 else (low, high)
