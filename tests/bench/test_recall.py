"""The recall benchmark: engines return what they must in processes of their own, and the command leaves its report."""

from __future__ import annotations

import importlib.util
import math
import os

import numpy as np
import pytest

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("thousands of searches need compiled kernels", allow_module_level=True)

import h5py

from assocmem.bench.inputs import unit_rows
from assocmem.bench.recall import dataset
from assocmem.bench.recall.adapter import ADAPTERS, EngineSpec, IndexTask, UnsupportedError, format_setting
from assocmem.bench.recall.metrics import distances
from assocmem.bench.recall.report import query_groups
from assocmem.bench.recall.runner import RecallRun, worth_timing
from assocmem.bench.recall.specs import list_count, piece_count, plan_engines
from assocmem.bench.recall.worker import EngineProcess
from tests.bench.conftest import FAISS, MATPLOTLIB

SLOW = ("pynndescent",)  # compiles for half a minute
needs_faiss = pytest.mark.skipif(not FAISS, reason="needs assocmem[bench]")


def _data(metric, items=400, dim=32, queries=24):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, dim))[rng.integers(0, 20, items + queries)] + 0.5 * rng.normal(size=(items + queries, dim))
    if metric == "hamming":
        x = (x > 0).astype(np.uint8)
    elif metric == "uint8":
        metric, x = "euclidean", np.clip(np.rint(x * 20 + 100), 0, 255).astype(np.float32)
    else:
        x = unit_rows(x.astype(np.float32)) if metric == "angular" else x.astype(np.float32)
    base, asked = x[:items], x[items:]
    unseen = np.arange(queries) % 3 == 0
    return dataset.Dataset("tiny", metric, base, asked, *dataset.exact_neighbors(base, asked, metric), unseen)


def _run(data, folder, rounds=1):
    return RecallRun(data, folder, threads=1, rounds=rounds, seconds=0.002, memory=1e9)


def _is_testable(spec):
    return spec.name not in SLOW and importlib.util.find_spec(ADAPTERS[spec.adapter].package) is not None


@needs_faiss
@pytest.mark.parametrize("metric", ["angular", "uint8", "hamming"])
def test_every_engine_runs_and_exact_engines_find_everything(tmp_path, metric):
    run = _run(_data(metric), tmp_path)
    specs = [spec for spec in plan_engines(run.task("plan")) if _is_testable(spec)]
    run.run(specs)
    assert run.skipped == []
    results = {result.spec.name: result for result in run.results}
    assert len(results) == len(specs)
    for name, result in results.items():
        best = max(point.recall.mean() for point in result.points)
        assert best > 0.15, name
        assert result.built["memory"] > 0
        assert result.built["disk"] >= result.built["memory"] * 0.9
        for point in result.points:
            assert len(point.batch_us) == len(point.single_us) == 1
            assert min(point.batch_us + point.single_us) > 0
            assert 0 <= point.recall_100 <= 1
    exact = "faiss:binary-flat" if metric == "hamming" else "faiss:Flat"
    assert max(point.recall.mean() for point in results["clique"].points) == 1  # small indexes are exact
    (point,) = results[exact].points
    assert (point.recall.mean(), point.recall_1, point.recall_100) == (1, 1, 1)
    assert isinstance(results[exact].changes["add"], list)


@needs_faiss
def test_bytes_are_those_counted_by_hand_and_changes_are_timed_or_refused(tmp_path):
    run = _run(_data("angular"), tmp_path)
    plan = {spec.name: spec for spec in plan_engines(run.task("plan"))}
    run.run([plan["faiss:Flat"], plan["faiss:HNSW16"], plan["exhaustive"]])
    flat, graph, exhaustive = run.results
    assert 0 <= flat.built["memory"] - 400 * 32 * 4 < 200
    assert flat.built["disk"] == flat.built["memory"]
    links = 400 * (4 + 8 + 32 * 4)  # level, offset, links of the lowest layer
    assert 0 <= graph.built["memory"] - 400 * 32 * 4 - links < 400 * 16 + 2000
    assert exhaustive.built["memory"] == 400 * (64 + 8 + 2 * 32)
    assert all(isinstance(flat.changes[what], list) for what in ("add", "remove"))
    assert isinstance(graph.changes["add"], list)
    assert graph.changes["remove"] == "cannot"
    assert exhaustive.changes == {"add": "cannot", "remove": "cannot"}


