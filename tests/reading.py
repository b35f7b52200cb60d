"""Reads what ``media`` makes, for the tests of videos whole and broken."""

from __future__ import annotations

from pathlib import Path

from assocmem.errors import MediaError
from assocmem.extractors.video import read_frames


def until_trouble(path: Path) -> tuple[list[float], MediaError | None]:
    """Times of all frames that come, and what is raised after them."""
    times = []
    try:
        for frame in read_frames(path):
            times.append(frame.time)  # noqa: PERF401 - the list must survive the exception
    except MediaError as error:
        return times, error
    return times, None
