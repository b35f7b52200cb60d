"""Documents and the real network, from the command line: look-alikes are no copies, and were not seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from assocmem.bench.duplicates.documents import draw
from assocmem.cli.main import app

FAMILIES = ("text page", "receipt", "chat", "diagram", "sky", "plain", "icon")
EACH = 6


def run(collection, *words, code=0):
    result = CliRunner().invoke(app, [*map(str, words)], env={"ASSOCMEM_COLLECTION": str(collection)})
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """Some documents of each kind; one of each a second time, saved again; black, and white."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "in").mkdir()
    for family in FAMILIES:
        for number in range(EACH):
            draw(family, number).save(folder / "in" / f"{family} {number}.png")
        picture = draw(family, 0)
        picture.resize((picture.width * 2 // 3, picture.height * 2 // 3)).save(folder / "in" / f"{family} again.jpg")
    for colour in ("black", "white"):
        Image.new("RGB", (640, 480), colour).save(folder / "in" / f"{colour}.png")
    run(folder / "photos.amem", "index", folder / "in")
    return folder


def test_only_what_was_saved_again_is_a_copy(indexed):
    found = json.loads(run(indexed / "photos.amem", "duplicates", "--json").stdout)["groups"]
    names = [sorted(hit["path"].rpartition("/")[2] for hit in (g["original"], *g["copies"])) for g in found]
    assert sorted(names) == sorted([f"{family} 0.png", f"{family} again.jpg"] for family in FAMILIES)
    assert {kind for group in found for kind in group["kinds"]} == {"same"}


def test_documents_that_were_never_indexed_are_not_seen_and_others_are_named(indexed):
    new = []
    for family in FAMILIES:
        for number in range(50, 53):
            new.append(indexed / f"{family} {number}.png")
            draw(family, number).save(new[-1])
    answers = json.loads(run(indexed / "photos.amem", "seen", "--json", *new, code=3).stdout)["files"]
    assert sum(answer["alike"] for answer in answers) > len(new) // 2  # the network finds them familiar
    assert [answer["path"] for answer in answers if answer["seen"]] == []
    known = [indexed / "in" / f"{family} {number}.png" for family in FAMILIES for number in (1, 4)]
    answers = json.loads(run(indexed / "photos.amem", "seen", "--json", *known).stdout)["files"]
    assert [answer["hit"]["path"] for answer in answers] == [str(path) for path in known]


def test_a_document_is_asked_for_by_file(indexed):
    picture = draw("receipt", 3)
    picture.resize((400, 800)).save(indexed / "mine.jpg", quality=60)
    (group,) = json.loads(run(indexed / "photos.amem", "duplicates", "--of", indexed / "mine.jpg", "--json").stdout)[
        "groups"
    ]
    assert [hit["path"].rpartition("/")[2] for hit in group["copies"]] == ["receipt 3.png"]
    Image.fromarray(np.asarray(draw("receipt", 77))).save(indexed / "other.png")
    assert "no copies found" in run(indexed / "photos.amem", "duplicates", "--of", indexed / "other.png").stderr
