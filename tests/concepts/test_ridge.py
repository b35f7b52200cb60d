"""Ridge regression in closed form against plain normal equations, and what was left out against fits without it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import assocmem
from assocmem.concepts.ridge import GRID, UNIT, Rows, Sums, best_strength, products, solve_dual, solve_primal
from tests import naive_concepts
from tests.strategies import seeds

law = settings(max_examples=20, deadline=None)
classes = st.integers(1, 4)
strengths = st.sampled_from([1e-6, 1e-4, 1e-2])


def rows_of(seed, n, d=7, classes=3, *, weighted=True):
    """Examples that are nearer to their own than to others; every class has one."""
    rng = np.random.default_rng(seed)
    which = np.arange(n) % classes
    middles = rng.integers(-90, 91, (classes, d))
    features = np.clip(middles[which] + rng.integers(-60, 61, (n, d)), -127, 127).astype(np.int8)
    weights = rng.uniform(0.3, 3, n) if weighted else np.ones(n)
    return Rows(features, np.eye(classes)[which], weights)


def names_of(rows):
    return ["abcdefg"[number] for number in rows.targets.argmax(axis=1)]


def sums_of(rows):
    sums = Sums(rows.features.shape[1])
    sums.add(rows.features, names_of(rows))
    return sums


def scaled(rows):
    return rows.features / np.sqrt(UNIT)


def check(solution, rows, strength, sample):
    """The map is the plain one, and what was left out is by fits without it."""
    centred, features = rows.targets.shape[1] > 1, scaled(rows)
    weights, offsets = naive_concepts.ridge(features, rows.targets, rows.weights, strength, centred)
    np.testing.assert_allclose(solution.weights * np.sqrt(UNIT), weights, rtol=1e-3, atol=1e-4 * np.abs(weights).max())
    np.testing.assert_allclose(solution.offsets, offsets, rtol=1e-3, atol=1e-4)
    expected = naive_concepts.left_out(features, rows.targets, rows.weights, strength, sample, centred)
    np.testing.assert_allclose(solution.left_out, expected, rtol=1e-3, atol=1e-4)
    assert solution.strength == strength
    assert {part.dtype for part in (solution.weights, solution.offsets, solution.left_out)} == {np.dtype(np.float32)}


@law
@given(seed=seeds, d=st.sampled_from([1, 7, 1040, 1041, 4096]))
def test_products_are_exact(seed, d):
    """Of the greatest bytes there are, so that float32 could not hold the sums."""
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
def test_with_all_in_the_sample_the_dual_is_the_plain_ridge_of_the_strength_it_chose(seed, n, classes):
    rows = rows_of(seed, n, classes=classes)
    solution = solve_dual(rows, np.arange(n))
    check(solution, rows, solution.strength, np.arange(n))


@law
@given(seed=seeds, n=st.sampled_from([9, 30]), more=st.sampled_from([0, 1, 6]), classes=classes, strength=strengths)
def test_the_primal_is_the_plain_ridge(seed, n, more, classes, strength):
    rows = rows_of(seed, n, classes=classes, weighted=False)
    extra = rows_of(seed + 1, more, classes=classes) if more else Rows.empty(7, classes)
    extra = Rows(extra.features, extra.targets - 0.3, extra.weights)  # whatever is to be fitted, not only 0 and 1
    sample = np.arange(0, n, 3)
    sampled = Rows(rows.features[sample], rows.targets[sample], rows.weights[sample])
    solution = solve_primal(sums_of(rows), sorted(set(names_of(rows))), extra, sampled, strength)
    check(solution, rows.joined(extra), strength, sample)


@law
@given(seed=seeds, classes=st.integers(2, 4))
def test_dual_and_primal_agree(seed, classes):
    rows, sample = rows_of(seed, 24, classes=classes, weighted=False), np.arange(0, 24, 2)
    sampled = Rows(rows.features[sample], rows.targets[sample], rows.weights[sample])
    dual = solve_dual(rows, sample)
    primal = solve_primal(sums_of(rows), sorted(set(names_of(rows))), Rows.empty(7, classes), sampled)
    assert primal.strength == dual.strength
    for part in ("weights", "offsets", "left_out"):
        np.testing.assert_allclose(getattr(primal, part), getattr(dual, part), rtol=1e-3, atol=1e-4)


@law
@given(seed=seeds, classes=st.sampled_from([8, 20]))
def test_a_class_that_has_one_example_more_does_not_take_all(seed, classes):
    """An only example is always wrong when left out: what errs least then gives everything to the largest class."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, 16))
    odd = centres.mean(axis=0) + 1.5 * rng.standard_normal(16)
    memory = assocmem.ConceptMemory(16, "l2")
    memory.teach(np.vstack([centres, odd]).astype(np.float32), [f"{i % classes:02d}" for i in range(classes + 1)])
    asked = (centres + 0.2 * rng.standard_normal((classes, 16))).astype(np.float32)
    assert (memory.nearest(asked, 1).concepts[:, 0] == np.arange(classes)).mean() > 0.9


