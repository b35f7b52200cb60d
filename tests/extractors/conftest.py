"""Fixtures that several tests of the extractors share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write content to a file without a suffix, again and again the same one; returns its path."""

    def write(content: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return write
