"""Commands in tests: the program runs in this process, with a quick network and a collection of the test's own."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from assocmem.extractors.base import Extraction
from tests.fakes import ColourExtractor, pictures


@pytest.fixture
def quick_network(monkeypatch):
    """Every network that a command opens is the colour extractor, under the name that was asked for."""

    def opened(spec="", **_):
        extractor = ColourExtractor()
        extractor.name = spec
        return extractor

    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", opened)


class NoConcepts(ColourExtractor):
    """The colour extractor without ImageNet's concepts."""

    has_logits = False

    def extract(self, images):
        return Extraction(super().extract(images).features)


@pytest.fixture
def network_without_concepts(run, monkeypatch):
    """Every network that a command opens from now on names no concepts."""
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: NoConcepts())


@pytest.fixture
def run(tmp_path, quick_network):
    """Run a command on the collection ``tmp_path/photos.amem``; the result has stdout and stderr apart."""

    def call(*words, code=0, answers=None):
        environment = {"ASSOCMEM_COLLECTION": str(tmp_path / "photos.amem"), "COLUMNS": "100"}
        result = CliRunner().invoke(app, [str(word) for word in words], input=answers, env=environment)
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def ask(run):
    """Run a command with --json; returns what it prints, parsed."""
    return lambda *words: json.loads(run(*words, "--json").stdout)


@pytest.fixture
def indexed(run, tmp_path):
    """Eight pictures that were indexed by the command; returns their paths. A test may change them."""
    paths = pictures(tmp_path / "in", range(8))
    run("index", tmp_path / "in")
    return paths


@pytest.fixture(scope="session")
def six_pictures(tmp_path_factory):
    """Six pictures and a collection of them, which tests copy."""
    root = tmp_path_factory.mktemp("six")
    with assocmem.open(root / "photos.amem", extractor=ColourExtractor()) as photos:
        photos.add(pictures(root / "in", range(6)))
    return root


@pytest.fixture
def files(six_pictures, tmp_path):
    """Six pictures in a collection of the test's own; a test must not change the files."""
    shutil.copytree(six_pictures / "photos.amem", tmp_path / "photos.amem")
    return sorted((six_pictures / "in").iterdir())
