"""Active learning against an oracle in plain loops, and its laws."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.concepts import active_learning as asking
from assocmem.concepts.active_learning import Kernel, choose, fresh, references, worth_asking
from assocmem.errors import InputError


def similar(x, y):
    d2 = np.square(x[:, None, :] - y[None, :, :]).sum(axis=2)
    return np.exp(-d2 / x.shape[1]).astype(np.float32)


def kernel(pool, taught):
    rows = references(len(pool))
    return Kernel(similar(taught, taught), similar(pool, taught), similar(pool, pool[rows]), rows)


def lesson(seed, n=40, t=6, c=3, dim=4):
    rng = np.random.default_rng(seed)
    pool, taught = rng.normal(size=(n, dim)), rng.normal(size=(t, dim))
    return pool, taught, rng.dirichlet(np.ones(c), n) if c else np.empty((n, 0))


def naive_gains(pool, taught, p, ridge):
    """One question after another: the posterior of the pool, then what each answer would lower, doubt by doubt."""
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
def test_the_question_is_the_one_plain_loops_find(seed):
    pool, taught, p = lesson(seed, t=seed, c=seed % 4)
    gains = naive_gains(pool, taught, p, 0.1)
    open_rows = np.random.default_rng(seed).random(len(pool)) < 0.7
    found = choose(kernel(pool, taught), p, open_rows, ridge=0.1).row
    assert open_rows[found]
    assert gains[found] == pytest.approx(max(g for g, o in zip(gains, open_rows, strict=True) if o), rel=1e-4)


@pytest.mark.parametrize("classes", [0, 1, 2, 5])
def test_of_equal_pictures_the_first_is_asked_about(classes):
    pool = np.ones((30, 4))
    taught = np.zeros((2, 4))
    p = np.full((30, classes), 1 / max(classes, 1))
    open_rows = np.ones(30, bool)
    open_rows[:7] = False
    assert choose(kernel(pool, taught), p, open_rows).row == 7


def test_asking_is_deterministic_and_changes_nothing_it_is_given():
    pool, taught, p = lesson(1)
    k, open_rows = kernel(pool, taught), np.ones(len(pool), bool)
    before = [a.copy() for a in (*k, p, open_rows)]
    assert choose(k, p, open_rows) == choose(k, p, open_rows)
    for was, now in zip(before, (*k, p, open_rows), strict=True):
        np.testing.assert_array_equal(was, now)


def test_the_order_of_what_was_taught_does_not_matter():
    pool, taught, p = lesson(2, t=20)
    forth = choose(kernel(pool, taught), p, np.ones(len(pool), bool))
    assert forth == choose(kernel(pool, taught[::-1]), p, np.ones(len(pool), bool))


def test_a_near_copy_of_what_was_asked_is_never_asked_about():
    rng = np.random.default_rng(3)
    shots = rng.normal(size=(8, 16))
    pool = np.repeat(shots, 20, axis=0) + 0.02 * rng.normal(size=(160, 16))  # twenty frames of each of eight shots
    open_rows, asked, scenes = np.ones(160, bool), [], []
    while (row := choose(kernel(pool, pool[asked]), np.empty((160, 0)), open_rows).row) >= 0:
        asked.append(row)
        scenes.append(row // 20)
        open_rows &= fresh(pool, pool[row])
    assert sorted(scenes) == list(range(8))


def test_the_first_question_is_about_the_largest_group():
    rng = np.random.default_rng(4)
    pool = np.concatenate([rng.normal(size=(30, 4)) * 5, 0.5 * rng.normal(size=(30, 4))])
    question = choose(kernel(pool, np.empty((0, 4))), np.empty((60, 0)), np.ones(60, bool))
    assert question.row >= 30
    assert "nothing is known" in question.reason


def test_copies_among_the_taught_are_no_error_without_noise():
    pool, taught, p = lesson(5)
    assert choose(kernel(pool, np.repeat(taught, 5, axis=0)), p, np.ones(len(pool), bool), ridge=0).row >= 0


def test_nothing_is_asked_when_nothing_is_open():
    pool, taught, p = lesson(6)
    question = choose(kernel(pool, taught), p, np.zeros(len(pool), bool))
    assert question.row == -1
    assert question.others == 0


def test_a_large_pool_is_weighed_by_its_most_doubtful(monkeypatch):
    pool, taught, p = lesson(7, n=300)
    every = choose(kernel(pool, taught), p, np.ones(300, bool)).row
    monkeypatch.setattr(asking, "CANDIDATES", 150)
    assert choose(kernel(pool, taught), p, np.ones(300, bool)).row == every
    flat = choose(kernel(pool, taught), np.full((300, 2), 0.5), np.ones(300, bool)).row
    assert 0 <= flat < 300


@pytest.mark.parametrize("n", [0, 1, 7, 399, 400, 401, 5000])
def test_references_are_rows_of_the_pool_each_once(n):
    rows = references(n)
    assert len(rows) == min(n, asking.REFERENCES)
    assert len(np.unique(rows)) == len(rows)
    assert not n or (rows[0] == 0 and rows[-1] == n - 1) or n == 1


def test_fresh_knows_copies_by_their_direction():
    x = np.array([[1.0, 0], [0.99, 0.05], [0, 1], [-1, 0], [0, 0]])
    np.testing.assert_array_equal(fresh(x, [[2.0, 0]]), [False, False, True, True, True])
    np.testing.assert_array_equal(fresh(x, np.empty((0, 2))), True)


def test_reasons_say_how_sure_the_guess_is():
    def reason(p):
        return asking._reason(np.array(p), 3, 1)

    assert reason([0.3, 0.3, 0.4]) == "no known name fits well, the best 40%"
    assert reason([0.3, 0.6, 0.1]) == "it may be one of two, 60% and 30%"
    assert reason([0.9, 0.1]) == "fairly sure, 90%"
    assert reason([1.0]) == "unlike what is known"


def test_wrong_shapes_are_refused():
    pool, taught, p = lesson(8)
    k, open_rows = kernel(pool, taught), np.ones(len(pool), bool)
    with pytest.raises(InputError, match="rows of probabilities"):
        choose(k, p[1:], open_rows)
    with pytest.raises(InputError, match="rows of probabilities"):
        choose(k, p, open_rows[1:])
    with pytest.raises(InputError, match=r"\(6, 6\)"):
        choose(k._replace(taught=k.taught[:, :2]), p, open_rows)
    with pytest.raises(InputError, match="one width"):
        fresh(pool, np.ones((1, 3)))


def test_asking_ends_when_answers_change_little():
    rng = np.random.default_rng(9)
    guesses = np.repeat(rng.integers(0, 5, (1, 200)), 50, axis=0)
    assert worth_asking(guesses) == (False, "the last 20 answers changed the names of 0 of 200")
    guesses[-1, :6] += 1  # three in a hundred
    assert worth_asking(guesses) == (True, "the last 20 answers changed the names of 6 of 200")
    guesses[-1, 5] -= 1
    assert not worth_asking(guesses)[0]
    guesses[:-21] = 9  # what was before does not count
    assert not worth_asking(guesses)[0]


def test_too_few_answers_are_not_judged_and_an_empty_pool_is_not_asked_about():
    worth, reason = worth_asking(np.zeros((20, 10), int))
    assert worth
    assert "20 answers are too few" in reason
    assert not worth_asking(np.zeros((30, 0), int))[0]
    with pytest.raises(InputError, match="answers, pictures"):
        worth_asking(np.zeros(4, int))
