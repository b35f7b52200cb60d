"""Rivals of today in the recall benchmark: each in a process of its own, left out with a line if it is missing."""

from __future__ import annotations

import importlib.util
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("thousands of searches need compiled kernels", allow_module_level=True)

from assocmem.bench.inputs import unit_rows
from assocmem.bench.recall import dataset
from assocmem.bench.recall.adapter import ADAPTERS, INSTALL_COMMANDS, RIVALS, EngineSpec, IndexTask, whole_answers
from assocmem.bench.recall.metrics import distances, recall_at_k
from assocmem.bench.recall.report import BATCH, verdict_section
from assocmem.bench.recall.runner import EngineResult, OperatingPoint, RecallRun
from assocmem.bench.recall.specs import plan_engines
from assocmem.bench.recall.worker import EngineProcess

ADAPTED = ("symphonyqg", "rabitq-lists", "scann", "svs", "turbovec", "voyager")
CHANGES = {"rabitqlib", "scann", "svs:dynamic", "turbovec", "voyager"}
"""Names, or their beginnings, of those that add and remove."""
SEEDED = {"scann:64", "turbovec:4bit", "voyager:Float32"}
"""Some of those that use no random numbers of their own; rabitqlib's rotation cannot be seeded."""
K = 10


def _data(metric="angular", items=600, dim=40, queries=20):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, dim))[rng.integers(0, 30, items + queries)] + 0.6 * rng.normal(size=(items + queries, dim))
    x = unit_rows(x.astype(np.float32)) if metric == "angular" else x.astype(np.float32)
    base, asked = x[:items], x[items:]
    return dataset.Dataset("tiny", metric, base, asked, *dataset.exact_neighbors(base, asked, metric))


def _specs(metric="angular"):
    task = IndexTask(metric, 40, 600, False, 1, Path("unused"))
    return [spec for spec in plan_engines(task) if spec.adapter in ADAPTED]


def _missing(spec):
    return importlib.util.find_spec(ADAPTERS[spec.adapter].package) is None


def _ask(spec, data, folder):
    """Build in a new process; returns the answers with the last setting, single answers, sizes, changes."""
    folder.mkdir()
    np.save(folder / "base.npy", data.base)
    np.save(folder / "queries.npy", data.queries)
    task = IndexTask(data.metric, data.base.shape[1], len(data.base), False, 1, folder)
    process = EngineProcess(spec, task, folder / "base.npy", folder / "queries.npy")
    try:
        built = process.ask("fit")
        ids, _ = process.ask("answer", spec.sweeps[-1][-1], K)
        return ids, built, process.ask("time_queries", spec.sweeps[-1][-1], K, 0.001), process.ask("time_changes")
    finally:
        process.close()


@pytest.mark.parametrize("metric", ["angular", "euclidean"])
@pytest.mark.parametrize("name", [spec.name for spec in _specs()])
def test_a_rival_finds_the_nearest_and_the_same_in_every_process(tmp_path, name, metric):
    spec = {spec.name: spec for spec in _specs(metric)}.get(name)
    if spec is None:
        pytest.skip("for angular vectors only")
    if _missing(spec):
        pytest.skip("not installed")
    data = _data(metric)
    ids, built, times, changes = _ask(spec, data, tmp_path / "one")
    found = distances(data.base, data.queries, ids, metric)
    least = {"turbovec:2bit": 0.4, "voyager:Float8": 0.6}.get(name, 0.7)
    assert recall_at_k(found, ids, data.truth[:, K - 1], K).mean() > least
    assert built["memory"] > 600 * 40 / 8
    assert min(*times, built["build_s"], built["first_s"]) > 0
    can = any(name.startswith(start) for start in CHANGES)
    assert [isinstance(changes[what], list) for what in ("add", "remove")] == [can, can], changes
    if name in SEEDED:
        assert np.array_equal(_ask(spec, data, tmp_path / "two")[0], ids)