def test_an_engine_that_fails_or_ends_is_left_out_and_the_others_go_on(tmp_path):
    run = _run(_data("angular"), tmp_path)
    bad = EngineSpec("bad", "exhaustive", {"clusters": -1}, (({"candidates": 10},),))
    good = EngineSpec("exhaustive", "exhaustive", {}, (({"candidates": 10},), ({"candidates": 400},)))
    run.run([bad, good])
    assert [result.spec.name for result in run.results] == ["exhaustive"]
    ((name, reason),) = run.skipped
    assert name == "bad"
    assert "clusters" in reason
    process = EngineProcess(good, run.task("killed"), tmp_path / "base.npy", tmp_path / "queries.npy")
    process.worker.process.kill()
    with pytest.raises(UnsupportedError, match="its process ended with -9"):
        process.ask("fit")
    process.close()


def test_when_memory_is_short_rivals_end_before_the_next_are_built_and_our_engines_stay(tmp_path):
    run = _run(_data("angular"), tmp_path, rounds=2)
    run.memory = 1
    plan = {spec.name: spec for spec in plan_engines(run.task("plan"))}
    names = ["exhaustive", *(["faiss:Flat"] if FAISS else [])]
    run.run([plan[name] for name in names])
    assert [result.spec.name for result in run.results] == names
    rounds = {len(point.batch_us) for result in run.results[1:] for point in result.points}
    assert rounds <= {2}
    assert len(run.results[0].points[0].batch_us) > 2


def test_points_worth_timing_are_those_near_the_front():
    assert worth_timing([0.5, 0.6, 0.7], [10, 20, 30]) == [0, 1, 2]
    assert worth_timing([0.5, 0.6, 0.7], [10, 35, 30]) == [0, 1, 2]  # 35 may be an outlier
    assert worth_timing([0.5, 0.6, 0.7], [10, 50, 30]) == [0, 2]
    assert worth_timing([0.5, 0.5, 0.7], [11, 10, 30]) == [1, 2]


@pytest.mark.parametrize(("items", "count"), [(16, 8), (40_000, 512), (200_000, 1024), (10**6, 2048), (10**7, 8192)])
def test_lists_grow_with_the_root_of_the_items(items, count):
    assert list_count(items) == count


def test_vectors_are_cut_into_even_numbers_of_pieces():
    assert [piece_count(dim, 64) for dim in (128, 100, 25, 1280)] == [64, 50, 1, 64]


METRICS = (("angular", 1280, False), ("euclidean", 128, True), ("hamming", 256, True))


@pytest.mark.parametrize(("metric", "dim", "fits_uint8"), METRICS)
def test_names_are_unique_and_every_metric_has_our_engines_and_rivals(tmp_path, metric, dim, fits_uint8):
    specs = plan_engines(IndexTask(metric, dim, 10_000, fits_uint8, 1, tmp_path))
    names = [spec.name for spec in specs]
    assert len(set(names)) == len(names)
    assert {spec.is_assocmem for spec in specs} == {spec.is_assocmem for spec in specs if spec.quick} == {True, False}


def test_settings_are_formatted_by_name():
    assert format_setting({"nprobe": 8, "k_factor": 4}) == "nprobe=8, k_factor=4"


@pytest.mark.parametrize(("metric", "dim", "fits_uint8"), METRICS)
def test_every_engine_has_a_colour(tmp_path, metric, dim, fits_uint8):
    plots = pytest.importorskip("assocmem.bench.recall.plots", exc_type=ModuleNotFoundError)
    specs = plan_engines(IndexTask(metric, dim, 10_000, fits_uint8, 1, tmp_path))
    assert all(plots.family(spec.name) in plots.ASSOCMEM | plots.FAMILIES for spec in specs)


