"""The benchmark of what was seen: what it draws, and that the command leaves tables and figures."""

from __future__ import annotations

import json
import os

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("thousands of messages need compiled kernels", allow_module_level=True)

from assocmem.bench.seen import growth as seen_growth
from assocmem.bench.seen import near_copies as seen_copies
from assocmem.cli.main import app
from assocmem.codes.hash_codes import ALPHABET
from tests.fakes import ColourExtractor, picture, pictures


def test_drawn_messages_follow_real_ones():
    rng = np.random.default_rng(0)
    real = (rng.integers(0, 40, (500, 16)) ** 2).astype(np.uint16)
    drawn = seen_growth.draw(4_000, real, rng)
    for cluster in range(16):
        assert set(drawn[:, cluster]) <= set(real[:, cluster])
    common = max((drawn[0] == message).sum() for message in real)
    assert 2 <= common <= 10
    assert seen_growth.draw(3, None, rng).max() < ALPHABET


def test_a_memory_grows_and_is_measured():
    run = seen_growth.grow(2_000, seen_growth.RANDOM, "")
    assert run["stored_missed"] == 0
    assert run["missed"] < 0.02
    assert run["false"] < 0.03
    assert len(seen_growth.tell(run)) == len(seen_growth.HEADERS)


def test_copies_are_seen_as_predicted(tmp_path):
    taken = [picture(seed).resize((96, 72)) for seed in range(40)]
    figures = seen_copies.measure(taken, ColourExtractor(), None)
    assert figures["stored"] == figures["asked"] == 20
    assert figures["false"] <= 0.1
    rows = {row["distortion"]: row for row in figures["copies"]}
    assert rows["JPEG quality 80"]["missed"] == 0
    assert rows["mirrored"]["missed"] > 0.5
    for row in rows.values():
        assert row["predicted"] == pytest.approx(row["missed"], abs=0.2)
    pictures(tmp_path, range(19))
    with pytest.raises(Exception, match="at least 20 pictures, found 19"):
        seen_copies.read_pictures(tmp_path, 100)


def test_the_command_leaves_tables_and_figures(tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda: ColourExtractor())
    pictures(tmp_path / "in", range(24))
    with h5py.File(tmp_path / "vectors.hdf5", "w") as file:
        file["train"] = np.random.default_rng(0).normal(size=(300, 108)).astype(np.float32)
    words = ["bench", "seen", str(tmp_path / "in"), "--features", str(tmp_path / "vectors.hdf5"), "--items", "1000"]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "out" / "seen.md").read_text()
    assert page.count("| 1,000 |") == 2
    assert "| mirrored |" in page
    assert "photographs stored among 312 items" in page
    kept = json.loads((tmp_path / "out" / "seen.json").read_text())
    assert [run["kind"] for run in kept["growth"]] == ["random", "like real ones"]
