"""The memory that tells what was seen: the laws it keeps, and what is predicted of it."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.hash_codes import SYMBOLS
from assocmem.errors import DamagedError, InputError, MismatchError
from assocmem.memory.familiarity import SeenMemory, units_for
from assocmem.memory.familiarity_eval import FLOOR, KEPT, build, by_chance


def draw(n, seed=0, clusters=16, symbols=SYMBOLS):
    return np.random.default_rng(seed).integers(0, symbols, (n, clusters)).astype(np.uint16)


# laws


def test_what_was_stored_is_seen_however_full_the_memory_is():
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


def test_storing_one_by_one_weighs_as_storing_at_once():
    messages, whole, part = draw(300), SeenMemory(64), SeenMemory(64)
    whole.store(messages)
    for start in range(0, 300, 50):
        part.store(messages[start : start + 50])
        part.evidence(messages[:3])
    assert np.array_equal(part.evidence(draw(100, seed=1)), whole.evidence(draw(100, seed=1)))


def test_evidence_below_the_least_is_none():
    memory = SeenMemory(64)
    memory.store(draw(1000))
    cues = draw(500, seed=1)
    whole, cut = memory.evidence(cues), memory.evidence(cues, least=8)
    assert np.array_equal(np.where(whole >= 8, whole, 0), cut)
    assert 0 < (cut > 0).sum() < 500


def test_half_of_a_message_among_wrong_symbols_is_seen():
    messages = draw(5_000)
    memory, judgement = build(messages)
    cues = draw(500, seed=1)
    assert memory.seen(cues, judgement.threshold).mean() < 0.02
    cues[:, ::2] = messages[:500, ::2]
    assert memory.seen(cues, judgement.threshold).mean() > 0.99


@pytest.mark.parametrize("mmap", [False, True])
def test_a_memory_comes_back_from_its_file(tmp_path, mmap):
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
def test_bad_messages_are_refused_and_nothing_is_stored(messages):
    memory = SeenMemory(64)
    for act in (memory.store, memory.evidence):
        with pytest.raises(InputError, match="messages: expected"):
            act(messages)
    assert memory.density == 0


# what is said of it


@pytest.mark.parametrize("n", [0, 1, 1000, 60_000, 10_000_000])
def test_a_planned_memory_takes_the_bytes_that_were_planned(n):
    units = units_for(n)
    assert units % 64 == 0
    assert 64 <= units <= SYMBOLS
    if 5_000 < n < 6_000_000:
        assert 15 * units**2 / n == pytest.approx(40, rel=0.4)


def test_random_messages_alarm_and_miss_as_theory_predicts():
    messages = draw(20_000)
    memory, judgement = build(messages, units=192)
    cues = draw(20_000, seed=1)
    assert memory.density == pytest.approx(1 - math.exp(-20_000 / 192**2), abs=0.01)
    evidence = memory.evidence(cues)
    rng = np.random.default_rng(2)
    for bits in (8, 11, judgement.threshold):
        measured = (evidence >= bits).mean()
        predicted = (by_chance(memory, messages, rng, count=20_000) >= bits).mean()
        assert predicted == pytest.approx(measured, rel=0.2, abs=0.002)
    assert judgement.alike < 0.01
    for predicted, measured in zip(judgement.theory_miss, judgement.measured_miss, strict=True):
        assert predicted == pytest.approx(measured, abs=0.05)
    assert judgement.measured_miss[KEPT.index(10)] < 0.01


def test_the_threshold_keeps_the_wanted_rate():
    messages = draw(20_000)
    for wanted in (0.1, 0.01, 0.002):
        memory, judgement = build(messages, wanted=wanted, units=128)
        alarms = memory.seen(draw(20_000, seed=1), judgement.threshold).mean()
        assert 0.3 * wanted < alarms < 1.8 * wanted


def test_items_that_resemble_each_other_raise_the_threshold_and_are_told_apart():
    rng = np.random.default_rng(0)
    scenes = draw(400)
    kept = rng.random((8_000, 16)) < 0.15  # two or three symbols of the scene, which others have too
    messages = np.where(kept, scenes[rng.integers(0, 400, 8_000)], draw(8_000, seed=2))
    _, plain = build(draw(8_000))
    _, crowd = build(messages)
    assert crowd.threshold >= plain.threshold
    assert crowd.held_false < 0.05
    twins = np.repeat(draw(2_000), 2, axis=0)
    assert build(twins)[1].alike == 1
    assert build(twins)[1].held_false is None


@pytest.mark.parametrize("n", [0, 1, 9, 30])
def test_few_items_are_judged_by_theory(n):
    memory, judgement = build(draw(n))
    assert FLOOR <= judgement.threshold <= FLOOR * 1.5
    assert judgement.items == n
    assert memory.seen(draw(n), FLOOR).all()
    assert not memory.seen(draw(50, seed=9), FLOOR).any()


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(InputError, match="wanted"):
        build(draw(5), wanted=0)
