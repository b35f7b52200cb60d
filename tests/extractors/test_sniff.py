"""The content of a file decides what it is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from assocmem.errors import MediaError
from assocmem.extractors.sniff import has_media_suffix, media_error, sniff, why_not_read
from tests import media


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body + bytes(100)


def packets(size: int, ahead: int, count: int = 5) -> bytes:
    return (bytes(ahead) + b"\x47\x40\x00\x10" + b"\xff" * (size - ahead - 4)) * count


def ogg_page(codec_header: bytes) -> bytes:
    return b"OggS\0\x02" + bytes(20) + b"\x01\x1e" + codec_header + bytes(20)


VIDEOS = {
    "mp4": ftyp(b"isom", b"isom", b"avc1"),
    "mov": ftyp(b"qt  "),
    "3gp": ftyp(b"3gp4"),
    "a brand nobody knows": ftyp(b"zzzz"),
    "old quicktime": b"\0\0\x01\x00moov" + bytes(400),
    "older quicktime": b"\0\0\0\x08wide\0\0\0\x10mdat" + bytes(100),
    "mpeg-ts": packets(188, 0),
    "m2ts": packets(192, 4),
    "mpeg-ps": b"\0\0\x01\xba" + bytes(100),
    "mpeg-es": b"\0\0\x01\xb3" + bytes(100),
    "flv": b"FLV\x01\x05" + bytes(20),
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "theora": ogg_page(b"\x80theora"),
    "vorbis first, then theora": ogg_page(b"\x01vorbis") + ogg_page(b"\x80theora"),
    "y4m": b"YUV4MPEG2 W176 H144 F25:1\n",
    "mxf": bytes.fromhex("060e2b34020501010d0102010102"),
    "real": b".RMF\0\0\0\x12",
    "matroska": bytes.fromhex("1a45dfa3a3428681"),
    "avi": b"RIFF\0\0\x10\0AVI LIST",
}
IMAGES = {
    "canon raw": ftyp(b"crx ", b"crx ", b"isom"),
    "fuji raw": b"FUJIFILMCCD-RAW 0201FF389501" + bytes(100),
    "panasonic raw": b"IIU\0\x08\0\0\0" + bytes(100),
    "olympus raw": b"IIRO\x08\0\0\0" + bytes(100),
    "sigma raw": b"FOVb" + bytes(100),
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "jpeg 2000 without a box": b"\xff\x4f\xff\x51" + bytes(100),
    "jpeg xl": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(100),
    "jpeg xl without a box": b"\xff\x0a" + bytes(100),
    "photoshop": b"8BPS\0\x01" + bytes(100),
    "heic": ftyp(b"heic", b"mif1", b"heic"),
    "heif": ftyp(b"mif1", b"mif1", b"heic"),
    "avif by a compatible brand": ftyp(b"mif1", b"avif"),
    "avif sequence": ftyp(b"avis"),
    "bigtiff": b"II+\0\x08\0\0\0" + bytes(20),
    "bigtiff, big-endian": b"MM\0+\0\x08\0\0" + bytes(20),
}
OTHERS = {
    "empty": b"",
    "one byte": b"\xff",
    "text": b"carefree days, and a dozen other things to sing about",
    "text about a car": b"BMW made another car that nobody could afford",
    "lines that begin with G": (b"G" + b"x" * 186 + b"\n") * 8,
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "zip": b"PK\x03\x04" + bytes(100),
    "wav": b"RIFF\0\0\x10\0WAVEfmt ",
    "flac": b"fLaC\0\0\0\x22" + bytes(100),
    "mp3": b"ID3\x04\0\0\0\0\0\x23" + bytes(100),
    "bare mp3": b"\xff\xfb\x90\x64" + bytes(600),
    "m4a": ftyp(b"M4A ", b"isom"),
    "vorbis": ogg_page(b"\x01vorbis"),
    "zeros": bytes(700),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_pictures_are_recognised_by_content_whatever_their_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(media.encoded(media.photo(1, 40, 50), kind))
    assert sniff(path) == "image"


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "mpg", "flv", "wmv", "mov"])
def test_videos_are_recognised_by_content_whatever_their_name(tmp_path: Path, suffix: str) -> None:
    codec = {"mpg": "mpeg2video", "ts": "mpeg2video", "flv": "flv", "wmv": "wmv2"}.get(suffix, "mpeg4")
    path = media.write_video(tmp_path / f"v.{suffix}", media.scene(0, 12), codec=codec)
    assert sniff(path.rename(tmp_path / "notes.txt")) == "video"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        *(pytest.param(content, "video", id=name) for name, content in VIDEOS.items()),
        *(pytest.param(content, "image", id=name) for name, content in IMAGES.items()),
        *(pytest.param(content, None, id=name) for name, content in OTHERS.items()),
    ],
)
def test_first_bytes_decide(tmp_path: Path, content: bytes, kind: str | None) -> None:
    path = tmp_path / "file.jpg"
    path.write_bytes(content)
    assert sniff(path) == kind


def test_an_animated_gif_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    first, *rest = (Image.fromarray(media.photo(i, 20, 20)) for i in range(3))
    first.save(path, save_all=True, append_images=rest)
    assert sniff(path) == "image"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    start=st.sampled_from([b"", b"RIFF", b"\0\0\0\x18ftyp", b"OggS", b"BM", b"\x47", b"II*\0"]),
    rest=st.binary(),
)
def test_no_content_makes_it_fail(tmp_path: Path, start: bytes, rest: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(start + rest)
    assert sniff(path) in ("image", "video", None)


@pytest.mark.parametrize("name", ["a.JPG", "b/c.jpeg", "d.e.heic", ".hidden.png", "x.MP4", "y.webm", "z.m2ts"])
def test_names_of_pictures_and_videos_have_a_media_suffix(name: str) -> None:
    assert has_media_suffix(name)
    assert has_media_suffix(Path(name))


@pytest.mark.parametrize(
    ("name", "format"), [("a.svg", "SVG"), ("b.EXR", "OpenEXR"), ("c.xcf", "GIMP"), ("d.ppm", "PPM")]
)
def test_pictures_that_are_not_read_are_named(name: str, format: str) -> None:
    assert has_media_suffix(name)
    assert why_not_read(name) == f"{format} files are not read; convert it to PNG or JPEG"
    assert "whatever its name says" in why_not_read("e.jpg")


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".png", "a.jpg.txt", "main.ts", "song.mp3", "._IMG_1.jpg", "x.jpg/y"])
def test_other_names_have_no_media_suffix(name: str) -> None:
    assert not has_media_suffix(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "no such file"), (".", "is a directory"), ("nul\0l", "null"), ("x" * 5000, "too long")],
)
def test_what_cannot_be_opened_is_not_lasting(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(MediaError, match=reason) as caught:
        sniff(os.path.join(tmp_path, name))
    assert not caught.value.lasting
    assert str(tmp_path) not in caught.value.reason


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(MediaError, match="not a regular file"):
        sniff(tmp_path / "pipe.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff")
    path.chmod(0)
    with pytest.raises(MediaError, match=r"^permission denied$") as caught:
        sniff(path)
    assert not caught.value.lasting


def test_an_error_of_the_system_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "/secret/path.jpg")

    monkeypatch.setattr("builtins.open", refuse)
    (tmp_path / "a.jpg").touch()
    with pytest.raises(MediaError, match=r"^permission denied$") as caught:
        sniff(tmp_path / "a.jpg")
    assert not caught.value.lasting


def test_an_error_of_the_system_without_a_text_has_a_reason() -> None:
    assert media_error(OSError()).reason == "input/output error"
