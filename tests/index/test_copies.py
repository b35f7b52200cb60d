"""Near copies in collections on disk: whole ones, folders against folders, one against another; the command."""

from __future__ import annotations

import json
import os
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from assocmem.errors import CollectionError, InputError, MediaError, MismatchError
from assocmem.index.store.segments import read_segment, segment_path
from tests.fakes import ColourExtractor, picture, pictures
from tests.media import scene, write_video


@pytest.fixture
def photos(tmp_path):
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        yield collection


def altered(folder, seeds):
    """Copies: mirrored, compressed and shrunk, in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        original = picture(seed)
        if seed % 3 == 0:
            original.resize((48, 36)).save(folder / f"{seed:04d}-small.png")
        elif seed % 3 == 1:
            original.save(folder / f"{seed:04d}-jpeg.jpg", quality=40)
        else:
            original.resize((96, 72)).save(folder / f"{seed:04d}-same.webp", quality=50)


def told(found):
    """Groups as sets of the seeds in the file names."""
    return [[os.path.basename(hit.path)[:4] for hit in (copies.original, *copies.copies)] for copies in found]


def test_copies_are_grouped_and_others_are_not(photos, tmp_path):
    pictures(tmp_path / "in", range(20))
    altered(tmp_path / "copies", range(0, 20, 2))
    photos.add([tmp_path / "in", tmp_path / "copies"])
    found = photos.duplicates()
    assert sorted(names[0] for names in told(found)) == [f"{seed:04d}" for seed in range(0, 20, 2)]
    for copies in found:
        assert len(set(told([copies])[0])) == 1
        assert [hit.rank for hit in copies.copies] == list(range(1, 1 + len(copies.copies)))
        assert all(1.0 <= hit.score <= copies.original.score for hit in copies.copies)


def test_files_of_the_same_bytes_are_copies(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    shutil.copy(paths[1], tmp_path / "again.png")
    photos.add([*paths, tmp_path / "again.png"])
    (copies,) = photos.duplicates()
    assert {copies.original.path, *(hit.path for hit in copies.copies)} == {str(paths[1]), str(tmp_path / "again.png")}


def test_folders_are_compared(photos, tmp_path):
    pictures(tmp_path / "a", range(10))
    altered(tmp_path / "b", [3, 4, 7])
    altered(tmp_path / "c", [5])
    photos.add([tmp_path / name for name in "abc"])
    found = photos.duplicates(tmp_path / "a", against=tmp_path / "b")
    assert told(found) == [["0003"] * 2, ["0004"] * 2, ["0007"] * 2]
    assert all("/a/" in copies.original.path and "/b/" in copies.copies[0].path for copies in found)
    assert [names[0] for names in told(photos.duplicates(against=[tmp_path / "b"]))] == ["0003", "0004", "0007"]
    assert told(photos.duplicates(tmp_path / "b", against=tmp_path / "c")) == []
    assert told(photos.duplicates([tmp_path / "a"])) == []
    assert len(photos.duplicates([tmp_path / "a", tmp_path / "c"])) == 1


def test_collections_are_compared(photos, tmp_path):
    photos.add(pictures(tmp_path / "a", range(6)))
    altered(tmp_path / "b", [2, 5])
    with assocmem.open(tmp_path / "other.amem", extractor=ColourExtractor()) as other:
        other.add(tmp_path / "b")
        assert told(photos.duplicates(against=other)) == [["0002"] * 2, ["0005"] * 2]
        assert told(other.duplicates(against=photos)) == [["0002"] * 2, ["0005"] * 2]
    with assocmem.open(tmp_path / "strange.amem", extractor=ColourExtractor("colour-2")) as strange:
        strange.add(tmp_path / "b")
        with pytest.raises(MismatchError, match="index its folders with the extractor of the first"):
            photos.duplicates(against=strange)


def test_removed_items_are_no_copies(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(4))
    altered(tmp_path / "copies", [1, 2])
    photos.add([*paths, tmp_path / "copies"])
    photos.remove([paths[1]])
    assert [names[0] for names in told(photos.duplicates())] == ["0002"]


def test_many_small_segments_give_the_groups_of_one(tmp_path):
    pictures(tmp_path / "in", range(12))
    altered(tmp_path / "in", range(12))
    paths = sorted((tmp_path / "in").iterdir())
    answers = []
    for name, batches in (("one", [paths]), ("many", [[path] for path in paths])):
        with assocmem.open(tmp_path / f"{name}.amem", extractor=ColourExtractor()) as photos:
            for batch in batches:
                photos.add(batch)
            answers.append([
                [(hit.path, hit.score) for hit in (copies.original, *copies.copies)] for copies in photos.duplicates()
            ])  # fmt: skip
    assert answers[0] == answers[1]
    assert len(answers[0]) == 12


def test_a_video_is_no_copy_of_itself_but_of_another(photos, tmp_path):
    frames = list(scene(1, 30))
    write_video(tmp_path / "a.mp4", frames)
    write_video(tmp_path / "b.mkv", frames)
    Image.fromarray(frames[15]).save(tmp_path / "frame.png")
    photos.add([tmp_path / name for name in ("a.mp4", "b.mkv", "frame.png")])
    (copies,) = photos.duplicates()
    everything = {os.path.basename(hit.path): hit.kind for hit in (copies.original, *copies.copies)}
    assert everything == {"a.mp4": "shot", "b.mkv": "shot", "frame.png": "image"}


def test_a_collection_without_sketches_answers_by_features(photos, tmp_path):
    """As versions before sketches wrote it; and what is added later has them."""
    paths = pictures(tmp_path / "in", range(8))
    altered(tmp_path / "copies", [1, 2])
    photos.add([*paths, tmp_path / "copies"])
    path = segment_path(photos.folder / "segments", 1)
    with h5py.File(path, "a") as file:
        del file["sketches"]
    segment = read_segment(photos.folder / "segments", 1)
    assert not segment.sketches[np.arange(10)].any()
    altered(tmp_path / "more", [2, 4])
    with assocmem.open(photos.folder, extractor=ColourExtractor()) as again:
        again.add(tmp_path / "more")
        assert sorted(names[0] for names in told(again.duplicates())) == ["0001", "0002", "0004"]
        assert again.verify() == []


def test_nothing_has_no_copies(photos, tmp_path):
    with pytest.raises(CollectionError, match="no collection yet"):
        photos.duplicates()
    photos.add(pictures(tmp_path / "in", range(2)))
    photos.remove([tmp_path / "in"])
    assert photos.duplicates() == []


def test_a_file_finds_what_it_is_a_copy_of(photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(20)))
    altered(tmp_path / "out", [3, 7, 8])
    for path in sorted((tmp_path / "out").iterdir()):
        first, second, *_ = photos.originals(path)
        assert os.path.basename(first.path)[:4] == path.name[:4]
        assert first.score >= 1.0 > second.score
    assert photos.originals(np.asarray(picture(4)), k=1)[0].path.endswith("0004.png")
    photos.remove([tmp_path / "in" / "0004.png"])
    assert not photos.originals(np.asarray(picture(4)), k=1)[0].path.endswith("0004.png")
    assert len(photos.originals(np.asarray(picture(4)), k=100)) == 19
    photos.remove([tmp_path / "in"])
    assert photos.originals(np.asarray(picture(4))) == []
    with pytest.raises(MediaError, match="no such file"):
        photos.originals("lighthouse")


def test_slips_are_named(photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    with pytest.raises(CollectionError, match="typo: not in the collection"):
        photos.duplicates(tmp_path / "typo")
    with pytest.raises(CollectionError, match="not in the collection"):
        photos.duplicates(against=tmp_path / "typo")
    for least in (0.2, 1.5, float("nan")):
        with pytest.raises(InputError, match=r"a likeness from 0\.5 to 1\.4"):
            photos.duplicates(least=least)


# the command


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: ColourExtractor())

    def call(*words, code=0):
        environment = {"ASSOCMEM_COLLECTION": str(tmp_path / "photos.amem"), "COLUMNS": "100"}
        result = CliRunner().invoke(app, [str(word) for word in words], env=environment)
        assert result.exit_code == code, result.output
        return result

    return call


def test_the_command_prints_groups(run, tmp_path):
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
    assert run("duplicates", "--other", tmp_path / "photos.amem", "--json").stdout.count('"original"') == 6 + 2


def test_the_command_writes_a_sheet(run, tmp_path):
    pictures(tmp_path / "in", range(4))
    altered(tmp_path / "copies", [1])
    run("index", tmp_path / "in", tmp_path / "copies")
    run("duplicates", "--html", tmp_path / "sheet.html")
    page = (tmp_path / "sheet.html").read_text()
    assert "Group 1: 0001" in page
    assert page.count("<img") == 2
    (tmp_path / "notes.html").write_text("mine")
    assert "left alone" in run("duplicates", "--html", tmp_path / "notes.html", code=1).stderr


def test_the_command_says_when_there_is_nothing_and_what_is_wrong(run, tmp_path):
    run("index", *pictures(tmp_path / "in", range(3)))
    found = run("duplicates")
    assert found.stdout == ""
    assert "no near copies found" in found.stderr
    assert "ask twice" in run("duplicates", "--against", "a", "--other", "b", code=1).stderr
    altered(tmp_path / "out", [1])
    assert "0001.png" in run("duplicates", "--of", tmp_path / "out" / "0001-jpeg.jpg").stdout
    assert "not in the collection" in run("duplicates", tmp_path / "typo", code=1).stderr
