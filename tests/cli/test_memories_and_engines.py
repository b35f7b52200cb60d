"""What ``info`` shows of memories and engines, and which engine ``search`` uses."""

from __future__ import annotations

import dataclasses
import json

import h5py
import pytest
from typer.testing import CliRunner

from assocmem.cli.main import app
from assocmem.index.derived.files import CLIQUES
from assocmem.search.exhaustive import ExhaustiveEngine
from tests.fakes import ColourExtractor, open_photos, pictures


@pytest.fixture(autouse=True)
def _refreshed_at_once(monkeypatch):
    # Some tests are about the files of derived memories, which a few pictures would not replace.
    monkeypatch.setattr("assocmem.index.derived.refresh.REFRESH_AT", 1)
    monkeypatch.setattr("assocmem.index.derived.refresh.REBUILT_UP_TO", -1)


@pytest.fixture
def twelve(tmp_path):
    with open_photos(tmp_path / "photos.amem") as photos:
        photos.add(pictures(tmp_path / "in", range(12)))
        yield photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """150 pictures."""
    return pictures(tmp_path_factory.mktemp("in"), range(150))[0].parent


@pytest.fixture
def pooled(tmp_path, folder, monkeypatch):
    """A collection of 150 pictures that is searched by pools."""
    monkeypatch.setattr("assocmem.index.store.snapshot.POOLED_FROM", 100)
    with open_photos(tmp_path / "pooled.amem") as photos:
        photos.add([folder])
        yield photos


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def rows_of(photos):
    return dict(line.split("\t") for line in run("info", "-c", photos.folder).stdout.splitlines())


def json_of(photos):
    return json.loads(run("info", "-c", photos.folder, "--json").stdout)


def test_info_shows_the_clique_memory(twelve):
    assert json_of(twelve)["memory"] == dataclasses.asdict(twelve.info().memory)
    rows = rows_of(twelve)
    assert rows["clique memory"].startswith("16 clusters of 256 units, 2.1 MB, density ")
    assert "of 12 items" in rows["recall fails"]
    assert rows["room for"].startswith("at most ")


def test_info_warns_when_recall_is_no_longer_reliable(twelve):
    with h5py.File(twelve.folder / CLIQUES, "r+") as file:
        file.attrs["predicted_error"] = 0.02
    result = run("info", "-c", twelve.folder)
    assert result.exit_code == 0
    assert "more than 1% of such cues fail" in result.stderr
    with h5py.File(twelve.folder / CLIQUES, "r+") as file:
        file.attrs["predicted_error"] = 0.002
        file.attrs["measured_error"] = 0.0
    assert "fail" not in run("info", "-c", twelve.folder).stderr


def test_info_shows_the_familiarity_memory(twelve):
    rows = rows_of(twelve)
    assert rows["seen"].startswith("64 units per cluster, 61.4 KB, density ")
    assert "held out" in rows["false alarms"]
    assert rows["near copies missed"].startswith("of those that keep half of the symbols: predicted ")
    assert json_of(twelve)["seen"]["items"] == 12


def test_info_shows_the_pools(pooled):
    engine = json_of(pooled)["engine"]
    assert engine == dataclasses.asdict(pooled.info().engine)
    assert (engine["name"], engine["waiting"]) == ("pools", 0)
    assert engine["bytes"] > 64 * 150
    expected = f"in the nearest of {engine['pools']} pools, {engine['bytes'] / 1000:.1f} KB"
    assert rows_of(pooled)["searched"].endswith(expected)


def test_info_shows_that_few_items_are_scanned(pooled, folder):
    pooled.remove(sorted(folder.iterdir())[50:])
    assert rows_of(pooled)["searched"] == "all codes, 3.2 KB"


@pytest.mark.parametrize(
    ("words", "once", "expected"),
    [([], 500, 1), ([], 100, None), (["--effort", "0.2"], 500, 0.2), (["--exact"], 100, 1)],
)
def test_search_scans_all_codes_of_all_but_large_collections(pooled, folder, monkeypatch, words, once, expected):
    asked = []
    search = ExhaustiveEngine.search
    monkeypatch.setattr(
        ExhaustiveEngine,
        "search",
        lambda self, q, k, effort=None: asked.append(effort) or search(self, q, k, effort=effort),
    )
    monkeypatch.setattr("assocmem.index.query.searcher.ONCE_FROM", once)
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: ColourExtractor())
    result = run("search", folder / "0007.png", "-c", pooled.folder, *words, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["hits"][0]["path"] == str(folder / "0007.png")
    assert asked[-1] == expected
