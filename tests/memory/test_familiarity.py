"""The familiarity memory: the laws of storing and evidence, files, and planned sizes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.hash_codes import ALPHABET
from assocmem.errors import DamagedError, InputError, MismatchError
from assocmem.memory.familiarity import MAX_WEIGHT, SeenMemory, units_for
from tests.memory.hash_messages import draw

# Laws


def test_stored_messages_are_seen_however_full_the_memory_is():
    memory, messages = SeenMemory(64), draw(60_000)
    memory.store(messages)
    assert memory.density > 0.99
    assert memory.seen(messages[::100], threshold=1e6).all()
    assert SeenMemory(64).seen(messages[:5], 1).tolist() == [False] * 5


@given(st.permutations(range(30)), st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_order_repetition_and_merging_do_not_matter(order, cut):
    messages, whole = draw(30), SeenMemory(64)
    whole.store(messages)
    parts = [SeenMemory(64), SeenMemory(64)]
    for part, rows in zip(parts, (order[:cut], order[max(0, cut - 5) :]), strict=True):
        for row in rows:
            part.store(messages[[row]])
    parts[0] |= parts[1]
    assert parts[0] == whole
    cues = draw(30, seed=1)
    cues[:, :9] = messages[:, :9]
    assert np.array_equal(parts[0].evidence(cues), whole.evidence(cues))


def test_evidence_does_not_depend_on_the_batches_that_were_stored():
    messages, whole, part = draw(300), SeenMemory(64), SeenMemory(64)
    whole.store(messages)
    for start in range(0, 300, 50):
        part.store(messages[start : start + 50])
        part.evidence(messages[:3])
    assert np.array_equal(part.evidence(draw(100, seed=1)), whole.evidence(draw(100, seed=1)))


def test_evidence_below_the_least_is_zero():
    memory = SeenMemory(64)
    memory.store(draw(1000))
    cues = draw(500, seed=1)
    whole, cut = memory.evidence(cues), memory.evidence(cues, least=8)
    assert np.array_equal(np.where(whole >= 8, whole, 0), cut)
    assert 0 < (cut > 0).sum() < 500


def test_two_clusters_are_enough():
    memory = SeenMemory(64, clusters=2)
    memory.store([[5, 4000]])
    assert memory.seen([[5, 4000], [4000, 5]], 100).tolist() == [True, False]
    assert memory.evidence([[5, 4000], [4000, 5]]).tolist() == [MAX_WEIGHT, 0]


@pytest.mark.parametrize("mmap", [False, True])
def test_a_saved_memory_is_loaded_unchanged(tmp_path, mmap):
    memory, cues = SeenMemory(128), draw(50, seed=1)
    memory.store(draw(500))
    memory.save(tmp_path / "seen.h5")
    again = SeenMemory.load(tmp_path / "seen.h5", mmap=mmap)
    assert again == memory
    assert again.units == 128
    assert np.array_equal(again.evidence(cues), memory.evidence(cues))
    assert pickle.loads(pickle.dumps(memory)) == memory
    if mmap:
        with pytest.raises(InputError, match="mapped"):
            again.store(cues)


def test_another_kind_of_file_is_refused(tmp_path):
    from assocmem.memory.clique import CliqueMemory

    CliqueMemory(4, 64).save(tmp_path / "clique.h5")
    with pytest.raises(MismatchError, match="expected a seen memory"):
        SeenMemory.load(tmp_path / "clique.h5")
    (tmp_path / "none.h5").write_bytes(b"nothing")
    with pytest.raises(DamagedError):
        SeenMemory.load(tmp_path / "none.h5")


@pytest.mark.parametrize("units", [0, 63, 65, 4160, 1.5, "64"])
def test_impossible_sizes_are_refused(units):
    with pytest.raises(InputError, match="units"):
        SeenMemory(units)


@pytest.mark.parametrize(
    "messages", [np.zeros((2, 15), int), np.zeros(16, int), np.zeros((1, 16)), np.full((1, 16), 4096), [[-1] * 16]]
)
def test_invalid_messages_are_refused_and_nothing_is_stored(messages):
    memory = SeenMemory(64)
    for act in (memory.store, memory.evidence):
        with pytest.raises(InputError, match="messages: expected"):
            act(messages)
    assert memory.density == 0


# Sizes


@pytest.mark.parametrize("n", [0, 1, 1000, 60_000, 10_000_000])
def test_a_planned_memory_takes_the_bytes_that_were_planned(n):
    units = units_for(n)
    assert units % 64 == 0
    assert 64 <= units <= ALPHABET
    if 5_000 < n < 6_000_000:
        assert 15 * units**2 / n == pytest.approx(40, rel=0.4)
