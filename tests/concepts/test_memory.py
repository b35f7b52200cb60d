"""ConceptMemory: taught examples are recognised by either classifier, however they are stored."""

from __future__ import annotations

import copy
import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import assocmem.concepts
from assocmem.concepts.memory import ConceptMemory
from tests.concepts.sample_memories import (
    DIM,
    LIMITS,
    NAMES,
    READERS,
    answers,
    clusters,
    content,
    denied,
    few_frequencies,
    memory_of,
    vectors,
)
from tests.strategies import law, seeds

EITHER = pytest.mark.parametrize("reader", READERS)
KINDS = [("cosine", None), ("l2", None), ("cosine", 3), ("l2", 64), ("cosine", 100), ("l2", 512)]


def named(found, column=0):
    return [found.names[place] for place in found.concepts[:, column]]


# answers


@EITHER
@pytest.mark.parametrize("kind", KINDS)
def test_clusters_are_recognised(kind, reader):
    memory, (q, names, _) = memory_of(kind, clusters(1, 4, 6)), clusters(1, 4, 5, draw=1)
    found = memory.nearest(q, 2, reader=reader)
    assert np.mean([a == b for a, b in zip(named(found), names, strict=True)]) >= (0.9 if kind[1] != 3 else 0.7)
    assert found.names == memory.concepts == tuple(NAMES)
    scores = memory.scores(q, reader=reader)
    assert (scores.dtype, scores.shape) == (np.float32, (20, 4))
    assert found.concepts[:, 0].tolist() == scores.argmax(axis=1).tolist()
    assert (found.probabilities.dtype, found.concepts.dtype, found.none.dtype) == (np.float32, np.int64, bool)


@EITHER
@pytest.mark.parametrize("limits", LIMITS)
def test_clusters_are_recognised_on_both_sides_of_the_dual_limit(limits, reader):
    with few_frequencies(limits, 256):
        memory, (q, names, _) = memory_of(KINDS[0], clusters(1, 4, 6)), clusters(1, 4, 5, draw=1)
        assert named(memory.nearest(q, 1, reader=reader)) == names


@EITHER
@pytest.mark.parametrize("code_bytes", [1, 2, 3, 64, 65, 200, 300, 512])
@pytest.mark.parametrize("dim", [1, 5, 24, 100])
def test_codes_of_any_number_of_bytes_recognise_examples(code_bytes, dim, reader):
    """Also if the number of axes is not a multiple of the number of bytes."""
    centre = vectors(2, 1, dim)
    x = (np.where(np.arange(8) % 2, -1, 1)[:, None] * (centre + 0.1 * abs(centre) * vectors(3, 8, dim))).astype("f4")
    memory = ConceptMemory(dim, code_bytes=code_bytes)
    memory.teach(x, ["odd" if i % 2 else "even" for i in range(8)])
    assert memory.nbytes == 8 * (code_bytes + 12)
    assert named(memory.nearest(x, 1, reader=reader)) == ["even", "odd"] * 4


@law
@given(seed=seeds, kind=st.sampled_from(KINDS), reader=st.sampled_from(READERS), k=st.integers(1, 6))
def test_probabilities_sum_to_1_in_falling_order(seed, kind, reader, k):
    with few_frequencies():
        memory, q = memory_of(kind, clusters(seed, 4, 3)), vectors(seed + 1, 5)
        found, whole = memory.nearest(q, k, reader=reader), memory.nearest(q, 4, reader=reader)
    shares = found.probabilities
    assert shares.shape == found.concepts.shape == (5, k)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert (shares.sum(axis=1) <= 1 + 1e-5).all()
    assert (np.diff(shares, axis=1) <= 0).all()
    assert whole.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(shares[:, :4], whole.probabilities[:, :k])
    assert (found.concepts[:, 4:] == -1).all()
    assert not shares[:, 4:].any()
    assert [sorted(row) for row in whole.concepts.tolist()] == [[0, 1, 2, 3]] * 5


