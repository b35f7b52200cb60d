"""The growth benchmark: fits, brackets and claims of numbers made by hand, and a small run with its report."""

from __future__ import annotations

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("thousands of items need compiled kernels", allow_module_level=True)

from assocmem.bench.growth.power_law import fit_power_law, format_power_law
from assocmem.bench.growth.report import billion_section, judge_claims, search_stages_section
from assocmem.bench.growth.worker import ASSOCMEM, CLOSE, GRAPH, LISTS, bracket
from tests.bench.conftest import FAISS, MATPLOTLIB, write_vectors


@given(st.floats(0.01, 100), st.floats(-1, 2), st.lists(st.integers(10, 10**7), min_size=3, max_size=8, unique=True))
def test_a_power_law_is_recovered(factor, exponent, items):
    found = fit_power_law(items, [factor * n**exponent for n in items])
    assert found.exponent == pytest.approx(exponent, abs=1e-6)
    assert found.at(10**9) == pytest.approx(factor * 1e9**exponent, rel=1e-3)
    assert found.error < 1e-5
    low, high = found.interval_at(10**9)
    assert low == pytest.approx(high, rel=1e-3)


def test_a_fit_and_its_standard_error_are_those_of_polyfit():
    items, values = [10, 100, 1_000, 10_000], [3.0, 8.0, 40.0, 90.0]
    found = fit_power_law(items, values)
    (slope, start), covariance = np.polyfit(np.log(items), np.log(values), 1, cov=True)
    assert (found.exponent, math.log(found.factor)) == pytest.approx((slope, start))
    assert found.error == pytest.approx(covariance[0, 0] ** 0.5)
    x = math.log(10**9)
    error = math.sqrt(np.array([x, 1]) @ covariance @ np.array([x, 1]))
    assert math.log(found.interval_at(10**9)[1] / found.at(10**9)) == pytest.approx(2 * error)


def test_fits_leave_out_unknown_values_and_small_sizes_and_report_their_range():
    found = fit_power_law([10, 100, 1_000, 10_000], [1, None, 4, 8], least=50)
    assert (found.low, found.high, found.points) == (1_000, 10_000, 2)
    assert not found.has_error
    assert format_power_law(found) == "n^0.30 (1,000 to 10,000)"
    assert fit_power_law([10, 100], [1, None]) is None
    assert format_power_law(None) == "too few sizes"


@given(st.floats(1e-4, 0.8), st.floats(1e-4, 0.5))
def test_brackets_close_in_on_the_setting_from_both_sides(needed, guess):
    tried = bracket(lambda value: min(1, 0.9 * (value / needed) ** 0.3), 0.9, guess, 0.9, whole=False)
    (low, below), (high, above) = tried.items()
    assert below < 0.9 <= above
    assert low < needed * (1 + 1e-9)
    assert high >= needed * (1 - 1e-9)
    assert high / low <= CLOSE


@given(st.integers(1, 500), st.integers(1, 400))
def test_brackets_of_whole_settings_end_side_by_side_or_at_an_end(needed, guess):
    tried = bracket(lambda value: 0.95 if value >= needed else 0.5, 0.9, guess, 400, whole=True)
    if needed == 1:
        assert tried == {1.0: 0.95}
    elif needed > 400:
        assert tried == {400.0: 0.5}
    else:
        (low, below), (high, above) = tried.items()
        assert (below, above) == (0.5, 0.95)
        assert low < needed <= high
        assert high - low <= max(1, low * (CLOSE - 1))


def _rows(engine=ASSOCMEM, exponent=0.5, per_item=20.0):
    return [
        {
            "engine": engine, "items": n, "us": 0.1 * n**exponent, "single_us": n**exponent, "last_us": per_item,
            "build_s": per_item * n / 1e6, "add_us": [80.0, 70.0, 500.0], "remove_us": [30.0], "knob": "effort",
            "settings": [0.01], "bytes": {"codes and pools": 70.0, "vectors": 130.0},
            "stages": {"pools": n / 40, "items": n / 100, "refined": 50.0},
        }
        for n in (10_000, 100_000, 300_000, 1_000_000)
    ]  # fmt: skip


