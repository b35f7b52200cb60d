"""The capacity benchmark: its experiments agree with theory, and the command leaves figures, tables and pictures."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("hundreds of thousands of recalls need compiled kernels", allow_module_level=True)

import h5py

from assocmem.bench.capacity import baseline_memory, command
from assocmem.bench.capacity.error_rates import (
    Completion,
    dense_experiment,
    noisy_experiment,
    one_step_noisy_error,
    run,
    sparse_experiment,
    summarize,
)
from assocmem.bench.capacity.messages import make_cues, random_messages
from assocmem.bench.capacity.real_features import measure_features, table_rows
from assocmem.bench.capacity.report import fastest_faiss, messages_in, ratios
from assocmem.memory.clique import CliqueMemory
from tests.bench.conftest import FAISS, MATPLOTLIB

TINY = ["--quick", "--clusters", 6, "--units", 32, "--erased", 2]
TINY += ["--networks", 2, "--cues", 40, "--messages", 60, "--messages", 120]


def _run_tiny(run_bench, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "SPARSE", (200, 400))
        patch.setattr(command, "NOISY", (2_560, 5_120))
        patch.setattr(command, "QUICK", (1, 0.02))
        return run_bench("capacity", *TINY, "--out", folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, run_bench):
    folder = tmp_path_factory.mktemp("tiny")
    return folder, _run_tiny(run_bench, folder)


def _rows(folder, name):
    with h5py.File(folder / "capacity.h5") as file:
        table = file[name][:]
        return [dict(zip(table.dtype.names, row, strict=True)) for row in table.tolist()]


def test_every_error_is_a_row_with_its_parameters_and_seed(tiny):
    rows = _rows(tiny[0], "errors")
    names = [row["experiment"].decode() for row in rows]
    assert {name: names.count(name) for name in names} == {
        "dense": 2 * 2 * 9,  # numbers of messages, networks, completions
        "noisy": 2 * 1 * 2 * 4,  # two wrong symbols of six, the middle number left out
        "sparse": 2 * 2 * 3,
    }
    for row in rows:
        assert 0 <= row["errors"] <= row["cues"] == 40
        assert math.isnan(row["theory"]) or 0 <= row["theory"] <= 1
        assert 0 < row["density"] < 1
        assert row["seed"] in (0, 1)
    assert {row["messages"] for row in rows if row["experiment"] == b"dense"} == {60, 120}


def test_the_machine_and_the_options_are_recorded(tiny):
    with h5py.File(tiny[0] / "capacity.h5") as file:
        about = dict(file.attrs)
    assert about["machine.cores"] >= 1
    assert {"machine.cpu", "machine.when", "machine.python", "version.numba"} < about.keys()
    assert (about["option.networks"], about["option.units"], about["option.faiss"]) == (2, 32, FAISS)
    assert about["option.seconds"] > 0
    assert about["option.load"] >= 0


def test_every_repetition_is_a_row(tiny):
    rows = _rows(tiny[0], "timings")
    own = [row for row in rows if row["curve"] == b"headline" and row["whose"] == b"assocmem"]
    functions = [row["what"].decode() for row in own]
    assert functions[0] == "recall"
    assert {functions.count(name) for name in functions if "two" not in name} == {5}
    assert functions.count("recall, two threads") == functions.count("recall, two threads: one, in turns") >= 5
    assert len(set(functions)) == 14
    assert min(row["per_second"] for row in rows) > 0
    curves = {(row["curve"], row["messages"]) for row in rows if row["what"] == b"recall"}
    assert {(b"fixed", 60), (b"fixed", 120), (b"planned", 60), (b"large", 234)} < curves
    if FAISS:
        assert {row["curve"] for row in rows if row["whose"].startswith(b"FAISS")} == {b"headline", b"fixed", b"large"}


def test_every_point_has_an_error_rate_and_bytes(tiny):
    for point in _rows(tiny[0], "points"):
        assert point["skipped"] or point["bytes"] > 0 or point["what"] == b"bare loops, two threads"
        assert math.isnan(point["error"]) or 0 <= point["error"] <= 1


def test_the_tables_are_printed_and_written(tiny):
    folder, result = tiny
    text = (folder / "capacity.md").read_text()
    for title in ("Speed on one core", "Time per recall", "Errors, dense", "Errors, sparse", "Errors, noisy"):
        assert f"## {title}" in text
        assert (title in result.stdout) == (not title.startswith("Errors"))
    assert "| 120 | gwsta, converged | " in text
    assert "recalls, ratio to the plain memory" in text
    assert ("IndexBinaryIVF, one list" in text) == FAISS
    assert all(line.count("|") > 2 for line in text.splitlines() if line.startswith("|"))


@pytest.mark.skipif(not MATPLOTLIB, reason="needs assocmem[bench]")
def test_the_pictures_are_drawn(tiny):
    for name in ("capacity-error.png", "capacity-time.png"):
        assert (tiny[0] / name).read_bytes().startswith(b"\x89PNG")


def test_missing_packages_are_reported_and_the_rest_is_measured(
    tmp_path, monkeypatch, no_faiss_nor_matplotlib, run_bench
):
    monkeypatch.setattr(command, "LARGE", ())
    result = _run_tiny(run_bench, tmp_path)
    assert "faiss is not installed, so the comparison with FAISS is left out" in result.stderr
    assert "matplotlib is not installed, so no pictures are drawn" in result.stderr
    assert result.stderr.count('pip install "assocmem[bench]"') == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capacity.h5", "capacity.md"]
    assert not [row for row in _rows(tmp_path, "points") if row["whose"] != b"assocmem"]


def test_a_cue_without_symbols_is_refused(run_bench):
    result = run_bench("capacity", "--erased", 8, exit_code=1)
    assert "--erased: expected fewer than the 8 clusters, found 8" in result.stderr


@pytest.mark.parametrize(
    ("experiment", "completion", "wrong"),
    [
        (dense_experiment(8, 256, 4, [15_000]), Completion(iterations=1), 0),
        (sparse_experiment([90_009]), Completion(iterations=1, guided=False), 0),
        (noisy_experiment(8, 256, [15_000]), Completion(iterations=1), 1),
    ],
    ids=["dense", "sparse", "noisy"],
)
def test_theory_is_within_three_standard_errors(experiment, completion, wrong):
    cues = 1500
    points = summarize(run(experiment, 0, cues))
    (point,) = (point for point in points if (point.completion, point.wrong) == (completion, wrong))
    between_networks = 0.003
    assert abs(point.mean - point.theory) < 3 * math.sqrt(point.theory * (1 - point.theory) / cues) + between_networks


def test_the_bar_of_a_point_is_around_its_mean_and_not_below_zero():
    def row(errors, seed):
        about = {"experiment": "dense", "wrong": 0, "messages": 9, "rule": "gwsta", "iterations": 4, "guided": True}
        return {**about, "theory": 0.1, "cues": 100, "errors": errors, "seed": seed}

    (alike,) = summarize([row(10, 0), row(10, 1)])
    (apart,) = summarize([row(0, 0), row(20, 1)])
    (never,) = summarize([row(0, 0), row(0, 1)])
    assert (alike.mean, alike.low, alike.high, alike.cues, alike.networks) == (0.1, 0.1, 0.1, 200, 2)
    assert (apart.mean, apart.low, apart.high) == (0.1, 0.0, 0.2)
    assert 0 < apart.bar[0] < alike.bar[0] < 0.1 < alike.bar[1] < apart.bar[1]
    assert (never.mean, never.bar) == (0, (0.0, 3 / 200))


def test_one_noisy_round_is_right_in_an_empty_network_and_wrong_in_a_full_one():
    assert one_step_noisy_error(0.0, 8, 256, 3) == pytest.approx(0)
    assert one_step_noisy_error(1.0, 8, 256, 3) == pytest.approx(1)


@pytest.mark.parametrize("units", [64, 40])
def test_the_baseline_memory_recalls_the_same(units):
    rng = np.random.default_rng(1)
    messages = random_messages(rng, 900, 6, units, 6)
    cues, _ = make_cues(rng, messages, 500, units, erased=3)
    bits, answer, memory = baseline_memory.empty(6, units), np.empty_like(cues), CliqueMemory(6, units)
    baseline_memory.store(bits, messages, units)
    memory.store(messages)
    baseline_memory.recall(bits, cues, units, answer)
    assert np.array_equal(answer, memory.recall(cues).messages)
    assert 0 < (answer < 0).any(axis=1).mean() < 1


@pytest.mark.parametrize("guided", [True, False])
def test_cues_have_the_given_numbers_of_erased_and_wrong_symbols(guided):
    rng = np.random.default_rng(2)
    messages = random_messages(rng, 50, 10, 7, 6)
    assert ((messages >= 0).sum(axis=1) == 6).all()
    cues, rows = make_cues(rng, messages, 300, 7, erased=2, wrong=3, guided=guided)
    truth = messages[rows]
    assert ((truth >= 0) & (cues == -1)).sum(axis=1).tolist() == [2] * 300
    assert ((cues >= 0) & (cues != truth)).sum(axis=1).tolist() == [3] * 300
    assert (cues[truth < 0] == (-2 if guided else -1)).all()


def test_ratios_are_taken_within_a_round():
    def row(what, turn, rate, whose="assocmem"):
        return {"what": what, "curve": "headline", "messages": 9, "round": turn, "per_second": rate, "whose": whose}

    rows = [row("recall", turn, rate) for turn, rate in ((0, 10), (0, 20), (0, 90), (1, 100))]
    rows += [row(name, turn, rate, "FAISS") for name, rate in (("flat", 2), ("IndexBinaryIVF", 5)) for turn in (0, 1)]
    assert ratios(rows, "recall", "flat") == [10, 50]
    assert fastest_faiss(rows, "headline", 9, inverted=False) == "flat"
    assert fastest_faiss(rows, "headline", 9, inverted=True) == "IndexBinaryIVF"
    assert fastest_faiss(rows, "headline", 8, inverted=True) == ""


def test_messages_in_a_number_of_bytes_are_extrapolated_from_two_sizes():
    points = [{"what": "flat", "units": 4, "messages": m, "bytes": 1000 + 16 * m} for m in (10, 50)]
    assert messages_in(1000 + 16 * 77, points, "flat", 4) == 77
    assert messages_in(500, points, "flat", 4) == 0
    assert messages_in(800, [{**points[0], "bytes": 160}], "flat", 4) == 50


def test_real_features_err_more_than_random_messages():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 64)).astype(np.float32)[rng.integers(0, 20, 3000)]
    alike = measure_features(centres + 0.05 * rng.normal(size=centres.shape).astype(np.float32))
    unlike = measure_features(rng.normal(size=(3000, 64)).astype(np.float32))
    assert [row["items"] for row in alike] == [row["items"] for row in unlike] == [1000, 1500]
    assert alike[-1]["density"] < unlike[-1]["density"]
    assert alike[-1]["measured_error"] + alike[-1]["alike"] > unlike[-1]["measured_error"] + unlike[-1]["alike"]
    cells = table_rows(unlike)[-1]
    assert cells[0] == "1,500"
    assert float(cells[2]) == pytest.approx(1 - (1 - 1 / 256**2) ** 1500, abs=1e-4)
