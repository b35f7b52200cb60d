"""ConceptMemory: what was taught is found again, with either reader, in whatever form examples are kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts import classifiers as readers
from assocmem.concepts.classifiers import kernel_width, least_hashed
from assocmem.concepts.examples import Keeper
from assocmem.concepts.memory import ConceptMemory
from assocmem.concepts.naive_bayes import Connections
from assocmem.concepts.random_features import RandomWaves
from assocmem.concepts.ridge import GRID
from tests import naive_concepts, naive_index
from tests.lessons import BORDERS, DIM, NAMES, READERS, clusters, few_waves, memory_of, vectors
from tests.strategies import law, seeds

EITHER = pytest.mark.parametrize("reader", READERS)
KEPT = [("cosine", None), ("l2", None), ("cosine", 3), ("l2", 64), ("cosine", 100), ("l2", 512)]


def named(found, column=0):
    return [found.names[place] for place in found.concepts[:, column]]


# answers


@EITHER
@pytest.mark.parametrize("sort", KEPT)
def test_clusters_are_told_apart(sort, reader):
    memory, (q, names, _) = memory_of(sort, clusters(1, 4, 6)), clusters(1, 4, 5, taken=1)
    found = memory.nearest(q, 2, reader=reader)
    assert np.mean([a == b for a, b in zip(named(found), names, strict=True)]) >= (0.9 if sort[1] != 3 else 0.7)
    assert found.names == memory.concepts == tuple(NAMES)
    scores = memory.scores(q, reader=reader)
    assert (scores.dtype, scores.shape) == (np.float32, (20, 4))
    assert found.concepts[:, 0].tolist() == scores.argmax(axis=1).tolist()
    assert (found.probabilities.dtype, found.concepts.dtype, found.none.dtype) == (np.float32, np.int64, bool)


@EITHER
@pytest.mark.parametrize("border", BORDERS)
def test_clusters_are_told_apart_on_either_side_of_the_border(border, reader):
    with few_waves(border, 256):
        memory, (q, names, _) = memory_of(KEPT[0], clusters(1, 4, 6)), clusters(1, 4, 5, taken=1)
        assert named(memory.nearest(q, 1, reader=reader)) == names


@EITHER
@pytest.mark.parametrize("code_bytes", [1, 2, 3, 64, 65, 200, 300, 512])
@pytest.mark.parametrize("dim", [1, 5, 24, 100])
def test_codes_of_any_number_of_bytes_recognise_what_was_taught(code_bytes, dim, reader):
    """Also where bytes and axes do not divide: the more bytes, the surer."""
    middle = vectors(2, 1, dim)
    x = (np.where(np.arange(8) % 2, -1, 1)[:, None] * (middle + 0.1 * abs(middle) * vectors(3, 8, dim))).astype("f4")
    memory = ConceptMemory(dim, code_bytes=code_bytes)
    memory.teach(x, ["odd" if i % 2 else "even" for i in range(8)])
    assert memory.nbytes == 8 * (code_bytes + 12)
    assert named(memory.nearest(x, 1, reader=reader)) == ["even", "odd"] * 4


def test_dual_and_primal_say_the_same():
    lesson, q = clusters(3, 4, 10), vectors(4, 30)
    said = []
    for border in ((2048, 16), (39, 16)):
        with few_waves(border, 512):
            memory = memory_of(KEPT[0], lesson)
            said.append((memory.scores(q, reader="ridge"), memory.nearest(q, 4, reader="ridge").probabilities))
    np.testing.assert_allclose(said[0][0], said[1][0], atol=1e-4)
    np.testing.assert_allclose(said[0][1], said[1][1], atol=1e-3)


@pytest.mark.parametrize("denied", [False, True])
def test_scores_are_a_plain_ridge_on_waves(denied):
    """By normal equations, with the best of all strengths by fits that leave each out."""
    x, names, ids = clusters(5, 3, 3, noise=0.8)
    with few_waves(count=32):
        memory = memory_of(("l2", None), (x, names, ids))
        if denied:
            memory.deny(vectors(6, 1), "ant", [5000])
        q = vectors(8, 6)
        found = memory.scores(q, reader="ridge")
        order = np.argsort(ids)
        kept = x[order].astype(np.float16).astype(np.float32)
        make, width = RandomWaves(DIM, 0), kernel_width(memory._examples, memory._examples.rows())
        features = make(kept, width) / 127 / np.sqrt(32)
        targets = np.array([[names[i] == name for name in NAMES[:3]] for i in order.tolist()], float)
        shown = features - features.mean(axis=0)
        tried = GRID * np.linalg.eigvalsh(shown @ shown.T).clip(0).mean()
        strength = tried[int(np.argmin(naive_concepts.errors(features, targets, tried)))]
        weights, offsets = naive_concepts.ridge(features, targets, np.ones(9), strength)
        if denied:
            more = make(vectors(6, 1).astype(np.float16).astype(np.float32), width) / 127 / np.sqrt(32)
            wanted = more @ weights.T + offsets
            wanted[0, 0] = min(0.0, wanted[0, 0])
            features, targets = np.concatenate([features, more]), np.concatenate([targets, wanted])
            weights, offsets = naive_concepts.ridge(features, targets, np.ones(10), strength)
        asked = make(q.astype(np.float16).astype(np.float32), width) / 127 / np.sqrt(32)
        np.testing.assert_allclose(found, asked @ weights.T + offsets, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("code_bytes", [None, 5])
def test_counts_are_a_naive_bayes_over_the_units(code_bytes):
    x, names, ids = clusters(5, 3, 3, noise=0.8)
    memory, q = memory_of(("cosine", code_bytes), (x, names, ids)), vectors(8, 4)
    keeper = Keeper(DIM, code_bytes or readers.COUNTED_BYTES, 0)
    naive = naive_concepts.Tallies(2 * keeper.bytes, 3)

    def codes(rows):
        rows = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        return keeper.keep((rows.astype(np.float16) if code_bytes is None else rows).astype(np.float32)).tolist()

    for code, name in zip(codes(x), names, strict=True):
        naive.add(code, NAMES.index(name))
    expected = [[naive.score(code, concept) for concept in range(3)] for code in codes(q)]
    np.testing.assert_allclose(memory.scores(q, reader="counts"), expected, rtol=1e-3, atol=1e-2)


@law
@given(seed=seeds, sort=st.sampled_from(KEPT), reader=st.sampled_from(READERS), k=st.integers(1, 6))
def test_probabilities_are_shares_of_one_in_falling_order(seed, sort, reader, k):
    with few_waves():
        memory, q = memory_of(sort, clusters(seed, 4, 3)), vectors(seed + 1, 5)
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
@pytest.mark.parametrize("sort", [("cosine", None), ("l2", None), ("l2", 64)])
def test_one_concept_alone_scores_higher_near_its_examples(sort, reader):
    near = vectors(1, 1) + 0.2 * vectors(2, 8)
    memory = memory_of(sort, (near[:5], "ant"))
    scores = memory.scores(np.concatenate([near[5:], vectors(3, 10) - 2 * vectors(1, 1)]), reader=reader)[:, 0]
    assert scores[:3].min() > scores[3:].max()
    assert named(memory.nearest(near, 1, reader=reader)) == ["ant"] * 8


def test_what_is_far_from_all_that_was_taught_is_none():
    x, names, ids = clusters(1, 4, 20, noise=0.1)
    memory = memory_of(("l2", None), (x, names, ids))
    far = 10 + vectors(9, 20)
    assert memory.nearest(far).none.mean() > 0.9
    assert memory.nearest(clusters(1, 4, 20, noise=0.1, taken=1)[0]).none.mean() < 0.3


def test_an_empty_memory_knows_none():
    found = ConceptMemory(DIM).nearest(vectors(1, 3), 2)
    assert found.names == ()
    assert found.none.tolist() == [True] * 3
    assert found.concepts.tolist() == [[-1, -1]] * 3
    assert found.probabilities.tolist() == [[0, 0]] * 3
    assert ConceptMemory(DIM).concepts == ()
    assert len(ConceptMemory(DIM)) == 0


@EITHER
def test_nothing_can_be_asked_and_taught(reader):
    memory = memory_of(KEPT[0], clusters(1))
    found = memory.nearest(vectors(1, 0), 2, reader=reader)
    assert found.probabilities.shape == found.concepts.shape == (0, 2)
    assert memory.scores(vectors(1, 0), reader=reader).shape == (0, 3)
    assert memory.teach(vectors(1, 0), []).tolist() == []
    assert len(memory) == 12


def test_it_can_be_asked_after_the_first_vector():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x[0], "ant")
    for reader in READERS:
        found = memory.nearest(x[0], 2, reader=reader)
        assert found.concepts.tolist() == [[0, -1]]
        assert found.probabilities[0, 0] == pytest.approx(1, abs=1e-3)
        assert found.probabilities[0, 1] == 0


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_only_for_cosine_length_does_not_matter(metric):
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


def test_many_concepts_are_counted_unless_a_reader_is_named(monkeypatch):
    monkeypatch.setattr(readers, "COUNTED_FROM", 4)
    monkeypatch.setattr("assocmem.concepts.memory.COUNTED_FROM", 4)
    for concepts, reader in ((3, "ridge"), (4, "counts")):
        memory, q = memory_of(KEPT[0], clusters(1, concepts)), vectors(2, 5)
        assert np.array_equal(memory.scores(q), memory.scores(q, reader=reader))
        other = {"ridge": "counts", "counts": "ridge"}[reader]
        assert not np.array_equal(memory.scores(q), memory.scores(q, reader=other))


# what was said


def test_ids_are_of_the_content_unless_they_are_given():
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


def test_what_was_said_is_told():
    memory, x = ConceptMemory(DIM), vectors(1, 4)
    ids = memory.teach(x[:3], ["cat", "ant", "cat"])
    denied = int(memory.deny(x[3], "bee")[0])
    assert memory.concepts == ("ant", "cat")
    assert memory.counts == {"ant": 1, "cat": 2}
    assert [memory.concept(id_) for id_ in (*ids.tolist(), denied)] == ["cat", "ant", "cat", None]
    assert (len(memory), denied in memory, 5 in memory) == (4, True, False)
    assert repr(memory) == "<assocmem.ConceptMemory: 2 concepts, 4 examples of 12 numbers>"
    assert memory.nbytes == 4 * (2 * DIM + 12)


def test_names_are_put_in_order():
    memory = ConceptMemory(DIM)
    memory.teach(vectors(1, 3), ["  Aunt \t Klara ", "Aunt Klara", "Cafe\u0301"])
    assert memory.concepts == ("Aunt Klara", "Caf\u00e9")


# parts of the readers


@pytest.mark.parametrize("code_bytes", [1, 3, 8, 65, 300])
@pytest.mark.parametrize("dim", [13, 24, 100])
def test_codes_are_the_nearest_units_and_show_their_direction(code_bytes, dim):
    keeper = Keeper(dim, code_bytes, 1)
    x = vectors(dim, 4, dim)
    codes, clusters_ = keeper.keep(x), 2 * code_bytes
    assert keeper.shown.bit_count() == 1
    axes = max(n for n in (16, 8, 4, 2, 1) if n * clusters_ <= keeper.shown)
    width = axes * clusters_
    rotated = keeper._rotation(x).astype(np.float64)
    shown = keeper.show(codes)
    assert shown.shape == (4, keeper.shown)
    for row, code, direction in zip(rotated, codes, shown, strict=True):
        one = np.sqrt((row**2).mean())
        units = naive_index.prototypes(axes, keeper._levels.tolist())
        winners = [naive_index.nearest_unit(row[axes * c : axes * (c + 1)], units, one) for c in range(clusters_)]
        assert naive_index.unpack(code) == winners
        expected = np.array([value for winner in winners for value in units[winner]])
        np.testing.assert_allclose(direction[:width], expected / np.linalg.norm(expected), atol=1e-5)
        assert not direction[width:].any()


@law
@given(seed=seeds, n=st.integers(2, 30))
def test_the_width_is_the_mean_squared_distance_to_an_eighth_of_an_octave(seed, n):
    memory = memory_of(("l2", None), (vectors(seed, n), "ant", np.arange(n)))
    rows = memory._examples.rows()
    x = vectors(seed, n).astype(np.float16).astype(np.float64)
    mean = np.mean([((a - b) ** 2).sum() for a in x for b in x])
    width = kernel_width(memory._examples, rows)
    assert abs(np.log2(width / mean)) <= 0.126
    assert (4 * np.log2(width)) % 1 == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("x", [np.ones((1, DIM)), np.ones((5, DIM)), np.zeros((3, DIM))])
def test_examples_that_are_all_alike_have_a_width_too(x):
    memory = memory_of(("l2", None), (x.astype(np.float32), "ant", np.arange(len(x))))
    assert kernel_width(memory._examples, memory._examples.rows()) > 0
    assert memory.scores(x.astype(np.float32), reader="ridge").min() > 0.5


@law
@given(seed=seeds, n=st.integers(0, 60), count=st.integers(1, 20))
def test_the_sample_is_of_ids_alone(seed, n, count):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 2**62, n)
    chosen = least_hashed(ids, count)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == min(n, count)
    order = rng.permutation(n)
    assert set(ids[order][least_hashed(ids[order], count)].tolist()) == set(ids[chosen].tolist())
    # One id more takes the place of one, or of none.
    more = np.append(ids, rng.integers(0, 2**62))
    assert set(more[least_hashed(more, count)].tolist()) <= {*ids[chosen].tolist(), int(more[-1])}


def test_the_sample_is_spread_over_ids_that_follow_one_another():
    chosen = least_hashed(np.arange(10_000), 1000)
    assert 400 < (chosen < 5000).sum() < 600
    assert 400 < (chosen % 2 == 0).sum() < 600


def test_a_reader_looks_at_what_changed_once(monkeypatch):
    """Asking twice reads once; what a second memory is taught does not matter."""
    made = []

    class Watched(Connections):
        def __init__(self, *args):
            made.append(args)
            super().__init__(*args)

    monkeypatch.setattr(readers, "Connections", Watched)
    memory, q = memory_of(KEPT[0], clusters(1)), vectors(2, 3)
    for _ in range(3):
        memory.scores(q, reader="counts")
    assert len(made) == 1
    memory.teach(q, "bee")
    memory.scores(q, reader="counts")
    assert len(made) == 2
