"""The program as a process: what it does with pipes, terminals and shells, and what it loads."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import assocmem
from assocmem.cli.common import clock, size
from assocmem.cli.main import app
from tests.fakes import ColourExtractor, picture, pictures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def indexed(tmp_path):
    """A collection that is there; the processes need no network to ask it."""
    folder = tmp_path / "photos.amem"
    with assocmem.open(folder, extractor=ColourExtractor()) as photos:
        photos.add(pictures(tmp_path / "in", range(8)))
    return folder


def _program(*words, **environment):
    return [sys.executable, "-m", "assocmem", *map(str, words)], {**os.environ, "PYTHONPATH": str(ROOT), **environment}


def test_a_full_disk_under_the_output_is_one_line(indexed):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    command, environment = _program("info", "-c", indexed, PYTHONUNBUFFERED="1")
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_names_that_are_no_utf8_go_out_as_they_are(tmp_path):
    (tmp_path / "in").mkdir()
    raw = os.fsencode(tmp_path / "in") + b"/caf\xe9.png"
    picture(1).save(tmp_path / "plain.png")
    try:
        os.rename(tmp_path / "plain.png", raw)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (tmp_path / "in" / "bad\udce9.jpg").write_bytes(b"\xff\xd8\xff")
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as photos:
        photos.add(tmp_path / "in")
    command, environment = _program("info", "--failures", "-c", tmp_path / "photos.amem")
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b"bad\xe9.jpg\t" in done.stdout


def test_a_closed_pipe_is_no_error(indexed):
    command, environment = _program("info", "-c", indexed)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, env=environment, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.stderr == b""


def test_a_terminal_gets_a_table(indexed):
    command, environment = _program("info", "-c", indexed, COLUMNS="80", TERM="xterm")
    master, terminal = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        seen = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux says so when the other end has closed
                break
            if not chunk:
                break
            seen += chunk
    os.close(master)
    assert process.returncode == 0
    assert b"8 (8 pictures, 0 shots)" in seen
    assert b"\t" not in seen


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from assocmem.cli.main import main; sys.argv = ['assocmem', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'h5py', 'onnxruntime', 'PIL', 'av', 'cv2', 'rich', 'sqlite3'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell):
    # Without the variable it finds out by itself which shell has called it: here, whatever runs the tests.
    command, environment = _program("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"_ASSOCMEM_COMPLETE=complete_{shell}" in done.stdout
    command, environment = _program(
        _ASSOCMEM_COMPLETE="complete_bash", COMP_WORDS="assocmem ver", COMP_CWORD="1", COMP_LINE="assocmem ver"
    )
    done = subprocess.run([sys.executable, "-c", "import sys; sys.argv = ['assocmem']; "
                           "from assocmem.cli.main import main; main()"],
                          env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert "verify" in done.stdout


def test_version():
    import assocmem

    result = CliRunner().invoke(app, ["--version"])
    assert result.stdout.strip() == f"assocmem {assocmem.__version__}"


def test_times_and_sizes_read_well():
    assert [clock(s) for s in (None, 0, 5.24, 65.97, 3723.4)] == ["", "0:00.0", "0:05.2", "1:06.0", "1:02:03.4"]
    assert [size(n) for n in (999, 1500, 2.5e9, 7e15)] == ["999 bytes", "1.5 KB", "2.5 GB", "7000.0 TB"]
