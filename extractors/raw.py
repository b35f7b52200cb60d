"""Raw photographs: the picture that the camera stored beside the mosaic of its sensor, else what rawpy develops.

Every maker keeps previews as JPEGs somewhere in the file, so the largest JPEG in it is the preview, whatever the
layout.
"""

from __future__ import annotations

import io
import mmap
from typing import BinaryIO

import numpy as np
from PIL import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from assocmem.errors import MediaError
from assocmem.extractors.wide_tiff import as_file

_START = b"\xff\xd8\xff"
_MOST_STARTS = 2_000
"""Places that are looked at: in the data of a sensor, these three bytes occur once in 16 MB by chance."""
_LONGEST = 2**26
"""Bytes of the longest preview."""
_MOST_SEGMENTS = 200
_FRAMES = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive frames; a lossless one (0xC3) is how some makers store the mosaic."""
_NOT_BEFORE_A_FRAME = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xDB))
_SUBFILE, _WIDTH, _COMPRESSION, _PHOTOMETRIC = 254, 256, 259, 262
_JPEG_POINTER, _DNG_VERSION = 513, 50706
_SENSOR = (32803, 34892)
"""Photometric values: a mosaic of colours, and a picture whose colours are not yet those of a screen."""
_SHOWN = (1, 2, 6)
"""Photometric values of pictures: grey, RGB, YCbCr."""


def first_directory(file: BinaryIO) -> ImageFileDirectory_v2:
    """Return the first directory of a TIFF."""
    head = file.read(16)
    directory = ImageFileDirectory_v2(head if head[2:4] in (b"+\0", b"\0+") else head[:8])
    file.seek(directory.next)
    directory.load(file)
    file.seek(0)
    return directory


def is_raw(directory: ImageFileDirectory_v2, file: BinaryIO) -> bool:
    """Return whether a TIFF is a raw photograph, or begins with a reduced picture, as they do."""
    is_canon = file.read(10)[8:] == b"CR"
    file.seek(0)
    pointed = _JPEG_POINTER in directory and _WIDTH not in directory
    sensor = _DNG_VERSION in directory or directory.get(_PHOTOMETRIC) in _SENSOR
    return is_canon or sensor or pointed or directory.get(_SUBFILE) == 1


def open_raw(file: BinaryIO, directory: ImageFileDirectory_v2 | None = None) -> ImageFile.ImageFile:
    """Open the preview of a raw photograph; with a ``directory``, the file is a TIFF.

    Raises
    ------
    MediaError
        There is no preview, and rawpy is not installed or cannot develop it.
    """
    preview = largest_jpeg(file)
    if directory is not None and directory.get(_PHOTOMETRIC) in _SHOWN and directory.get(_COMPRESSION, 1) != 6:
        shown = TiffImageFile(file)
        if preview is None or shown.width * shown.height >= preview.width * preview.height:
            return shown
    if preview is None:
        return _developed(file)
    orientation = None if directory is None else directory.get(0x0112)
    if orientation is not None and 0x0112 not in preview.getexif():
        preview.getexif()[0x0112] = orientation
    return preview


def largest_jpeg(file: BinaryIO) -> JpegImageFile | None:
    """Return the JPEG with the most pixels that lies anywhere in a file, open; None if there is none."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        best, most, place = -1, 0, -1
        for _ in range(_MOST_STARTS):
            place = data.find(_START, place + 1)
            if place < 0:
                break
            pixels = _pixels(data, place)
            if pixels > most:
                best, most = place, pixels
        return None if best < 0 else JpegImageFile(io.BytesIO(data[best : best + _LONGEST]))


def _pixels(data: mmap.mmap, place: int) -> int:
    """Return the pixels of the JPEG that begins at a place; 0 if it is none that a screen can show."""
    place += 2
    for _ in range(_MOST_SEGMENTS):
        head = data[place : place + 9]
        if len(head) < 9 or head[0] != 0xFF or head[1] < 0xC0:
            return 0
        if head[1] in _FRAMES:
            return int.from_bytes(head[5:7], "big") * int.from_bytes(head[7:9], "big") if head[4] == 8 else 0
        if head[1] in _NOT_BEFORE_A_FRAME:
            return 0
        place += 2 + int.from_bytes(head[2:4], "big")
    return 0


def _developed(file: BinaryIO) -> ImageFile.ImageFile:
    try:
        import rawpy
    except ImportError:
        reason = 'a raw photograph without a preview: it needs pip install "assocmem[raw]"'
        raise MediaError(reason, lasting=False) from None
    try:
        with rawpy.imread(file) as photograph:
            values = np.ascontiguousarray(photograph.postprocess(half_size=True, use_camera_wb=True))
    except Exception as error:  # of a class of its own for each trouble
        what = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else error
        raise MediaError(f"a raw photograph without a preview that cannot be developed: {what}") from error
    return as_file(values)
