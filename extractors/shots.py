"""One video file in, its shots out: cut times and a few pictures of each, in one pass and bounded memory.

Knows no network and no collection. Cuts are found by PySceneDetect's adaptive detector, which is fed frame by
frame; times are those of the frames, so that a variable frame rate does no harm.
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
from assocmem.extractors.frame import Frame
from assocmem.extractors.video import read_frames

MIN_SHOT: Final = 0.6
"""Seconds between two cuts, at least."""

MAX_SHOT: Final = 30.0
"""Seconds after which a shot is ended without a cut: an hour of a fixed camera must not be one item."""

_DETECTOR_SIDE = 192  # pixels; scaling and comparing then cost a third of decoding 1080p, and 256 finds no more
_LAG = 2  # frames on either side of a cut that the detector compares it with
_TICK = Fraction(1, 1_000_000)
_PLACES = (1 / 6, 1 / 2, 5 / 6)
_MOST_KEPT = 12
_FIRST_STEP = 0.2


@dataclass(frozen=True, slots=True)
class Shot:
    """A stretch of video without a cut, and what it looks like."""

    start: float
    """Seconds since the beginning of the stream."""
    end: float
    """Seconds; the start of the next shot, or the end of the last frame."""
    images: tuple[Image, ...]
    """One to three pictures in the order of time: uint8, shape (height, width, 3), RGB, upright."""


def read_shots(path: str | os.PathLike[str], *, min_side: int = 224) -> Generator[Shot, None, None]:
    """Cut a video into shots while it is being decoded.

    The shots tile the video: each ends where the next one starts. Their pictures stand near 1/6, 1/2 and 5/6
    of the shot; a shot of one frame has one. A cut is at least ``MIN_SHOT`` after the one before, and a shot
    ends after ``MAX_SHOT`` at the latest. Closing the iterator early closes the file.

    Parameters
    ----------
    path : path of a file that holds video
    min_side : pixels of the pictures' shorter side; smaller videos are not enlarged

    Raises
    ------
    MediaError
        As ``read_frames``. Where the file breaks in the middle, all readable shots come first, the one that
        is cut off included.
    InputError
        ``min_side`` is below 1.
    """
    if min_side < 1:
        raise InputError(f"min_side must be at least 1, got {min_side}")
    with closing(read_frames(path)) as frames:
        readable = _Readable(frames)
        yield from _assembled(_marked(readable), min_side)
    if readable.trouble is not None:
        raise readable.trouble


class _Readable:
    """Frames up to where the file breaks; the trouble waits until what came before it has been used."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self._frames = frames
        self.trouble: MediaError | None = None

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames
        except MediaError as error:
            self.trouble = error


def _marked(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Say of each frame whether it starts a shot, as soon as that is settled: ``_LAG`` frames later."""
    # Here, because OpenCV comes with it: half a second that only videos should cost.
    from scenedetect.common import FrameTimecode, Timecode
    from scenedetect.detectors import AdaptiveDetector

    detector = AdaptiveDetector(min_scene_len=MIN_SHOT, window_width=_LAG)
    held: deque[tuple[int, Frame]] = deque()
    for frame in frames:
        tick = round(frame.time / _TICK)
        # The rate only serves frame numbers, which nobody asks for.
        when = FrameTimecode(Timecode(tick, _TICK), fps=25.0)
        cuts = {cut.pts for cut in detector.process_frame(when, frame.small_bgr(_DETECTOR_SIDE))}
        held.append((tick, frame))
        if len(held) > _LAG:
            settled, first = held.popleft()
            yield first, settled in cuts
    for _, frame in held:
        yield frame, False


def _assembled(marked: Iterable[tuple[Frame, bool]], min_side: int) -> Iterator[Shot]:
    """Gather frames into shots."""
    sampler: _Sampler | None = None
    end = 0.0
    for frame, cut in marked:
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
    """Keeps a few pictures of a shot whose length is not known yet.

    One every ``step`` seconds; when there are too many, every other one goes and the step doubles. Pictures
    are scaled when they are kept: decoded frames of a large video would fill the memory.
    """

    def __init__(self, start: float, min_side: int) -> None:
        self.start = start
        self._min_side = min_side
        self._step = _FIRST_STEP
        self._next = start
        self._kept: list[tuple[float, Image]] = []

    def offer(self, frame: Frame) -> None:
        if frame.time < self._next - float(_TICK):
            return
        self._kept.append((frame.time, frame.rgb(self._min_side)))
        if len(self._kept) > _MOST_KEPT:
            del self._kept[1::2]
            self._step *= 2
        self._next = self._kept[-1][0] + self._step

    def pick(self, end: float) -> tuple[Image, ...]:
        """The pictures nearest to ``_PLACES`` of a shot that ended at ``end``, none of them twice."""
        wanted = (self.start + place * (end - self.start) for place in _PLACES)
        nearest = {min(range(len(self._kept)), key=lambda i: abs(self._kept[i][0] - t)) for t in wanted}
        return tuple(self._kept[i][1] for i in sorted(nearest))
