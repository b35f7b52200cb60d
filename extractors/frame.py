"""One decoded video frame, and how it becomes an array: scaled, upright, with square pixels, only on demand.

Knows no files and no decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Interpolation, VideoReformatter

from assocmem.errors import MediaError
from assocmem.extractors.base import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class Frame:
    """One decoded frame; its pixels are converted when asked for, and stay valid after the file is closed.

    Attributes
    ----------
    time : float
        Seconds since the beginning of the stream; never decreases from one frame to the next.
    duration : float
        Seconds that the frame is shown, as the file says or, failing that, by the stream's average rate.
    """

    __slots__ = ("_picture", "_view", "duration", "time")

    def __init__(self, time: float, duration: float, picture: VideoFrame, view: View) -> None:
        self.time = time
        self.duration = duration
        self._picture = picture
        self._view = view

    def rgb(self, min_side: int) -> Image:
        """Scale down to a shorter side of ``min_side`` pixels (never up).

        Returns
        -------
        uint8, shape (height, width, 3), RGB, upright, C-contiguous

        Raises
        ------
        MediaError
            The stream's pixel format cannot be converted.
        """
        return self._view.rgb(self._picture, min_side)

    def small_bgr(self, side: int) -> npt.NDArray[np.uint8]:
        """Scale to a longer side of ``side`` pixels, not turned upright: cheap, for comparing frames.

        Returns
        -------
        uint8, shape (height, width, 3), BGR; the same shape for all frames of a stream
        """
        return self._view.small_bgr(self._picture, side)


class View:
    """How a stream's stored frames become pictures. Keeps the scalers, which are costly to set up."""

    def __init__(self, stream: VideoStream) -> None:
        aspect = float(stream.sample_aspect_ratio or 1)
        self._pixel_aspect = aspect if 0.1 < aspect < 10 else 1.0
        # The stream's size, not the frame's: that may change on the way, and comparing needs equal shapes.
        self._stored = (stream.codec_context.width or 16, stream.codec_context.height or 9)
        self._to_rgb = VideoReformatter()
        self._to_bgr = VideoReformatter()

    def rgb(self, picture: VideoFrame, min_side: int) -> Image:
        """See ``Frame.rgb``."""
        shown_width = picture.width * self._pixel_aspect
        scale = min(1.0, min_side / min(shown_width, picture.height))
        width, height = (max(1, round(side * scale)) for side in (shown_width, picture.height))
        image = _scaled(self._to_rgb, picture, (width, height), "rgb24", Interpolation.BICUBIC)
        return np.ascontiguousarray(_upright(image, picture))

    def small_bgr(self, picture: VideoFrame, side: int) -> npt.NDArray[np.uint8]:
        """See ``Frame.small_bgr``."""
        scale = side / max(self._stored)
        width, height = (max(1, round(length * scale)) for length in self._stored)
        return _scaled(self._to_bgr, picture, (width, height), "bgr24", Interpolation.AREA)


def _scaled(
    scaler: VideoReformatter, picture: VideoFrame, size: tuple[int, int], kind: str, how: Interpolation
) -> Image:
    try:
        scaled = scaler.reformat(picture, *size, kind, interpolation=how)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"its pixel format cannot be converted: {picture.format.name}") from error
    return cast(Image, scaled.to_ndarray())


def _upright(image: Image, picture: VideoFrame) -> Image:
    """Apply the display matrix: quarter turns and mirrorings; anything finer is ignored.

    The nine 32-bit numbers a b u c d v x y w show the stored pixel (p, q) at (a p + c q + x, b p + d q + y).
    """
    side_data = cast("Mapping[str, bytes] | None", picture.side_data) or {}
    matrix = side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.transpose(1, 0, 2)
        a, d = c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
