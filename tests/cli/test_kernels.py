"""Kernels are compiled once on a machine, with a message, and are loaded afterwards."""

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
    "from assocmem.cli.kernels import prepare_kernels; prepare_kernels()\n"
    "print(before, kernels_cached())"
)


def _run(code, *, path, **environment):
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        [sys.executable, "-B", "-c", code],
        env={**kept, "PYTHONPATH": str(path), **environment},
        cwd="/",  # not the folder of the tests, where a checkout would be imported first
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
    # An administrator may write everywhere. A file with the name of the cache's folder stops everybody.
    for folder in {module.parent for module in package.rglob("*.py")}:
        (folder / "__pycache__").touch()
    homes = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home" / ".cache")}
    first = _run(WARM_UP, path=package.parent, **homes)
    second = _run(WARM_UP, path=package.parent, **homes)
    assert (first.stdout.split(), second.stdout.split()) == (["False", "True"], ["True", "True"])
    assert list((tmp_path / "home").rglob("rotation.rotate_rows-*.nbi"))
