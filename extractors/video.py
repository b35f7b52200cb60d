"""Decodes a video file frame by frame, with times in seconds."""

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
from assocmem.extractors.image import DEFAULT_MAX_PIXELS
from assocmem.extractors.sniff import media_error, open_media, read_head
from assocmem.extractors.video_frame import Frame, FrameScaler

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_FALLBACK_RATE = 25.0  # frames/s of a stream without a rate
_LATE: Final = 1.0
"""Seconds that may be missing at the end of a stream before the file counts as cut short."""


class FrameClock:
    """Converts the time stamps of a stream's frames to seconds that never decrease."""

    def __init__(self, stream: VideoStream) -> None:
        self._unit = float(stream.time_base or 0)
        self._zero = None if stream.start_time is None else stream.start_time * self._unit
        self._usual = 1 / float(stream.average_rate or _FALLBACK_RATE)
        self._time = self._next = 0.0

    def read(self, decoded: VideoFrame) -> tuple[float, float]:
        """Return time and duration, in seconds, of the next frame in presentation order."""
        stamp = decoded.dts if decoded.pts is None else decoded.pts
        duration = (decoded.duration or 0) * self._unit or self._usual
        if stamp is None:
            time = self._next
        else:
            seconds = stamp * self._unit
            if self._zero is None:
                self._zero = seconds
            # In joined recordings the time starts again in the middle: continue from here. Smaller steps back are
            # jitter.
            if seconds - self._zero < self._time - 1:
                self._zero = seconds - self._next
            time = max(self._time, seconds - self._zero)
        self._time, self._next = time, time + duration
        return time, duration


@dataclass
class _Damage:
    """Errors while decoding."""

    last: str = ""
    """The last error, in the words of the decoder or demuxer."""
    at_end: bool = False
    """Whether no frame has followed the last error."""


def read_frames(path: str | os.PathLike[str], *, threads: int = 0) -> Generator[Frame, None, None]:
    """Decode the first video stream of a file, frame by frame, in presentation order.

    Packets that cannot be decoded are skipped if later ones can be decoded. A file that ends early yields the
    frames it has, and then raises. Closing the iterator early closes the file.

    Parameters
    ----------
    path : path of a file with video
    threads : decoder threads; 0 lets the decoder choose

    Raises
    ------
    MediaError
        Before the first frame: the file is unreadable, empty, damaged, or has only sound. After the last frame:
        "broken after 12.3 s: ...".
    """
    with _opened(path, threads) as (container, stream):
        clock, scaler, damage = FrameClock(stream), FrameScaler(stream), _Damage()
        end = None
        for decoded in _decode(container, stream, damage):
            time, duration = clock.read(decoded)
            end = time + duration
            yield Frame(time, duration, decoded, scaler)
        promised = _promised_seconds(container, stream)
    if end is None:
        raise _nothing_decoded(damage)
    if damage.at_end:
        raise MediaError(f"broken after {end:.1f} s: {damage.last}")
    if end < promised - max(_LATE, 0.01 * promised):
        raise MediaError(f"broken after {end:.1f} s: the file promises {promised:.1f} s")


def frame_at(path: str | os.PathLike[str], seconds: float, *, min_side: int = 224) -> Image:
    """Read the frame that is shown at a time, scaled down to a shorter side of ``min_side`` pixels.

    Times before the first frame return the first frame, times after the end the last.

    Parameters
    ----------
    path : path of a file with video
    seconds : time since the beginning of the stream, as in ``Frame.time``
    min_side : pixels

    Returns
    -------
    uint8, shape (height, width, 3), RGB, upright

    Raises
    ------
    MediaError
        As for ``read_frames`` before its first frame.
    InputError
        ``seconds`` is not finite, or ``min_side`` is below 1.
    """
    if not math.isfinite(seconds) or min_side < 1:
        raise InputError(f"expected a finite time and min_side >= 1, got {seconds} and {min_side}")
    with _opened(path, 0) as (container, stream):
        damage, shown = _Damage(), None
        # Seeking in a stream without an index may lead past the frame: try again from an earlier place.
        for margin in (0.0, 10.0, math.inf):
            _seek(container, stream, seconds - margin)
            shown = _last_until(seconds, _decode(container, stream, damage), FrameClock(stream))
            if shown is not None:
                break
        else:
            container.seek(0)
            shown = next(_decode(container, stream, damage), None)
        if shown is None:
            raise _nothing_decoded(damage)
        return FrameScaler(stream).rgb(shown, min_side)


def _last_until(seconds: float, frames: Iterator[VideoFrame], clock: FrameClock) -> VideoFrame | None:
    """Return the last frame that does not begin after a time; None if all do."""
    shown = None
    for decoded in frames:
        if clock.read(decoded)[0] > seconds:
            break
        shown = decoded
    return shown


def _seek(container: InputContainer, stream: VideoStream, seconds: float) -> None:
    """Go to the last key frame at or before a time, or to the beginning if that is impossible."""
    if seconds > 0 and stream.start_time is not None and stream.time_base:
        with suppress(av.FFmpegError):
            container.seek(stream.start_time + int(seconds / stream.time_base), stream=stream)
            return
    container.seek(0)


@contextmanager
def _opened(path: str | os.PathLike[str], threads: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and find its video stream; raises MediaError."""
    with open_media(path) as file:  # for better messages than libav's about missing or forbidden files
        if not read_head(file):
            raise MediaError("empty file")
    # The path is absolute, so that a name like "concat:x" is not taken for a protocol. With the whitelist, nothing
    # inside the file can make libav open anything else.
    name = "file:" + os.path.abspath(path)
    try:
        container = av.open(name, "r", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except av.FFmpegError as error:
        raise _opening_error(error) from error
    with container:
        stream = _video_stream(container)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        yield container, stream


def _video_stream(container: InputContainer) -> VideoStream:
    """Return the first stream of moving pictures; cover art in an audio file does not count."""
    videos = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not videos:
        raise MediaError("audio only: no video stream" if container.streams.audio else "no video stream")
    stream = videos[0]
    context: VideoCodecContext | None = stream.codec_context
    if context is None:
        raise MediaError("its video codec is not supported", lasting=False)
    # For streams that change their size in the middle.
    context.options = {"max_pixels": str(DEFAULT_MAX_PIXELS)}
    if context.width * context.height > DEFAULT_MAX_PIXELS:
        limit = f"the limit is {DEFAULT_MAX_PIXELS / 1e6:g} million"
        raise MediaError(f"too large: {context.width} x {context.height} pixels, {limit}")
    return stream


def _decode(container: InputContainer, stream: VideoStream, damage: _Damage) -> Iterator[VideoFrame]:
    """Yield every frame that can be decoded, and record errors in ``damage``."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except av.FFmpegError as error:
            damage.last, damage.at_end = error.strerror or str(error), True
            continue  # after an error of the demuxer its generator has ended, and next() stops
        for decoded in frames:
            damage.at_end = False
            yield decoded


def _nothing_decoded(damage: _Damage) -> MediaError:
    return MediaError(f"no frame could be decoded: {damage.last or 'the stream is empty'}")


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float:
    """Return the length of the video stream that the file states; 0 if it states nothing reliable.

    The container's length counts only if the video is its only stream, because sound may last longer.
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


def _opening_error(error: av.FFmpegError) -> MediaError:
    if isinstance(error, OSError):
        return media_error(error)
    text = error.strerror or type(error).__name__
    return MediaError(f"cannot be opened: {text[:1].lower() + text[1:]}")
