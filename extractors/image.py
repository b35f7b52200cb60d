"""Reads one picture file as a small upright RGB array, in all formats, modes and orientations that Pillow reads.

A picture may be shrunk (the caller says how far), and is never enlarged or cropped.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Final

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.IcoImagePlugin import IcoImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PsdImagePlugin import PsdImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from assocmem._numerics.types import U8
from assocmem.errors import InputError, MediaError
from assocmem.extractors.base import Image
from assocmem.extractors.sniff import ImageFormat, image_format, media_error, open_media, read_head, too_large
from assocmem.extractors.wide_tiff import eight_bits

DEFAULT_MAX_PIXELS: Final = 100_000_000
"""Pixels of the largest picture that is decoded, counted after the shrinking that a JPEG decoder does for free."""

_HARD_MAX_PIXELS = 1_000_000_000  # beyond this, even a JPEG that is shrunk to a few pixels takes seconds
_NEARLY_WHITE = 235
"""Values above this cannot be told from a white ground."""
_ORIENTATION_TAG = 0x0112
_TRANSPOSE = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
_END_OF_JPEG = b"\xff\xd9"
_NOT_ZERO = b"\x5a" * 4096
"""Bytes that would be decoded as something, were anything still to be decoded."""
_JPEG_SEGMENTS = frozenset((*range(0xC0, 0xD0), *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE))
"""Second bytes of the markers that a JPEG may have before its end."""
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""The marker after the data of a scan, which escapes 0xff and counts its restarts."""
# The plug-in classes are called directly, not through PIL.Image.open, which compares with the global
# PIL.Image.MAX_IMAGE_PIXELS and warns. That limit belongs to the host application; ours is checked below.
# (The readers of TIFF and WebP check the global once more; its default is about as high as our limit.)
_PLUGINS: dict[ImageFormat, type[ImageFile.ImageFile]] = {
    "bmp": BmpImageFile,
    "gif": GifImageFile,
    "ico": IcoImageFile,
    "jp2": Jpeg2KImageFile,
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "psd": PsdImageFile,
    "tiff": TiffImageFile,
    "webp": WebPImageFile,
}


class ByteBudget:
    """Bounds the memory of the pictures that all threads of the process decode at the same time.

    A single picture that needs more than the whole budget is decoded alone.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._used = 0
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Wait until ``amount`` bytes are free, and hold them in the ``with`` statement."""
        # A thread that waits keeps its turn, so that small pictures cannot overtake a large one forever.
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + amount <= self._total)
            self._used += amount
        try:
            yield
        finally:
            with self._changed:
                self._used -= amount
                self._changed.notify_all()


decode_budget = ByteBudget(256 * 2**20)
"""Shared by all threads of the process."""


