"""Python scripts that run in a process of their own, with this checkout's packages and tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that contains ``tests``."""


def python(script, *arguments):
    """Return the command line and the environment of a script, for ``subprocess``; its warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
    return command, {**os.environ, "PYTHONPATH": str(ROOT)}


def run_python(script, *arguments, **options):
    """Run a script to its end; returns a ``CompletedProcess`` with text."""
    command, environment = python(script, *arguments)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)


def start_python(script, *arguments):
    """Start a script with pipes to its standard input and output, as text."""
    command, environment = python(script, *arguments)
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
