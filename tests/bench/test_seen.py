"""The benchmark of seen pictures: the messages that it draws, and a small run with its tables and figures."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("thousands of messages need compiled kernels", allow_module_level=True)

from assocmem.bench.inputs import read_photographs
from assocmem.bench.seen import growth, near_copies, which
from assocmem.codes.hash_codes import ALPHABET
from assocmem.errors import InputError
from tests.bench.conftest import write_vectors
from tests.fakes import ColourExtractor, picture, pictures


def test_drawn_messages_follow_real_ones():
    rng = np.random.default_rng(0)
    real = (rng.integers(0, 40, (500, 16)) ** 2).astype(np.uint16)
    drawn = growth.draw_messages(4_000, real, rng)
    for cluster in range(16):
        assert set(drawn[:, cluster]) <= set(real[:, cluster])
    common = max((drawn[0] == message).sum() for message in real)
    assert 2 <= common <= 10
    assert growth.draw_messages(3, None, rng).max() < ALPHABET


def test_a_memory_is_built_and_measured():
    run = growth.grow(2_000, growth.RANDOM, "")
    assert run["stored_missed"] == 0
    assert run["missed"] < 0.02
    assert run["false"] < 0.03
    assert len(growth.table_row(run)) == len(growth.HEADERS)


@pytest.mark.parametrize("way", which.ways(1))
def test_ways_to_name_are_measured(way):
    run = which.measure(3_000, growth.RANDOM, "", way)
    assert run["named"][16] == 1
    if way == which.TABLE:
        assert run["named"][10] == 0
    else:
        assert run["named"][10] > 0.8
    for kept, predicted in run["predicted"].items():
        assert run["named"][kept] == pytest.approx(predicted, abs=0.02)
    assert run["bytes_each"] > 100
    assert len(which.section([run]).rows[0]) == len(which.HEADERS)


def test_messages_as_bits_are_twelve_per_symbol():
    messages = np.array([[0, 4095, 5] + 13 * [0]], np.uint16)
    bits = np.unpackbits(which.as_bits(messages), axis=1, bitorder="little")
    assert bits.shape == (1, 192)
    assert (bits[0, 12:24] == 1).all()
    assert bits[0, 24:28].tolist() == [1, 0, 1, 0]
    assert bits.sum() == 14


def test_copies_are_missed_as_often_as_predicted():
    taken = [picture(seed).resize((96, 72)) for seed in range(40)]
    figures = near_copies.measure(taken, ColourExtractor(), None)
    assert figures["stored"] == figures["asked"] == 20
    assert figures["false"] <= 0.1
    rows = {row["distortion"]: row for row in figures["copies"]}
    assert rows["JPEG quality 80"]["missed"] == 0
    assert rows["mirrored"]["missed"] > 0.5
    for row in rows.values():
        assert row["predicted"] == pytest.approx(row["missed"], abs=0.2)


def test_too_few_photographs_are_refused(tmp_path):
    pictures(tmp_path, range(19))
    with pytest.raises(InputError, match="at least 20 pictures, found 19"):
        read_photographs(tmp_path, 100)


def test_the_command_leaves_tables_and_figures(tmp_path, colour_extractor, run_bench):
    pictures(tmp_path / "in", range(24))
    x = np.random.default_rng(0).normal(size=(300, 108)).astype(np.float32)
    path = write_vectors(tmp_path / "vectors.hdf5", train=x)
    run_bench("seen", tmp_path / "in", "--features", path, "--items", 1000, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "seen.md").read_text()
    assert page.count("| 1,000 |") == 2 + 2 * len(which.ways(1000))
    assert "| mirrored |" in page
    assert "photographs stored among 312 items" in page
    figures = json.loads((tmp_path / "out" / "seen.json").read_text())
    assert [run["kind"] for run in figures["growth"]] == ["random", "like real ones"]
