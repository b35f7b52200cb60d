"""Has the collection this, or a near copy? The memory's files, its answers, and the command."""

from __future__ import annotations

import json
import zlib

import h5py
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from assocmem.errors import MediaError
from assocmem.index.derived.familiarity import BITS, MESSAGES, kept_familiar, kept_judgement, read_seen_messages
from assocmem.memory.familiarity import SeenMemory
from assocmem.memory.familiarity_eval import build_and_evaluate
from tests.fakes import ColourExtractor, damage, picture, pictures


@pytest.fixture
def photos(tmp_path):
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        collection.add(pictures(tmp_path / "in", range(12)))
        yield collection


def oracle(photos):
    """A memory of all living items' messages, made of their features, of the size that the files' has."""
    rows = []
    for segment, dead in zip(photos.refresh().segments, photos.refresh().dead, strict=True):
        living = np.setdiff1d(np.arange(len(segment.ids)), dead)
        rows.append(photos.message_coder.messages(segment.features[living]))
    memory = SeenMemory(photos.familiar().memory.units)
    memory.store(np.concatenate(rows))
    return memory


def generation(photos):
    return photos.refresh().generation


def near_copy(seed):
    return np.asarray(picture(seed).resize((48, 36), Image.Resampling.BICUBIC))


# answers


def test_what_is_in_the_collection_was_seen_and_a_near_copy_too(photos, tmp_path):
    answer = photos.seen(tmp_path / "in" / "0003.png")
    assert answer
    assert (answer.path, answer.parts, answer.parts_seen) == (str(tmp_path / "in" / "0003.png"), 1, 1)
    assert answer.evidence > answer.threshold
    assert all(photos.seen(near_copy(seed)) for seed in range(12))
    assert photos.seen(near_copy(3)).path == ""
    assert not any(photos.seen(near_copy(seed)) for seed in range(100, 120))


def test_what_was_removed_was_never_seen(photos, tmp_path):
    photos.remove([tmp_path / "in" / "0003.png"])
    assert not photos.seen(near_copy(3))
    assert photos.seen(near_copy(4))
    assert photos.familiar().memory == oracle(photos)


def test_an_empty_collection_has_seen_nothing(photos, tmp_path):
    photos.remove([tmp_path / "in"])
    assert not photos.seen(near_copy(3))
    assert photos.info().seen.items == 0


def test_words_and_missing_files_are_no_pictures(photos):
    with pytest.raises(MediaError, match="no such file"):
        photos.seen("tabby cat")


# the files


def test_adding_keeps_the_memory_and_few_new_items_are_stored_beside(photos, tmp_path):
    assert kept_familiar(photos.folder, generation(photos)).memory == oracle(photos)
    before = photos.info().seen
    photos.add(pictures(tmp_path / "one", [50]))
    assert photos.info().seen == before  # 13 < 1.1 * 12
    assert photos.seen(near_copy(50))
    assert kept_familiar(photos.folder, generation(photos)).memory == oracle(photos)
    photos.add(pictures(tmp_path / "more", range(60, 64)))
    assert photos.info().seen.items == 17
    assert photos.familiar().memory == oracle(photos)


def test_a_missing_or_damaged_file_changes_no_answer(photos):
    expected, about = photos.familiar().memory, photos.info().seen
    for name in (BITS, MESSAGES):
        path = photos.folder / name
        whole = path.read_bytes()
        for _ in damage(path):
            with assocmem.open(photos.folder, extractor=ColourExtractor()) as again:
                assert again.familiar().memory == expected
                assert again.info().seen == about
        path.write_bytes(whole)


def test_a_stale_file_or_that_of_another_memory_is_not_used(photos):
    with h5py.File(photos.folder / MESSAGES, "r+") as file:
        file.attrs["generation"] = 0
    assert kept_judgement(photos.folder, generation(photos)) is None
    assert kept_familiar(photos.folder, generation(photos)) is None
    with h5py.File(photos.folder / MESSAGES, "r+") as file:
        file.attrs["generation"] = generation(photos)
    SeenMemory(64).save(photos.folder / BITS)
    assert kept_familiar(photos.folder, generation(photos)) is None
    assert photos.familiar().memory == oracle(photos)


def test_a_file_that_cannot_be_kept_is_no_trouble(photos, tmp_path):
    for name in (BITS, MESSAGES):
        (photos.folder / name).unlink()
        (photos.folder / name).mkdir()  # nothing can be put in its place
    photos.add(pictures(tmp_path / "more", range(30, 32)))
    assert photos.seen(near_copy(31))
    assert not list(photos.folder.glob("*.tmp"))


def test_verify_finds_messages_and_ties_that_are_not_the_items(photos):
    assert photos.verify() == []
    known = read_seen_messages(photos.folder, photos.message_coder)
    other = build_and_evaluate(known.symbols[:5])[0]
    with h5py.File(photos.folder / MESSAGES, "r+") as file:
        file.attrs["bits"] = zlib.crc32(other.bits.data)
        file["symbols"][3, 2] ^= 1
    other.save(photos.folder / BITS)
    lines = photos.verify()
    assert any(f"{MESSAGES}: its messages are not those of the items" in line for line in lines)
    assert any(f"{BITS}: its ties are not those of the items" in line for line in lines)


# the command


def run(photos, *arguments):
    return CliRunner().invoke(app, ["seen", "-c", str(photos.folder), *map(str, arguments)])


@pytest.fixture
def asked(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.index.session.ExtractorChoice.open", lambda self: ColourExtractor())
    Image.fromarray(near_copy(3)).save(tmp_path / "copy.png")
    picture(99).save(tmp_path / "new.png")
    return photos


def test_the_command_tells_yes_from_no_by_its_exit_code(asked, tmp_path):
    yes = run(asked, tmp_path / "copy.png")
    assert yes.exit_code == 0, yes.output
    answer, evidence, path = yes.stdout.rstrip("\n").split("\t")
    assert (answer, path) == ("yes", str(tmp_path / "copy.png"))
    assert float(evidence) > 13
    no = run(asked, tmp_path / "copy.png", tmp_path / "new.png")
    assert no.exit_code == 3
    assert [line.split("\t")[0] for line in no.stdout.splitlines()] == ["yes", "no"]


def test_the_command_goes_on_after_a_file_that_cannot_be_read(asked, tmp_path):
    result = run(asked, tmp_path / "none.png", tmp_path / "new.png", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [answer["seen"] for answer in told["files"]] == [False]
    assert told["failed"] == [{"path": str(tmp_path / "none.png"), "reason": f"{tmp_path / 'none.png'}: no such file"}]
    assert "no such file" in result.stderr


def test_info_tells_what_to_expect(photos):
    result = CliRunner().invoke(app, ["info", "-c", str(photos.folder)])
    rows = dict(line.split("\t") for line in result.stdout.splitlines())
    assert rows["seen"].startswith("64 units per cluster, 61.4 KB, density ")
    assert "held out" in rows["false alarms"]
    assert rows["near copies missed"].startswith("of those that keep half of the symbols: predicted ")
    told = json.loads(CliRunner().invoke(app, ["info", "-c", str(photos.folder), "--json"]).stdout)
    assert told["seen"]["items"] == 12