def test_claims_are_met_missed_or_not_measured():
    rows, graph = _rows(), [{**row, "bytes": {"all": 600}} for row in _rows(GRAPH, per_item=300.0)]
    assert [claim.met for claim in judge_claims([*rows, *graph], 10**6)] == [True] * 6
    slow = _rows(exponent=0.7, per_item=40.0)
    slow = [{**row, "add_us": [120.0], "remove_us": [100.0]} for row in slow]
    assert [claim.verdict for claim in judge_claims([*slow, *graph], 10**6)] == [
        "missed",
        "missed",
        "met",
        "missed",
        "missed",
        "missed",
    ]
    small = [row for row in rows if row["items"] < 10**5]
    assert [claim.verdict for claim in judge_claims(small, 10**6)] == ["not measured"] * 6
    bent = [{**row, "us": row["us"] if row["items"] < 10**6 else 30.0} for row in rows]
    trusted, every = judge_claims(bent, 500_000)[:2]
    assert trusted.measured == "n^0.50 (100,000 to 300,000)"
    assert every.measured.endswith("(100,000 to 1,000,000)")


def test_a_billion_items_are_extrapolated_by_the_fit():
    table = billion_section(_rows(), 0.9)
    cells = {row[0]: row[1] for row in table.rows}
    assert cells["vectors, in memory or mapped from a disk"] == "130.0 GB"
    assert cells["codes, pools and ids, in memory"] == "70.0 GB"
    assert float(cells["a query at recall@10 0.9, us"].replace(",", "")) == pytest.approx(0.1 * 1e9**0.5, rel=0.01)
    assert float(cells["building, days of one core"]) == pytest.approx(20_000 / 86_400, rel=0.01)
    stages = search_stages_section(_rows())
    assert stages.rows[-1][:2] == ("grows as", "n^1.00 ± 0.00 (100,000 to 1,000,000)")


@pytest.fixture(scope="module")
def report(tmp_path_factory, run_bench):
    folder = tmp_path_factory.mktemp("growth")
    rng = np.random.default_rng(0)
    centres = rng.uniform(30, 200, (40, 16))
    x = np.rint(centres[rng.integers(0, 40, 2_500)] + rng.normal(0, 12, (2_500, 16))).clip(0, 255)
    path = write_vectors(folder / "tiny.hdf5", "euclidean", train=x)
    words = ["growth", path, "--items", 1000, "--items", 3000, "--rounds", 1, "--out", folder / "out"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assocmem.bench.growth.command.QUERIES", 50)
        patch.setattr("assocmem.bench.growth.command.CHANGES", 5)
        patch.setattr("assocmem.bench.growth.command.PEERS_TO", 3000)
        result = run_bench(*words)
    return folder / "out", result, json.loads((folder / "out" / "growth.json").read_text())


def test_every_index_grows_through_all_sizes_and_reaches_the_recall(report):
    _, _, kept = report
    engines = [ASSOCMEM, *([GRAPH, LISTS] if FAISS else [])]
    assert [(row["engine"], row["items"]) for row in kept["rows"]] == [(e, n) for e in engines for n in (1000, 3000)]
    for row in kept["rows"]:
        assert max(row["recalls"]) >= 0.9
        assert min(row["us"], row["single_us"], row["build_s"], *row["add_us"]) > 0
        assert len(row["add_us"]) == 5
        assert sum(row["bytes"].values()) > 16
    for row in kept["rows"][:2]:
        assert len(row["remove_us"]) == 5
        assert 16 <= row["bytes"]["vectors"] < 40


def test_drawn_vectors_are_compared_with_real_ones_at_equal_sizes(report):
    _, _, kept = report
    rows = kept["followed"]
    assert [row["items"] for row in rows] == [n for n in (200, 666, 2_000) for _ in range(4)]
    kinds = ["real", "drawn from 2,000", "drawn from a tenth", "drawn from a hundredth"]
    assert [row["kind"] for row in rows[:4]] == kinds
    for row in rows:
        assert row["recalls"] == sorted(row["recalls"]) or max(row["recalls"]) > 0.95


def test_the_report_begins_with_the_claims_and_no_vectors_are_left(report):
    folder, result, _ = report
    text = (folder / "growth.md").read_text()
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Wanted and measured",
        "Growth",
        "How it grows",
        "What a search looks at",
        "A billion, on paper",
        "Do the drawn vectors follow the real ones?",
    ]
    assert all(title in result.stdout for title in titles)
    assert "| search time grows, from 100,000 items on, all sizes |" in text
    expected = {"growth.md", "growth.json", *(["growth.png"] if MATPLOTLIB else [])}
    assert {path.name for path in folder.iterdir()} == expected


def test_a_full_disk_is_refused_before_anything_is_drawn(tmp_path, monkeypatch, run_bench):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    result = run_bench("growth", "--quick", "--dim", 8, "--out", tmp_path, exit_code=1)
    assert "--out: expected" in result.stderr
    assert list(tmp_path.iterdir()) == []
