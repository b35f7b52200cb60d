"""The README's walk through teaching, correcting and reviewing, as it stands there, on made pictures."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from assocmem.cli.main import app
from tests.fakes import ColourExtractor, picture

README = Path(__file__).resolve().parent.parent / "README.md"


@pytest.fixture
def walk(tmp_path, monkeypatch):
    """Run a line of the walk where its files are: three lighthouses, a tower much like them, and other pictures."""
    for name, place in (("a", 1), ("b", 1), ("c", 1), ("d", 1), *((f"other{i}", 10 + i) for i in range(12))):
        noise = np.random.default_rng(len(name) + ord(name[-1])).integers(-70, 70, (72, 96, 3))
        pixels = (np.asarray(picture(place)) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg", quality=95)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda spec="", **_: ColourExtractor())
    environment = {"ASSOCMEM_COLLECTION": str(tmp_path / "photos.amem"), "COLUMNS": "100"}

    def run(line, answers=""):
        words = shlex.split(line, comments=True)
        assert words[0] == "assocmem"
        done = CliRunner().invoke(app, words[1:], env=environment, input=answers)
        assert done.exit_code == 0, f"{line}: {done.output}"
        return done.stdout

    run(f"assocmem index {tmp_path}")
    return run


def test_the_walk_of_the_readme(walk):
    part = README.read_text().split("## Concepts of your own")[1]
    block = re.search(r"```\n(.*?)```", part, flags=re.DOTALL)[1]
    told = [walk(line, "stone\ny\nn\ns\nq\n") for line in block.strip().splitlines()]
    teach, search, before, correct, after, review, listed, history, undo = told
    assert teach == "3 taught\nlighthouse: 3 examples\n"
    assert {Path(line.split("\t")[1]).name for line in search.splitlines()[:4]} == {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}
    assert before.splitlines()[0].split("\t")[1:] == ["lighthouse", "taught"]
    assert correct == "1 taught\nwater tower: 1 example\n"
    assert after.splitlines()[0] == "1.000\twater tower\ttaught"
    assert review.count("other") >= 3
    assert {"lighthouse\t3", "water tower\t1"} <= {"\t".join(line.split("\t")[:2]) for line in listed.splitlines()}
    assert [line.split("\t")[3] for line in history.splitlines()] == ["is lighthouse"] * 3 + ["is not lighthouse"]
    assert undo == "1 teaching taken back\n"
