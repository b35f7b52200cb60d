"""What is printed, and how: file names as they are, tables at a terminal, times and sizes."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

import assocmem
from assocmem.cli.output import clock, size
from tests.cli.processes import program, read_terminal
from tests.fakes import ColourExtractor, picture


def test_times_and_sizes():
    assert [clock(s) for s in (None, 0, 5.24, 65.97, 3723.4)] == ["", "0:00.0", "0:05.2", "1:06.0", "1:02:03.4"]
    assert [size(n) for n in (999, 1500, 2.5e9, 7e15)] == ["999 bytes", "1.5 KB", "2.5 GB", "7000.0 TB"]


def test_names_that_are_not_utf8_are_printed_unchanged(tmp_path):
    (tmp_path / "in").mkdir()
    raw = os.fsencode(tmp_path / "in") + b"/caf\xe9.png"
    picture(1).save(tmp_path / "plain.png")
    try:
        os.rename(tmp_path / "plain.png", raw)
    except OSError:
        pytest.skip("this file system allows only UTF-8 names")
    (tmp_path / "in" / "bad\udce9.jpg").write_bytes(b"\xff\xd8\xff")
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as photos:
        photos.add(tmp_path / "in")
    command, environment = program("info", "--failures", "-c", tmp_path / "photos.amem")
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b"bad\xe9.jpg\t" in done.stdout


def test_a_terminal_gets_a_table(six_pictures):
    command, environment = program("info", "-c", six_pictures / "photos.amem", COLUMNS="80", TERM="xterm")
    master, terminal = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while chunk := read_terminal(master):
            shown += chunk
    os.close(master)
    assert process.returncode == 0
    assert b"6 (6 pictures, 0 shots)" in shown
    assert b"\t" not in shown
