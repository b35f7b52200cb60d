"""Content sniffing: the first bytes of a file, not its name, decide whether it is a picture or a video.

This module is also the only place where media files are opened, so that all readers report the same problem in the
same words. Contains no decoder: a file with the right first bytes may still be damaged further on.
"""

from __future__ import annotations

import os
import re
import stat
from typing import BinaryIO, Final, Literal, TypeAlias

from assocmem.errors import MediaError

MediaKind: TypeAlias = Literal["image", "video"]
ImageFormat: TypeAlias = Literal[
    "avif", "bmp", "gif", "heif", "ico", "jp2", "jpeg", "jxl", "png", "psd", "raw", "tiff", "webp"
]

HEAD_BYTES: Final = 600
"""Bytes that decide: enough for four packets of an MPEG transport stream."""

# ".ts" and ".mts" are left out: most files with these suffixes are TypeScript.
_MEDIA_NAME = re.compile(
    r"""(?!\._) .+ \. (
        a?png | avif | bmp | dib | gif | hei[cf] | hif | ico | jfif | jpe | jpe?g | tiff? | webp
      | jxl | jp[2cfx] | jpm | j2[ck] | ps[db] | cr[23w] | nef | nrw | arw | sr[2fw] | dng | raf | rw[2l] | orf | pef
      | x3f | 3fr | erf | kdc | mef | mos | mrw | iiq | svgz? | exr | hdr | tga | pcx
      | p[bgnp]m | xpm | fits | xcf | kra
      | 3g[2p] | asf | avi | divx | f4v | flv | m[12]v | m2ts? | m4v | mkv | mov | mp4 | mpe?g | mpe | mxf
      | ogv | qt | rmvb | rm | vob | webm | wmv | y4m )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

_RAW_SUFFIXES = frozenset(
    [
        ".cr2",
        ".cr3",
        ".crw",
        ".nef",
        ".nrw",
        ".arw",
        ".sr2",
        ".srf",
        ".srw",
        ".dng",
        ".raf",
        ".rw2",
        ".rwl",
        ".orf",
        ".pef",
        ".x3f",
        ".3fr",
        ".erf",
        ".kdc",
        ".mef",
        ".mos",
        ".mrw",
        ".iiq",
    ]
)
_NOT_READ = {
    "svg": "SVG", "svgz": "SVG", "exr": "OpenEXR", "hdr": "Radiance HDR", "tga": "Targa", "pcx": "PCX", "pbm": "PBM",
    "pgm": "PGM", "ppm": "PPM", "pnm": "PNM", "xpm": "XPM", "fits": "FITS", "xcf": "GIMP", "kra": "Krita",
}  # fmt: skip
"""Suffix -> name of pictures that are named when they are met."""

_IMAGE_MAGIC: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00\x08\x00", "tiff"),  # BigTIFF
    (b"MM\x00+\x00\x08", "tiff"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\xff\x0a", "jxl"),
    (b"8BPS\x00", "psd"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIU\x00", "raw"),  # Panasonic
    (b"IIRO", "raw"),  # Olympus
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"FOVb", "raw"),  # Sigma
)
_CANON_RAW = b"crx "
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
# Containers of the MP4 family without moving pictures: audio books and music.
_NOT_VIDEO_BRANDS = frozenset((b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"aax ", b"aaxc"))
_QUICKTIME_ATOMS = frozenset((b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"))


def sniff(path: str | os.PathLike[str]) -> MediaKind | None:
    """Return whether a file is a picture or a video, by its first bytes.

    An animated GIF is an image. Containers that may hold only sound (ASF, Matroska) are videos, because only the
    decoder can tell.

    Parameters
    ----------
    path : path of a regular file

    Returns
    -------
    "image", "video", or None for everything else, including empty files

    Raises
    ------
    MediaError
        The file cannot be opened or read; not lasting.
    """
    with open_media(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = read_head(file)
    if image_format(head) is not None:
        return "image"
    return "video" if _is_video(head, size) else None


def has_raw_suffix(suffix: str) -> bool:
    """Return whether a file's suffix, such as ``.CR2``, is that of a raw photograph."""
    return suffix.lower() in _RAW_SUFFIXES


def has_media_suffix(path: str | os.PathLike[str]) -> bool:
    """Return whether a file's name has the suffix of a picture or video, whatever the file holds.

    A file with such a name that is neither (``sniff`` returns None) is worth a report; an ordinary text file is not.
    AppleDouble companions (``._IMG_1.jpg``) have the suffix of another file and do not count.
    """
    return _MEDIA_NAME.fullmatch(os.path.basename(os.fspath(path))) is not None


def why_not_read(path: str | os.PathLike[str]) -> str:
    """Return why a file with the suffix of a picture or video, but content of no known kind, is not read."""
    suffix = os.path.splitext(os.fspath(path))[1].lstrip(".").lower()
    if suffix in _NOT_READ:
        return f"{_NOT_READ[suffix]} files are not read; convert it to PNG or JPEG"
    return "neither a picture nor a video, whatever its name says"


def open_media(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading.

    Raises
    ------
    MediaError
        Not lasting: no permission, no such file, a directory, a pipe or device (opening one could block).
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise MediaError("not a regular file", lasting=False)
        return open(path, "rb")
    except OSError as error:
        raise media_error(error) from error
    except ValueError as error:  # a null byte in the name
        raise MediaError(f"not a file name: {error}", lasting=False) from error


def read_head(file: BinaryIO) -> bytes:
    """Read the first bytes of an open file, and go back to its beginning.

    Raises
    ------
    MediaError
        The disk does not answer; not lasting.
    """
    try:
        head = file.read(HEAD_BYTES)
        file.seek(0)
    except OSError as error:
        raise media_error(error) from error
    return head


def media_error(error: OSError) -> MediaError:
    """Convert an error of the operating system: its reason is, for example, "permission denied"."""
    text = error.strerror or str(error) or "input/output error"
    return MediaError(text[:1].lower() + text[1:], lasting=False)


def too_large(width: int, height: int, limit: int) -> MediaError:
    """Return the error for a picture with more pixels than the limit; not lasting: the limit is an option."""
    return MediaError(f"too large: {width} x {height} pixels, the limit is {limit / 1e6:g} million", lasting=False)


def image_format(head: bytes) -> ImageFormat | None:
    """Return the picture format that begins with these bytes, or None."""
    for magic, name in _IMAGE_MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES:
        return "bmp"
    if _is_icon(head):
        return "ico"
    brands = _brands(head)
    if brands and brands[0] == _CANON_RAW:
        return "raw"
    if brands and brands[0] in _AVIF_BRANDS | _HEIF_BRANDS:
        # The compatible brands of a file with the general brand "mif1" name the codec that it needs.
        return "avif" if not _AVIF_BRANDS.isdisjoint(brands) else "heif"
    return None


def _is_icon(head: bytes) -> bool:
    """Return whether this is a list of icons, whose first one lies behind the list."""
    count, place = int.from_bytes(head[4:6], "little"), int.from_bytes(head[18:22], "little")
    return head[:4] == b"\x00\x00\x01\x00" and head[9:10] == b"\x00" and count > 0 and place >= 6 + 16 * count


def _brands(head: bytes) -> list[bytes]:
    """Return the major brand and the compatible brands of an ISO base media file; empty for other files."""
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
    """Return whether this is QuickTime from before ``ftyp``.

    The size rules out texts that begin with a word such as "carefree".
    """
    size = int.from_bytes(head[:4], "big")
    return head[4:8] in _QUICKTIME_ATOMS and (size <= file_size or head[0] < 0x20)


def _is_transport_stream(head: bytes) -> bool:
    """Return whether there are four sync bytes, 188 apart, or 192 apart after a 4-byte time stamp (Blu-ray, AVCHD)."""
    if head.isascii() and b"\x00" not in head:
        return False
    return any(
        len(head) > start + 3 * step and all(head[start + i * step] == 0x47 for i in range(4))
        for start, step in ((0, 188), (4, 192))
    )