@EITHER
@pytest.mark.parametrize("kind", [("cosine", None), ("l2", None), ("l2", 64)])
def test_a_single_concept_scores_higher_near_its_examples(kind, reader):
    near = vectors(1, 1) + 0.2 * vectors(2, 8)
    memory = memory_of(kind, (near[:5], "ant"))
    scores = memory.scores(np.concatenate([near[5:], vectors(3, 10) - 2 * vectors(1, 1)]), reader=reader)[:, 0]
    assert scores[:3].min() > scores[3:].max()
    assert named(memory.nearest(near, 1, reader=reader)) == ["ant"] * 8


def test_a_vector_far_from_all_examples_is_none_of_the_concepts():
    x, names, ids = clusters(1, 4, 20, noise=0.1)
    memory = memory_of(("l2", None), (x, names, ids))
    far = 10 + vectors(9, 20)
    assert memory.nearest(far).none.mean() > 0.9
    assert memory.nearest(clusters(1, 4, 20, noise=0.1, draw=1)[0]).none.mean() < 0.3


def test_an_empty_memory_answers_none_of_the_concepts():
    found = ConceptMemory(DIM).nearest(vectors(1, 3), 2)
    assert found.names == ()
    assert found.none.tolist() == [True] * 3
    assert found.concepts.tolist() == [[-1, -1]] * 3
    assert found.probabilities.tolist() == [[0, 0]] * 3
    assert ConceptMemory(DIM).concepts == ()
    assert len(ConceptMemory(DIM)) == 0


@EITHER
def test_empty_batches_are_valid(reader):
    memory = memory_of(KINDS[0], clusters(1))
    found = memory.nearest(vectors(1, 0), 2, reader=reader)
    assert found.probabilities.shape == found.concepts.shape == (0, 2)
    assert memory.scores(vectors(1, 0), reader=reader).shape == (0, 3)
    assert memory.teach(vectors(1, 0), []).tolist() == []
    assert len(memory) == 12


def test_one_example_is_enough_for_an_answer():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x[0], "ant")
    for reader in READERS:
        found = memory.nearest(x[0], 2, reader=reader)
        assert found.concepts.tolist() == [[0, -1]]
        assert found.probabilities[0, 0] == pytest.approx(1, abs=1e-3)
        assert found.probabilities[0, 1] == 0


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_the_length_of_a_vector_counts_for_l2_only(metric):
    memory, q = memory_of((metric, None), clusters(1)), vectors(2, 5)
    same = np.allclose(memory.scores(q), memory.scores(8 * q), atol=1e-5)
    assert same == (metric == "cosine")


def test_twenty_thousand_concepts_of_one_example_each_are_found():
    x = vectors(1, 20_000, 32)
    memory = ConceptMemory(32, code_bytes=64)
    memory.teach(x, [f"concept {i:05}" for i in range(len(x))])
    places = np.random.default_rng(2).permutation(len(x))[:50]
    found = memory.nearest(x[places] + 0.05 * vectors(3, 50, 32), 2)
    assert named(found) == [f"concept {i:05}" for i in places.tolist()]
    assert len(found.names) == 20_000


def test_with_many_concepts_the_default_is_to_count(monkeypatch):
    monkeypatch.setattr("assocmem.concepts.memory.COUNTS_FROM", 4)
    for concepts, reader in ((3, "ridge"), (4, "counts")):
        memory, q = memory_of(KINDS[0], clusters(1, concepts)), vectors(2, 5)
        assert np.array_equal(memory.scores(q), memory.scores(q, reader=reader))
        other = {"ridge": "counts", "counts": "ridge"}[reader]
        assert not np.array_equal(memory.scores(q), memory.scores(q, reader=other))


# content


def test_ids_are_computed_from_the_content_unless_they_are_given():
    memory, x = ConceptMemory(DIM), vectors(1, 3)
    ids = memory.teach(x, ["ant", "bee", "cat"])
    assert (ids.dtype, len(set(ids.tolist()))) == (np.int64, 3)
    assert ids.min() >= 0
    assert ConceptMemory(DIM, "l2", seed=3).teach(x[::-1].copy(), "ant").tolist() == ids[::-1].tolist()
    assert memory.teach(x[1], "bee").tolist() == [ids[1]]
    assert memory.teach(x[1], "bee", [7]).tolist() == [7]
    assert len(memory) == 4


