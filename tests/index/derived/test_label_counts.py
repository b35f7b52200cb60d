"""Label counts: loaded from their file if it is of this generation, otherwise built again from the segments."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from assocmem.concepts.unit_counts import UnitCounts
from assocmem.index.derived.files import LABEL_COUNTS
from assocmem.index.derived.label_counts import label_counts
from assocmem.index.session import Session
from tests.fakes import damage, open_photos

# These tests are about the file, which a dozen pictures would not replace.
pytestmark = pytest.mark.usefixtures("refreshed_at_once")


@pytest.fixture
def photos(twelve):
    return twelve


@pytest.fixture
def path(photos):
    return photos.folder / LABEL_COUNTS


def memory_of(session, *, keep=False):
    return label_counts(session.snapshot(), session.folder, session.coder.clusters, keep=keep)


def oracle(session):
    """The labels of all living items, taught one after the other."""
    memory = UnitCounts(session.coder.clusters, 1000)
    for segment, dead in zip(session.snapshot().segments, session.snapshot().dead, strict=True):
        for row in set(range(len(segment.ids))) - set(dead.tolist()):
            memory.teach(segment.codes[[row]], segment.labels[[row]], segment.label_scores[[row]])
    return memory.counts


def test_a_memory_of_this_generation_is_loaded(photos, path, session):
    assert np.array_equal(memory_of(session).counts, oracle(session))
    with h5py.File(path, "r+") as file:
        assert file.attrs["generation"] == photos.info().generation
        file["counts"][3, 4] = 77_777  # a mark that a new memory would not have
    assert memory_of(session).counts[3, 4] == 77_777


def test_a_stale_memory_is_built_again(photos, path, session):
    with h5py.File(path, "r+") as file:
        file.attrs["generation"] = photos.info().generation - 1
    old = path.read_bytes()
    assert np.array_equal(memory_of(session).counts, oracle(session))
    assert path.read_bytes() == old  # a reader writes nothing
    memory_of(session, keep=True)
    with h5py.File(path) as file:
        assert file.attrs["generation"] == photos.info().generation
        assert np.array_equal(file["counts"][:], oracle(session))


def test_a_missing_or_damaged_memory_is_built_again(path, session):
    expected = oracle(session)
    for _ in damage(path):
        assert np.array_equal(memory_of(session).counts, expected)


def test_a_memory_that_cannot_be_written_is_not_an_error(photos, path, session):
    path.unlink()
    path.mkdir()  # no file can replace it
    assert np.array_equal(memory_of(session, keep=True).counts, oracle(session))
    assert not list(photos.folder.glob("*.tmp"))


def test_removed_items_do_not_count(photos, session, tmp_path):
    before = memory_of(session).weight.sum()
    assert photos.remove([tmp_path / "in" / "0004.png"]) == 1
    after = memory_of(session)
    assert 0 < after.weight.sum() < before
    assert np.array_equal(after.counts, oracle(session))
    with open_photos(tmp_path / "other.amem") as other:
        other.add(path for path in sorted((tmp_path / "in").iterdir()) if path.name != "0004.png")
        again = Session(other.folder)
        assert np.array_equal(after.counts, memory_of(again).counts)
        again.close()
