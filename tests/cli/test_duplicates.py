"""``assocmem duplicates``: groups of near copies, in a collection, between folders, of one file."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from assocmem.cli.main import app
from tests.copies.test_second_look import photograph
from tests.fakes import ColourExtractor, altered, pictures


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: ColourExtractor())

    def call(*words, code=0):
        environment = {"ASSOCMEM_COLLECTION": str(tmp_path / "photos.amem"), "COLUMNS": "100"}
        result = CliRunner().invoke(app, [str(word) for word in words], env=environment)
        assert result.exit_code == code, result.output
        return result

    return call


def test_groups_are_printed(run, tmp_path):
    pictures(tmp_path / "in", range(6))
    altered(tmp_path / "copies", [1, 4])
    run("index", tmp_path / "in", tmp_path / "copies")
    plain = run("duplicates")
    lines = [line.split("\t") for line in plain.stdout.splitlines()]
    assert [line[0] for line in lines] == ["1", "1", "2", "2"]
    assert "2 groups, 2 copies" in plain.stderr
    answer = json.loads(run("duplicates", "--json", "--similar").stdout)
    assert answer["least"] == 0.85
    assert [len(entry["copies"]) for entry in answer["groups"]] == [1, 1]
    assert answer["groups"][0]["original"].keys() == {"rank", "item", "path", "kind", "start", "end", "score"}
    across = run("duplicates", tmp_path / "in", "--against", tmp_path / "copies").stdout
    assert across.count("\n") == 4
    itself = run("duplicates", "--other", tmp_path / "photos.amem", "--json").stdout
    assert itself.count('"original"') == 4  # a file is no copy of itself, whatever collection it is in


def test_what_is_similar_is_shown_on_request_and_counted_by_itself(run, tmp_path):
    whole = photograph(1)
    whole.save(tmp_path / "whole.png")
    whole.resize((256, 192)).save(tmp_path / "small.png")
    whole.crop((12, 8, 500, 374)).save(tmp_path / "part.png")
    run("index", *(tmp_path / f"{name}.png" for name in ("whole", "small", "part")))
    assert "1 group, 1 copy\n" in run("duplicates").stderr
    found = run("duplicates", "--least", "0.5")
    assert "1 group, 1 copy, 1 similar" in found.stderr
    assert [line.split("\t")[-1] for line in found.stdout.splitlines()] == ["first", "same picture", "similar"]


def test_a_sheet_is_written_but_not_over_another_file(run, tmp_path):
    pictures(tmp_path / "in", range(4))
    altered(tmp_path / "copies", [1])
    run("index", tmp_path / "in", tmp_path / "copies")
    run("duplicates", "--html", tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert "Group 1: 0001" in page
    assert page.count("<img") == 2
    (tmp_path / "notes.html").write_text("mine")
    assert "left alone" in run("duplicates", "--html", tmp_path / "notes.html", code=1).stderr


def linked_pictures(tmp_path):
    """One true copy; a hard link, a symbolic link beside its target, and one from a folder that is indexed first."""
    one, two, three = pictures(tmp_path / "in", range(3))
    (tmp_path / "in/hard.png").hardlink_to(one)
    (tmp_path / "in/link.png").symlink_to(two)
    (tmp_path / "in/copy.png").write_bytes(three.read_bytes())
    (tmp_path / "albums").mkdir()
    (tmp_path / "albums/best.png").symlink_to(three)
    return three, tmp_path / "in/copy.png", tmp_path / "albums/best.png"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_never_copies(run, tmp_path):
    three, copy, album = linked_pictures(tmp_path)
    run("index", tmp_path / "albums", tmp_path / "in")
    plain = run("duplicates")
    assert {line.split("\t")[2] for line in plain.stdout.splitlines()} == {str(three), str(copy)}
    assert "1 link to these files left out" in plain.stderr
    assert "1 group, 1 copy" in plain.stderr
    (group,) = json.loads(run("duplicates", "--json").stdout)["groups"]
    assert [hit["path"] for hit in group["links"]] == [str(album)]
    assert {group["original"]["path"], group["copies"][0]["path"]} == {str(three), str(copy)}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_never_copies_in_another_place_or_of_a_file(run, tmp_path):
    three, copy, album = linked_pictures(tmp_path)
    run("index", tmp_path / "albums", tmp_path / "in")
    across = run("duplicates", tmp_path / "in", "--against", tmp_path / "albums", "--json").stdout
    assert [group["original"]["path"] for group in json.loads(across)["groups"]] == [str(copy)]
    for asked in (three, album):
        (group,) = json.loads(run("duplicates", "--of", asked, "--json").stdout)["groups"]
        assert [hit["path"] for hit in group["copies"]] == [str(copy)]
    assert json.loads(run("duplicates", "--of", tmp_path / "in/hard.png", "--json").stdout)["groups"] == []


def test_without_copies_and_with_invalid_arguments_there_is_a_message(run, tmp_path):
    run("index", *pictures(tmp_path / "in", range(3)))
    found = run("duplicates")
    assert found.stdout == ""
    assert "no copies found" in found.stderr
    assert "ask twice" in run("duplicates", "--against", "a", "--other", "b", code=1).stderr
    altered(tmp_path / "out", [1])
    assert "0001.png" in run("duplicates", "--of", tmp_path / "out" / "0001-jpeg.jpg").stdout
    assert "not in the collection" in run("duplicates", tmp_path / "typo", code=1).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_a_copy_with_two_names_is_one_copy_of_a_file(run, tmp_path):
    _, copy, _ = linked_pictures(tmp_path)
    (tmp_path / "in/second name.png").hardlink_to(copy)
    run("index", tmp_path / "in")
    (group,) = json.loads(run("duplicates", "--of", tmp_path / "in/0002.png", "--json").stdout)["groups"]
    assert [(hit["rank"], hit["path"]) for hit in group["copies"]] == [(1, str(copy))]
    assert [hit["path"] for hit in group["links"]] == [str(tmp_path / "in/second name.png")]


def test_what_are_no_copies_is_remembered(run, tmp_path):
    pictures(tmp_path / "in", range(3))
    altered(tmp_path / "copies", [1])
    run("index", tmp_path / "in", tmp_path / "copies")
    pair = tmp_path / "in" / "0001.png", tmp_path / "copies" / "0001-jpeg.jpg"
    assert "1 pair noted" in run("duplicates", "--not-copies", *pair).stderr
    assert "no copies found" in run("duplicates").stderr
    assert "1 pair may be copies again" in run("duplicates", "--not-copies", "--undo", *pair).stderr
    assert "1 group" in run("duplicates").stderr
    assert "nothing else" in run("duplicates", "--undo", *pair, code=1).stderr
    assert "nothing else" in run("duplicates", "--not-copies", "--of", pair[0], *pair, code=1).stderr
