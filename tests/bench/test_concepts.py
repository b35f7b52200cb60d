"""The concepts benchmark: small runs from end to end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from assocmem.bench.concepts import experiments
from tests.bench.conftest import write_photographs


def test_checkpoints_go_up_to_the_most():
    found = experiments.checkpoints(300)
    assert found[:10] == list(range(1, 11))
    assert found[-1] == 300
    assert found == sorted(set(found))
    assert experiments.checkpoints(1) == [1]


def test_a_quick_run_writes_its_figures(tmp_path, run_bench):
    pytest.importorskip("sklearn")
    run_bench("concepts", "--quick", "--out", tmp_path)
    figures = json.loads((tmp_path / "concepts.json").read_text())["sets"]["digits"]
    assert {row["seed"] for row in figures["classes"]} == {0, 1}
    last = [row for row in figures["classes"] if row["classes"] == 10]
    assert {row["method"] for row in last} >= {"assocmem", "nearest class mean", "streaming LDA"}
    assert all(row["accuracy"] > 0.8 for row in last)
    assert all(row["same"] for row in figures["orders"])
    text = (tmp_path / "concepts.md").read_text()
    assert "Verdict" in text
    assert "bit for bit in 2 of 2" in text


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_a_folder_of_pictures_is_learned(tmp_path, colour_extractor, monkeypatch, run_bench, names):
    quick = replace(experiments.QUICK, seeds=1, shots=(1,), code_bytes=(2, 8), labels=6, widths=(50,))
    monkeypatch.setattr(experiments, "QUICK", quick)
    for number, name in enumerate(names):
        write_photographs(tmp_path / "in" / name, range(8 * number, 8 * number + 8))
    run_bench("concepts", tmp_path / "in", "--only", "none", "--quick", "--out", tmp_path / "out")
    assert set(json.loads((tmp_path / "out" / "concepts.json").read_text())["sets"]) == {"in"}


def test_unknown_sets_are_refused(tmp_path, run_bench):
    result = run_bench("concepts", "--only", "cats", "--out", tmp_path, exit_code=1)
    assert "expected digits, letters, stamps or none, found cats" in result.output
