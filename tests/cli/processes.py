"""The program as a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def program(*words, **environment):
    """Return the command line and the environment of the program, for ``subprocess``."""
    command = [sys.executable, "-m", "assocmem", *map(str, words)]
    return command, {**os.environ, "PYTHONPATH": str(ROOT), **environment}


def read_terminal(master, size=65536):
    """Return what the process has written to a terminal, or an empty string when it has ended."""
    try:
        return os.read(master, size)
    except OSError:  # Linux raises it when the other end is closed
        return b""
