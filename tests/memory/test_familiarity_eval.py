"""Thresholds, false alarms and misses of the familiarity memory: predicted and measured."""

from __future__ import annotations

import math

import numpy as np
import pytest

from assocmem.errors import InputError
from assocmem.memory.familiarity_eval import KEPT_SYMBOLS, MIN_THRESHOLD, build_and_evaluate, simulate_evidence
from tests.memory.hash_messages import draw


def test_half_of_a_message_among_wrong_symbols_is_seen():
    messages = draw(5_000)
    memory, report = build_and_evaluate(messages)
    cues = draw(500, seed=1)
    assert memory.seen(cues, report.threshold).mean() < 0.02
    cues[:, ::2] = messages[:500, ::2]
    assert memory.seen(cues, report.threshold).mean() > 0.99


def test_false_alarms_and_misses_of_random_messages_are_as_theory_predicts():
    messages = draw(20_000)
    memory, report = build_and_evaluate(messages, units=192)
    cues = draw(20_000, seed=1)
    assert memory.density == pytest.approx(1 - math.exp(-20_000 / 192**2), abs=0.01)
    evidence = memory.evidence(cues)
    rng = np.random.default_rng(2)
    for bits in (8, 11, report.threshold):
        measured = (evidence >= bits).mean()
        predicted = (simulate_evidence(memory, messages, rng, count=20_000) >= bits).mean()
        assert predicted == pytest.approx(measured, rel=0.2, abs=0.002)
    assert report.alike < 0.01
    for predicted, measured in zip(report.theory_miss, report.measured_miss, strict=True):
        assert predicted == pytest.approx(measured, abs=0.05)
    assert report.measured_miss[KEPT_SYMBOLS.index(10)] < 0.01


def test_the_threshold_keeps_the_wanted_rate():
    messages = draw(20_000)
    for rate in (0.1, 0.01, 0.002):
        memory, report = build_and_evaluate(messages, false_rate=rate, units=128)
        alarms = memory.seen(draw(20_000, seed=1), report.threshold).mean()
        assert 0.3 * rate < alarms < 1.8 * rate


def test_similar_items_raise_the_threshold_and_are_told_apart():
    rng = np.random.default_rng(0)
    scenes = draw(400)
    kept = rng.random((8_000, 16)) < 0.15  # two or three symbols of the scene, which others have too
    messages = np.where(kept, scenes[rng.integers(0, 400, 8_000)], draw(8_000, seed=2))
    _, plain = build_and_evaluate(draw(8_000))
    _, crowd = build_and_evaluate(messages)
    assert crowd.threshold >= plain.threshold
    assert crowd.held_false < 0.05
    twins = np.repeat(draw(2_000), 2, axis=0)
    assert build_and_evaluate(twins)[1].alike == 1
    assert build_and_evaluate(twins)[1].held_false is None


@pytest.mark.parametrize("n", [0, 1, 9, 30])
def test_few_items_are_evaluated_by_theory(n):
    memory, report = build_and_evaluate(draw(n))
    assert MIN_THRESHOLD <= report.threshold <= MIN_THRESHOLD * 1.5
    assert report.items == n
    assert memory.seen(draw(n), MIN_THRESHOLD).all()
    assert not memory.seen(draw(50, seed=9), MIN_THRESHOLD).any()


def test_an_impossible_rate_is_refused():
    with pytest.raises(InputError, match="false_rate: expected a rate between 0 and 1"):
        build_and_evaluate(draw(5), false_rate=0)
