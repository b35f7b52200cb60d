"""One video file in, its frames out: decoded one after the other, timed in seconds.

Knows no shots, no network and no collection; how a frame becomes an array, ``frame`` knows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import av

from assocmem.errors import InputError, MediaError
from assocmem.extractors.base import Image
from assocmem.extractors.frame import Frame, View
from assocmem.extractors.image import DEFAULT_MAX_PIXELS
from assocmem.extractors.sniff import open_file, os_trouble, read_head

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_FALLBACK_RATE = 25.0  # frames/s of a stream that does not say
_LATE: Final = 1.0
"""Seconds by which a stream may miss its promised end before the file counts as cut short."""


class _Clock:
    """Turns a stream's time stamps into seconds that never decrease."""

    def __init__(self, stream: VideoStream) -> None:
        self._unit = float(stream.time_base or 0)
        self._zero = None if stream.start_time is None else stream.start_time * self._unit
        self._usual = 1 / float(stream.average_rate or _FALLBACK_RATE)
        self._time = self._next = 0.0

    def read(self, picture: VideoFrame) -> tuple[float, float]:
        """Time and duration of the next frame in presentation order, in seconds."""
        stamp = picture.dts if picture.pts is None else picture.pts
        duration = (picture.duration or 0) * self._unit or self._usual
        if stamp is None:
            time = self._next
        else:
            seconds = stamp * self._unit
            if self._zero is None:
                self._zero = seconds
            # Joined recordings start anew in the middle: go on from here. Smaller steps back are mere jitter.
            if seconds - self._zero < self._time - 1:
                self._zero = seconds - self._next
            time = max(self._time, seconds - self._zero)
        self._time, self._next = time, time + duration
        return time, duration


@dataclass
class _Damage:
    """What went wrong while decoding."""

    last: str = ""
    """The decoder's or demuxer's word for the last trouble."""
    at_end: bool = False
    """No frame has come since the last trouble."""


def read_frames(path: str | os.PathLike[str], *, threads: int = 0) -> Generator[Frame, None, None]:
    """Decode the first video stream of a file, frame by frame, in presentation order.

    Packets that cannot be decoded are skipped as long as later ones can be. A file that ends early gives the
    frames it has, and then raises. Closing the iterator early closes the file.

    Parameters
    ----------
    path : path of a file that holds video
    threads : decoder threads; 0 leaves it to the decoder

    Raises
    ------
    MediaError
        Before the first frame: the file is unreadable, empty, damaged, or sound only. After the last one:
        "broken after 12.3 s: ...".
    """
    with _opened(path, threads) as (container, stream):
        clock, view, damage = _Clock(stream), View(stream), _Damage()
        end = None
        for picture in _decoded(container, stream, damage):
            time, duration = clock.read(picture)
            end = time + duration
            yield Frame(time, duration, picture, view)
        promised = _promised_seconds(container, stream)
    if end is None:
        raise _nothing_decoded(damage)
    if damage.at_end:
        raise MediaError(f"broken after {end:.1f} s: {damage.last}")
    if end < promised - max(_LATE, 0.01 * promised):
        raise MediaError(f"broken after {end:.1f} s: the file promises {promised:.1f} s")


def frame_at(path: str | os.PathLike[str], seconds: float, *, min_side: int = 224) -> Image:
    """Read the frame that is shown at a time, scaled down to a shorter side of ``min_side`` pixels.

    Times before the first frame give the first, times after the end the last.

    Parameters
    ----------
    path : path of a file that holds video
    seconds : time since the beginning of the stream, as in ``Frame.time``
    min_side : pixels

    Returns
    -------
    uint8, shape (height, width, 3), RGB, upright

    Raises
    ------
    MediaError
        As ``read_frames`` before its first frame.
    InputError
        ``seconds`` is not finite, or ``min_side`` is below 1.
    """
    if not math.isfinite(seconds) or min_side < 1:
        raise InputError(f"expected a finite time and min_side >= 1, got {seconds} and {min_side}")
    with _opened(path, 0) as (container, stream):
        damage, view, shown = _Damage(), View(stream), None
        # A stream without an index may be entered behind the wanted frame: try again from further ahead.
        for margin in (0.0, 10.0, math.inf):
            _seek(container, stream, seconds - margin)
            shown = _last_until(seconds, _decoded(container, stream, damage), _Clock(stream))
            if shown is not None:
                break
        else:
            container.seek(0)
            shown = next(_decoded(container, stream, damage), None)
        if shown is None:
            raise _nothing_decoded(damage)
        return view.rgb(shown, min_side)