def test_the_same_vector_twice_is_one_example():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(np.repeat(x, 5, axis=0), "ant")
    memory.teach(x, "ant")
    assert (len(memory), memory.counts) == (1, {"ant": 1})


def test_the_content_of_a_memory():
    memory, x = ConceptMemory(DIM), vectors(1, 4)
    ids = memory.teach(x[:3], ["cat", "ant", "cat"])
    only_denied = int(memory.deny(x[3], "bee")[0])
    assert memory.concepts == ("ant", "cat")
    assert memory.counts == {"ant": 1, "cat": 2}
    assert [memory.concept(id_) for id_ in (*ids.tolist(), only_denied)] == ["cat", "ant", "cat", None]
    assert (len(memory), only_denied in memory, 5 in memory) == (4, True, False)
    assert repr(memory) == "<assocmem.ConceptMemory: 2 concepts, 4 examples of 12 numbers>"
    assert memory.nbytes == 4 * (4 * DIM + 12)


def test_names_are_normalised():
    memory = ConceptMemory(DIM)
    memory.teach(vectors(1, 3), ["  Aunt \t Klara ", "Aunt Klara", "Cafe\u0301"])
    assert memory.concepts == ("Aunt Klara", "Caf\u00e9")


# copies and pickles


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda memory: pickle.loads(pickle.dumps(memory))])
@pytest.mark.parametrize("kind", KINDS[:4])
def test_a_copy_gives_the_same_answers(kind, copied, fitted):
    with few_frequencies():
        memory, q = memory_of(kind, clusters(1), mean=np.full(DIM, 0.01), seed=2), vectors(2, 4)
        memory.deny(q[:1], "ant", [5000])
        if fitted:
            answers(memory, q)
        other = copied(memory)
        assert (content(other), other.settings) == (content(memory), memory.settings)
        assert answers(other, q) == answers(memory, q)
        other.teach(q[0], "eel")
        assert "eel" not in memory.concepts


def test_a_copy_keeps_the_solution(monkeypatch):
    with few_frequencies():
        memory = memory_of(KINDS[0], clusters(1))
        solved = memory.solved()
        assert solved
        monkeypatch.setattr("assocmem.concepts.ridge.DualSolver", None)
        other = copy.deepcopy(memory)
        assert [x.tobytes() for x in other.solved().values()] == [x.tobytes() for x in solved.values()]


def _as_pickled(code_bytes, mean):
    memory = ConceptMemory(8, code_bytes=code_bytes, mean=mean, seed=3)
    x = np.random.default_rng(0).standard_normal((9, 8)).astype(np.float32)
    memory.teach(x[:7], list("aabbabb"), [5, 9, 2, 7, 1, 8, 30], when=4)
    memory.deny(x[7:], "a", [40, 41])
    memory.unteach([9])
    return memory


@pytest.mark.parametrize(("name", "code_bytes", "mean"), [("asked", None, None), ("codes", 16, np.full(8, 0.1))])
def test_pickles_from_before_the_packages_can_be_read(name, code_bytes, mean):
    """Written when ``ConceptMemory`` was in ``assocmem/concepts.py``; "asked" contains both fitted classifiers."""
    path = Path(__file__).parent / "pickles" / f"{name}.pickle.gz"
    with gzip.open(path) as file:
        memory = pickle.load(file)
    expected, q = _as_pickled(code_bytes, mean), vectors(1, 5, 8)
    assert type(memory) is ConceptMemory
    if code_bytes is None:  # vectors were stored as float16 then
        state = expected.__getstate__()
        state["arrays"]["values"] = state["arrays"]["values"].astype(np.float16)
        expected.__setstate__({**state, "solved": {}})
    assert (content(memory), memory.settings) == (content(expected), expected.settings)
    assert denied(memory, 40) == ("a",)
    assert answers(memory, q) == answers(expected, q)


def test_the_package_hands_out_the_class_that_old_pickles_name():
    assert assocmem.concepts.ConceptMemory is ConceptMemory
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        assocmem.concepts.nonsense  # noqa: B018
