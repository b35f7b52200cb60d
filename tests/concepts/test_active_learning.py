"""Active learning against an oracle in plain loops, and its laws."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.concepts import active_learning
from assocmem.concepts.active_learning import KernelMatrices, choose, reference_rows, unlike_known, worth_asking
from assocmem.errors import InputError


def similar(x, y):
    d2 = np.square(x[:, None, :] - y[None, :, :]).sum(axis=2)
    return np.exp(-d2 / x.shape[1]).astype(np.float32)


def kernel(pool, taught):
    rows = reference_rows(len(pool))
    return KernelMatrices(similar(taught, taught), similar(pool, taught), similar(pool, pool[rows]), rows)


def problem(seed, n=40, t=6, c=3, dim=4):
    rng = np.random.default_rng(seed)
    pool, taught = rng.normal(size=(n, dim)), rng.normal(size=(t, dim))
    return pool, taught, rng.dirichlet(np.ones(c), n) if c else np.empty((n, 0))


def naive_gains(pool, taught, p, ridge):
    """Gain of each question, one by one: the posterior of the pool, then the reduction of each variance."""
    everything = np.concatenate([pool, taught])
    k = similar(everything, everything).astype(np.float64) + 1
    n = len(pool)
    inverse = np.linalg.inv(k[n:, n:] + ridge * np.eye(len(taught)))
    cov = k[:n, :n] - k[:n, n:] @ inverse @ k[n:, :n]
    doubts = [1 - (sorted(row)[-1] - sorted(row)[-2]) if len(row) > 1 else 1.0 for row in p.tolist()]
    return [
        doubts[i] * sum(doubts[j] ** 0.5 * cov[i, j] ** 2 / (cov[i, i] + ridge) for j in range(n)) for i in range(n)
    ]


@pytest.mark.parametrize("seed", range(10))
def test_the_choice_is_that_of_plain_loops(seed):
    pool, taught, p = problem(seed, t=seed, c=seed % 4)
    gains = naive_gains(pool, taught, p, 0.1)
    open_rows = np.random.default_rng(seed).random(len(pool)) < 0.7
    found = choose(kernel(pool, taught), p, open_rows, ridge=0.1).row
    assert open_rows[found]
    assert gains[found] == pytest.approx(max(g for g, o in zip(gains, open_rows, strict=True) if o), rel=1e-4)


@pytest.mark.parametrize("classes", [0, 1, 2, 5])
def test_of_equal_pictures_the_first_is_chosen(classes):
    pool = np.ones((30, 4))
    taught = np.zeros((2, 4))
    p = np.full((30, classes), 1 / max(classes, 1))
    open_rows = np.ones(30, bool)
    open_rows[:7] = False
    assert choose(kernel(pool, taught), p, open_rows).row == 7


def test_choosing_is_deterministic_and_changes_no_argument():
    pool, taught, p = problem(1)
    k, open_rows = kernel(pool, taught), np.ones(len(pool), bool)
    before = [a.copy() for a in (*k, p, open_rows)]
    assert choose(k, p, open_rows) == choose(k, p, open_rows)
    for was, now in zip(before, (*k, p, open_rows), strict=True):
        np.testing.assert_array_equal(was, now)


def test_the_order_of_taught_pictures_does_not_matter():
    pool, taught, p = problem(2, t=20)
    forth = choose(kernel(pool, taught), p, np.ones(len(pool), bool))
    assert forth == choose(kernel(pool, taught[::-1]), p, np.ones(len(pool), bool))


def test_near_copies_of_a_question_are_never_chosen():
    rng = np.random.default_rng(3)
    shots = rng.normal(size=(8, 16))
    pool = np.repeat(shots, 20, axis=0) + 0.02 * rng.normal(size=(160, 16))  # twenty frames of each of eight shots
    open_rows, asked, scenes = np.ones(160, bool), [], []
    while (row := choose(kernel(pool, pool[asked]), np.empty((160, 0)), open_rows).row) >= 0:
        asked.append(row)
        scenes.append(row // 20)
        open_rows &= unlike_known(pool, pool[row])
    assert sorted(scenes) == list(range(8))


def test_the_first_choice_is_in_the_densest_group():
    rng = np.random.default_rng(4)
    pool = np.concatenate([rng.normal(size=(30, 4)) * 5, 0.5 * rng.normal(size=(30, 4))])
    found = choose(kernel(pool, np.empty((0, 4))), np.empty((60, 0)), np.ones(60, bool))
    assert found.row >= 30
    assert "nothing is known" in found.reason


def test_copies_among_the_taught_pictures_are_no_error_without_noise():
    pool, taught, p = problem(5)
    assert choose(kernel(pool, np.repeat(taught, 5, axis=0)), p, np.ones(len(pool), bool), ridge=0).row >= 0


def test_nothing_is_chosen_if_nothing_is_open():
    pool, taught, p = problem(6)
    found = choose(kernel(pool, taught), p, np.zeros(len(pool), bool))
    assert found.row == -1
    assert found.others == 0


def test_in_a_large_pool_the_most_doubtful_are_compared(monkeypatch):
    pool, taught, p = problem(7, n=300)
    every = choose(kernel(pool, taught), p, np.ones(300, bool)).row
    monkeypatch.setattr(active_learning, "MAX_CANDIDATES", 150)
    assert choose(kernel(pool, taught), p, np.ones(300, bool)).row == every
    flat = choose(kernel(pool, taught), np.full((300, 2), 0.5), np.ones(300, bool)).row
    assert 0 <= flat < 300


@pytest.mark.parametrize("n", [0, 1, 7, 399, 400, 401, 5000])
def test_references_are_rows_of_the_pool_each_once(n):
    rows = reference_rows(n)
    assert len(rows) == min(n, active_learning.MAX_REFERENCES)
    assert len(np.unique(rows)) == len(rows)
    assert not n or (rows[0] == 0 and rows[-1] == n - 1) or n == 1


def test_near_copies_have_the_same_direction():
    x = np.array([[1.0, 0], [0.99, 0.05], [0, 1], [-1, 0], [0, 0]])
    np.testing.assert_array_equal(unlike_known(x, [[2.0, 0]]), [False, False, True, True, True])
    np.testing.assert_array_equal(unlike_known(x, np.empty((0, 2))), True)


def test_reasons_say_how_certain_the_guess_is():
    def reason(p):
        pool, taught, _ = problem(1, n=1, t=3)
        return choose(kernel(pool, taught), [p], np.ones(1, bool)).reason

    assert reason([0.3, 0.3, 0.4]) == "no known name fits well, the best 40%"
    assert reason([0.3, 0.6, 0.1]) == "it may be one of two, 60% and 30%"
    assert reason([0.9, 0.1]) == "fairly sure, 90%"
    assert reason([1.0]) == "unlike what is known"


def test_invalid_shapes_are_refused():
    pool, taught, p = problem(8)
    k, open_rows = kernel(pool, taught), np.ones(len(pool), bool)
    with pytest.raises(InputError, match="rows of probabilities"):
        choose(k, p[1:], open_rows)
    with pytest.raises(InputError, match="rows of probabilities"):
        choose(k, p, open_rows[1:])
    with pytest.raises(InputError, match=r"\(6, 6\)"):
        choose(k._replace(taught=k.taught[:, :2]), p, open_rows)
    with pytest.raises(InputError, match="one width"):
        unlike_known(pool, np.ones((1, 3)))


def test_asking_ends_if_answers_change_little():
    rng = np.random.default_rng(9)
    guesses = np.repeat(rng.integers(0, 5, (1, 200)), 50, axis=0)
    assert worth_asking(guesses) == (False, "the last 20 answers changed the names of 0 of 200")
    guesses[-1, :6] += 1  # three in a hundred
    assert worth_asking(guesses) == (True, "the last 20 answers changed the names of 6 of 200")
    guesses[-1, 5] -= 1
    assert not worth_asking(guesses)[0]
    guesses[:-21] = 9  # what was before does not count
    assert not worth_asking(guesses)[0]


def test_few_answers_never_end_it_and_an_empty_pool_always_does():
    worth, reason = worth_asking(np.zeros((20, 10), int))
    assert worth
    assert "20 answers are too few" in reason
    assert not worth_asking(np.zeros((30, 0), int))[0]
    with pytest.raises(InputError, match="answers, pictures"):
        worth_asking(np.zeros(4, int))
