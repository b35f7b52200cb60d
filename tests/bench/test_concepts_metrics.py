"""Metrics of the concepts benchmark and their formatting, compared with plain loops and numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.results import SetResults, difference, mean_and_deviation


def test_accuracy_counts_the_first_of_equals():
    scores = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, -np.inf], [-np.inf, -np.inf, 0.0]])
    assert metrics.is_correct(scores, np.array([0, 1, 1])).tolist() == [True, True, False]
    assert metrics.accuracy_by_class(np.array([True, False, True]), np.array([4, 4, 7])) == {4: 0.5, 7: 1.0}


def test_forgetting_is_the_mean_drop():
    assert metrics.forgetting({1: 1.0, 2: 0.5}, {1: 0.6, 2: 0.7, 3: 0.0}) == pytest.approx((0.4 - 0.2) / 2)
    assert math.isnan(metrics.forgetting({}, {1: 1.0}))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_calibration_error_is_that_of_plain_loops(answers):
    expected = 0.0
    for number in range(10):
        inside = [(p, ok) for p, ok in answers if max(0, math.ceil(round(p * 10, 6)) - 1) == number]
        if inside:
            share, probability = np.mean([ok for _, ok in inside]), np.mean([p for p, _ in inside])
            expected += len(inside) / len(answers) * abs(share - probability)
    top, correct = (np.array(values) for values in zip(*answers, strict=True))
    assert metrics.calibration_error(top.astype(float), correct.astype(bool)) == pytest.approx(expected)


def test_a_threshold_in_hindsight_allows_no_more_alarms():
    known, novel = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 3.5, 5.0])
    assert metrics.novel_share(known, novel, 0.0) == pytest.approx(1 / 3)
    assert metrics.novel_share(known, novel, 0.25) == pytest.approx(2 / 3)
    assert metrics.novel_share(known, novel, 1.0) == 1


def test_enough_bits_stay_enough():
    bits = [8, 16, 32, 64, 128]
    assert metrics.bits_within(bits, [0.1, 0.89, 0.7, 0.885, 0.9], 0.9) == 64
    assert metrics.bits_within(bits, [0.9] * 5, 0.9) == 8
    assert metrics.bits_within(bits, [0.1] * 5, 0.9) is None


def test_the_knee_is_furthest_above_the_line():
    assert metrics.knee([8, 16, 32, 64], [0.0, 0.8, 0.85, 0.9]) == 16


def test_labels_are_counted_until_the_target_is_first_reached():
    assert metrics.labels_needed([1, 2, 4], [0.2, 0.9, 0.8], 0.85) == 2
    assert math.isnan(metrics.labels_needed([1, 2], [0.2, 0.3], 0.85))


def test_figures_are_formatted_with_their_deviation():
    assert mean_and_deviation([0.5, 0.7]) == "0.600 ± 0.141"
    assert mean_and_deviation([0.5, math.nan]) == "0.500"
    assert mean_and_deviation([math.nan]) == ""
    assert difference([0.5, 0.7], [0.4, 0.8]) == "+0.000 ± 0.141, ahead in 1 of 2"


def test_labels_needed_are_counted_by_seed():
    rows = [{"seed": s, "choice": "random", "labels": n, "accuracy": a} for s, n, a in
            ((0, 1, 0.5), (0, 2, 0.96), (1, 1, 0.2), (1, 2, 0.3))]  # fmt: skip
    rows += [{"seed": s, "choice": "everything", "labels": 9, "accuracy": 1.0} for s in (0, 1)]
    results = SetResults("x", "", {"active": rows})
    needed = results.labels_needed("random")
    assert needed[0] == 2
    assert math.isnan(needed[1])
