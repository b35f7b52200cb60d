"""One decoded video frame and its conversion to an array: scaled, upright, with square pixels, only on demand.

Contains no file access and no decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from assocmem._numerics.types import U8
from assocmem.errors import MediaError
from assocmem.extractors.base import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class Frame:
    """One decoded frame. Its pixels are converted on demand, also after the file was closed.

    Attributes
    ----------
    time : float
        Seconds since the beginning of the stream; never decreases from one frame to the next.
    duration : float
        Seconds that the frame is shown, from the file or, if missing there, from the stream's average rate.
    """

    __slots__ = ("_decoded", "_scaler", "duration", "time")

    def __init__(self, time: float, duration: float, decoded: VideoFrame, scaler: FrameScaler) -> None:
        self.time = time
        self.duration = duration
        self._decoded = decoded
        self._scaler = scaler

    def rgb(self, min_side: int) -> Image:
        """Scale down to a shorter side of ``min_side`` pixels; smaller frames are not enlarged.

        Returns
        -------
        uint8, shape (height, width, 3), RGB, upright, C-contiguous

        Raises
        ------
        MediaError
            The stream's pixel format cannot be converted.
        """
        return self._scaler.rgb(self._decoded, min_side)

    def small_bgr(self, side: int) -> U8:
        """Scale to a longer side of ``side`` pixels, without turning it upright: cheap, for comparing frames.

        Returns
        -------
        uint8, shape (height, width, 3), BGR; the same shape for all frames of a stream
        """
        return self._scaler.small_bgr(self._decoded, side)


class FrameScaler:
    """Converts the stored frames of one stream to pictures. Keeps libswscale's contexts, which are costly to set up."""

    def __init__(self, stream: VideoStream) -> None:
        aspect = float(stream.sample_aspect_ratio or 1)
        self._pixel_aspect = aspect if 0.1 < aspect < 10 else 1.0
        # The stream's size, not the frame's: frames may change their size, and comparing needs equal shapes.
        self._stored = (stream.codec_context.width or 16, stream.codec_context.height or 9)
        self._to_rgb = VideoReformatter()
        self._to_bgr = VideoReformatter()

    def rgb(self, decoded: VideoFrame, min_side: int) -> Image:
        """See ``Frame.rgb``."""
        shown_width = decoded.width * self._pixel_aspect
        scale = min(1.0, min_side / min(shown_width, decoded.height))
        width, height = (max(1, round(side * scale)) for side in (shown_width, decoded.height))
        image = _scaled(self._to_rgb, decoded, (width, height), "rgb24", Interpolation.BICUBIC)
        return np.ascontiguousarray(_upright(image, decoded))

    def small_bgr(self, decoded: VideoFrame, side: int) -> U8:
        """See ``Frame.small_bgr``."""
        scale = side / max(self._stored)
        width, height = (max(1, round(length * scale)) for length in self._stored)
        return _scaled(self._to_bgr, decoded, (width, height), "bgr24", Interpolation.AREA)


def _scaled(
    reformatter: VideoReformatter,
    decoded: VideoFrame,
    size: tuple[int, int],
    pixel_format: str,
    interpolation: Interpolation,
) -> Image:
    try:
        scaled = reformatter.reformat(decoded, *size, pixel_format, interpolation=interpolation)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"its pixel format cannot be converted: {decoded.format.name}") from error
    return cast(Image, scaled.to_ndarray())


def _upright(image: Image, decoded: VideoFrame) -> Image:
    """Apply the display matrix: quarter turns and mirrorings; other transformations are ignored.

    The nine 32-bit numbers a b u c d v x y w show the stored pixel (p, q) at (a p + c q + x, b p + d q + y).
    """
    side_data = cast("Mapping[str, bytes] | None", decoded.side_data) or {}
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.transpose(1, 0, 2)
        a, d = c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