@law
@given(seed=seeds, n=st.sampled_from([5, 12]), classes=classes)
def test_the_strength_is_that_of_the_least_error_of_what_is_left_out(seed, n, classes):
    rows, centred = rows_of(seed, n, classes=classes, weighted=False), classes > 1
    assume(rows.targets[:-1].sum(axis=0).max() > 1)
    found = best_strength(products(rows.features, rows.features), rows.targets), solve_dual(rows, np.arange(n)).strength
    assert solve_dual(rows, np.arange(n - 1)).strength == best_strength(
        products(rows.features[:-1], rows.features[:-1]), rows.targets[:-1]
    )
    features = scaled(rows)
    shown = features - centred * features.mean(axis=0)
    tried = GRID * np.linalg.eigvalsh(shown @ shown.T).clip(0).mean()
    errors = naive_concepts.errors(features, rows.targets, tried, centred)
    for strength in found:  # of strengths that are equally good, either
        chosen = int(np.abs(tried - strength).argmin())
        assert tried[chosen] == pytest.approx(strength)
        assert errors[chosen] <= min(errors) * (1 + 1e-4)


@law
@given(seed=seeds)
def test_weight_two_is_twice_there(seed):
    rows = rows_of(seed, 10, weighted=False)
    twice = solve_dual(rows.joined(Rows(rows.features[:3], rows.targets[:3], rows.weights[:3])), np.arange(2), 1e-4)
    heavy = solve_dual(Rows(rows.features, rows.targets, np.where(np.arange(10) < 3, 2.0, 1.0)), np.arange(2), 1e-4)
    np.testing.assert_allclose(heavy.weights, twice.weights, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(heavy.offsets, twice.offsets, rtol=1e-3, atol=1e-5)


def test_scores_are_weights_on_features_and_an_offset():
    rows = rows_of(1, 12)
    solution = solve_dual(rows, np.arange(12))
    expected = [
        [sum(float(w) * int(f) for w, f in zip(ws, row, strict=True)) + float(o)
         for ws, o in zip(solution.weights, solution.offsets, strict=True)]
        for row in rows.features
    ]  # fmt: skip
    np.testing.assert_allclose(solution.scores(rows.features), expected, rtol=1e-4, atol=1e-5)
    assert solution.scores(rows.features).dtype == np.float32


def test_one_class_alone_scores_0_far_from_all():
    rows = Rows(np.full((5, 7), 90, np.int8), np.ones((5, 1)), np.ones(5))
    for solution in (
        solve_dual(rows, np.arange(5), 1e-3),
        solve_primal(sums_of(rows), ["a"], Rows.empty(7, 1), rows, 1e-3),
    ):
        assert solution.scores(np.zeros((1, 7), np.int8)).tolist() == [[0.0]]
        assert solution.scores(rows.features).min() > 0.5


# sums


def state(sums):
    return sums.gram.tobytes(), {name: part.tobytes() for name, part in sums.by_class.items()}, sums.counts


@law
@given(seed=seeds, n=st.sampled_from([1, 30]))
def test_sums_are_whole_numbers_added_up(seed, n):
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
    sums = Sums(2)
    sums.add(features, ["a"] * 3000)
    whole = features.astype(np.int64)
    assert sums.gram.tolist() == (whole.T @ whole).tolist()


@law
@given(seed=seeds, order=seeds)
def test_sums_do_not_depend_on_the_order(seed, order):
    rows = rows_of(seed, 20)
    names, places = names_of(rows), np.random.default_rng(order).permutation(20)
    sums = Sums(7)
    for place in places.tolist():
        sums.add(rows.features[place : place + 1], names[place : place + 1])
    assert state(sums) == state(sums_of(rows))


@law
@given(seed=seeds)
def test_what_is_taken_off_was_never_there(seed):
    kept, taken = rows_of(seed, 12, classes=2), rows_of(seed + 1, 9, classes=3)
    sums = sums_of(kept)
    sums.add(taken.features, names_of(taken))
    assert "c" in sums.counts
    sums.add(taken.features, names_of(taken), -1)
    assert state(sums) == state(sums_of(kept))
