"""Files of derived memories: loaded if they are of this generation, otherwise built again from the segments."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import assocmem
from assocmem.concepts.unit_counts import UnitCounts
from assocmem.index.derived.files import CONCEPTS, imagenet_memory
from tests.fakes import ColourExtractor, damage, pictures


@pytest.fixture
def photos(tmp_path):
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        collection.add(pictures(tmp_path / "in", range(12)))
        yield collection


def snapshot(photos):
    return photos.refresh()


def memory_of(photos, *, keep=False):
    return imagenet_memory(snapshot(photos), photos.folder, photos.coder.clusters, keep=keep)


def oracle(photos):
    """The labels of all living items, taught one after the other."""
    memory = UnitCounts(photos.coder.clusters, 1000)
    for segment, dead in zip(snapshot(photos).segments, snapshot(photos).dead, strict=True):
        for row in set(range(len(segment.ids))) - set(dead.tolist()):
            memory.teach(segment.codes[[row]], segment.labels[[row]], segment.label_scores[[row]])
    return memory.counts


def test_a_memory_of_this_generation_is_loaded(photos):
    assert np.array_equal(memory_of(photos).counts, oracle(photos))
    with h5py.File(photos.folder / CONCEPTS, "r+") as file:
        assert file.attrs["generation"] == photos.info().generation
        file["counts"][3, 4] = 77_777  # a mark that a new memory would not have
    assert memory_of(photos).counts[3, 4] == 77_777


def test_a_stale_memory_is_built_again(photos):
    path = photos.folder / CONCEPTS
    with h5py.File(path, "r+") as file:
        file.attrs["generation"] = photos.info().generation - 1
    old = path.read_bytes()
    assert np.array_equal(memory_of(photos).counts, oracle(photos))
    assert path.read_bytes() == old  # a reader writes nothing
    memory_of(photos, keep=True)
    with h5py.File(path) as file:
        assert file.attrs["generation"] == photos.info().generation
        assert np.array_equal(file["counts"][:], oracle(photos))


def test_a_missing_or_damaged_memory_is_built_again(photos):
    path = photos.folder / CONCEPTS
    expected = oracle(photos)
    for _ in damage(path):
        assert np.array_equal(memory_of(photos).counts, expected)


def test_a_memory_that_cannot_be_written_is_no_error(photos, monkeypatch):
    (photos.folder / CONCEPTS).unlink()
    (photos.folder / CONCEPTS).mkdir()  # no file can replace it
    assert np.array_equal(memory_of(photos, keep=True).counts, oracle(photos))
    assert not list(photos.folder.glob("*.tmp"))


def test_removed_items_do_not_count(photos, tmp_path):
    before = memory_of(photos).weight.sum()
    assert photos.remove([tmp_path / "in" / "0004.png"]) == 1
    after = memory_of(photos)
    assert 0 < after.weight.sum() < before
    assert np.array_equal(after.counts, oracle(photos))
    with assocmem.open(tmp_path / "other.amem", extractor=ColourExtractor()) as other:
        other.add(path for path in sorted((tmp_path / "in").iterdir()) if path.name != "0004.png")
        assert np.array_equal(after.counts, memory_of(other).counts)
