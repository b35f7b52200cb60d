"""Examples as people have them: rare concepts, contradictions, offsets, wide columns; and how soon one more counts.

The right values are those of a simple method that is told what is special about the data.
"""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.concepts import ridge, solvers
from assocmem.concepts.memory import ConceptMemory
from assocmem.errors import PrecisionWarning


def draw(seed, counts, dim=64, noise=1.5, asked=50):
    """Examples and questions of concepts around random centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((len(counts), dim))
    y, t = np.repeat(np.arange(len(counts)), counts), np.repeat(np.arange(len(counts)), asked)
    x, q = (centres[which] + noise * rng.standard_normal((len(which), dim)) for which in (y, t))
    return x.astype(np.float32), y, q.astype(np.float32), t


def taught(x, y, metric="cosine"):
    memory = ConceptMemory(x.shape[1], metric)
    memory.teach(x, [f"c{number:02d}" for number in y], ids=np.arange(len(y)))
    return memory


def right(memory, q, t):
    """Share of right answers of each concept."""
    answer = memory.nearest(q, 1).concepts[:, 0]
    return np.array([(answer[t == concept] == concept).mean() for concept in np.unique(t)])


def by_nearest_mean(x, y, q, t):
    means = np.stack([x[y == concept].mean(axis=0) for concept in np.unique(y)])
    answer = ((q[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    return np.array([(answer[t == concept] == concept).mean() for concept in np.unique(t)])


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("counts", [(800, 400, 200, 100, 50, 20, 10, 5, 3, 2), (3000, 3), (90, 1, 1)])
def test_rare_concepts_are_recognised_like_others(counts, metric):
    """At least as well as by the nearest mean, which no number of examples misleads; in the mean of three draws."""
    found, expected = [], []
    for seed in range(3):
        x, y, q, t = draw(seed, counts)
        found.append(right(taught(x, y, metric), q, t))
        expected.append(by_nearest_mean(x, y, q, t))
    found, expected = np.mean(found, axis=0), np.mean(expected, axis=0)
    assert (found >= expected - 0.06).all(), (found, expected)
    assert found.mean() >= expected.mean()


@pytest.mark.parametrize(("a", "b"), [(6, 4), (60, 40), (51, 49), (50, 50), (5, 45), (1, 1), (3, 3)])
def test_the_same_vector_as_two_concepts_is_each_as_often_as_it_was_taught(a, b):
    x = np.repeat(np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32), a + b, axis=0)
    found = taught(x, np.repeat([0, 1], [a, b])).probabilities(x[:1])[0][0]
    assert found[0] == pytest.approx(a / (a + b), abs=0.08)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x + 1e4,
        lambda x: x * np.r_[1e4, np.ones(63)],
        lambda x: x * np.r_[1e-4, np.ones(63)],
        lambda x: x * 1e5,
        lambda x: x * 1e-12,
        lambda x: x * np.r_[np.full(10, 3e3), np.ones(54)] + 50,
        lambda x: np.hstack([x, np.full((len(x), 20), 30.0)]),
        lambda x: np.hstack([x, np.full((len(x), 1), -1e6)]),
    ],
    ids=["offset", "wide", "narrow", "great", "tiny", "wide-and-offset", "constants", "far-constant"],
)
def test_offsets_and_scales_cost_nothing(change, metric):
    """Columns that are narrow lose what they say; all else is as with the plain vectors."""
    x, y, q, t = draw(3, (20,) * 10)
    plain = right(taught(x, y, metric), q, t).mean()
    x, q = change(x.astype(np.float64)).astype(np.float32), change(q.astype(np.float64)).astype(np.float32)
    assert right(taught(x, y, metric), q, t).mean() >= plain - 0.03


def test_more_examples_than_are_solved_anew_agree_with_a_memory_that_was_taught_at_once(monkeypatch):
    """Teach one, ask one, beyond each limit; the later answers come from an inverse that followed."""
    monkeypatch.setattr(ridge, "SOLVED_ANEW", 40)
    monkeypatch.setattr(solvers, "SOLVED_ANEW", 40)
    monkeypatch.setattr(ridge, "DUAL_LIMIT", 100)
    monkeypatch.setattr(ridge, "SAMPLE", 50)
    x, y, q, _ = draw(5, (60, 50, 20))
    order = np.random.default_rng(5).permutation(130)
    memory = ConceptMemory(64)
    for count, place in enumerate(order.tolist()):
        memory.teach(x[place], f"c{y[place]:02d}", ids=[place])
        if count in (90, 110):
            memory.unteach(order[:3])
            memory.nearest(q[:1])
            memory.teach(x[order[:3]], [f"c{y[row]:02d}" for row in order[:3]], ids=order[:3])
        if count % 7 == 0:
            memory.nearest(q[:1])
    fresh = taught(x, y)
    np.testing.assert_allclose(memory.scores(q), fresh.scores(q), atol=1e-4)
    np.testing.assert_allclose(memory.probabilities(q)[0], fresh.probabilities(q)[0], atol=1e-3)


@pytest.mark.parametrize("n", [600, 2100])
def test_one_more_example_does_not_solve_anew(monkeypatch, n):
    x, y, q, _ = draw(7, (n // 2, n // 2), dim=16)
    memory = taught(x, y)
    memory.nearest(q[:1])
    calls, inverse = [], np.linalg.inv

    def watched(matrix):
        calls.append(len(matrix))
        return inverse(matrix)

    monkeypatch.setattr(np.linalg, "inv", watched)
    for extra in range(3):
        memory.teach(q[extra], "c01", ids=[n + extra])
        memory.nearest(q[:1])
    assert max(calls) < 100


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_codes_that_tell_nothing_apart_are_told(metric):
    x, y, q, t = draw(3, (20,) * 10)
    memory = ConceptMemory(64, metric, code_bytes=64)
    with pytest.warns(PrecisionWarning, match="found codes that are nearly all the same"):
        memory.teach(x + np.float32(1000), [f"c{number}" for number in y], ids=np.arange(len(y)))
    mean = (x + np.float32(1000)).mean(axis=0)
    if metric == "l2":  # the way out that the warning names
        memory = ConceptMemory(64, metric, code_bytes=64, mean=mean)
        memory.teach(x + np.float32(1000), [f"c{number:02d}" for number in y], ids=np.arange(len(y)))
        assert right(memory, q + np.float32(1000), t).mean() > 0.9


def test_codes_of_similar_vectors_are_not_told():
    x, y, _, _ = draw(3, (40, 40))
    memory = ConceptMemory(64, code_bytes=32)
    memory.teach(0.3 * x + x[:1], [f"c{number}" for number in y], ids=np.arange(len(y)))
