"""The recall benchmark: engines find what they have to in processes of their own, and the command leaves its report."""

from __future__ import annotations

import importlib.util
import math
import os

import numpy as np
import pytest
from typer.testing import CliRunner

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("thousands of searches need compiled kernels", allow_module_level=True)

import h5py

from assocmem.bench.recall import dataset as recall_data
from assocmem.bench.recall import report as recall_report
from assocmem.bench.recall import runner as recall_runs
from assocmem.bench.recall.engine import KINDS, Spec, Task, UnableError, tell
from assocmem.bench.recall.specs import lists, pieces, plan_engines
from assocmem.cli.main import app

FAISS, MATPLOTLIB = (importlib.util.find_spec(name) is not None for name in ("faiss", "matplotlib"))
SLOW = ("pynndescent",)  # compiles for half a minute


def _data(metric, items=400, dim=32, queries=24):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, dim))[rng.integers(0, 20, items + queries)] + 0.5 * rng.normal(size=(items + queries, dim))
    if metric == "hamming":
        x = (x > 0).astype(np.uint8)
    elif metric == "whole":
        metric, x = "euclidean", np.clip(np.rint(x * 20 + 100), 0, 255).astype(np.float32)
    else:
        x = recall_data.unit(x.astype(np.float32)) if metric == "angular" else x.astype(np.float32)
    base, asked = x[:items], x[items:]
    unseen = np.arange(queries) % 3 == 0
    return recall_data.Data("tiny", metric, base, asked, *recall_data.exact(base, asked, metric), unseen)


def _course(data, folder, rounds=1):
    return recall_runs.Course(data, folder, threads=1, rounds=rounds, seconds=0.002, memory=1e9)


def _there(spec):
    return spec.name not in SLOW and importlib.util.find_spec(KINDS[spec.kind].package) is not None


@pytest.mark.skipif(not FAISS, reason="needs assocmem[bench]")
@pytest.mark.parametrize("metric", ["angular", "whole", "hamming"])
def test_every_engine_runs_and_those_that_are_exact_find_everything(tmp_path, metric):
    course = _course(_data(metric), tmp_path)
    specs = [spec for spec in plan_engines(course.task("plan")) if _there(spec)]
    course.run(specs)
    assert course.skipped == []
    found = {engaged.spec.name: engaged for engaged in course.engaged}
    assert len(found) == len(specs)
    for name, engaged in found.items():
        best = max(point.recall.mean() for point in engaged.points)
        assert best > 0.15, name
        assert engaged.built["memory"] > 0
        assert engaged.built["disk"] >= engaged.built["memory"] * 0.9
        for point in engaged.points:
            assert len(point.batch_us) == len(point.single_us) == 1
            assert min(point.batch_us + point.single_us) > 0
            assert 0 <= point.more <= 1
    exact = "faiss:binary-flat" if metric == "hamming" else "faiss:Flat"
    assert max(point.recall.mean() for point in found["clique"].points) == 1  # at full effort
    (point,) = found[exact].points
    assert (point.recall.mean(), point.first, point.more) == (1, 1, 1)
    assert isinstance(found[exact].changes["add"], list)


@pytest.mark.skipif(not FAISS, reason="needs assocmem[bench]")
def test_bytes_are_those_counted_by_hand_and_changes_are_timed_or_refused(tmp_path):
    course = _course(_data("angular"), tmp_path)
    plan = {spec.name: spec for spec in plan_engines(course.task("plan"))}
    course.run([plan["faiss:Flat"], plan["faiss:HNSW16"], plan["exhaustive"]])
    flat, graph, ours = course.engaged
    assert 0 <= flat.built["memory"] - 400 * 32 * 4 < 200
    assert flat.built["disk"] == flat.built["memory"]
    links = 400 * (4 + 8 + 32 * 4)  # level, offset, links of the ground floor
    assert 0 <= graph.built["memory"] - 400 * 32 * 4 - links < 400 * 16 + 2000
    assert ours.built["memory"] == 400 * (64 + 8 + 2 * 32)
    assert all(isinstance(flat.changes[what], list) for what in ("add", "remove"))
    assert isinstance(graph.changes["add"], list)
    assert graph.changes["remove"] == "cannot"
    assert ours.changes == {"add": "cannot", "remove": "cannot"}


def test_an_engine_that_fails_or_dies_is_left_out_and_the_others_go_on(tmp_path):
    course = _course(_data("angular"), tmp_path)
    bad = Spec("bad", "exhaustive", {"clusters": -1}, (({"candidates": 10},),))
    good = Spec("exhaustive", "exhaustive", {}, (({"candidates": 10},), ({"candidates": 400},)))
    course.run([bad, good])
    assert [engaged.spec.name for engaged in course.engaged] == ["exhaustive"]
    ((name, reason),) = course.skipped
    assert name == "bad"
    assert "clusters" in reason
    worker = recall_runs.Worker(good, course.task("dying"), tmp_path / "base.npy", tmp_path / "queries.npy")
    worker.process.kill()
    with pytest.raises(UnableError, match="its process ended with -9"):
        worker.ask("fit")
    worker.close()


def test_when_memory_is_short_theirs_leave_before_the_next_come_and_ours_stay(tmp_path):
    course = _course(_data("angular"), tmp_path, rounds=2)
    course.memory = 1
    plan = {spec.name: spec for spec in plan_engines(course.task("plan"))}
    names = ["exhaustive", *(["faiss:Flat"] if FAISS else [])]
    course.run([plan[name] for name in names])
    assert [engaged.spec.name for engaged in course.engaged] == names
    rounds = {len(point.batch_us) for engaged in course.engaged[1:] for point in engaged.points}
    assert rounds <= {2}
    assert len(course.engaged[0].points[0].batch_us) > 2


