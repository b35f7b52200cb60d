"""The README: everything that it shows runs as it stands there, and its walk through teaching answers as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents import ROOT, World, blocks

README = ROOT / "README.md"


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_every_block_of_the_readme_runs(world):
    found = blocks(README)
    assert {block.language for block in found} == {"sh", "python"}
    for block in found:
        world.run(block)


def test_the_two_commands_for_a_fresh_machine_come_first():
    assert blocks(README)[0].text.split()[:2] == ["make", "demo"]
    assert "make test" in blocks(README)[0].text


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) < 150


def test_the_walk_of_the_readme(world):
    world.run_line("assocmem index .")
    block = next(block for block in blocks(README) if "assocmem teach" in block.text)
    printed = [world.run_line(line) for line in block.text.splitlines()]
    teach, search, before, correct, after, review, listed, history, undo = printed
    assert teach == "3 taught\nlighthouse: 3 examples\n"
    assert {Path(line.split("\t")[1]).name for line in search.splitlines()[:4]} == {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}
    assert before.splitlines()[0].split("\t")[1:] == ["lighthouse", "taught"]
    assert correct == "1 taught\nwater tower: 1 example\n"
    assert after.splitlines()[0] == "1.000\twater tower\ttaught"
    assert review.count(".jpg") >= 3
    assert {"lighthouse\t3", "water tower\t1"} <= {"\t".join(line.split("\t")[:2]) for line in listed.splitlines()}
    assert [line.split("\t")[3] for line in history.splitlines()] == ["is lighthouse"] * 3 + ["is not lighthouse"]
    assert undo == "1 teaching taken back\n"


def test_the_python_of_the_readme_prints_answers(world, capsys):
    collection, arrays = [block for block in blocks(README) if block.language == "python"]
    world.run(collection)
    *hits, last = capsys.readouterr().out.splitlines()
    assert len(hits) == 5
    assert [float(line.split()[0]) for line in hits] == sorted((float(line.split()[0]) for line in hits), reverse=True)
    assert last.endswith(" True")
    world.run(arrays)
    assert float(capsys.readouterr().out) > 0.99
