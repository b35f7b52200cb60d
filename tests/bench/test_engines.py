"""``assocmem bench engines``: where the two engines cross, and a whole run over a handful of items."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from assocmem.bench import engines
from assocmem.cli.main import app
from assocmem.index.store import snapshot


def rows(*figures):
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
    assert engines._crossing(rows(*figures), "answer_ms") == expected


def test_sizes_are_numbers():
    assert engines._sizes("300, 20") == [20, 300]
    with pytest.raises(typer.BadParameter, match="expected numbers as in"):
        engines._sizes("many")


def test_a_small_run(tmp_path):
    threshold = snapshot.POOLED_FROM
    result = CliRunner().invoke(app, ["bench", "engines", "--items", "40", "--rounds", "1", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "a process is as quick by pools from" in result.stdout
    kept = json.loads((tmp_path / "engines.json").read_text())
    assert [len(kept["rows"][0]["process_s"][engine]) for engine in engines.ENGINES] == [1, 1]
    assert threshold == snapshot.POOLED_FROM
