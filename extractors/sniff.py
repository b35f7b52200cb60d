"""Which files are pictures or videos: told by their first bytes, never by their name.

Also the one way a media file is opened, so that every reader names the same trouble in the same words.
Knows no decoder: a file with the right first bytes may still be damaged further on.
"""

from __future__ import annotations

import os
import re
import stat
from typing import BinaryIO, Final, Literal

from assocmem.errors import MediaError

Kind = Literal["image", "video"]
ImageFormat = Literal["avif", "bmp", "gif", "heif", "jpeg", "png", "tiff", "webp"]

HEAD_BYTES: Final = 600
"""How much of a file decides: enough for four packets of an MPEG transport stream."""

# ".ts" and ".mts" are left out: most of the files so named are TypeScript.
_MEDIA_NAME = re.compile(
    r"""(?!\._) .+ \. (
        a?png | avif | bmp | dib | gif | hei[cf] | hif | jfif | jpe | jpe?g | tiff? | webp
      | 3g[2p] | asf | avi | divx | f4v | flv | m[12]v | m2ts? | m4v | mkv | mov | mp4 | mpe?g | mpe | mxf
      | ogv | qt | rmvb | rm | vob | webm | wmv | y4m )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

_IMAGE_MAGIC: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00\x08\x00", "tiff"),  # BigTIFF
    (b"MM\x00+\x00\x08", "tiff"),
)
_VIDEO_MAGIC = (
    b"FLV\x01",
    b"YUV4MPEG2 ",
    b".RMF\x00",
    b"\x1a\x45\xdf\xa3",  # EBML: Matroska, WebM
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF: WMV, and WMA without pictures
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01",  # MXF partition pack
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1/2 elementary stream
    b"\x00\x00\x01\xb0",  # MPEG-4 part 2 elementary stream
)
# Ogg begins with one page for each stream; these are the first bytes of the video codecs' pages.
_OGG_VIDEO = (b"\x80theora", b"BBCD\x00", b"OVP80", b"\x01video\x00")
_BMP_HEADER_SIZES = frozenset((12, 16, 40, 52, 56, 64, 108, 124))

_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"))
# Containers of the MP4 family without moving pictures: audio books, music, Canon's raw photographs.
_NOT_VIDEO_BRANDS = frozenset((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"aax ", b"aaxc", b"crx "))
_QUICKTIME_ATOMS = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"))


def sniff(path: str | os.PathLike[str]) -> Kind | None:
    """Tell what a file holds from its first bytes.

    An animated GIF counts as an image. Containers that may hold sound alone (ASF, Matroska) count as video:
    only the decoder knows.

    Parameters
    ----------
    path : path of a regular file

    Returns
    -------
    "image", "video", or None for everything else, an empty file included

    Raises
    ------
    MediaError
        The file cannot be opened or read; not lasting.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = read_head(file)
    if image_format(head) is not None:
        return "image"
    return "video" if _is_video(head, size) else None


def claims_media(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name says that it is a picture or a video, whatever it holds.

    A file that claims and is not (``sniff`` says None) deserves a report; an ordinary text file does not.
    AppleDouble companions (``._IMG_1.jpg``) bear the name of another file and claim nothing.
    """
    return _MEDIA_NAME.fullmatch(os.path.basename(os.fspath(path))) is not None


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading, or say in plain words why not.

    Raises
    ------
    MediaError
        Not lasting: permissions, a vanished file, a directory, a pipe or device (opening one could block).
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise MediaError("not a regular file", lasting=False)
        return open(path, "rb")
    except OSError as error:
        raise os_trouble(error) from error
    except ValueError as error:  # a null byte in the name
        raise MediaError(f"not a file name: {error}", lasting=False) from error


def read_head(file: BinaryIO) -> bytes:
    """Read the first bytes of an open file, and leave it at its beginning.

    Raises
    ------
    MediaError
        The disk does not answer; not lasting.
    """
    try:
        head = file.read(HEAD_BYTES)
        file.seek(0)
    except OSError as error:
        raise os_trouble(error) from error
    return head


def os_trouble(error: OSError) -> MediaError:
    """Turn the operating system's refusal into a reason: "permission denied", "no such file or directory"."""
    text = error.strerror or str(error) or "input/output error"
    return MediaError(text[:1].lower() + text[1:], lasting=False)


def image_format(head: bytes) -> ImageFormat | None:
    """Name the picture format that begins with these bytes, or None."""
    for magic, name in _IMAGE_MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    brands = _brands(head)
    if brands and brands[0] in _AVIF_BRANDS | _HEIF_BRANDS:
        # A file of the general brand "mif1" says among its compatible brands which codec it needs.
        return "avif" if not _AVIF_BRANDS.isdisjoint(brands) else "heif"
    return None


def _brands(head: bytes) -> list[bytes]:
    """Major brand and compatible brands of an ISO base media file; empty for other files."""
    if head[4:8] != b"ftyp":
        return []
    box = head[: min(len(head), int.from_bytes(head[:4], "big"))]
    return [box[8:12], *(box[at : at + 4] for at in range(16, len(box) - 3, 4))]


def _is_video(head: bytes, file_size: int) -> bool:
    if head.startswith(_VIDEO_MAGIC):
        return True
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    if head[:4] == b"OggS":
        return any(mark in head for mark in _OGG_VIDEO)
    if head[4:8] in (b"ftyp", b"styp"):
        return head[8:12] not in _NOT_VIDEO_BRANDS
    return _is_old_quicktime(head, file_size) or _is_transport_stream(head)


def _is_old_quicktime(head: bytes, file_size: int) -> bool:
    """QuickTime before ``ftyp``. The size keeps out texts that happen to begin with, say, "carefree"."""
    size = int.from_bytes(head[:4], "big")
    return head[4:8] in _QUICKTIME_ATOMS and (size <= file_size or head[0] < 0x20)


def _is_transport_stream(head: bytes) -> bool:
    """Four sync bytes 188 apart, or 192 apart behind a 4-byte time stamp (Blu-ray, AVCHD)."""
    if head.isascii() and b"\x00" not in head:
        return False
    return any(
        len(head) > start + 3 * step and all(head[start + i * step] == 0x47 for i in range(4))
        for start, step in ((0, 188), (4, 192))
    )
