"""Makes the media that the tests read: synthetic photographs, videos with known cuts, sound, and damaged files.

Everything is seeded, and nothing is imported from assocmem.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

Array = npt.NDArray[np.uint8]


def photo(seed: int, height: int = 240, width: int = 320) -> Array:
    """Return a textured picture with large and small structures and its own colours; uint8, shape (h, w, 3)."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((height, width, 3))
    for cells, weight in ((2, 1.0), (5, 0.6), (16, 0.4), (50, 0.2)):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Pillow.fromarray(coarse).resize((width, height), Pillow.Resampling.BICUBIC)
        canvas += weight * np.asarray(layer, dtype=np.float64)
    return np.rint(canvas / 2.2).astype(np.uint8)


def encoded(image: Pillow.Image | Array, kind: str, **options: Any) -> bytes:
    """Return a picture as the bytes of a file."""
    picture = image if isinstance(image, Pillow.Image) else Pillow.fromarray(image)
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Return the beginning of a PNG with any size in its header, and a few bytes of its pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 999))


def scene(seed: int, frames: int, height: int = 96, width: int = 128) -> Iterator[Array]:
    """Yield frames of a camera that pans slowly over one photograph."""
    wide = photo(seed, height, width + frames)
    return (np.ascontiguousarray(wide[:, i : i + width]) for i in range(frames))


def scenes(lengths: Sequence[int], height: int = 96, width: int = 128) -> Iterator[Array]:
    """Yield scenes of ``lengths`` frames, with hard cuts between them."""
    for seed, length in enumerate(lengths):
        yield from scene(seed, length, height, width)


def write_video(
    path: Path,
    frames: Iterable[Array],
    *,
    rate: int = 25,
    times: Iterable[float] | None = None,
    codec: str = "mpeg4",
    options: dict[str, str] | None = None,
    faststart: bool = False,
    aspect: Fraction | None = None,
) -> Path:
    """Encode frames, at an irregular rate if ``times`` (seconds) are given; the suffix chooses the container."""
    unit = Fraction(1, 10_000) if times is not None else Fraction(1, rate)
    stamps = (round(t / unit) for t in times) if times is not None else iter(range(10**9))
    with av.open(str(path), "w", options={"movflags": "faststart"} if faststart else {}) as out:
        stream = None
        for array, stamp in zip(frames, stamps, strict=False):
            if stream is None:
                stream = out.add_stream(codec, rate=rate, options=options or {"g": "12"})
                stream.bit_rate = 4_000_000  # high, so that key frames do not look like cuts
                stream.height, stream.width = array.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = unit
                if aspect is not None:
                    stream.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_ndarray(array, "rgb24")
            frame.pts, frame.time_base = stamp, unit
            out.mux(stream.encode(frame))
        assert stream is not None
        out.mux(stream.encode(None))
    return path


def write_sound(path: Path, codec: str, seconds: float = 0.5) -> Path:
    """Write a tone; the suffix chooses the container."""
    rate = 44_100
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        samples = (np.sin(np.arange(int(rate * seconds)) / 20)[None] * 16_000).astype(np.int16)
        for start in range(0, samples.shape[1] - 1023, 1024):
            block = np.ascontiguousarray(samples[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, "s16", "mono")
            frame.rate, frame.pts = rate, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def with_cover(mp3: bytes, picture: bytes) -> bytes:
    """Return an MP3 file with cover art in an ID3v2.3 tag."""
    body = b"\0image/jpeg\0\x03\0" + picture
    frame = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frame + mp3


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Overwrite the linear part of the first track's display matrix in an MP4."""
    data = bytearray(path.read_bytes())
    tkhd = data.index(b"tkhd")
    matrix = tkhd + 4 + 40  # version 0: 40 bytes from the version field to the matrix
    assert data[tkhd + 4] == 0
    for place, value in ((0, a), (1, b), (3, c), (4, d)):
        struct.pack_into(">i", data, matrix + 4 * place, value * 65536)
    path.write_bytes(data)


def overwrite(path: Path, start: float, end: float) -> None:
    """Overwrite a part of a file, given as fractions of its length, with noise."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * start), int(len(data) * end)
    data[first:last] = np.random.default_rng(0).bytes(last - first)
    path.write_bytes(data)


def cut_off(path: Path, keep: float) -> None:
    """Keep only the first part of a file, given as a fraction of its length."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
