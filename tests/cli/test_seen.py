"""``assocmem seen``: whether a picture is in the collection, by exit code."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from assocmem.cli.main import app
from tests.fakes import ColourExtractor, open_photos, picture, pictures


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command on a collection of twelve pictures."""
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: ColourExtractor())
    with open_photos(tmp_path / "photos.amem") as photos:
        photos.add(pictures(tmp_path / "in", range(12)))
    picture(3).resize((48, 36), Image.Resampling.BICUBIC).save(tmp_path / "copy.png")
    picture(99).save(tmp_path / "new.png")
    return lambda *words: CliRunner().invoke(app, ["seen", "-c", str(tmp_path / "photos.amem"), *map(str, words)])


def test_the_exit_code_says_yes_or_no(run, tmp_path):
    yes = run(tmp_path / "copy.png")
    assert yes.exit_code == 0, yes.output
    answer, evidence, path, original = yes.stdout.rstrip("\n").split("\t")
    assert (answer, path, original) == ("yes", str(tmp_path / "copy.png"), str(tmp_path / "in" / "0003.png"))
    assert float(evidence) > 13
    no = run(tmp_path / "copy.png", tmp_path / "new.png")
    assert no.exit_code == 3
    assert [line.split("\t")[0] for line in no.stdout.splitlines()] == ["yes", "no"]
    assert no.stdout.splitlines()[1].endswith("new.png")


def test_a_file_that_cannot_be_read_does_not_stop_the_command(run, tmp_path):
    result = run(tmp_path / "none.png", tmp_path / "new.png", "--json")
    assert result.exit_code == 1
    printed = json.loads(result.stdout)
    assert [answer["seen"] for answer in printed["files"]] == [False]
    missing = tmp_path / "none.png"
    assert printed["failed"] == [{"path": str(missing), "reason": f"{missing}: no such file"}]
    assert "no such file" in result.stderr
