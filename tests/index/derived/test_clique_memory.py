"""The clique memory of a collection: its messages in a file, and the figures of its recall."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from assocmem.codes.winner_codes import CliqueCoder
from assocmem.index.derived.clique_memory import Messages, known_messages, living_messages, measure
from assocmem.index.derived.files import CLIQUES
from assocmem.memory import capacity
from assocmem.memory.clique import CliqueMemory
from tests.fakes import damage, open_photos, pictures

# These tests are about the file, which a dozen pictures would not replace.
pytestmark = pytest.mark.usefixtures("refreshed_at_once")


@pytest.fixture
def photos(twelve):
    return twelve


def kept(session):
    return known_messages(session.folder, session.coder)


def oracle(session):
    """Messages of all living items: in each block of 128 rotated axes the largest by magnitude, with its sign."""
    ids, rows = [], []
    for segment, dead in zip(session.snapshot().segments, session.snapshot().dead, strict=True):
        for row in sorted(set(range(len(segment.ids))) - set(dead.tolist())):
            blocks = session.coder.rotate(segment.features[np.array([row])])[0, :2048].reshape(16, 128)
            axes = [max(range(128), key=lambda j, b=block: (abs(b[j]), -j)) for block in blocks]
            ids.append(int(segment.ids[row]))
            rows.append([2 * j + int(block[j] < 0) for j, block in zip(axes, blocks, strict=True)])
    return dict(zip(ids, rows, strict=True))


def as_dict(messages):
    return dict(zip(messages.ids.tolist(), messages.symbols.tolist(), strict=True))


def random_messages(n, seed=0, symbols=256):
    return Messages(np.arange(n), np.random.default_rng(seed).integers(0, symbols, (n, 16)).astype(np.uint8))


# the file


def test_adding_keeps_the_messages_of_all_items(photos, session, tmp_path):
    assert len(kept(session).ids) == 12
    assert as_dict(kept(session)) == oracle(session)
    photos.add(pictures(tmp_path / "more", range(20, 25)))
    assert len(kept(session).ids) == 17
    assert as_dict(kept(session)) == oracle(session)


def test_removed_items_were_never_stored(photos, session, tmp_path):
    photos.remove([tmp_path / "in" / "0004.png"])
    assert len(kept(session).ids) == 11
    assert as_dict(kept(session)) == oracle(session)


def test_known_messages_are_not_made_again(session, photos):
    whole = kept(session)
    marked = Messages(whole.ids[:5], np.full_like(whole.symbols[:5], 7))
    again = living_messages(session.snapshot(), session.coder, marked)
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


def test_a_file_that_cannot_be_kept_changes_no_answer(photos, tmp_path):
    (photos.folder / CLIQUES).unlink()
    (photos.folder / CLIQUES).mkdir()  # no file can replace it
    photos.add(pictures(tmp_path / "more", range(30, 32)))
    assert photos.info().memory.sampled == 14
    assert not list(photos.folder.glob("*.tmp"))


def test_verify_finds_messages_that_are_not_the_items(photos):
    assert photos.verify() == []
    with h5py.File(photos.folder / CLIQUES, "r+") as file:
        file["symbols"][3, 2] ^= 1
    assert any("messages are not those of the items; remove it" in line for line in photos.verify())


def test_a_damaged_collection_still_shows_the_contents_of_its_catalog(photos):
    (photos.folder / CLIQUES).unlink()
    for segment in (photos.folder / "segments").iterdir():
        segment.unlink()
    with open_photos(photos.folder) as again:
        about = again.info()
    assert about.memory is None
    assert about.items == 12


# its figures


def test_an_empty_memory_has_all_its_room():
    figures = measure(random_messages(0))
    assert (figures.density, figures.predicted_error, figures.measured_error, figures.sampled) == (0, 0, 0, 0)
    assert figures.room == capacity.room(0, 16, 256, 4)


def test_random_items_fail_as_theory_predicts():
    figures = measure(random_messages(60_000))
    assert figures.density == pytest.approx(capacity.density(60_000, 16, 256), abs=1e-3)
    assert figures.predicted_error == pytest.approx(capacity.one_step_error(figures.density, 16, 256, 4))
    assert figures.predicted_error > 0.8
    assert figures.full
    assert figures.room == 0
    half = measure(random_messages(10_000))
    assert half.measured_error == 0
    assert not half.full
    assert half.room == pytest.approx(capacity.messages_at_error(0.01, 16, 256, 4) - 10_000, rel=0.02)


def test_items_that_resemble_each_other_fail_sooner_and_the_figures_show_it():
    figures = measure(random_messages(3000, symbols=24))
    assert figures.predicted_error < 1e-6
    assert figures.measured_error > 0.01
    assert figures.full
    assert figures.room == 0


def test_room_shrinks_with_what_is_measured():
    crowd = random_messages(4000)
    crowd.symbols[:300] = random_messages(300, seed=1, symbols=8).symbols
    figures = measure(crowd)
    assert 0 < figures.measured_error < 0.01 or figures.room == 0
    assert figures.room < capacity.room(figures.density, 16, 256, 4)


def test_items_that_nothing_could_distinguish_are_counted_as_alike():
    twins = random_messages(40)
    twins.symbols[20:] = twins.symbols[:20]
    assert measure(twins).alike == 0  # the same message: either is right
    twins.symbols[20:, 0] ^= 1  # differ where some cues are erased
    figures = measure(twins)
    assert figures.alike > 0
    assert figures.measured_error == 0


def test_the_samples_errors_are_those_of_the_memory():
    messages = random_messages(500, symbols=16)
    figures = measure(messages)
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
