"""Frames become upright pictures with square pixels, of the size that is asked for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from assocmem.errors import MediaError
from assocmem.extractors import video_frame
from assocmem.extractors.video import read_frames
from tests import media
from tests.extractors.helpers import difference


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
    assert difference(got, np.asarray(Pillow.fromarray(shown).resize((64, 48)))) < 8
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


def test_a_pixel_format_that_cannot_be_converted_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Helpless:
        def reformat(self, *_: object, **__: object) -> None:
            raise av.FFmpegError(95, "Operation not supported")

    monkeypatch.setattr(video_frame, "VideoReformatter", Helpless)
    frame = next(read_frames(media.write_video(tmp_path / "v.mp4", media.scene(0, 3))))
    with pytest.raises(MediaError, match=r"^its pixel format cannot be converted: yuv420p$"):
        frame.rgb(50)
