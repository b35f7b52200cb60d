"""Shots end where the scenes do, cover the video, and show its beginning, middle and end."""

from __future__ import annotations

import itertools
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assocmem.errors import InputError, MediaError
from assocmem.extractors import shots
from assocmem.extractors.shots import MAX_SHOT, MIN_SHOT, Shot, read_shots
from tests import media


class Plain:
    """Stands in for a frame of one colour; the value of its pixels counts tenths of a second."""

    def __init__(self, time: float, duration: float, colour: int = 0) -> None:
        self.time, self.duration, self._colour = time, duration, colour

    def rgb(self, min_side: int) -> np.ndarray:
        return np.full((min_side, min_side, 3), round(10 * self.time) % 256, np.uint8)

    def small_bgr(self, side: int) -> np.ndarray:
        return np.full((side // 8, side // 8, 3), self._colour, np.uint8)


def shots_of(frames: list[Plain], monkeypatch: pytest.MonkeyPatch) -> list[Shot]:
    """Return what ``read_shots`` makes of these frames."""

    def source(_: object) -> Iterator[Plain]:
        yield from frames

    with monkeypatch.context() as patch:
        patch.setattr(shots, "read_frames", source)
        return list(read_shots("any", min_side=2))


def at_ten_per_second(seconds: float) -> list[Plain]:
    return [Plain(i / 10, 0.1) for i in range(round(seconds * 10))]


def boundaries(found: list[Shot]) -> list[float]:
    return [shot.end for shot in found]


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"), [("mp4", "libx264", 25), ("mkv", "mpeg4", 30), ("ts", "mpeg2video", 60)]
)
def test_shots_end_where_scenes_do(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    lengths = np.random.default_rng(rate).integers(rate, 2 * rate, 5).tolist()
    options = {"preset": "ultrafast", "crf": "23"} if codec == "libx264" else None
    path = media.write_video(tmp_path / f"v.{suffix}", media.scenes(lengths), rate=rate, codec=codec, options=options)
    found = list(read_shots(path))
    np.testing.assert_allclose(boundaries(found), np.cumsum(lengths) / rate, atol=1 / rate)
    for seed, (shot, length) in enumerate(zip(found, lengths, strict=True)):
        scene = list(media.scene(seed, length))
        assert len(shot.images) == 3
        for place, picture in zip((1 / 6, 1 / 2, 5 / 6), shot.images, strict=True):
            assert np.abs(picture.astype(float) - scene[int(place * length)]).mean() < 20
            assert picture.dtype == np.uint8


def test_cuts_at_irregular_times(tmp_path: Path) -> None:
    gaps = np.random.default_rng(0).choice([0.02, 0.04, 0.1, 0.2], 150)
    times = np.round(np.cumsum(gaps) - gaps[0], 3).tolist()
    path = media.write_video(tmp_path / "v.mp4", media.scenes([50, 50, 50]), times=times)
    found = list(read_shots(path))
    np.testing.assert_allclose(boundaries(found)[:2], [times[50], times[100]], atol=0.001)
    assert found[-1].end > times[-1]


def test_cuts_closer_than_the_shortest_shot_are_ignored(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scenes([30, 10, 30]))
    assert boundaries(list(read_shots(path))) == pytest.approx([1.2, 2.8])
    assert MIN_SHOT > 0.4


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_a_video_of_few_frames_is_one_shot(tmp_path: Path, frames: int) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, frames))
    (shot,) = read_shots(path)
    assert (shot.start, shot.end) == pytest.approx((0, frames / 25))
    assert len(shot.images) == 1
    assert shot.images[0].shape == (96, 128, 3)


def test_a_short_shot_has_fewer_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    (shot,) = shots_of(at_ten_per_second(0.4), monkeypatch)
    assert len(shot.images) == 2


