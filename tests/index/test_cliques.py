"""The collection's clique memory: its messages in a file, and what is said of its recall."""

from __future__ import annotations

import dataclasses
import json

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.index.derived.clique_memory import CLIQUES, Messages, judge, living_messages, read_messages
from assocmem.memory import capacity
from assocmem.memory.clique import CliqueMemory
from tests.fakes import ColourExtractor, damage, pictures


@pytest.fixture
def photos(tmp_path):
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        collection.add(pictures(tmp_path / "in", range(12)))
        yield collection


def kept(photos):
    return read_messages(photos.folder / CLIQUES, photos.coder)


def oracle(photos):
    """Messages of all living items: in each block of 128 rotated axes the largest by magnitude, with its sign."""
    ids, rows = [], []
    for segment, dead in zip(photos.refresh().segments, photos.refresh().dead, strict=True):
        for row in sorted(set(range(len(segment.ids))) - set(dead.tolist())):
            blocks = photos.coder.rotate(segment.features[np.array([row])])[0, :2048].reshape(16, 128)
            axes = [max(range(128), key=lambda j, b=block: (abs(b[j]), -j)) for block in blocks]
            ids.append(int(segment.ids[row]))
            rows.append([2 * j + int(block[j] < 0) for j, block in zip(axes, blocks, strict=True)])
    return dict(zip(ids, rows, strict=True))


def as_dict(messages):
    return dict(zip(messages.ids.tolist(), messages.symbols.tolist(), strict=True))


def random_messages(n, seed=0, symbols=256):
    return Messages(np.arange(n), np.random.default_rng(seed).integers(0, symbols, (n, 16)).astype(np.uint8))


# the file


def test_adding_keeps_the_messages_of_all_items(photos, tmp_path):
    assert as_dict(kept(photos)) == oracle(photos)
    photos.add(pictures(tmp_path / "more", range(20, 25)))
    assert len(kept(photos).ids) == 17
    assert as_dict(kept(photos)) == oracle(photos)


def test_removed_items_were_never_stored(photos, tmp_path):
    photos.remove([tmp_path / "in" / "0004.png"])
    assert len(kept(photos).ids) == 11
    assert as_dict(kept(photos)) == oracle(photos)


def test_messages_that_are_known_are_not_made_again(photos):
    whole = kept(photos)
    marked = Messages(whole.ids[:5], np.full_like(whole.symbols[:5], 7))
    again = living_messages(photos.refresh(), photos.coder, marked)
    assert (again.symbols[:5] == 7).all()
    assert np.array_equal(again.symbols[5:], whole.symbols[5:])


def test_a_missing_stale_or_damaged_file_changes_no_answer(photos):
    path, expected = photos.folder / CLIQUES, photos.info().memory
    whole = path.read_bytes()
    for _ in damage(path):
        assert photos.info().memory == expected
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs["generation"] = 0
        file.attrs["density"] = 0.5
    assert photos.info().memory == expected


def test_a_file_that_cannot_be_kept_is_no_trouble(photos, tmp_path):
    (photos.folder / CLIQUES).unlink()
    (photos.folder / CLIQUES).mkdir()  # nothing can be put in its place
    photos.add(pictures(tmp_path / "more", range(30, 32)))
    assert photos.info().memory.sampled == 14
    assert not list(photos.folder.glob("*.tmp"))


def test_verify_finds_messages_that_are_not_the_items(photos):
    assert photos.verify() == []
    with h5py.File(photos.folder / CLIQUES, "r+") as file:
        file["symbols"][3, 2] ^= 1
    assert any("messages are not those of the items; remove it" in line for line in photos.verify())


def test_a_damaged_collection_still_tells_what_its_catalog_holds(photos):
    (photos.folder / CLIQUES).unlink()
    for segment in (photos.folder / "segments").iterdir():
        segment.unlink()
    with assocmem.open(photos.folder, extractor=ColourExtractor()) as again:
        about = again.info()
    assert about.memory is None
    assert about.items == 12


