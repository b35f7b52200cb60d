"""The first moments of a process: kernels are compiled once per machine, and said so; nothing is lost at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import assocmem

HOME = Path(assocmem.__file__).parent
WARM_UP = (
    "from assocmem.codes.winner_codes import kernels_cached; before = kernels_cached()\n"
    "from assocmem.cli.common import prepare_kernels; prepare_kernels()\n"
    "print(before, kernels_cached())"
)


def _run(code, *, path, **environment):
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        env={**kept, "PYTHONPATH": str(path), **environment},
        cwd="/",  # not where the tests are: a checkout there would come first
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_first_process_says_that_it_prepares_and_the_second_does_not(tmp_path):
    first = _run(WARM_UP, path=HOME.parent, NUMBA_CACHE_DIR=str(tmp_path))
    second = _run(WARM_UP, path=HOME.parent, NUMBA_CACHE_DIR=str(tmp_path))
    assert (first.stdout.split(), second.stdout.split()) == (["False", "True"], ["True", "True"])
    assert "preparing the search kernels" in first.stderr
    assert second.stderr == ""


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_an_installation_that_cannot_be_written_to_caches_with_the_user(tmp_path):
    package = tmp_path / "read-only" / "assocmem"
    shutil.copytree(HOME, package, ignore=shutil.ignore_patterns("__pycache__"))
    # Permissions do not bind an administrator; a file where the cache's folder would be binds everybody.
    (package / "__pycache__").touch()
    homes = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home" / ".cache")}
    first = _run(WARM_UP, path=package.parent, **homes)
    second = _run(WARM_UP, path=package.parent, **homes)
    assert (first.stdout.split(), second.stdout.split()) == (["False", "True"], ["True", "True"])
    assert list((tmp_path / "home").rglob("rotation.rotate_rows-*.nbi"))


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["info", "-c", "/nowhere/x.amem"], 1), (["x"], 2)])
def test_the_quick_end_keeps_output_and_exit_code(words, code):
    command = [sys.executable, "-m", "assocmem", *words]
    environment = {**os.environ, "PYTHONPATH": str(HOME.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (done.stdout if code == 0 else done.stderr).strip()
