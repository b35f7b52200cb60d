"""Raw photographs are read by the preview in them, whatever the maker; a mosaic of a sensor is never a picture."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from assocmem.errors import MediaError
from assocmem.extractors.image import read_image
from tests import media
from tests.extractors.helpers import difference

Write = Callable[[bytes], Path]

PHOTO = media.photo(1, 240, 320)
PREVIEW = media.encoded(PHOTO, "JPEG", quality=92)
THUMBNAIL = media.encoded(media.photo(2, 60, 80), "JPEG")
MOSAIC = np.random.default_rng(0).integers(0, 4096, (240, 320), dtype=np.uint16).tobytes()
DNG = {50706: (1, [1, 4, 0, 0])}
LOSSLESS = THUMBNAIL.replace(b"\xff\xc0", b"\xff\xc3")


def tiff(
    tags: Mapping[int, tuple[int, list[int] | bytes]], strip: bytes, rest: bytes = b"", magic: bytes = b"II*\0"
) -> bytes:
    """Build a file of one directory; tag -> type and values; 273 and 279 are those of the strip."""
    widths = {1: 1, 2: 1, 3: 2, 4: 4}
    tags = dict(tags) | {273: (4, [0]), 279: (4, [len(strip)])}
    start = len(magic) + 4
    data_at = start + 2 + 12 * len(tags) + 4
    payload = b""
    entries = []
    values_at = {}
    for tag, (kind, values) in sorted(tags.items()):
        raw = values if isinstance(values, bytes) else b"".join(v.to_bytes(widths[kind], "little") for v in values)
        if len(raw) > 4:
            values_at[tag] = data_at + len(payload)
            payload += raw
            raw = struct.pack("<I", values_at[tag])
        entries.append([tag, kind, len(values), raw.ljust(4, b"\0")])
    strip_at = data_at + len(payload)
    for entry in entries:
        if entry[0] == 273:
            entry[3] = struct.pack("<I", strip_at)
    directory = b"".join(struct.pack("<HHI", tag, kind, count) + raw for tag, kind, count, raw in entries)
    head = magic + struct.pack("<I", start)
    return head + struct.pack("<H", len(entries)) + directory + bytes(4) + payload + strip + rest


def size(
    width: int, height: int, photometric: int, bits: list[int], compression: int = 1
) -> dict[int, tuple[int, list[int]]]:
    return {
        256: (4, [width]), 257: (4, [height]), 258: (3, bits), 259: (3, [compression]), 262: (3, [photometric]),
        277: (3, [len(bits)]), 278: (4, [height]),
    }  # fmt: skip


SENSOR = size(320, 240, 32803, [16])
WITH_PREVIEW = {
    "fuji": b"FUJIFILMCCD-RAW 0201FF389501" + bytes(100) + PREVIEW + MOSAIC,
    "panasonic": b"IIU\0" + struct.pack("<I", 8) + bytes(100) + PREVIEW + MOSAIC,
    "olympus, thumbnail first": b"IIRO" + struct.pack("<I", 8) + THUMBNAIL + PREVIEW + MOSAIC,
    "canon": struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + THUMBNAIL + LOSSLESS + MOSAIC + PREVIEW,
    "sigma": b"FOVb" + bytes(100) + MOSAIC + PREVIEW,
    "dng": tiff(SENSOR | DNG, MOSAIC, PREVIEW),
    "pentax": tiff(SENSOR, MOSAIC, THUMBNAIL + PREVIEW),
    "linear": tiff(size(320, 240, 34892, [16]) | DNG, MOSAIC, PREVIEW),
    "dng with a thumbnail of pixels": tiff(size(8, 6, 2, [8, 8, 8]) | DNG | {254: (4, [1])}, bytes(144), PREVIEW),
    "canon, older": tiff(size(320, 240, 6, [8, 8, 8], 6), PREVIEW, magic=b"II*\0\x10\0\0\0CR\x02\0" + bytes(4))
    .replace(b"II*\0\x10\0\0\0CR\x02\0" + bytes(4) + struct.pack("<I", 20), b"II*\0\x14\0\0\0CR\x02\0" + bytes(8)),
}  # fmt: skip


@pytest.mark.parametrize("kind", WITH_PREVIEW)
def test_the_largest_preview_is_the_picture(write_file: Write, kind: str) -> None:
    got = read_image(write_file(WITH_PREVIEW[kind]))
    assert got.shape == PHOTO.shape
    assert difference(got, PHOTO) < 8


def test_a_thumbnail_of_pixels_is_shown_if_there_is_nothing_better(write_file: Write) -> None:
    small = media.photo(3, 30, 40)
    got = read_image(write_file(tiff(size(40, 30, 2, [8, 8, 8]) | DNG | {254: (4, [1])}, small.tobytes(), MOSAIC)))
    np.testing.assert_array_equal(got, small)


def test_a_picture_in_a_plain_tiff_is_no_raw_photograph(write_file: Write) -> None:
    got = read_image(write_file(tiff(size(320, 240, 2, [8, 8, 8]), PHOTO.tobytes(), PREVIEW)))
    np.testing.assert_array_equal(got, PHOTO)


def test_the_preview_is_upright(write_file: Write) -> None:
    got = read_image(write_file(tiff(SENSOR | {274: (3, [6])}, MOSAIC, PREVIEW)))
    assert got.shape == (320, 240, 3)
    assert difference(got, np.rot90(PHOTO, -1)) < 8


WITHOUT = {
    "mosaic": tiff(SENSOR | DNG, MOSAIC),
    "fuji": b"FUJIFILMCCD-RAW 0201FF389501" + MOSAIC,
    "lossless only": struct.pack(">I", 24) + b"ftypcrx \0\0\0\1crx isom" + LOSSLESS,
    "starts that are none": b"FOVb" + b"\xff\xd8\xff" * 30_000,
}


@pytest.mark.parametrize("kind", WITHOUT)
def test_without_preview_and_rawpy_it_says_what_to_install(
    write_file: Write, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MediaError, match=r'without a preview: it needs pip install "assocmem\[raw\]"') as caught:
        read_image(write_file(WITHOUT[kind]))
    assert not caught.value.lasting


@pytest.mark.parametrize("kind", ["fuji", "lossless only"])
def test_what_rawpy_cannot_develop_is_said_in_one_line(write_file: Write, kind: str) -> None:
    pytest.importorskip("rawpy")
    with pytest.raises(MediaError, match=r"cannot be developed: [A-Z]") as caught:
        read_image(write_file(WITHOUT[kind]))
    assert "\n" not in caught.value.reason


def test_other_pictures_that_viewers_show(write_file: Write) -> None:
    got = read_image(write_file(media.encoded(PHOTO, "JPEG2000", irreversible=False)))
    np.testing.assert_array_equal(got, PHOTO)
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 240, 320, 8, 3) + bytes(12)
    planes = b"".join(PHOTO[..., channel].tobytes() for channel in range(3))
    np.testing.assert_array_equal(read_image(write_file(header + bytes(2) + planes)), PHOTO)


def test_jpeg_xl_needs_its_extra(write_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(b"\xff\x0a" + bytes(50))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pillow_jxl", None)
        patch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)
        with pytest.raises(MediaError, match=r'JPEG XL needs pip install "assocmem\[jxl\]"'):
            read_image(path)
    pytest.importorskip("pillow_jxl")
    assert difference(read_image(write_file(media.encoded(PHOTO, "JXL", quality=95))), PHOTO) < 8