def test_points_worth_timing_are_those_near_the_front():
    assert recall_runs.worth_timing([0.5, 0.6, 0.7], [10, 20, 30]) == [0, 1, 2]
    assert recall_runs.worth_timing([0.5, 0.6, 0.7], [10, 35, 30]) == [0, 1, 2]  # 35 may have been bad luck
    assert recall_runs.worth_timing([0.5, 0.6, 0.7], [10, 50, 30]) == [0, 2]
    assert recall_runs.worth_timing([0.5, 0.5, 0.7], [11, 10, 30]) == [1, 2]


@pytest.mark.parametrize(("items", "count"), [(16, 8), (40_000, 512), (200_000, 1024), (10**6, 2048), (10**7, 8192)])
def test_lists_grow_with_the_root_of_the_items(items, count):
    assert lists(items) == count


def test_vectors_are_cut_into_even_numbers_of_pieces():
    assert [pieces(dim, 64) for dim in (128, 100, 25, 1280)] == [64, 50, 1, 64]


def test_names_are_unique_and_every_metric_has_ours_and_theirs(tmp_path):
    for metric, dim, whole in (("angular", 1280, False), ("euclidean", 128, True), ("hamming", 256, True)):
        specs = plan_engines(Task(metric, dim, 10_000, whole, 1, tmp_path))
        names = [spec.name for spec in specs]
        assert len(set(names)) == len(names)
        assert {spec.ours for spec in specs} == {spec.ours for spec in specs if spec.quick} == {True, False}
    assert tell({"nprobe": 8, "k_factor": 4}) == "nprobe=8, k_factor=4"


def test_every_engine_has_a_colour(tmp_path):
    plots = pytest.importorskip("assocmem.bench.recall.plots", exc_type=ModuleNotFoundError)
    for metric, dim, whole in (("angular", 1280, False), ("euclidean", 128, True), ("hamming", 256, True)):
        names = [spec.name for spec in plan_engines(Task(metric, dim, 10_000, whole, 1, tmp_path))]
        assert all(plots.family(name) in plots.OURS | plots.FAMILIES for name in names)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recall")
    path = recall_data.write(folder / "tiny.hdf5", _data("angular"))
    names = [word for name in ("exhaustive", "faiss:Flat", "faiss:IVF*,Flat") for word in ("--engines", name)]
    words = ["bench", "recall", str(path), *(names if FAISS else names[:2]), "--rounds", "2", "--out", str(folder)]
    words += ["--write", str(folder / "again.hdf5")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assocmem.bench.recall.command.SECONDS", 0.002)
        result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder, result


def test_the_report_says_the_verdict_first_and_for_each_half(report):
    folder, result = report
    text = (folder / "recall-tiny.md").read_text()
    titles = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert titles[0] == "Verdict: recall@10, 1 thread, one call for all queries"
    assert [title for title in titles if title.startswith("Verdict")] == titles[:2]
    assert [title in result.stdout for title in titles[:3]] == [True] * 3
    assert text.count("| unseen pictures | exhaustive | 0.95 |") == 2
    assert "400 vectors of 32 numbers, angular, 24 queries, 2 rounds" in text


def test_every_time_and_answer_is_kept_and_recall_can_be_computed_from_them(report):
    folder, _ = report
    data = recall_data.read(folder / "tiny.hdf5")
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
            found = recall_data.distances(data.base, data.queries, ids, "angular")
            kept = file["truth/distances"][:, 9].astype(float)
            assert (found <= kept[:, None] * (1 + 1e-5) + 1e-6).mean() == pytest.approx(point["recall_10"])
        remove = dict(zip(file["engines"]["engine"], file["engines"]["remove_us"], strict=True))
        assert math.isnan(remove[b"exhaustive"])


def test_vectors_are_written_again(report):
    folder, _ = report
    with h5py.File(folder / "tiny.hdf5") as one, h5py.File(folder / "again.hdf5") as other:
        assert np.allclose(one["train"], other["train"], atol=1e-6)
        assert np.array_equal(one["neighbors"], other["neighbors"])


@pytest.mark.skipif(not MATPLOTLIB, reason="needs assocmem[bench]")
def test_pictures_are_drawn(report):
    for what in ("speed", "bytes"):
        assert (report[0] / f"recall-tiny-{what}.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_package_is_said_and_the_others_are_measured(report, monkeypatch, tmp_path):
    found = importlib.util.find_spec
    hidden = ("faiss", "matplotlib")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name in hidden else found(name, *rest))
    words = ["--engines", "faiss:Flat", "--engines", "exhaustive", "--quick", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, ["bench", "recall", str(report[0] / "tiny.hdf5"), *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
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
def test_wrong_options_are_refused(report, words, message):
    result = CliRunner().invoke(app, ["bench", "recall", str(report[0] / "tiny.hdf5"), *words])
    assert result.exit_code == 1
    assert message in result.stderr


def test_engines_can_be_listed(report):
    result = CliRunner().invoke(app, ["bench", "recall", str(report[0] / "tiny.hdf5"), "--list", "--quick"])
    assert result.stdout.splitlines()[:4] == ["clique", "clique-mapped", "exhaustive", "faiss:Flat"]


def test_groups_are_told_apart_only_where_both_have_queries():
    data = _data("angular")
    assert list(recall_report.groups(data)) == ["all", "seen pictures", "unseen pictures"]
    data = recall_data.Data("a", "angular", data.base, data.queries, data.truth, data.neighbors)
    assert list(recall_report.groups(data)) == ["all"]