def test_pictures_have_the_wanted_side_and_are_not_enlarged(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mp4", media.scene(0, 30))
    assert {x.shape for shot in read_shots(path, min_side=24) for x in shot.images} == {(24, 32, 3)}
    assert {x.shape for shot in read_shots(path, min_side=500) for x in shot.images} == {(96, 128, 3)}


def test_an_hour_of_a_fixed_camera_is_many_shots(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shots_of([Plain(float(i), 1.0) for i in range(3600)], monkeypatch)
    assert boundaries(found) == [MAX_SHOT * (i + 1) for i in range(120)]
    assert {len(shot.images) for shot in found} == {3}


@pytest.mark.parametrize("seconds", [1.5, 4.0, 11.0, 25.0])
def test_pictures_are_at_a_sixth_a_half_and_five_sixths(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    (shot,) = shots_of(at_ten_per_second(seconds), monkeypatch)
    tenths = [int(picture[0, 0, 0]) for picture in shot.images]
    np.testing.assert_allclose(tenths, np.array([1 / 6, 1 / 2, 5 / 6]) * 10 * seconds, atol=seconds)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    alive, most = 0, 0

    class Counted(Plain):
        def rgb(self, min_side: int) -> np.ndarray:
            nonlocal alive, most
            picture = super().rgb(min_side)
            alive += 1
            most = max(most, alive)
            weakref.finalize(picture, gone)
            return picture

    def gone() -> None:
        nonlocal alive
        alive -= 1

    shots_of([Counted(i / 60, 1 / 60) for i in range(60 * 35)], monkeypatch)
    assert 6 <= most <= 12 + 1 + 3  # while one is dropped, and those of the shot before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    gaps=st.lists(st.one_of(st.just(0.0), st.floats(0.001, 1), st.floats(10, 100)), min_size=1, max_size=80),
    colours=st.lists(st.sampled_from([0, 255]), min_size=80, max_size=80),
    duration=st.floats(0.001, 10),
)
def test_shots_cover_the_video_without_gaps(
    gaps: list[float], colours: list[int], duration: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = list(itertools.accumulate(gaps))
    frames = [Plain(time, duration, colour) for time, colour in zip(times, colours, strict=False)]
    found = shots_of(frames, monkeypatch)
    assert found[0].start == times[0]
    assert found[-1].end == times[-1] + duration
    for shot, following in itertools.pairwise(found):
        assert shot.end == following.start
    for shot in found:
        assert shot.start < shot.end
        assert 1 <= len(shot.images) <= 3
        inside = [time for time in times if shot.start <= time < shot.end]
        assert inside[-1] - shot.start < MAX_SHOT


def test_a_file_that_breaks_yields_all_readable_shots_and_then_says_so(tmp_path: Path) -> None:
    path = media.write_video(tmp_path / "v.mkv", media.scenes([40, 40, 40]))
    media.cut_off(path, 0.7)
    found: list[Shot] = []
    with pytest.raises(MediaError, match=r"^broken after \d\.\d s"):
        found.extend(itertools.chain.from_iterable([shot] for shot in read_shots(path)))
    assert boundaries(found)[0] == pytest.approx(1.6)
    assert len(found) >= 2
    assert found[-1].end < 4.0


def test_an_error_comes_after_the_shots_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def source(_: object) -> Iterator[Plain]:
        yield from at_ten_per_second(2)
        raise MediaError("gone", lasting=False)

    monkeypatch.setattr(shots, "read_frames", source)
    iterator = read_shots("any", min_side=2)
    assert next(iterator).end == pytest.approx(2.0)
    with pytest.raises(MediaError, match="gone"):
        next(iterator)


def test_a_file_without_video_yields_nothing_but_the_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="audio only"):
        list(read_shots(media.write_sound(tmp_path / "a.wav", "pcm_s16le")))


def test_closing_the_iterator_early_closes_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []

    def source(_: object) -> Iterator[Plain]:
        try:
            yield from at_ten_per_second(100)
        finally:
            closed.append(True)

    monkeypatch.setattr(shots, "read_frames", source)
    iterator = read_shots("any", min_side=2)
    assert next(iterator).end == MAX_SHOT
    assert not closed
    iterator.close()
    assert closed


def test_a_side_below_one_is_an_error_of_the_caller() -> None:
    with pytest.raises(InputError, match="at least 1"):
        next(read_shots("any", min_side=0))


def test_opencv_is_imported_for_videos_only() -> None:
    code = "import sys, assocmem.extractors.shots; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