# what is said of it


def test_an_empty_memory_has_all_its_room():
    figures = judge(random_messages(0))
    assert (figures.density, figures.predicted_error, figures.measured_error, figures.sampled) == (0, 0, 0, 0)
    assert figures.room == capacity.room(0, 16, 256, 4)


def test_random_items_fail_as_theory_predicts():
    figures = judge(random_messages(60_000))
    assert figures.density == pytest.approx(capacity.density(60_000, 16, 256), abs=1e-3)
    assert figures.predicted_error == pytest.approx(capacity.one_step_error(figures.density, 16, 256, 4))
    assert figures.predicted_error > 0.8
    assert figures.full
    assert figures.room == 0
    half = judge(random_messages(10_000))
    assert half.measured_error == 0
    assert not half.full
    assert half.room == pytest.approx(capacity.messages_at_error(0.01, 16, 256, 4) - 10_000, rel=0.02)


def test_items_that_resemble_each_other_fail_sooner_and_it_is_said():
    figures = judge(random_messages(3000, symbols=24))
    assert figures.predicted_error < 1e-6
    assert figures.measured_error > 0.01
    assert figures.full
    assert figures.room == 0


def test_room_shrinks_with_what_is_measured():
    crowd = random_messages(4000)
    crowd.symbols[:300] = random_messages(300, seed=1, symbols=8).symbols
    figures = judge(crowd)
    assert 0 < figures.measured_error < 0.01 or figures.room == 0
    assert figures.room < capacity.room(figures.density, 16, 256, 4)


def test_items_that_nothing_could_tell_apart_are_counted_as_alike():
    twins = random_messages(40)
    twins.symbols[20:] = twins.symbols[:20]
    assert judge(twins).alike == 0  # the same message: either is right
    twins.symbols[20:, 0] ^= 1  # differ where some cues are erased
    figures = judge(twins)
    assert figures.alike > 0
    assert figures.measured_error == 0


def test_the_samples_errors_are_those_of_the_memory():
    messages = random_messages(500, symbols=16)
    figures = judge(messages)
    memory = CliqueMemory(16, 256)
    memory.store(messages.symbols)
    assert figures.density == memory.density
    assert figures.sampled == 500
    assert memory.familiar(messages.symbols).all()


def test_messages_are_made_of_the_same_rotation_on_every_call():
    coder = CliqueCoder(40)
    features = np.random.default_rng(0).normal(size=(3, 40))
    whole = coder.messages(features)
    assert whole.shape == (3, coder.message_clusters)
    assert 0 <= whole.min() <= whole.max() < 256
    assert np.array_equal(whole[1], coder.messages(features[1])[0])


# the command


def test_info_shows_the_memory(photos):
    result = CliRunner().invoke(app, ["info", "-c", str(photos.folder), "--json"])
    assert json.loads(result.stdout)["memory"] == dataclasses.asdict(photos.info().memory)
    rows = dict(
        line.split("\t") for line in CliRunner().invoke(app, ["info", "-c", str(photos.folder)]).stdout.splitlines()
    )
    assert rows["clique memory"].startswith("16 clusters of 256 units, 2.1 MB, density ")
    assert "of 12 items" in rows["recall fails"]
    assert rows["room for"].startswith("at most ")


def test_info_warns_when_recall_has_become_unreliable(photos):
    with h5py.File(photos.folder / CLIQUES, "r+") as file:
        file.attrs["predicted_error"] = 0.02
    result = CliRunner().invoke(app, ["info", "-c", str(photos.folder)])
    assert result.exit_code == 0
    assert "more than 1% of such cues fail" in result.stderr
    with h5py.File(photos.folder / CLIQUES, "r+") as file:
        file.attrs["predicted_error"] = 0.002
        file.attrs["measured_error"] = 0.0
    assert "fail" not in CliRunner().invoke(app, ["info", "-c", str(photos.folder)]).stderr
