"""What searches expect to miss: corrections in closed form, and expectations against what is missed, at any cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.search.certificate import Ladder, Outlook, Plan, corrections, first_model
from assocmem.search.clique_index import CliqueIndex
from assocmem.search.probing import Goal
from tests.search.test_any_data import DATA
from tests.strategies import law, seeds

K = 10


@law
@given(seed=seeds, recall=st.floats(0.05, 0.999), size=st.sampled_from([0.0, 1e-3, 1.0, 30.0]))
def test_corrected_expectations_have_the_recall_that_was_found(seed, recall, size):
    missed = size * np.random.default_rng(seed).exponential(size=50)
    factor, extra = corrections(missed, K, recall)
    assert (K / (K + factor * missed + extra * K)).mean() == pytest.approx(recall, abs=2e-3)
    assert extra >= 0


def ladder(recalls, costs):
    steps = -np.arange(len(recalls), dtype=float)
    ones = np.ones(len(recalls))
    return Ladder(steps, np.array(recalls), 2 * ones, 0.1 * ones, np.array(costs))


def outlook(yields, efforts):
    return Outlook(100, first_model(8), yields, efforts, 2 * K)


def test_a_promise_takes_the_step_that_reached_half_of_what_it_allows_to_be_missed():
    about = outlook(ladder([0.5, 0.9, 0.99], [0.1, 0.2, 0.3]), ladder([0.5, 1.0], [0.5, 1.0]))
    plan = about.plan(K, 0.8, 1000)  # aims at 0.9
    assert plan.goal.pool_yield == pytest.approx(np.exp(-1))
    assert about.plan(1, 0.8, 1000).goal.pool_yield == pytest.approx(np.exp(-1) / 10)
    assert (plan.factor, plan.extra) == pytest.approx((2, 0.1))
    between = about.plan(K, 0.89, 1000).goal.pool_yield  # aims at 0.945
    assert np.exp(-2) < between < np.exp(-1)


def test_a_promise_takes_a_number_of_pools_where_that_is_cheaper_for_as_many_neighbours_as_it_was_tried_with():
    efforts = ladder([0.5, 0.9, 1.0], [0.05, 0.1, 1.0])._replace(steps=np.log([0.01, 0.1, 1.0]))
    about = outlook(ladder([0.5, 0.9, 0.99], [0.1, 0.2, 0.3]), efforts)
    for k in (1, K, 2 * K):
        assert about.plan(k, 0.8, 1000).goal.pools == 100
    assert about.plan(2 * K + 1, 0.8, 1000).goal.pools == 0
    assert about._replace(most=0).plan(K, 0.8, 1000).goal.pools == 0
    dearer = about._replace(efforts=efforts._replace(costs=np.array([0.2, 0.3, 1.0])))
    assert dearer.plan(K, 0.8, 1000).goal.pools == 0


def test_a_promise_that_no_yield_keeps_takes_an_effort_and_one_that_none_keeps_cheaply_is_exact():
    about = outlook(ladder([0.5, 0.9], [0.1, 0.2]), ladder([0.95, 1.0], [0.5, 0.7])._replace(steps=np.log([0.1, 0.4])))
    plan = about.plan(K, 0.9, 1000)  # aims at 0.95
    assert plan.goal.pools == 100
    dear = outlook(ladder([0.5, 0.9], [0.1, 1.2]), ladder([0.95, 1.0], [1.5, 2.0]))
    assert dear.plan(K, 0.8, 1000) is None
    assert dear.plan(K, 0.9, 1000) is None


def test_an_effort_between_two_that_were_tried_is_corrected_by_both():
    efforts = Ladder(np.log([0.1, 0.4]), np.array([0.5, 1.0]), np.array([1.0, 4.0]), np.array([0.0, 0.2]), np.ones(2))
    about = outlook(ladder([0.5], [0.1]), efforts)
    plan = about.plan_of_effort(0.2, 1000)
    assert plan.goal.pools == 200
    assert (plan.factor, plan.extra) == pytest.approx((2, 0.1))
    assert about.plan_of_effort(0.001, 1000).factor == pytest.approx(1)
    assert about.plan_of_effort(0.9, 1000).factor == pytest.approx(4)


def test_queries_that_equal_all_their_neighbours_miss_nothing():
    plan = Plan(Goal(0, 0.1, 0.1, 0.05, True), 3.0, 0.5)
    expected, nearest = np.array([1.0, 1.0], np.float32), np.array([False, True])
    assert plan.missed(expected, nearest, K).tolist() == [8.0, 0.0]


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("name", ["gauss", "offset", "clusters", "drift", "surface", "words", "many times"])
def test_what_is_expected_is_what_is_found_at_any_promise_and_effort(name, metric):
    """With as many queries as a small index allows; the benchmark's families show it on 50,000 items."""
    rng = np.random.default_rng(1)
    x, q = (DATA[name](rng, n).astype(np.float32) for n in (9000, 600))
    if metric == "cosine":
        x, q = x + 1e-3, q + 1e-3  # no zero vectors
    index = CliqueIndex(x.shape[1], metric, features="float32")
    index.add(x)
    sign = 1 if metric == "l2" else -1
    limits = sign * index.search(q, K, effort=1.0)[0][:, -1:]
    limits = limits + (1e-5 * limits if metric == "l2" else 1e-5 * (1 + limits) + 1e-7)
    differences = []
    ways = [{"recall": recall} for recall in (0.5, 0.8, 0.95, 0.99)] + [{"effort": e} for e in (0.02, 0.1, 0.3)]
    for way in ways:
        found, _, report = index.search(q, K, report=True, **way)
        actual = (sign * found <= limits).mean()
        differences.append(abs(float(report.recall.mean()) - actual))
        if "recall" in way:
            assert actual >= way["recall"] - 0.02
    # Copies are worse: items with copies are in pools that their copies made, queries are not.
    most = (0.07, 0.1) if name == "many times" else (0.035, 0.08)
    assert np.mean(differences) < most[0], differences
    assert max(differences[:4]) < most[1], differences