def _last_until(seconds: float, pictures: Iterator[VideoFrame], clock: _Clock) -> VideoFrame | None:
    """The last frame that begins no later than a time."""
    shown = None
    for picture in pictures:
        if clock.read(picture)[0] > seconds:
            break
        shown = picture
    return shown


def _seek(container: InputContainer, stream: VideoStream, seconds: float) -> None:
    """Go to the last key frame at or before a time; to the beginning where that is impossible."""
    if seconds > 0 and stream.start_time is not None and stream.time_base:
        with suppress(av.FFmpegError):
            container.seek(stream.start_time + int(seconds / stream.time_base), stream=stream)
            return
    container.seek(0)


@contextmanager
def _opened(path: str | os.PathLike[str], threads: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and find its video stream; errors come as MediaError."""
    with open_file(path) as file:  # libav's own words for a missing or forbidden file are poorer
        if not read_head(file):
            raise MediaError("empty file")
    # An absolute path, so that a name like "concat:x" is not taken for a protocol; and a whitelist, so that
    # nothing inside the file can make libav open anything else.
    name = "file:" + os.path.abspath(path)
    try:
        container = av.open(name, "r", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except av.FFmpegError as error:
        raise _av_trouble("cannot be opened", error) from error
    with container:
        stream = _video_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        yield container, stream


def _video_stream(container: InputContainer) -> VideoStream:
    """The first stream of moving pictures: cover art in an audio file is not one."""
    videos = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not videos:
        raise MediaError("audio only: no video stream" if container.streams.audio else "no video stream")
    stream = videos[0]
    context: VideoCodecContext | None = stream.codec_context
    if context is None:
        raise MediaError("its video codec is not supported", lasting=False)
    # For streams that change their size on the way.
    context.options = {"max_pixels": str(DEFAULT_MAX_PIXELS)}
    if context.width * context.height > DEFAULT_MAX_PIXELS:
        limit = f"the limit is {DEFAULT_MAX_PIXELS / 1e6:g} million"
        raise MediaError(f"too large: {context.width} x {context.height} pixels, {limit}")
    return stream


def _decoded(container: InputContainer, stream: VideoStream, damage: _Damage) -> Iterator[VideoFrame]:
    """Yield every frame that can be decoded, and note what cannot."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            pictures = packet.decode()
        except StopIteration:
            return
        except av.FFmpegError as error:
            damage.last, damage.at_end = error.strerror or str(error), True
            continue  # a demuxer that failed has ended its generator: next() stops then
        for picture in pictures:
            damage.at_end = False
            yield picture


def _nothing_decoded(damage: _Damage) -> MediaError:
    return MediaError(f"no frame could be decoded: {damage.last or 'the stream is empty'}")


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float:
    """Length of the video stream by the file's own word; 0 if it says nothing reliable.

    The container's length counts only when nothing but the video can have set it: sound may go on for longer.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        return container.duration / av.time_base
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # Matroska: 00:01:02.500000000
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    except ValueError:
        return 0.0


def _av_trouble(what: str, error: av.FFmpegError) -> MediaError:
    if isinstance(error, OSError):
        return os_trouble(error)
    text = error.strerror or type(error).__name__
    return MediaError(f"{what}: {text[:1].lower() + text[1:]}")
