"""Weights of witnesses: a convex problem against a plain search, and witnesses that know and that guess."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.concepts import weighing
from assocmem.concepts.weighing import Weights, Witnesses, weigh


def some(seed, counts, knows="ridge", concepts_of=None):
    """Scores of left-out examples in which one witness knows the concept, more or less, and others guess."""
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(len(counts)), counts)
    scores = {name: rng.standard_normal((len(which), len(counts))) for name in Witnesses._fields}
    scores[knows] += 2.5 * np.eye(len(counts))[which]
    scores["ridge"] = 1 / (1 + np.exp(-scores["ridge"]))
    return Witnesses(**scores), which, np.array(counts)


@pytest.mark.parametrize("knows", Witnesses._fields)
def test_the_witness_that_knows_weighs_most(knows):
    left_out, which, counts = some(1, (40, 50, 60), knows)
    found = weigh(left_out, which, counts)
    deviations = [np.log(left_out.ridge + found.floor).std(), left_out.discriminant.std(), left_out.means.std()]
    heard = dict(zip(Witnesses._fields, np.array(found[1:4]) * deviations, strict=True))
    assert all(heard[knows] > 3 * heard[other] for other in Witnesses._fields if other != knows)
    right = (found.scores(left_out, counts).argmax(axis=1) == which).mean()
    assert right > 0.85


def test_the_weights_minimise_the_error():
    left_out, which, counts = some(2, (30, 9, 4), "means")
    found = weigh(left_out, which, counts)
    share = np.sqrt(counts[which]) / np.bincount(which)[which]
    grown = left_out.ridge.copy()
    grown[np.arange(43), which] *= (counts / (counts - 1))[which]
    parts = [np.log(grown + found.floor), left_out.discriminant, left_out.means]
    scales = np.array([*(part.std() for part in parts), 1.0])

    def error(weights):
        scores = sum(w * part for w, part in zip(weights, parts, strict=False)) + weights[3] * np.log(counts)
        scores = scores - scores.max(axis=1, keepdims=True)
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        loss = -(share / share.sum()) @ np.log(shares[np.arange(43), which])
        return loss + (1e-3 + 0.1 / 43) * float(((np.array(weights) * scales) ** 2).sum())

    best = error(found[1:])
    for place in range(4):
        for step in (-1e-3, 1e-3):
            tried = list(found[1:])
            tried[place] += step / scales[place]
            if tried[place] >= (-1 if place == 3 else 0) and tried[3] <= 1:
                assert error(tried) >= best - 1e-9


def test_too_few_examples_leave_the_default():
    left_out, which, counts = some(3, (1, 1, 5))
    assert weigh(left_out, which, counts) == Weights()  # one concept only that is known without an example of it
    left_out, which, counts = some(3, (2, 3))
    assert weigh(left_out, which, counts) == Weights()


def test_with_many_concepts_each_example_is_compared_with_the_best(monkeypatch):
    left_out, which, counts = some(4, (6,) * 20, "discriminant")
    every = weigh(left_out, which, counts)
    monkeypatch.setattr(weighing, "CONTENDERS", 15)
    few = weigh(left_out, which, counts)
    assert few.discriminant == pytest.approx(every.discriminant, rel=0.3)
    assert (few.scores(left_out, counts).argmax(axis=1) == which).mean() > 0.5
