"""`assocmem bench recall --families`: expected and measured recall, FAISS at equal recall, tables, JSON, picture."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("thousands of searches need compiled kernels", allow_module_level=True)

from assocmem.bench.recall import dataset
from assocmem.bench.recall.families import make_family
from assocmem.bench.recall.family_report import family_sections
from assocmem.bench.recall.family_run import (
    FLAT,
    HNSW,
    PROMISES,
    FamilyEngine,
    FamilyPoint,
    FamilyResult,
    FamilyRun,
)
from tests.bench.conftest import FAISS, MATPLOTLIB

needs_faiss = pytest.mark.skipif(not FAISS, reason="needs assocmem[bench]")
POOLS = 5200  # items: more than are compared without pools


def _result(graph_recall=0.97, graph_us=60.0):
    """Made-up figures: ours takes 20 us at recall 0.96, and expects 0.98."""
    points = [FamilyPoint({}, 0.96, 0.98, [10.0, 20.0, 30.0], [50.0])]
    points += [FamilyPoint({"recall": p}, p, p - 0.01, [15.0], [40.0]) for p in PROMISES]
    graph = FamilyPoint({"efSearch": 64}, graph_recall, None, [graph_us], [70.0])
    built = {"build_s": 0.5, "first_s": 0.1, "memory": 8000, "disk": 9000}
    return FamilyResult("made-up", "euclidean", 100, 8, 10, FamilyEngine("clique", built, points),
                        FamilyEngine(HNSW.name, {**built, "memory": 20_000}, [graph]),
                        FamilyEngine(FLAT.name, built, [FamilyPoint({}, 1.0, None, [90.0], [90.0])]))  # fmt: skip


def test_the_ratio_is_that_of_medians_at_equal_recall_and_there_is_none_if_the_graph_never_gets_there():
    assert _result().ratio == 3
    assert _result(graph_recall=0.96).reached
    late = _result(graph_recall=0.9599)
    assert (late.reached, late.ratio) == (False, None)
    alone = _result()
    alone.hnsw = None
    assert (alone.reached, alone.ratio) == (False, None)


def test_the_tables_state_differences_ratios_and_graphs_that_never_reach_our_recall():
    late = _result(graph_recall=0.9)
    families, certificate, times = family_sections([_result(), late])
    (first, second), headers = families.rows, list(families.headers)
    assert first[headers.index("difference")] == "+0.0200"
    assert first[headers.index("ours, us")] == "20 (10 to 30)"
    assert first[headers.index("HNSW32 at our recall, us")] == "60 (efSearch 64)"
    assert first[headers.index("ratio")] == "3.00"
    assert first[headers.index("bytes per item: ours, HNSW32")] == "80, 200"
    assert second[headers.index("HNSW32 at our recall, us")] == "never reaches it (up to 0.9000: 60)"
    assert second[headers.index("ratio")] == ""
    assert certificate.rows[0][1:3] == ("0.980, 0.960", "0.490, 0.500")
    assert certificate.rows[0][-1] == "0.0200"
    assert times.rows[0][1] == "20"


def test_an_index_that_is_left_out_says_why_in_its_cell():
    result = _result()
    result.hnsw, result.flat = None, None
    result.left_out = {HNSW.name: "too small", FLAT.name: "too large"}
    row = family_sections([result])[0].rows[0]
    assert "too small" in row
    assert "too large" in row


@needs_faiss
def test_a_family_is_measured_with_pools_and_the_graph_reaches_our_recall(tmp_path):
    data = make_family("gaussian-32", POOLS, 40)
    result = FamilyRun(tmp_path, rounds=2, seconds=0.001).measure(data)
    assert [point.setting for point in result.clique.points] == [{}, *({"recall": p} for p in PROMISES)]
    recalls = [point.recall for point in result.clique.points[1:]]
    expected = [point.expected for point in result.clique.points[1:]]
    assert recalls[0] < recalls[3] <= recalls[5]
    assert expected == sorted(expected)
    assert max(abs(r - e) for r, e in zip(recalls, expected, strict=True)) < 0.15
    assert result.reached
    assert result.ratio == result.hnsw.points[0].us / result.default.us
    assert result.flat.points[0].recall == 1
    engines = (result.clique, result.hnsw, result.flat)
    assert all(len(p.batch_us) == len(p.single_us) == 2 for engine in engines for p in engine.points)
    assert all(engine.built["memory"] > 0 < engine.built["build_s"] for engine in engines)
    again = FamilyRun(tmp_path, rounds=1, seconds=0.001, faiss=False).measure(data)
    assert [(p.recall, p.expected) for p in again.clique.points] == [
        (p.recall, p.expected) for p in result.clique.points
    ]  # another process finds, and expects, the same
    assert list(tmp_path.iterdir()) == []
    assert (again.hnsw, again.flat, again.ratio) == (None, None, None)


@pytest.fixture(scope="module")
def report(tmp_path_factory, run_bench):
    folder = tmp_path_factory.mktemp("families")
    data = make_family("one-hot", 300, 20)
    path = dataset.write(folder / "mine.hdf5", data)
    words = ["--family", "places", "--family", "histograms", "--data", path, "--items", 250, "--queries", 15]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assocmem.bench.recall.command.QUICK_SECONDS", 0.001)
        return folder, run_bench("recall", "--families", *words, "--quick", "--out", folder)


def test_families_and_files_are_reported_together(report):
    folder, result = report
    text = (folder / "recall-families.md").read_text()
    for name in ("places", "histograms", "mine"):
        assert f"\n| {name} | 250 x " in text
        assert f"\n{name}\t" in result.stdout
    assert "## Certificate: expected and measured recall by promise" in text
    assert ("recall-certificate.png" in text) == MATPLOTLIB


def test_json_has_all_figures(report):
    figures = json.loads((report[0] / "recall-families.json").read_text())
    assert figures["machine"]["cpu"] is not None
    assert (figures["items"], figures["queries"], figures["rounds"]) == (250, 15, 1)
    assert [family["name"] for family in figures["families"]] == ["places", "histograms", "mine"]
    for family in figures["families"]:
        points = family["clique"]["points"]
        assert [point["setting"].get("recall") for point in points] == [None, *PROMISES]
        assert {point["recall"] for point in points} == {1}  # so few items are compared exactly
        assert {round(point["expected"], 6) for point in points} == {1}
        assert all(point["batch_us"] and point["single_us"] for point in points)
        assert (family["hnsw"] is not None) == FAISS


@pytest.mark.skipif(not MATPLOTLIB, reason="needs assocmem[bench]")
def test_the_certificate_is_drawn(report):
    assert (report[0] / "recall-certificate.png").read_bytes().startswith(b"\x89PNG")


def test_without_faiss_and_matplotlib_the_index_alone_is_measured_and_a_line_says_so(
    no_faiss_nor_matplotlib, run_bench, tmp_path
):
    words = ["--family", "gaussian-32", "--items", 100, "--queries", 10, "--quick", "--out", tmp_path]
    result = run_bench("recall", *words)
    assert "faiss is not installed, so its HNSW and Flat are left out" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recall-families.json", "recall-families.md"]
    (family,) = json.loads((tmp_path / "recall-families.json").read_text())["families"]
    assert (family["hnsw"], family["flat"]) == (None, None)


def test_what_cannot_be_measured_is_refused(run_bench, tmp_path):
    assert "or give --families" in run_bench("recall", exit_code=1).stderr
    assert "expected --families beside it" in run_bench("recall", "--data", tmp_path, exit_code=1).stderr
    wrong = run_bench("recall", "--family", "nonsense", "--out", tmp_path, exit_code=1)
    assert "--family nonsense: expected one of gaussian-32, " in wrong.stderr
    bits = np.random.default_rng(0).integers(0, 2, (60, 16)).astype(np.uint8)
    asked = bits[:12]
    truth = dataset.exact_neighbors(bits, asked, "hamming")
    path = dataset.write(tmp_path / "bits.hdf5", dataset.Dataset("bits", "hamming", bits, asked, *truth))
    words = ["--family", "places", "--items", 60, "--queries", 10, "--quick", "--data", path, "--out", tmp_path]
    assert "expected euclidean or angular vectors" in run_bench("recall", *words, exit_code=1).stderr
