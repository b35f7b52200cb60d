"""Does the collection contain this picture, or a near copy? The familiarity memory, its files and its answers."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest
from PIL import Image

from assocmem.errors import MediaError
from assocmem.index.derived.clique_memory import read_messages
from assocmem.index.derived.familiarity import kept_familiarity, kept_judgement
from assocmem.index.derived.files import FAMILIARITY, MESSAGES, NAMES
from assocmem.memory.familiarity import SeenMemory
from assocmem.memory.familiarity_eval import build_and_evaluate
from assocmem.memory.naming import NamingMemory
from tests.fakes import damage, open_photos, picture, pictures

# These tests are about the files, which a dozen pictures would not replace.
pytestmark = pytest.mark.usefixtures("refreshed_at_once")


@pytest.fixture
def photos(twelve):
    return twelve


def oracle(photos, session):
    """A memory of the messages of all living items, made from their features, of the size of the stored one."""
    rows = []
    for segment, dead in zip(session.snapshot().segments, session.snapshot().dead, strict=True):
        living = np.setdiff1d(np.arange(len(segment.ids)), dead)
        rows.append(session.message_coder.messages(segment.features[living]))
    memory = SeenMemory(photos.searcher.familiarity().memory.units)
    memory.store(np.concatenate(rows))
    return memory


def kept(session):
    """What the files contain, if they are of this generation."""
    return kept_familiarity(session.folder, session.snapshot().generation)


def near_copy(seed):
    return np.asarray(picture(seed).resize((48, 36), Image.Resampling.BICUBIC))


# answers


def test_pictures_of_the_collection_were_seen_and_their_near_copies_too(photos, tmp_path):
    answer = photos.seen(tmp_path / "in" / "0003.png")
    assert answer
    assert (answer.path, answer.parts, answer.parts_seen) == (str(tmp_path / "in" / "0003.png"), 1, 1)
    assert answer.evidence > answer.threshold
    assert all(photos.seen(near_copy(seed)) for seed in range(12))
    assert photos.seen(near_copy(3)).path == ""
    assert not any(photos.seen(near_copy(seed)) for seed in range(100, 120))


def test_removed_pictures_were_never_seen(photos, session, tmp_path):
    photos.remove([tmp_path / "in" / "0003.png"])
    assert not photos.seen(near_copy(3))
    assert photos.seen(near_copy(4))
    assert photos.searcher.familiarity().memory == oracle(photos, session)


def test_an_empty_collection_has_seen_nothing(photos, tmp_path):
    photos.remove([tmp_path / "in"])
    assert not photos.seen(near_copy(3))
    assert photos.info().seen.items == 0


def test_words_and_missing_files_are_refused(photos):
    with pytest.raises(MediaError, match="no such file"):
        photos.seen("tabby cat")


# the files


def test_adding_keeps_the_memory_and_few_new_items_are_stored_in_it(photos, session, tmp_path):
    assert kept(session).memory == oracle(photos, session)
    before = photos.info().seen
    photos.add(pictures(tmp_path / "one", [50]))
    assert photos.info().seen == before  # 13 < 1.1 * 12
    assert photos.seen(near_copy(50))
    assert kept(session).memory == oracle(photos, session)
    photos.add(pictures(tmp_path / "more", range(60, 64)))
    assert photos.info().seen.items == 17
    assert kept(session).memory == photos.searcher.familiarity().memory == oracle(photos, session)


def test_a_missing_or_damaged_file_changes_no_answer(photos):
    expected, about = photos.searcher.familiarity().memory, photos.info().seen
    for name in (FAMILIARITY, NAMES, MESSAGES):
        path = photos.folder / name
        whole = path.read_bytes()
        for _ in damage(path):
            with open_photos(photos.folder) as again:
                assert again.searcher.familiarity().memory == expected
                assert again.info().seen == about
        path.write_bytes(whole)


def test_a_stale_file_or_that_of_another_memory_is_not_used(photos, session):
    generation = session.snapshot().generation
    with h5py.File(photos.folder / MESSAGES, "r+") as file:
        file.attrs["generation"] = 0
    assert kept_judgement(photos.folder, generation) is None
    assert kept(session) is None
    with h5py.File(photos.folder / MESSAGES, "r+") as file:
        file.attrs["generation"] = generation
    assert kept(session) is not None
    right = (photos.folder / NAMES).read_bytes()
    NamingMemory(64).save(photos.folder / NAMES)
    assert kept(session) is None
    (photos.folder / NAMES).write_bytes(right)
    assert kept(session) is not None
    SeenMemory(64).save(photos.folder / FAMILIARITY)
    assert kept(session) is None
    assert photos.searcher.familiarity().memory == oracle(photos, session)


def test_a_file_that_cannot_be_kept_changes_no_answer(photos, tmp_path):
    for name in (FAMILIARITY, NAMES, MESSAGES):
        (photos.folder / name).unlink()
        (photos.folder / name).mkdir()  # no file can replace it
    photos.add(pictures(tmp_path / "more", range(30, 32)))
    assert photos.seen(near_copy(31))
    assert not list(photos.folder.glob("*.tmp"))


def test_verify_finds_messages_and_ties_that_are_not_the_items(photos, session):
    assert photos.verify() == []
    known = read_messages(photos.folder / MESSAGES, session.message_coder.clusters, np.uint16)
    other = build_and_evaluate(known.symbols[:5])[0]
    with h5py.File(photos.folder / MESSAGES, "r+") as file:
        file.attrs["bits"] = zlib.crc32(other.bits.data)
        file["symbols"][3, 2] ^= 1
    other.save(photos.folder / FAMILIARITY)
    names = NamingMemory.load(photos.folder / NAMES)
    names.store(known.symbols[:1], [77])
    names.save(photos.folder / NAMES)
    with h5py.File(photos.folder / MESSAGES, "r+") as file:
        file.attrs["names"] = zlib.crc32(names.bits.data)
    lines = photos.verify()
    assert any(f"{NAMES}: its names are not those of the items" in line for line in lines)
    assert any(f"{MESSAGES}: its messages are not those of the items" in line for line in lines)
    assert any(f"{FAMILIARITY}: its ties are not those of the items" in line for line in lines)
