"""Calibration: probabilities from scores, and rejection of vectors that belong to none of the concepts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts.calibration import FALSE_ALARMS, Nearness, PlattCalibration, Rejection, Softmax, calibrate
from tests.concepts.sample_memories import vectors
from tests.strategies import law, seeds


def left_out(seed, n, classes):
    """Scores of n examples, mostly highest for their own class, and the classes."""
    own = np.arange(n) % classes
    return np.eye(classes, dtype=np.float32)[own] / 2 + vectors(seed, n, classes) / 5, own


def calibrated(seed, n, classes):
    scores, own = left_out(seed, n, classes)
    rejection = Rejection.learned(scores, vectors(seed + 1, n, 1)[:, 0])
    return calibrate(8 * scores, own, np.bincount(own, minlength=classes), rejection)


@law
@given(seed=seeds, n=st.sampled_from([5, 9, 200]), classes=st.integers(2, 5))
def test_probabilities_sum_to_1_and_the_best_score_has_the_greatest(seed, n, classes):
    scores = vectors(seed + 2, 20, classes)
    found = calibrated(seed, n, classes).probabilities(scores)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert found.argmax(axis=1).tolist() == scores.argmax(axis=1).tolist()


@pytest.mark.parametrize(
    ("n", "classes", "kind"), [(7, 2, Softmax), (8, 2, PlattCalibration), (20, 1, Softmax), (20, 3, PlattCalibration)]
)
def test_a_calibration_is_learned_from_eight_examples_of_two_concepts(n, classes, kind):
    assert type(calibrated(1, n, classes)) is kind


def test_few_right_guesses_among_confident_scores_do_not_upset_the_fit():
    """A whole Newton step overshoots here: nearly all guesses are right, and one is wrong with full confidence."""
    scores, own = left_out(3, 400, 4)
    scores = 60 * np.eye(4, dtype=np.float32)[own] + scores
    scores[0] = 60 * np.eye(4, dtype=np.float32)[(own[0] + 1) % 4]
    found = calibrate(scores, own, np.bincount(own), Rejection()).probabilities(scores)
    assert found.max(axis=1).mean() == pytest.approx(399 / 400, abs=0.01)


def test_a_concept_that_is_sampled_thinly_counts_for_all_its_examples():
    """Of 1,000 and 20 examples, 20 each are left out: those of the frequent concept are mostly taken for the other."""
    own = np.repeat([0, 1], 20)
    scores = np.tile(np.array([[0.0, 1.0]], np.float32), (40, 1))
    found = calibrate(scores, own, np.array([1000, 20]), Rejection()).probabilities(scores)[0]
    assert found[1] == pytest.approx(0.5, abs=0.01)  # right in 20 of 1,020 cases, but never below its rank
    even = calibrate(scores, own, np.array([20, 20]), Rejection()).probabilities(scores)[0]
    assert 0.5 < even[1] < 0.6


def test_a_single_concept_has_its_clipped_score():
    found = calibrated(1, 20, 1).probabilities(np.array([[-1.0], [0.25], [2.0]], np.float32))
    assert found.tolist() == [[0], [0.25], [1]]


def test_the_softmax_is_that_of_plain_loops():
    scores = vectors(1, 4, 3)
    expected = [[math.exp(4 * value) for value in row] for row in scores.tolist()]
    expected = [[value / sum(row) for value in row] for row in expected]
    np.testing.assert_allclose(Softmax().probabilities(scores), expected, rtol=1e-5)


def test_probabilities_are_how_often_the_best_score_is_right():
    """Of many examples, grouped by probability."""
    scores, own = left_out(3, 4000, 4)
    found = calibrated(3, 4000, 4).probabilities(8 * scores)
    right, best = found.argmax(axis=1) == own, found.max(axis=1)
    for low, high in ((0, 0.6), (0.6, 0.8), (0.8, 1)):
        group = (best > low) & (best <= high)
        assert group.sum() > 100
        assert right[group].mean() == pytest.approx(best[group].mean(), abs=0.05)


@law
@given(seed=seeds, n=st.integers(3, 300))
def test_about_one_in_twenty_left_out_examples_is_rejected(seed, n):
    scores, nearness = vectors(seed, n, 3), vectors(seed + 1, n, 1)[:, 0]
    rejection = Rejection.learned(scores, nearness)
    rejected = rejection.familiarity(scores, nearness) < rejection.threshold
    assert rejected.sum() == pytest.approx(FALSE_ALARMS * (n - 1), abs=1)


def test_nothing_is_rejected_with_two_examples():
    rejection = Rejection.learned(vectors(1, 2, 3), vectors(2, 2, 1)[:, 0])
    assert not (rejection.familiarity(vectors(3, 9, 3) - 100, np.full(9, -1, np.float32)) < rejection.threshold).any()


def test_familiarity_grows_with_the_best_score_and_with_nearness():
    rejection = Rejection.learned(vectors(1, 50, 3), vectors(2, 50, 1)[:, 0])
    scores, nearness = np.zeros((3, 3), np.float32), np.zeros(3, np.float32)
    scores[1, 2] = nearness[2] = 1
    usual, better, nearer = rejection.familiarity(scores, nearness).tolist()
    assert min(better, nearer) > usual


def cosine(a, b):
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@law
@given(seed=seeds, n=st.integers(2, 12))
def test_nearness_is_the_greatest_cosine_from_the_mean(seed, n):
    examples, q = vectors(seed, n), vectors(seed + 1, 4)
    centre = examples.mean(axis=0, dtype=np.float64)
    nearness = Nearness(examples)
    expected = [max(cosine(row - centre, example - centre) for example in examples) for row in q]
    np.testing.assert_allclose(nearness.of(q), expected, atol=1e-5)
    expected = [max(cosine(examples[i] - centre, examples[j] - centre) for j in range(n) if j != i) for i in range(n)]
    np.testing.assert_allclose(nearness.left_out(), expected, atol=1e-5)


def test_a_single_example_has_no_other_near():
    assert Nearness(vectors(1, 1)).left_out().tolist() == [-1]