def read_image(path: str | os.PathLike[str], *, min_side: int = 224, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image:
    """Read a picture as upright RGB, shrunk as far as is cheap.

    The shorter side keeps at least ``2 * min_side`` pixels (or its own length, if that is less), so that a
    later bicubic resize to ``min_side`` loses nothing. EXIF orientation is applied. Of several frames or pages
    the first is read. A JPEG that is cut short is read as far as it goes; the rest is grey. Transparent pixels become
    white, as in programs that convert a picture to JPEG: the two copies should look the same; black if all that can
    be seen is white. Values of more than 8 bits: see ``eight_bits``. Embedded colour profiles
    are not applied: that would cost 4 to 14 ms per photograph, and without it wide-gamut pictures are only a
    little paler.

    Parameters
    ----------
    path : path of a JPEG, PNG, GIF, WebP, BMP, ICO, TIFF, AVIF, HEIC, JPEG 2000, JPEG XL, PSD or raw file
    min_side : pixels; see above
    max_pixels : pictures with more pixels are refused before they are decoded. A JPEG counts with the size that
        it is decoded to, a progressive JPEG with its full size (its decoder needs memory for all of it).

    Returns
    -------
    uint8, shape (height, width, 3), C-contiguous

    Raises
    ------
    MediaError
        The file is missing, unreadable, empty, truncated, damaged, too large, or not a picture.
    InputError
        ``min_side`` or ``max_pixels`` is below 1.
    """
    return read_as_far_as_it_goes(path, min_side=min_side, max_pixels=max_pixels)[0]


def read_as_far_as_it_goes(
    path: str | os.PathLike[str], *, min_side: int = 224, max_pixels: int = DEFAULT_MAX_PIXELS
) -> tuple[Image, str | None]:
    """Read a picture like ``read_image``, and say what is missing of it: a reason of one line, or None."""
    if min_side < 1 or max_pixels < 1:
        raise InputError(f"min_side and max_pixels must be at least 1, got {min_side} and {max_pixels}")
    with open_media(path) as file, _decoder_errors_as_media_errors():
        picture = _open(file, max_pixels)
        try:
            return _decoded(picture, min_side, max_pixels), None
        except OSError as error:
            if not isinstance(picture, JpegImageFile) or error.errno is not None:
                raise
            file.seek(0)
            data = file.read()
            end = jpeg_length(data)
            if data.startswith(_END_OF_JPEG, end):  # not cut short, but damaged
                raise
        return _read_cut_jpeg(data[:end], min_side, max_pixels)


def _decoded(picture: ImageFile.ImageFile, min_side: int, max_pixels: int) -> Image:
    header_pixels = picture.width * picture.height
    _check_pixels(picture, max(max_pixels, _HARD_MAX_PIXELS))
    if picture.info.get("progressive"):
        _check_pixels(picture, max_pixels)
    picture.draft(None, (2 * min_side, 2 * min_side))
    _check_pixels(picture, max_pixels)
    # Four bytes per pixel for the decoder and four for the converted copy.
    cost = 8 * picture.width * picture.height
    if picture.info.get("progressive"):
        cost += 6 * header_pixels  # three planes of 16-bit coefficients
    with decode_budget.hold(cost):
        picture.load()
        orientation = _orientation(picture)
        rgb = _small_rgb(picture, 2 * min_side)
        if orientation in _TRANSPOSE:
            rgb = rgb.transpose(_TRANSPOSE[orientation])
        return np.array(rgb, dtype=np.uint8, order="C")


def _read_cut_jpeg(kept: bytes, min_side: int, max_pixels: int) -> tuple[Image, str | None]:
    """Read a JPEG that has no end: its upload broke off, or a camera wrote something else in the end's place.

    It is whole if bytes after its last ones change nothing: the decoder had all that it needed.
    """
    kept = kept.rstrip(b"\xff")  # what follows would become a marker
    image = _decoded(JpegImageFile(io.BytesIO(kept + _END_OF_JPEG)), min_side, max_pixels)
    longer = JpegImageFile(io.BytesIO(kept + _NOT_ZERO + _END_OF_JPEG))
    if longer.info.get("progressive"):  # a scan that is missing as a whole cannot be noticed
        return image, "cut short: its end is missing"
    whole = np.array_equal(image, _decoded(longer, min_side, max_pixels))
    return image, None if whole else "cut short: the rest of the picture is missing"


def jpeg_length(data: bytes) -> int:
    """Return where the picture in a JPEG ends: at its end marker, at bytes that belong to no JPEG, or with the data."""
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF or data[place + 1] not in _JPEG_SEGMENTS:
            return place
        scan = data[place + 1] == 0xDA
        following = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if following > len(data):
            return len(data) if scan else place
        place = following
        if scan:
            marker = _AFTER_SCAN.search(data, place)
            if marker is None:
                return len(data)
            place = marker.start()
    return min(place, len(data))


def grey_square(image: Image, side: int) -> U8:
    """Squash a picture into a small grey square, uint8 (side, side); each pixel is the mean of the area it covers.

    A picture of fewer pixels is enlarged smoothly.
    """
    grey = Pillow.fromarray(image).convert("L")
    factor = min(grey.size) // (4 * side)
    if factor > 1:  # first by a whole factor: faster, and the same result except for rounding
        grey = grey.reduce(factor)
    smooth = min(grey.size) < side
    return np.array(grey.resize((side, side), Pillow.Resampling.BICUBIC if smooth else Pillow.Resampling.BOX))


def colour_square(image: Image, side: int) -> U8:
    """Squash a picture into a small square, uint8 (side, side, 3); each pixel is the mean of the area it covers."""
    small = Pillow.fromarray(image)
    if (factor := min(small.size) // (4 * side)) > 1:
        small = small.reduce(factor)
    return np.array(small.resize((side, side), Pillow.Resampling.BOX))


def thumbnail_jpeg(image: Image, side: int, quality: int = 80) -> bytes:
    """Encode a picture as a JPEG whose longer side is at most ``side`` pixels.

    Parameters
    ----------
    image : uint8, shape (height, width, 3), RGB
    side : pixels; a smaller picture is not enlarged
    quality : JPEG quality, 1 to 95

    Raises
    ------
    InputError
        ``image`` is not a uint8 RGB array, or ``side`` is below 1.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or side < 1:
        found = f"{image.dtype} {image.shape} and {side}"
        raise InputError(f"expected a uint8 array of shape (h, w, 3) and side >= 1, got {found}")
    picture = Pillow.fromarray(image)
    picture.thumbnail((side, side), Pillow.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _open(file: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header with the plug-in for the content's format."""
    head = read_head(file)
    if not head:
        raise MediaError("empty file")
    name = image_format(head)
    if name is None:
        raise MediaError("not a picture: its content is of no known picture format")
    promised, found = _promised_length(name, head), os.fstat(file.fileno()).st_size
    if found < promised:
        raise MediaError(f"truncated: {found} bytes, at least {promised} expected")
    if name == "tiff":
        return _open_tiff(file, max_pixels)
    if name == "raw":
        from assocmem.extractors.raw import open_raw

        return open_raw(file)
    plugin = _OPTIONAL[name]() if name in _OPTIONAL else _PLUGINS[name]
    return plugin(file)


def _open_tiff(file: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    from assocmem.extractors.raw import first_directory, is_raw, open_raw
    from assocmem.extractors.wide_tiff import is_shown_wrongly, open_wide_tiff

    directory = first_directory(file)
    if is_raw(directory, file):
        return open_raw(file, directory)
    if not is_shown_wrongly(directory):
        try:
            return TiffImageFile(file)
        except SyntaxError as error:
            if "unknown pixel mode" not in str(error):
                raise
    return open_wide_tiff(file, directory.get(_ORIENTATION_TAG), max_pixels)


def _avif_plugin() -> type[ImageFile.ImageFile]:
    try:
        from PIL.AvifImagePlugin import SUPPORTED, AvifImageFile
    except ImportError:
        SUPPORTED = False
    if not SUPPORTED:
        raise MediaError("AVIF needs a Pillow (11.3 or newer) built with AVIF support", lasting=False)
    return AvifImageFile


def _extra_plugin(module: str, name: str, what: str, extra: str) -> type[ImageFile.ImageFile]:
    """Return the plug-in of a package that an extra installs."""
    try:
        plugin: type[ImageFile.ImageFile] = getattr(importlib.import_module(module), name)
    except ImportError:
        raise MediaError(f'{what} needs pip install "assocmem[{extra}]"', lasting=False) from None
    return plugin


_OPTIONAL: dict[ImageFormat, Callable[[], type[ImageFile.ImageFile]]] = {
    "avif": _avif_plugin,
    "heif": partial(_extra_plugin, "pillow_heif", "HeifImageFile", "HEIC", "heif"),
    "jxl": partial(_extra_plugin, "pillow_jxl.JpegXLImagePlugin", "JXLImageFile", "JPEG XL", "jxl"),
}


def _promised_length(name: ImageFormat, head: bytes) -> int:
    """Return how many bytes the header promises, for formats whose decoders report missing bytes unclearly; else 0."""
    if name == "webp":
        return int.from_bytes(head[4:8], "little") + 8
    if name == "tiff" and head[2:4] in (b"*\x00", b"\x00*"):  # the place of the first directory
        return int.from_bytes(head[4:8], "little" if head[:2] == b"II" else "big") + 2
    return 0


def _check_pixels(picture: ImageFile.ImageFile, limit: int) -> None:
    width, height = picture.size
    if width * height > limit:
        raise too_large(width, height, limit)


def _orientation(picture: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8, of a loaded picture (in a PNG it may follow the pixels)."""
    # A picture with a damaged EXIF block is still worth reading, and a damaged block may raise anything.
    with contextlib.suppress(Exception):
        return int(picture.getexif().get(_ORIENTATION_TAG, 1))
    return 1


def _small_rgb(picture: Pillow.Image, side: int) -> Pillow.Image:
    """Shrink by the largest whole factor that leaves ``side`` pixels, and convert to RGB."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        picture = Pillow.fromarray(eight_bits(values.astype(np.uint16) if picture.mode.startswith("I;16") else values))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB", "CMYK", "YCbCr"):
        picture = picture.convert("RGB")
    factor = min(picture.size) // side
    if factor > 1:
        picture = picture.reduce(factor)
    if picture.mode == "RGBA":
        ground = (0, 0, 0, 255) if _is_white(picture) else (255, 255, 255, 255)
        picture = Pillow.alpha_composite(Pillow.new("RGBA", picture.size, ground), picture)
    return picture.convert("RGB")


def _is_white(picture: Pillow.Image) -> bool:
    """Return whether all that can be seen of an RGBA picture is white, and some of it is transparent."""
    values = np.asarray(picture)
    alpha = values[..., 3].astype(np.float32) / 255
    seen = 255 - alpha * (255 - values[..., :3].min(axis=2))  # the darkest colour, on white
    return bool(seen.min() > _NEARLY_WHITE and alpha.min() < 0.5 < alpha.max())


@contextlib.contextmanager
def _decoder_errors_as_media_errors() -> Iterator[None]:
    """Convert everything that a decoder raises to a MediaError with a reason of one line."""
    try:
        yield
    except MediaError:
        raise
    except MemoryError as error:
        raise MediaError("not enough memory to decode it", lasting=False) from error
    except Exception as error:  # for damaged bytes, decoders raise nearly every built-in exception
        if isinstance(error, OSError) and error.errno is not None:
            raise media_error(error) from error
        raise MediaError(_reason(error)) from error


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    message = lines[0] if lines else type(error).__name__
    if any(hint in message.lower() for hint in ("truncat", "unexpected end", "expecting to read")):
        return f"truncated: {message}"
    if isinstance(error.__cause__ or error, (EOFError, IndexError, struct.error)):
        return "truncated: its header is incomplete"
    return f"cannot be decoded: {message}"