@pytest.fixture(scope="module")
def report(tmp_path_factory, run_bench):
    folder = tmp_path_factory.mktemp("recall")
    path = dataset.write(folder / "tiny.hdf5", _data("angular"))
    names = [word for name in ("exhaustive", "faiss:Flat", "faiss:IVF*,Flat") for word in ("--engines", name)]
    words = ["recall", path, *(names if FAISS else names[:2]), "--rounds", 2, "--out", folder]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assocmem.bench.recall.command.SECONDS", 0.002)
        return folder, run_bench(*words, "--write", folder / "again.hdf5")


def test_the_report_begins_with_the_verdict_for_each_group_of_queries(report):
    folder, result = report
    text = (folder / "recall-tiny.md").read_text()
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles[0] == "Verdict: recall@10, 1 thread, one call for all queries"
    assert [title for title in titles if title.startswith("Verdict")] == titles[:2]
    assert [title in result.stdout for title in titles[:3]] == [True] * 3
    assert text.count("| unseen pictures | exhaustive | 0.95 |") == 2
    assert "400 vectors of 32 numbers, angular, 24 queries, 2 rounds" in text


def test_every_time_and_answer_is_recorded_and_recall_can_be_computed_from_them(report):
    folder, _ = report
    data = dataset.read(folder / "tiny.hdf5")
    with h5py.File(folder / "recall-tiny.h5") as file:
        points, timings = file["points"][:], file["timings"][:]
        assert len(timings) == 2 * len(points) == 2 * len(file["answers"])
        assert (timings["batch_us"] > 0).all()
        assert file.attrs["option.threads"] == 1
        assert {"machine.cpu", "version.numpy"} < dict(file.attrs).keys()
        for number, point in enumerate(points):
            answer = file[f"answers/{number}"]
            assert (answer.attrs["engine"], answer.attrs["setting"]) == (
                point["engine"].decode(),
                point["setting"].decode(),
            )
            ids = answer[:].astype(np.int64)
            found = distances(data.base, data.queries, ids, "angular")
            tenth = file["truth/distances"][:, 9].astype(float)
            assert (found <= tenth[:, None] * (1 + 1e-5) + 1e-6).mean() == pytest.approx(point["recall_10"])
        remove = dict(zip(file["engines"]["engine"], file["engines"]["remove_us"], strict=True))
        assert math.isnan(remove[b"exhaustive"])


def test_vectors_are_written_in_the_same_layout(report):
    folder, _ = report
    with h5py.File(folder / "tiny.hdf5") as one, h5py.File(folder / "again.hdf5") as other:
        assert np.allclose(one["train"], other["train"], atol=1e-6)
        assert np.array_equal(one["neighbors"], other["neighbors"])


@pytest.mark.skipif(not MATPLOTLIB, reason="needs assocmem[bench]")
def test_pictures_are_drawn(report):
    for what in ("speed", "bytes"):
        assert (report[0] / f"recall-tiny-{what}.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_package_is_reported_and_the_others_are_measured(
    report, no_faiss_nor_matplotlib, run_bench, tmp_path
):
    words = ["--engines", "faiss:Flat", "--engines", "exhaustive", "--quick", "--out", tmp_path]
    result = run_bench("recall", report[0] / "tiny.hdf5", *words)
    reason = 'faiss is not installed; `pip install "assocmem[bench]"` brings it'
    assert f"1 engine left out: {reason}" in result.stderr
    assert f"| faiss:Flat | {reason} |" in (tmp_path / "recall-tiny.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recall-tiny.h5", "recall-tiny.md"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engines", "nonsense"], "expected a name or pattern of these: clique, "),
        (["--threads", "4000"], "--threads: expected at most"),
    ],
)
def test_wrong_options_are_refused(report, run_bench, words, message):
    assert message in run_bench("recall", report[0] / "tiny.hdf5", *words, exit_code=1).stderr


def test_engines_can_be_listed(report, run_bench):
    result = run_bench("recall", report[0] / "tiny.hdf5", "--list", "--quick")
    assert result.stdout.splitlines()[:4] == ["clique", "clique-mapped", "exhaustive", "faiss:Flat"]


def test_groups_of_queries_are_separate_only_if_both_have_some():
    data = _data("angular")
    assert list(query_groups(data)) == ["all", "seen pictures", "unseen pictures"]
    data = dataset.Dataset("a", "angular", data.base, data.queries, data.truth, data.neighbors)
    assert list(query_groups(data)) == ["all"]