@pytest.mark.parametrize("dim", [2, 30])
def test_symphonyqg_takes_short_vectors(tmp_path, dim):
    spec = EngineSpec("symphonyqg", "symphonyqg", {"degree": 32}, (({"ef": 200},),))
    if _missing(spec):
        pytest.skip("not installed")
    data = _data("euclidean", dim=dim)
    ids = _ask(spec, data, tmp_path / "one")[0]
    found = distances(data.base, data.queries, ids, "euclidean")
    assert recall_at_k(found, ids, data.truth[:, K - 1], K).mean() > 0.9


def test_answers_are_filled_up_and_numbers_beyond_the_items_are_none():
    answers = whole_answers(np.array([[3, 2**32 - 1, 0]], np.uint32), 5, 4)
    assert answers.tolist() == [[3, -1, 0, -1, -1]]
    assert answers.dtype == np.int64
    assert whole_answers(np.array([1, 2, 3]), 2, 4).tolist() == [[1, 2]]


def test_rivals_are_told_how_to_be_installed_and_are_in_the_extra():
    assert {ADAPTERS[name].package for name in ADAPTED} <= set(RIVALS)
    assert all(INSTALL_COMMANDS[package] == 'pip install "assocmem[rivals]"' for package in RIVALS)
    root = Path(__file__).resolve().parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = " ".join(extras["rivals"])
    assert all({"svs": "scalable-vs"}.get(package, package) in names for package in RIVALS)
    assert not any(package in " ".join(extras["bench"]) for package in RIVALS)


def test_a_missing_rival_is_told_in_a_line_and_the_others_are_measured(run_bench, monkeypatch, tmp_path):
    path = dataset.write(tmp_path / "tiny.hdf5", _data())
    found = importlib.util.find_spec
    hidden = ("scann", "rabitqlib")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name in hidden else found(name, *rest))
    words = ["--engines", "scann:*", "--engines", "symphonyqg:*", "--engines", "exhaustive", "--quick"]
    result = run_bench("recall", path, *words, "--out", tmp_path)
    assert '1 engine left out: scann is not installed; `pip install "assocmem[rivals]"` brings it' in result.stderr
    assert '2 engines left out: rabitqlib is not installed; `pip install "assocmem[rivals]"`' in result.stderr
    text = (tmp_path / "recall-tiny.md").read_text()
    assert "| symphonyqg:32 | rabitqlib is not installed;" in text
    assert "| all | exhaustive | 0.95 |" in text


def _measured(name, ours, memory, points):
    """Made-up figures of an engine: pairs of recall and microseconds."""
    spec = EngineSpec(name, "clique" if ours else "hnswlib")
    built = {"build_s": 1.0, "first_s": 0.0, "memory": memory * 100, "disk": 0}
    answers = [OperatingPoint(name, {}, np.zeros((4, K), np.int64), np.full(4, recall), recall, us, [us], [2 * us])
               for recall, us in points]  # fmt: skip
    return EngineResult(spec, built, answers)


def test_the_verdict_names_the_best_of_all_and_of_faiss_with_their_bytes(tmp_path):
    run = RecallRun(_data(items=100, queries=4), tmp_path, threads=1, rounds=1, seconds=0.01, memory=1e9)
    run.results = [
        _measured("clique", True, 300, [(0.8, 20.0), (0.99, 40.0)]),
        _measured("faiss:HNSW16", False, 700, [(0.8, 30.0), (0.99, 100.0)]),
        _measured("faiss:IVF", False, 200, [(0.8, 35.0), (0.9, 200.0)]),
        _measured("symphonyqg:32", False, 1500, [(0.8, 10.0), (0.99, 50.0)]),
    ]
    rows = verdict_section(run, BATCH).rows
    assert rows[0] == ["all", "clique", "0.80", "20 (300)", "symphonyqg:32: 10 (1500)", "0.50",
                       "faiss:HNSW16: 30 (700)", "1.50", "faiss:IVF: 35 (200)", "1.75"]  # fmt: skip
    assert rows[3][2:6] == ["0.99", "40 (300)", "symphonyqg:32: 50 (1500)", "1.25"]
    assert rows[3][6:] == ["faiss:HNSW16: 100 (700)", "2.50", "faiss:IVF: not reached (up to 0.9000) (200)", ""]
