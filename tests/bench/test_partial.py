"""The benchmark of partial cues: it tells better ways from worse, and leaves tables, a picture and figures."""

from __future__ import annotations

import importlib.util
import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from assocmem.bench.partial import covered_pictures as partial_masks
from assocmem.cli.main import app
from tests.codes.test_missing_values import low_rank
from tests.fakes import ColourExtractor, picture, pictures


def bench(tmp_path, distance, *more):
    path = tmp_path / "vectors.hdf5"
    with h5py.File(path, "w") as file:
        file["train"], file["test"] = low_rank(1_000), low_rank(40, seed=1)
        file.attrs["distance"] = distance
    words = ["bench", "partial", str(path), "--queries", "30", "--share", "0.3", "--share", "0.6", *more]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads((tmp_path / "out" / "partial-vectors.json").read_text()), tmp_path / "out"


@pytest.mark.parametrize("distance", ["angular", "euclidean"])
def test_estimates_beat_zeros_and_all_is_kept(tmp_path, distance):
    figures, out = bench(tmp_path, distance)
    assert [(row["pattern"], row["share"]) for row in figures["rows"]] == [
        ("at random", 0.3),
        ("at random", 0.6),
        ("in one piece", 0.3),
        ("in one piece", 0.6),
    ]
    for row in figures["rows"]:
        recall = row["recall"]
        assert recall["both"] > recall["zeros"] + 0.1
        assert recall["both"] >= recall["known alone"] - 0.02
        assert ("search" in recall) == (distance == "angular")
    assert (out / "partial-vectors.png").exists() == (importlib.util.find_spec("matplotlib") is not None)
    assert "## Recall@10, numbers missing in one piece" in (out / "partial-vectors.md").read_text()


def test_grey_finds_more_originals_than_what_covers_them():
    photographs = [np.asarray(picture(seed)) for seed in range(30)]
    rows = partial_masks.measure(photographs, ColourExtractor(), None)
    assert [row["area"] for row in rows] == list(partial_masks.AREAS)
    for row in rows:
        assert set(row["recall"]) == set(partial_masks.WAYS)
        assert row["recall"]["grey"] >= row["recall"]["left in"]
    assert rows[-1]["recall"]["grey"] > rows[-1]["recall"]["left in"] + 0.2


def test_pictures_get_a_table_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda: ColourExtractor())
    pictures(tmp_path / "in", range(24))
    figures, out = bench(tmp_path, "angular", "--pictures", str(tmp_path / "in"))
    assert figures["masks"][0]["items"] == 24
    assert "part of the picture covered" in (out / "partial-vectors.md").read_text()


def test_another_file_is_refused(tmp_path):
    (tmp_path / "no.hdf5").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["bench", "partial", str(tmp_path / "no.hdf5")])
    assert result.exit_code == 1
    assert "expected HDF5 with vectors" in result.stderr
