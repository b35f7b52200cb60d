"""Ridge regression in closed form against plain normal equations, and left-out scores against fits without each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import assocmem
from assocmem.concepts.ridge import (
    STRENGTHS,
    FeatureSums,
    TrainingSet,
    best_strength,
    products,
    solve_dual,
    solve_primal,
    squared_length,
)
from tests.concepts import oracles
from tests.strategies import seeds

law = settings(max_examples=20, deadline=None)
classes = st.integers(1, 4)
strengths = st.sampled_from([6e-4, 6e-2, 6.0])
"""In units of the mean square of these short features; much below, float32 no longer carries the left-out scores."""


def rows_of(seed, n, d=7, classes=3, *, weighted=True):
    """Examples that are nearer to their own class than to others; every class has one."""
    rng = np.random.default_rng(seed)
    which = np.arange(n) % classes
    middles = rng.integers(-90, 91, (classes, d))
    features = np.clip(middles[which] + rng.integers(-60, 61, (n, d)), -127, 127).astype(np.int8)
    weights = rng.uniform(0.3, 3, n) if weighted else np.ones(n)
    return TrainingSet(features, np.eye(classes)[which], weights)


def names_of(rows):
    return ["abcdefg"[number] for number in rows.targets.argmax(axis=1)]


def sums_of(rows):
    sums = FeatureSums(rows.features.shape[1])
    sums.add(rows.features, names_of(rows))
    return sums


def scaled(rows):
    return rows.features / np.sqrt(squared_length(rows.features.shape[1]))


def check(solution, rows, strength, sample):
    """The map is that of the oracle, and so are left-out scores, by fits without each example."""
    centred, features = rows.targets.shape[1] > 1, scaled(rows)
    weights, offsets = oracles.ridge(features, rows.targets, rows.weights, strength, centred)
    np.testing.assert_allclose(
        solution.weights * np.sqrt(squared_length(rows.features.shape[1])),
        weights,
        rtol=1e-3,
        atol=1e-4 * np.abs(weights).max(),
    )
    np.testing.assert_allclose(solution.offsets, offsets, rtol=1e-3, atol=1e-4)
    expected = oracles.left_out(features, rows.targets, rows.weights, strength, sample, centred)
    np.testing.assert_allclose(solution.left_out, expected, rtol=1e-3, atol=1e-4)
    assert solution.strength == strength
    assert {part.dtype for part in (solution.weights, solution.offsets, solution.left_out)} == {np.dtype(np.float32)}


@law
@given(seed=seeds, d=st.sampled_from([1, 7, 1040, 1041, 4096]))
def test_products_are_exact(seed, d):
    """With the greatest bytes, so that float32 cannot represent the sums."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(117, 128, (4, d)).astype(np.int8), rng.integers(117, 128, (3, d)).astype(np.int8)
    a[0], b[0] = -127, 127
    expected = a.astype(np.int64) @ b.astype(np.int64).T
    assert products(a, b).tolist() == expected.tolist()
    assert products(a, b).dtype == np.float64


@law
@given(seed=seeds, n=st.sampled_from([4, 5, 20]), classes=classes, strength=strengths)
def test_the_dual_is_the_plain_ridge(seed, n, classes, strength):
    rows = rows_of(seed, n, classes=classes)
    for sample in (np.arange(n), np.arange(1, n, 2)):
        check(solve_dual(rows, sample, strength), rows, strength, sample)


@law
@given(seed=seeds, n=st.sampled_from([5, 8, 20]), classes=classes)
def test_with_all_examples_in_the_sample_the_dual_is_the_plain_ridge_of_the_chosen_strength(seed, n, classes):
    rows = rows_of(seed, n, classes=classes)
    solution = solve_dual(rows, np.arange(n))
    check(solution, rows, solution.strength, np.arange(n))


@law
@given(seed=seeds, n=st.sampled_from([9, 30]), more=st.sampled_from([0, 1, 6]), classes=classes, strength=strengths)
def test_the_primal_is_the_plain_ridge(seed, n, more, classes, strength):
    rows = rows_of(seed, n, classes=classes, weighted=False)
    extra = rows_of(seed + 1, more, classes=classes) if more else TrainingSet.empty(7, classes)
    extra = TrainingSet(extra.features, extra.targets - 0.3, extra.weights)  # any targets, not only 0 and 1
    sample = np.arange(0, n, 3)
    sampled = TrainingSet(rows.features[sample], rows.targets[sample], rows.weights[sample])
    solution = solve_primal(sums_of(rows), sorted(set(names_of(rows))), extra, sampled, strength)
    check(solution, rows.joined(extra), strength, sample)


@law
@given(seed=seeds, classes=st.integers(2, 4))
def test_dual_and_primal_agree(seed, classes):
    rows, sample = rows_of(seed, 24, classes=classes, weighted=False), np.arange(0, 24, 2)
    sampled = TrainingSet(rows.features[sample], rows.targets[sample], rows.weights[sample])
    dual = solve_dual(rows, sample)
    primal = solve_primal(sums_of(rows), sorted(set(names_of(rows))), TrainingSet.empty(7, classes), sampled)
    assert primal.strength == dual.strength
    for part in ("weights", "offsets", "left_out"):
        np.testing.assert_allclose(getattr(primal, part), getattr(dual, part), rtol=1e-3, atol=1e-4)


