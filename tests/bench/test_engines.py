"""``assocmem bench engines``: where the two engines cross, and a small run from end to end."""

from __future__ import annotations

import json

import pytest
import typer

from assocmem.bench import engines
from assocmem.index.store import snapshot


def _rows(*figures):
    return [{"items": n, "answer_ms": {"scan": [scan], "pools": [pools]}} for n, scan, pools in figures]


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ([(100, 1, 2), (300, 3, 2)], "about 200 items on"),
        ([(100, 3, 2), (200, 1, 2), (600, 5, 2)], "about 300 items on"),
        ([(100, 3, 2), (200, 4, 2)], "100 items on, or fewer"),
        ([(100, 1, 2), (200, 2, 2)], "more than 200 items on"),
    ],
)
def test_engines_cross_between_the_last_loss_and_the_first_gain(figures, expected):
    assert engines.crossing(_rows(*figures), "answer_ms") == expected


def test_sizes_are_numbers():
    assert engines.parse_sizes("300, 20") == [20, 300]
    with pytest.raises(typer.BadParameter, match="expected numbers as in"):
        engines.parse_sizes("many")


def test_a_small_run(tmp_path, run_bench):
    threshold = snapshot.POOLED_FROM
    result = run_bench("engines", "--items", 40, "--rounds", 1, "--out", tmp_path)
    assert "a process is as quick by pools from" in result.stdout
    kept = json.loads((tmp_path / "engines.json").read_text())
    assert [len(kept["rows"][0]["process_s"][engine]) for engine in engines.ENGINES] == [1, 1]
    assert threshold == snapshot.POOLED_FROM
