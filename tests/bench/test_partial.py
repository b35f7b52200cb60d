"""The benchmark of partial queries: it ranks the strategies, and leaves tables, a picture and figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from assocmem.bench.partial import covered_pictures
from tests.bench.conftest import MATPLOTLIB, write_vectors
from tests.fakes import ColourExtractor, picture, pictures


def _correlated(n, seed=0, dim=24, rank=5):
    """Return features whose numbers depend on each other, with a mean and some noise."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(rank, dim))
    return (rng.normal(size=(n, rank)) @ mixing + 0.5 + 0.1 * rng.normal(size=(n, dim))).astype(np.float32)


@pytest.fixture
def run_partial(tmp_path, run_bench):
    """Return a function that runs the command on a small file, and returns its figures and the folder."""

    def run(distance, *words):
        path = tmp_path / "vectors.hdf5"
        write_vectors(path, distance, train=_correlated(1_000), test=_correlated(40, seed=1))
        shares = ("--share", 0.3, "--share", 0.6)
        run_bench("partial", path, "--queries", 30, *shares, *words, "--out", tmp_path / "out")
        return json.loads((tmp_path / "out" / "partial-vectors.json").read_text()), tmp_path / "out"

    return run


@pytest.mark.parametrize("distance", ["angular", "euclidean"])
def test_estimates_are_better_than_zeros_and_everything_is_recorded(run_partial, distance):
    figures, out = run_partial(distance)
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
    assert (out / "partial-vectors.png").exists() == MATPLOTLIB
    assert "## Recall@10, numbers missing in one piece" in (out / "partial-vectors.md").read_text()


def test_a_grey_mask_finds_more_originals_than_the_covering_picture():
    photographs = [np.asarray(picture(seed)) for seed in range(30)]
    rows = covered_pictures.measure(photographs, ColourExtractor(), None)
    assert [row["area"] for row in rows] == list(covered_pictures.AREAS)
    for row in rows:
        assert set(row["recall"]) == set(covered_pictures.STRATEGIES)
        assert row["recall"]["grey"] >= row["recall"]["left in"]
    assert rows[-1]["recall"]["grey"] > rows[-1]["recall"]["left in"] + 0.2


def test_pictures_get_a_table_of_their_own(tmp_path, colour_extractor, run_partial):
    pictures(tmp_path / "in", range(24))
    figures, out = run_partial("angular", "--pictures", tmp_path / "in")
    assert figures["masks"][0]["items"] == 24
    assert "part of the picture covered" in (out / "partial-vectors.md").read_text()


def test_other_files_are_refused(tmp_path, run_bench):
    (tmp_path / "no.hdf5").write_bytes(b"nothing")
    assert "expected HDF5 with vectors" in run_bench("partial", tmp_path / "no.hdf5", exit_code=1).stderr
