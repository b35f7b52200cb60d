"""Frames come in order and at their own times; of damaged videos, all that can be read is read."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from assocmem.errors import InputError, MediaError
from assocmem.extractors import video
from assocmem.extractors.video import FrameClock, frame_at, read_frames
from tests import media
from tests.extractors.helpers import difference

IRREGULAR = [0.0, 0.04, 0.2, 0.24, 0.9, 1.0, 1.5, 1.52, 3.0, 3.04]
H264 = {"preset": "ultrafast", "crf": "18", "g": "12"}


def read_until_error(path: Path) -> tuple[list[float], MediaError | None]:
    """Return the times of all frames, and the error after them."""
    times = []
    try:
        for frame in read_frames(path):
            times.append(frame.time)  # noqa: PERF401 - the list must survive the exception
    except MediaError as error:
        return times, error
    return times, None


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "libx264"),
        ("mp4", "mpeg4"),
        ("mkv", "libx264"),
        ("ts", "mpeg2video"),
        ("mpg", "mpeg2video"),
        ("avi", "mpeg4"),
        ("webm", "libvpx-vp9"),
        ("flv", "flv"),
        ("wmv", "wmv2"),
    ],
)
def test_containers_give_all_frames_at_their_times(tmp_path: Path, suffix: str, codec: str) -> None:
    pictures = list(media.scene(0, 30))
    options = {"libx264": H264, "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "10"}}.get(codec)
    path = media.write_video(tmp_path / f"v.{suffix}", pictures, codec=codec, options=options)
    frames = list(read_frames(path))
    assert len(frames) == 30
    np.testing.assert_allclose([f.time for f in frames], np.arange(30) / 25, atol=0.002)
    np.testing.assert_allclose([f.duration for f in frames], 1 / 25, atol=0.002)
    for frame, picture in zip(frames, pictures, strict=True):
        assert difference(frame.rgb(1000), picture) < 12


def test_irregular_times_are_kept(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 10), times=IRREGULAR)
    times, error = read_until_error(path)
    assert error is None
    np.testing.assert_allclose(times, IRREGULAR, atol=1e-4)


def test_times_begin_at_zero_wherever_the_stream_does(tmp_path: Path) -> None:
    late = [t + 100 for t in IRREGULAR]
    path = media.write_video(tmp_path / "v.ts", media.scene(0, 10), times=late, codec="libx264", options=H264)
    np.testing.assert_allclose(read_until_error(path)[0], IRREGULAR, atol=1e-3)


def test_times_never_decrease_and_joined_recordings_go_on(tmp_path: Path) -> None:
    part = media.write_video(tmp_path / "p.ts", media.scene(0, 50), codec="mpeg2video").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 2)
    times, _ = read_until_error(tmp_path / "joined.ts")
    assert len(times) >= 98
    steps = np.diff(times)
    assert steps.min() >= 0
    assert steps.max() < 0.5
    assert 3.5 < times[-1] < 4.5


class Stamp:
    """Stands in for a decoded frame of which only the time matters."""

    def __init__(self, pts: int | None, dts: int | None = None, duration: int | None = 0) -> None:
        self.pts, self.dts, self.duration = pts, dts, duration


class Stream:
    """Stands in for a stream with little metadata."""

    time_base, start_time, average_rate = Fraction(1, 10), None, None


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([Stamp(50), Stamp(52), Stamp(55)], [0, 0.2, 0.5]),
        ([Stamp(None, 50), Stamp(None, 51)], [0, 0.1]),
        ([Stamp(None), Stamp(None), Stamp(None)], [0, 0.04, 0.08]),
        ([Stamp(0), Stamp(None), Stamp(9)], [0, 0.04, 0.9]),
        ([Stamp(0), Stamp(5), Stamp(3), Stamp(6)], [0, 0.5, 0.5, 0.6]),
        ([Stamp(0), Stamp(90, None, 2), Stamp(0), Stamp(1)], [0, 9, 9.2, 9.3]),
    ],
)
def test_times_follow_from_whatever_stamps_there_are(stamps: list[Stamp], times: list[float]) -> None:
    clock = FrameClock(Stream())
    np.testing.assert_allclose([clock.read(stamp)[0] for stamp in stamps], times)


def test_closing_the_iterator_early_closes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, usual = [], av.open
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 25))
    monkeypatch.setattr(video.av, "open", lambda *a, **k: opened.append(usual(*a, **k)) or opened[-1])
    frames = read_frames(path)
    next(frames)
    opened[0].seek(0)
    frames.close()
    with pytest.raises(AssertionError):
        opened[0].seek(0)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_do_not_change_the_frames(tmp_path: Path, threads: int) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 30), codec="libx264", options=H264)
    expected = [(f.time, f.rgb(96).tobytes()) for f in read_frames(path)]
    assert [(f.time, f.rgb(96).tobytes()) for f in read_frames(path, threads=threads)] == expected


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mkv", "mpeg4"), ("ts", "mpeg2video"), ("avi", "mpeg4")]
)
def test_frame_at_gives_the_frame_that_is_shown_then(tmp_path: Path, suffix: str, codec: str) -> None:
    options = H264 if codec == "libx264" else None
    path = media.write_video(tmp_path / f"v.{suffix}", media.scenes([40, 40]), codec=codec, options=options)
    frames = [(f.time, f.rgb(96)) for f in read_frames(path)]
    ends = [time for time, _ in frames[1:]] + [1e9]
    for seconds in (0.0, 0.02, 0.5, 1.59, 1.61, 2.2, 3.1):
        shown = next(i for i, end in itertools.islice(enumerate(ends), None) if seconds < end)
        np.testing.assert_array_equal(frame_at(path, seconds, min_side=96), frames[shown][1])


def test_frame_at_clamps_to_the_ends(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 30))
    frames = [f.rgb(96) for f in read_frames(path)]
    np.testing.assert_array_equal(frame_at(path, -5, min_side=96), frames[0])
    np.testing.assert_array_equal(frame_at(path, 1e6, min_side=96), frames[-1])


@pytest.mark.parametrize("arguments", [(float("nan"), 224), (float("inf"), 224), (1.0, 0)])
def test_invalid_arguments_of_frame_at_are_refused(tmp_path: Path, arguments: tuple[float, int]) -> None:
    with pytest.raises(InputError, match="expected a finite time"):
        frame_at(tmp_path / "any", arguments[0], min_side=arguments[1])


# Damage


@pytest.mark.parametrize(("suffix", "codec"), [("wav", "pcm_s16le"), ("m4a", "aac"), ("mp3", "libmp3lame")])
def test_a_file_with_only_sound_says_so(tmp_path: Path, suffix: str, codec: str) -> None:
    path = media.write_sound(tmp_path / f"a.{suffix}", codec)
    with pytest.raises(MediaError, match=r"^audio only: no video stream$") as caught:
        next(read_frames(path))
    assert caught.value.lasting


def test_cover_art_does_not_count_as_video(tmp_path: Path) -> None:
    path = media.write_sound(tmp_path / "a.mp3", "libmp3lame")
    path.write_bytes(media.with_cover(path.read_bytes(), media.encoded(media.photo(0), "JPEG")))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(MediaError, match="audio only"):
        next(read_frames(path))


def test_noise_in_the_middle_costs_only_the_frames_it_hits(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 100), faststart=True)
    media.overwrite(path, 0.5, 0.6)
    times, error = read_until_error(path)
    assert error is None
    assert 70 <= len(times) < 100
    assert times[-1] == pytest.approx(99 / 25)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_file_that_ends_early_yields_its_frames_and_then_says_so(tmp_path: Path, suffix: str) -> None:
    path = media.write_video(tmp_path / f"v.{suffix}", media.scene(0, 100), faststart=suffix == "mp4")
    media.cut_off(path, 0.5)
    times, error = read_until_error(path)
    assert 10 < len(times) < 70
    assert error is not None
    assert error.lasting
    assert error.reason == f"broken after {times[-1] + 0.04:.1f} s: the file promises 4.0 s"


def test_noise_up_to_the_end_is_reported(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 100), faststart=True)
    media.overwrite(path, 0.7, 1.0)
    times, error = read_until_error(path)
    assert 10 < len(times) < 90
    assert error is not None
    assert error.reason.startswith("broken after ")


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
    times, error = read_until_error(path)
    assert len(times) == 10
    assert error is None


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
def test_what_cannot_be_opened_is_not_lasting(tmp_path: Path, reader, name: str, reason: str) -> None:
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
