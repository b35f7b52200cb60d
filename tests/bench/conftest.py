"""Helpers of the benchmarks' tests: run a command, hide packages, replace the network by a quick extractor."""

from __future__ import annotations

import importlib.util

import h5py
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from assocmem.bench.concepts.dataset import LabelledData
from assocmem.cli.main import app
from tests.fakes import ColourExtractor
from tests.media import photo

FAISS, MATPLOTLIB = (importlib.util.find_spec(name) is not None for name in ("faiss", "matplotlib"))


@pytest.fixture(scope="session")
def run_bench():
    """Return a function that runs ``assocmem bench`` with some words, checks the exit code and returns the result."""

    def run(*words, exit_code=0):
        result = CliRunner().invoke(app, ["bench", *map(str, words)], catch_exceptions=False)
        assert result.exit_code == exit_code, result.output
        return result

    return run


@pytest.fixture
def no_faiss_nor_matplotlib(monkeypatch):
    """Let both packages seem to be missing."""
    found = importlib.util.find_spec
    hidden = ("faiss", "matplotlib")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name in hidden else found(name, *rest))


@pytest.fixture
def colour_extractor(monkeypatch):
    """Replace the default extractor by one that needs no weights."""
    extractor = ColourExtractor()
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: extractor)
    return extractor


def write_vectors(path, distance="angular", **arrays):
    """Write a file in ann-benchmarks' layout; returns its path."""
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = distance
        for name, values in arrays.items():
            file[name] = values
    return path


def write_photographs(folder, seeds):
    """Write a small JPEG per seed."""
    folder.mkdir(parents=True)
    for seed in seeds:
        Image.fromarray(photo(seed, 60, 80)).save(folder / f"{seed}.jpg")


def blobs(classes=4, each=12, dim=6, seed=0):
    """Return labelled data of Gaussian clusters."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    x = (2 * rng.standard_normal((classes, dim))[y] + rng.standard_normal((len(y), dim))).astype(np.float32)
    return LabelledData("blobs", "blobs", x, y, tuple(f"class {c}" for c in range(classes)), "l2")