@law
@given(seed=seeds, classes=st.sampled_from([8, 20]))
def test_a_class_with_one_example_more_does_not_win_everywhere(seed, classes):
    """An example alone in its class is always wrong when left out; counting it would favour the largest class."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, 16))
    odd = centres.mean(axis=0) + 1.5 * rng.standard_normal(16)
    memory = assocmem.ConceptMemory(16, "l2")
    memory.teach(np.vstack([centres, odd]).astype(np.float32), [f"{i % classes:02d}" for i in range(classes + 1)])
    q = (centres + 0.2 * rng.standard_normal((classes, 16))).astype(np.float32)
    assert (memory.nearest(q, 1).concepts[:, 0] == np.arange(classes)).mean() > 0.9


@law
@given(seed=seeds, n=st.sampled_from([5, 12]), classes=classes)
def test_the_strength_has_the_least_leave_one_out_error(seed, n, classes):
    rows, centred = rows_of(seed, n, classes=classes, weighted=False), classes > 1
    assume(rows.targets[:-1].sum(axis=0).max() > 1)
    found = best_strength(rows.features, rows.targets), solve_dual(rows, np.arange(n)).strength
    assert solve_dual(rows, np.arange(n - 1)).strength == best_strength(rows.features[:-1], rows.targets[:-1])
    features = scaled(rows)
    shown = features - centred * features.mean(axis=0)
    tried = STRENGTHS * np.linalg.eigvalsh(shown @ shown.T).clip(0).mean()
    errors = oracles.errors(features, rows.targets, tried, centred)
    for strength in found:  # either of two strengths that are equally good
        chosen = int(np.abs(tried - strength).argmin())
        assert tried[chosen] == pytest.approx(strength)
        assert errors[chosen] <= min(errors) * (1 + 1e-4)


@law
@given(seed=seeds)
def test_weight_two_is_the_same_as_two_examples(seed):
    rows = rows_of(seed, 10, weighted=False)
    twice = solve_dual(
        rows.joined(TrainingSet(rows.features[:3], rows.targets[:3], rows.weights[:3])), np.arange(2), 1e-4
    )
    heavy = solve_dual(
        TrainingSet(rows.features, rows.targets, np.where(np.arange(10) < 3, 2.0, 1.0)), np.arange(2), 1e-4
    )
    np.testing.assert_allclose(heavy.weights, twice.weights, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(heavy.offsets, twice.offsets, rtol=1e-3, atol=1e-5)


def test_scores_are_weighted_features_plus_an_offset():
    rows = rows_of(1, 12)
    solution = solve_dual(rows, np.arange(12))
    expected = [
        [sum(float(w) * int(f) for w, f in zip(ws, row, strict=True)) + float(o)
         for ws, o in zip(solution.weights, solution.offsets, strict=True)]
        for row in rows.features
    ]  # fmt: skip
    np.testing.assert_allclose(solution.scores(rows.features), expected, rtol=1e-4, atol=1e-5)
    assert solution.scores(rows.features).dtype == np.float32


def test_a_single_class_scores_0_far_from_all_examples():
    rows = TrainingSet(np.full((5, 7), 90, np.int8), np.ones((5, 1)), np.ones(5))
    for solution in (
        solve_dual(rows, np.arange(5), 1e-3),
        solve_primal(sums_of(rows), ["a"], TrainingSet.empty(7, 1), rows, 1e-3),
    ):
        assert solution.scores(np.zeros((1, 7), np.int8)).tolist() == [[0.0]]
        assert solution.scores(rows.features).min() > 0.5


# sums


def state(sums):
    return sums.gram.tobytes(), {name: part.tobytes() for name, part in sums.by_class.items()}, sums.counts


@law
@given(seed=seeds, n=st.sampled_from([1, 30]))
def test_sums_are_sums_of_whole_numbers(seed, n):
    rows = rows_of(seed, n)
    sums, features = sums_of(rows), rows.features.astype(np.int64)
    assert sums.gram.tolist() == (features.T @ features).tolist()
    for name in set(names_of(rows)):
        mine = [i for i, other in enumerate(names_of(rows)) if other == name]
        assert sums.by_class[name].tolist() == features[mine].sum(axis=0).tolist()
        assert sums.counts[name] == len(mine)


def test_sums_are_exact_beyond_float32():
    features = np.full((3000, 2), 127, np.int8)
    features[0] = 1, 2
    sums = FeatureSums(2)
    sums.add(features, ["a"] * 3000)
    whole = features.astype(np.int64)
    assert sums.gram.tolist() == (whole.T @ whole).tolist()


@law
@given(seed=seeds, order=seeds)
def test_sums_do_not_depend_on_the_order(seed, order):
    rows = rows_of(seed, 20)
    names, places = names_of(rows), np.random.default_rng(order).permutation(20)
    sums = FeatureSums(7)
    for place in places.tolist():
        sums.add(rows.features[place : place + 1], names[place : place + 1])
    assert state(sums) == state(sums_of(rows))


@law
@given(seed=seeds)
def test_subtracted_examples_leave_no_trace(seed):
    kept, removed = rows_of(seed, 12, classes=2), rows_of(seed + 1, 9, classes=3)
    sums = sums_of(kept)
    sums.add(removed.features, names_of(removed))
    assert "c" in sums.counts
    sums.add(removed.features, names_of(removed), -1)
    assert state(sums) == state(sums_of(kept))
