"""Damaged, cut off, silent and enormous videos: what can be read is, and the rest is one clear line."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from assocmem.errors import MediaError
from assocmem.extractors import video
from assocmem.extractors.video import frame_at, read_frames
from tests import media
from tests.reading import until_trouble


@pytest.mark.parametrize(("suffix", "codec"), [("wav", "pcm_s16le"), ("m4a", "aac"), ("mp3", "libmp3lame")])
def test_sound_alone_is_no_video(tmp_path: Path, suffix: str, codec: str) -> None:
    path = media.write_sound(tmp_path / f"a.{suffix}", codec)
    with pytest.raises(MediaError, match=r"^audio only: no video stream$") as caught:
        next(read_frames(path))
    assert caught.value.lasting


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = media.write_sound(tmp_path / "a.mp3", "libmp3lame")
    path.write_bytes(media.with_cover(path.read_bytes(), media.encoded(media.photo(0), "JPEG")))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(MediaError, match="audio only"):
        next(read_frames(path))


def test_noise_in_the_middle_costs_only_what_it_hit(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 100), faststart=True)
    media.overwrite(path, 0.5, 0.6)
    times, trouble = until_trouble(path)
    assert trouble is None
    assert 70 <= len(times) < 100
    assert times[-1] == pytest.approx(99 / 25)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_that_ends_early_gives_what_it_has_and_then_says_so(tmp_path: Path, suffix: str) -> None:
    path = media.write_video(tmp_path / f"v.{suffix}", media.scene(0, 100), faststart=suffix == "mp4")
    media.cut_off(path, 0.5)
    times, trouble = until_trouble(path)
    assert 10 < len(times) < 70
    assert trouble is not None
    assert trouble.lasting
    assert trouble.reason == f"broken after {times[-1] + 0.04:.1f} s: the file promises 4.0 s"


def test_noise_up_to_the_end_is_reported(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 100), faststart=True)
    media.overwrite(path, 0.7, 1.0)
    times, trouble = until_trouble(path)
    assert 10 < len(times) < 90
    assert trouble is not None
    assert trouble.reason.startswith("broken after ")


def test_sound_that_goes_on_does_not_make_a_video_broken(tmp_path: Path) -> None:
    path = tmp_path / "v.mkv"
    with av.open(str(path), "w") as out:
        picture, sound = out.add_stream("mpeg4", rate=25), out.add_stream("pcm_s16le", rate=8000)
        picture.width, picture.height, picture.pix_fmt = 128, 96, "yuv420p"
        for array in media.scene(0, 10):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(array, "rgb24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * 9), np.int16), "s16", "mono")
        silence.rate = 8000
        out.mux(sound.encode(silence))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    times, trouble = until_trouble(path)
    assert len(times) == 10
    assert trouble is None


def test_an_mp4_cut_before_its_index_cannot_be_opened(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 50))
    media.cut_off(path, 0.6)
    with pytest.raises(MediaError, match=r"^cannot be opened: invalid data") as caught:
        next(read_frames(path))
    assert caught.value.lasting
    assert str(tmp_path) not in caught.value.reason


@pytest.mark.parametrize(
    ("content", "reason", "lasting"),
    [(b"", "^empty file$", True), (b"\0\0\x01\xba" + bytes(100), "cannot be opened|no video|no frame", True)],
)
def test_files_without_video_say_so(tmp_path: Path, content: bytes, reason: str, lasting: bool) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=reason) as caught:
        next(read_frames(path))
    assert caught.value.lasting is lasting


@pytest.mark.parametrize("reader", [lambda path: next(read_frames(path)), lambda path: frame_at(path, 1.0)])
@pytest.mark.parametrize(("name", "reason"), [("missing", "no such file"), (".", "is a directory")])
def test_what_cannot_be_opened_is_a_passing_trouble(tmp_path: Path, reader, name: str, reason: str) -> None:
    with pytest.raises(MediaError, match=reason) as caught:
        reader(tmp_path / name)
    assert not caught.value.lasting


def test_a_name_is_never_taken_for_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    media.write_video(tmp_path / "v.mp4", media.scene(0, 5)).rename("concat:v.mp4")
    assert len(list(read_frames("concat:v.mp4"))) == 5


def test_enormous_frames_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 5))
    monkeypatch.setattr(video, "DEFAULT_MAX_PIXELS", 128 * 96 - 1)
    with pytest.raises(MediaError, match=r"^too large: 128 x 96 pixels"):
        next(read_frames(path))


def test_a_pixel_format_that_cannot_be_converted_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Helpless:
        def reformat(self, *_: object, **__: object) -> None:
            raise av.FFmpegError(95, "Operation not supported")

    monkeypatch.setattr("assocmem.extractors.frame.VideoReformatter", Helpless)
    frame = next(read_frames(media.write_video(tmp_path / "v.mp4", media.scene(0, 3))))
    with pytest.raises(MediaError, match=r"^its pixel format cannot be converted: yuv420p$"):
        frame.rgb(50)
