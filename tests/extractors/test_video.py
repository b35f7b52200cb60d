"""Frames come in order, at their own times, upright; damage costs only what it hit."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from assocmem.errors import InputError
from assocmem.extractors import video
from assocmem.extractors.video import frame_at, read_frames
from tests import media
from tests.reading import until_trouble

IRREGULAR = [0.0, 0.04, 0.2, 0.24, 0.9, 1.0, 1.5, 1.52, 3.0, 3.04]
H264 = {"preset": "ultrafast", "crf": "18", "g": "12"}


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two pictures, in grey levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


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
    times, trouble = until_trouble(path)
    assert trouble is None
    np.testing.assert_allclose(times, IRREGULAR, atol=1e-4)


def test_times_begin_at_zero_wherever_the_stream_does(tmp_path: Path) -> None:
    late = [t + 100 for t in IRREGULAR]
    path = media.write_video(tmp_path / "v.ts", media.scene(0, 10), times=late, codec="libx264", options=H264)
    np.testing.assert_allclose(until_trouble(path)[0], IRREGULAR, atol=1e-3)


def test_times_never_decrease_and_joined_recordings_go_on(tmp_path: Path) -> None:
    part = media.write_video(tmp_path / "p.ts", media.scene(0, 50), codec="mpeg2video").read_bytes()
    (tmp_path / "joined.ts").write_bytes(part * 2)
    times, _ = until_trouble(tmp_path / "joined.ts")
    assert len(times) >= 98
    steps = np.diff(times)
    assert steps.min() >= 0
    assert steps.max() < 0.5
    assert 3.5 < times[-1] < 4.5


class Stamp:
    """Stands in for a decoded frame where only its time matters."""

    def __init__(self, pts: int | None, dts: int | None = None, duration: int | None = 0) -> None:
        self.pts, self.dts, self.duration = pts, dts, duration


class Stream:
    """Stands in for a stream that says little about itself."""

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
def test_the_clock_makes_do_with_what_the_stamps_say(stamps: list[Stamp], times: list[float]) -> None:
    clock = video._Clock(Stream())
    np.testing.assert_allclose([clock.read(stamp)[0] for stamp in stamps], times)


@pytest.mark.parametrize(
    ("matrix", "undo"),
    [
        ((1, 0, 0, 1), lambda x: x),
        ((0, 1, -1, 0), lambda x: np.rot90(x, 1)),  # shown turned clockwise by 90 degrees, as phones write
        ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
        ((0, -1, 1, 0), lambda x: np.rot90(x, 3)),
        ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
        ((1, 0, 0, -1), lambda x: x[::-1]),
        ((0, 1, 1, 0), lambda x: x.transpose(1, 0, 2)),
    ],
)
def test_all_display_matrices_of_one_scene_read_the_same(tmp_path: Path, matrix: tuple, undo) -> None:
    shown = media.photo(3, 96, 128)
    path = media.write_video(tmp_path / "v.mp4", [np.ascontiguousarray(undo(shown))] * 3)
    media.set_display_matrix(path, *matrix)
    frame = next(read_frames(path))
    got = frame.rgb(48)
    assert got.shape == (48, 64, 3)
    assert got.flags.c_contiguous
    assert difference(got, np.asarray(media.Pillow.fromarray(shown).resize((64, 48)))) < 8
    assert difference(frame.rgb(1000), shown) < 8


def test_pixels_come_out_square(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 3), aspect=Fraction(2, 1))
    assert next(read_frames(path)).rgb(96).shape == (96, 256, 3)
    assert next(read_frames(path)).rgb(48).shape == (48, 128, 3)


def test_small_frames_are_bgr_of_one_shape(tmp_path: Path) -> None:
    red = np.zeros((96, 64, 3), np.uint8)
    red[..., 0] = 255
    path = media.write_video(tmp_path / "v.mp4", [red] * 3)
    small = [frame.small_bgr(32) for frame in read_frames(path)]
    assert {x.shape for x in small} == {(32, 21, 3)}
    blue, _, red_last = small[0].reshape(-1, 3).mean(0)
    assert red_last > 200 > 50 > blue


def test_frames_outlive_their_file(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 5))
    frames = list(read_frames(path))
    path.unlink()
    assert difference(frames[0].rgb(96), next(media.scene(0, 5))) < 8


def test_an_iterator_closed_early_closes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_frame_at_wants_sensible_arguments(tmp_path: Path, arguments: tuple[float, int]) -> None:
    with pytest.raises(InputError, match="expected a finite time"):
        frame_at(tmp_path / "any", arguments[0], min_side=arguments[1])
