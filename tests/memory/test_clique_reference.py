"""The clique memory at full size against published values and values that others simulated."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
import pytest

from assocmem.memory import capacity
from assocmem.memory.clique import CliqueMemory

if os.environ.get("NUMBA_DISABLE_JIT"):
    pytest.skip("hundreds of thousands of messages need the compiler", allow_module_level=True)

DENSE, SPARSE = (8, 256, 8), (100, 64, 12)
ASKED = 10_000
CONVERGED = None


@cache
def stored(shape, number):
    """Return a memory of this many random messages, and ``ASKED`` of them."""
    clusters, units, active = shape
    rng = np.random.default_rng(number)
    messages = rng.integers(0, units, (number, clusters), dtype=np.uint8).astype(np.int16)
    if active < clusters:
        unused = rng.random((number, clusters), dtype=np.float32).argpartition(active, axis=1)[:, active:]
        np.put_along_axis(messages, unused, np.int16(-1), axis=1)
    memory = CliqueMemory(clusters, units, active=active)
    memory.store(messages)
    return memory, np.resize(messages, (ASKED, clusters))


def cues(shape, number, erased, *, guided=True):
    """Return cues of the stored messages, with random symbols erased."""
    _, messages = stored(shape, number)
    rng = np.random.default_rng(1)
    places = np.where(messages >= 0, rng.random(messages.shape), 2).argsort(axis=1)[:, :erased]
    out = np.where(messages < 0, -2 if guided and shape[2] < shape[0] else -1, messages)
    np.put_along_axis(out, places, -1, axis=1)
    assert (np.count_nonzero(out >= 0, axis=1) == shape[2] - erased).all()
    return out


def error(shape, number, erased, iterations, rule="sum-of-max", *, guided=True):
    """Return the share of messages that are not recalled completely.

    An ambiguous answer is an error: the message's units must be the only ones left.
    """
    memory, messages = stored(shape, number)
    asked = cues(shape, number, erased, guided=guided)
    answer = memory.recall(asked, rule=rule, iterations=iterations, guided=guided)
    return 1 - ((answer.messages == messages).all(axis=1) & answer.exact).mean()


def tolerance(share, *numbers):
    """Return three binomial standard errors of samples of these sizes, plus the variation between networks."""
    return 3 * np.sqrt(share * (1 - share) * sum(1 / number for number in numbers)) + 0.003


@pytest.mark.parametrize(
    ("number", "iterations", "rule", "density", "expected"),
    [
        (5000, 1, "sum-of-max", 0.0735, 0.0366),
        (10000, 1, "sum-of-max", 0.1416, 0.3574),
        (15000, 1, "sum-of-max", 0.2047, 0.8395),
        (20000, 1, "sum-of-max", 0.2630, 0.9918),
        (5000, CONVERGED, "sum-of-max", 0.0735, 0.0000),
        (10000, CONVERGED, "sum-of-max", 0.1416, 0.0020),
        (15000, CONVERGED, "sum-of-max", 0.2047, 0.0225),
        (20000, CONVERGED, "sum-of-max", 0.2630, 0.1145),
        (30000, CONVERGED, "sum-of-max", 0.3674, 0.9202),
        (15000, 4, "sum-of-sum", 0.2047, 0.0227),
        (20000, 4, "sum-of-sum", 0.2630, 0.1813),
        (30000, 4, "sum-of-sum", 0.3674, 0.9728),
    ],
)
def test_dense_recall_agrees_with_the_simulation(number, iterations, rule, density, expected):
    memory, _ = stored(DENSE, number)
    assert memory.density == pytest.approx(capacity.density(number, *DENSE), abs=0.001)
    assert memory.density == pytest.approx(density, abs=0.001)
    found = error(DENSE, number, 4, iterations, rule)
    assert found == pytest.approx(expected, abs=tolerance(expected, ASKED, 10_000))


@pytest.mark.parametrize(
    ("number", "iterations", "rule", "guided", "expected"),
    [
        (90_009, 4, "sum-of-max", True, 6.6e-5),
        (143_341, 4, "sum-of-max", True, 0.0041),
        (196_673, 4, "sum-of-max", True, 0.0553),
        (250_005, 4, "sum-of-max", True, 0.275),
        (90_009, 1, "sum-of-max", False, 0.029),
        (143_341, 1, "sum-of-max", False, 0.579),
        (90_009, 1, "gwsta", False, 0.029),
        (143_341, 1, "gwsta", False, 0.579),
        (143_341, 4, "gwsta", False, 0.32),
    ],
)
def test_sparse_recall_agrees_with_published_values(number, iterations, rule, guided, expected):
    memory, _ = stored(SPARSE, number)
    assert memory.density == pytest.approx(capacity.density(number, *SPARSE), abs=0.001)
    found = error(SPARSE, number, 3, iterations, rule, guided=guided)
    rounding = 0.005 if expected == 0.32 else 0  # "about 0.32"
    assert found == pytest.approx(expected, abs=tolerance(expected, ASKED) + rounding)


@pytest.mark.parametrize("number", [20_000, 30_000])
def test_sum_of_max_never_loses_a_right_unit_and_does_better_than_sum_of_sum(number):
    memory, messages = stored(DENSE, number)
    asked, rows = cues(DENSE, number, 4), np.arange(ASKED)
    answer = memory.recall(asked, candidates=True)
    for cluster in range(DENSE[0]):
        assert answer.candidates[rows, cluster, messages[:, cluster]].all()
    assert error(DENSE, number, 4, 4) + 0.001 < error(DENSE, number, 4, 4, "sum-of-sum")


@pytest.mark.parametrize(
    ("shape", "number", "symbols"),
    [(DENSE, 120_000, 8), (DENSE, 150_000, 8), (SPARSE, 143_341, 3), (SPARSE, 250_005, 4), (SPARSE, 250_005, 5)],
)
def test_random_messages_look_stored_as_often_as_the_formula_says(shape, number, symbols):
    memory, _ = stored(shape, number)
    rng = np.random.default_rng(2)
    asked = rng.integers(0, shape[1], (100_000, shape[0]), dtype=np.int16)
    unused = rng.random(asked.shape, dtype=np.float32).argsort(axis=1)[:, symbols:]
    np.put_along_axis(asked, unused, np.int16(-1), axis=1)
    expected = capacity.chance_familiarity(memory.density, symbols)
    assert 0.002 < expected < 0.1
    # 5% more: whole messages set connections, so these are not quite independent.
    assert memory.familiar(asked).mean() == pytest.approx(expected, abs=3 * np.sqrt(expected / len(asked)), rel=0.05)
    assert memory.familiarity(asked).mean() == pytest.approx(memory.density, abs=0.003)
