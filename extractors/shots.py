"""Cuts a video into shots, in one pass and with bounded memory: the times of each shot and a few of its pictures.

PySceneDetect's adaptive detector finds the cuts, frame by frame. All times are those of the frames, so that variable
frame rates work too.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from assocmem.errors import InputError, MediaError
from assocmem.extractors.base import Image
from assocmem.extractors.video import read_frames
from assocmem.extractors.video_frame import Frame

MIN_SHOT: Final = 0.6
"""Minimum seconds between two cuts."""

MAX_SHOT: Final = 30.0
"""Seconds after which a shot ends without a cut: an hour from a fixed camera should not be a single item."""

_DETECTOR_SIDE = 192  # pixels; scaling and comparing then cost a third of decoding 1080p, and 256 finds no more cuts
_WINDOW = 2  # frames before and after a cut that the detector compares it with
_TICK = Fraction(1, 1_000_000)  # seconds
_POSITIONS = (1 / 6, 1 / 2, 5 / 6)  # of the pictures, as fractions of the shot
_MAX_SAMPLES = 12
_FIRST_STEP = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Shot:
    """A part of a video without a cut, with a few of its pictures."""

    start: float
    """Seconds since the beginning of the stream."""
    end: float
    """Seconds; the start of the next shot, or the end of the last frame."""
    images: tuple[Image, ...]
    """One to three pictures in temporal order: uint8, shape (height, width, 3), RGB, upright."""


def read_shots(path: str | os.PathLike[str], *, min_side: int = 224) -> Generator[Shot, None, None]:
    """Cut a video into shots while it is decoded.

    The shots cover the video without gaps: each ends where the next one starts. Their pictures are near 1/6, 1/2
    and 5/6 of the shot; a shot of one frame has one picture. Two cuts are at least ``MIN_SHOT`` apart, and a shot
    ends after at most ``MAX_SHOT``. Closing the iterator early closes the file.

    Parameters
    ----------
    path : path of a file that holds video
    min_side : pixels of the pictures' shorter side; smaller videos are not enlarged

    Raises
    ------
    MediaError
        As for ``read_frames``. If the file breaks in the middle, all readable shots come first, including the one
        that is cut off.
    InputError
        ``min_side`` is below 1.
    """
    if min_side < 1:
        raise InputError(f"min_side must be at least 1, got {min_side}")
    with closing(read_frames(path)) as frames:
        readable = _ReadableFrames(frames)
        yield from _shots(_with_cuts(readable), min_side)
    if readable.error is not None:
        raise readable.error


class _ReadableFrames:
    """Iterates over frames until the file breaks, and keeps the error until the frames before it have been used."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = frames
        self.error: MediaError | None = None

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames
        except MediaError as error:
            self.error = error


def _with_cuts(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Yield each frame and whether it starts a shot, as soon as that is known: ``_WINDOW`` frames later."""
    # Imported here, because it imports OpenCV: half a second that only videos should cost.
    from scenedetect.common import FrameTimecode, Timecode
    from scenedetect.detectors import AdaptiveDetector

    detector = AdaptiveDetector(min_scene_len=MIN_SHOT, window_width=_WINDOW)
    waiting: deque[tuple[int, Frame]] = deque()
    for frame in frames:
        tick = round(frame.time / _TICK)
        # The rate is needed for frame numbers only, which are not used.
        when = FrameTimecode(Timecode(tick, _TICK), fps=25.0)
        cuts = {cut.pts for cut in detector.process_frame(when, frame.small_bgr(_DETECTOR_SIDE))}
        waiting.append((tick, frame))
        if len(waiting) > _WINDOW:
            first_tick, first = waiting.popleft()
            yield first, first_tick in cuts
    for _, frame in waiting:
        yield frame, False


def _shots(frames: Iterable[tuple[Frame, bool]], min_side: int) -> Iterator[Shot]:
    """Group frames, each with whether it starts a shot, into shots."""
    sampler: _Sampler | None = None
    end = 0.0
    for frame, cut in frames:
        if sampler is not None:
            length = frame.time - sampler.start
            if (cut and length > 0) or length >= MAX_SHOT:
                yield Shot(sampler.start, frame.time, sampler.pick(frame.time))
                sampler = None
        if sampler is None:
            sampler = _Sampler(frame.time, min_side)
        sampler.offer(frame)
        end = frame.time + frame.duration
    if sampler is not None:
        yield Shot(sampler.start, end, sampler.pick(end))


class _Sampler:
    """Samples a few pictures of a shot whose length is not known yet.

    One every ``step`` seconds. When there are too many, every other one is dropped and the step doubles. Pictures
    are scaled when they are sampled, because decoded frames of a large video would fill the memory.
    """

    def __init__(self, start: float, min_side: int) -> None:
        self.start = start
        self._min_side = min_side
        self._step = _FIRST_STEP
        self._next = start
        self._samples: list[tuple[float, Image]] = []

    def offer(self, frame: Frame) -> None:
        """Sample the frame if its time has come."""
        if frame.time < self._next - float(_TICK):
            return
        self._samples.append((frame.time, frame.rgb(self._min_side)))
        if len(self._samples) > _MAX_SAMPLES:
            del self._samples[1::2]
            self._step *= 2
        self._next = self._samples[-1][0] + self._step

    def pick(self, end: float) -> tuple[Image, ...]:
        """Return the pictures nearest to ``_POSITIONS`` of a shot that ended at ``end``, without repetition."""
        wanted = (self.start + position * (end - self.start) for position in _POSITIONS)
        nearest = {min(range(len(self._samples)), key=lambda i: abs(self._samples[i][0] - t)) for t in wanted}
        return tuple(self._samples[i][1] for i in sorted(nearest))
