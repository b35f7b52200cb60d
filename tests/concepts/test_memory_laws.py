"""Laws of a concept memory: an answer depends on the latest statements about examples only, bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from assocmem.concepts.memory import ConceptMemory
from assocmem.errors import InputError, UnknownIdError
from tests.concepts import oracles
from tests.concepts.sample_memories import (
    DIM,
    KINDS,
    LIMITS,
    NAMES,
    READERS,
    answers,
    clusters,
    denied,
    few_frequencies,
    memory_of,
    statements,
    take,
    vectors,
)
from tests.strategies import law, seeds

kinds, limits = st.sampled_from(KINDS), st.sampled_from(LIMITS)


def questions(seed):
    return vectors(seed + 50, 4)


def shuffled(seed, batch):
    return take(batch, np.random.default_rng(seed + 1).permutation(len(batch[0])))


def assert_same(one, other, seed):
    """Both contain the same statements and give the same answers."""
    assert statements(one) == statements(other)
    assert answers(one, questions(seed)) == answers(other, questions(seed))


# order


@law
@given(seed=seeds, kind=kinds, limit=limits, way=seeds)
def test_the_order_of_teaching_changes_no_bit(seed, kind, limit, way):
    batch = clusters(seed)
    with few_frequencies(limit):
        one = memory_of(kind, batch)
        other = ConceptMemory(DIM, kind[0], code_bytes=kind[1])
        for place in np.random.default_rng(way).permutation(12).tolist():
            other.teach(*take(batch, slice(place, place + 1)), when=1)
            if place % 5 == 0:
                answers(other, questions(seed))  # a question in between leaves no trace
        assert_same(one, other, seed)


@law
@given(seed=seeds, kind=kinds, limit=limits)
def test_one_at_a_time_is_all_at_once(seed, kind, limit):
    x, names, _ = clusters(seed)
    with few_frequencies(limit):
        one, other = memory_of(kind, (x, names)), memory_of(kind)
        ids = [int(other.teach(row, name, when=1)[0]) for row, name in zip(x, names, strict=True)]
        assert ids == one.teach(x, names, when=1).tolist()
        assert_same(one, other, seed)


@law
@given(seed=seeds, order=seeds)
def test_the_later_statement_wins_in_any_order(seed, order):
    """Of two statements of the same time, the same one wins in any order."""
    rng = np.random.default_rng(seed)
    stated = [(int(rng.integers(0, 4)), NAMES[rng.integers(0, 4)], i, int(rng.integers(0, 3))) for i in range(12)]
    x = vectors(seed, 12)
    with few_frequencies():
        memories = [memory_of(), memory_of()]
        for memory, way in zip(memories, (range(12), np.random.default_rng(order).permutation(12)), strict=True):
            for place in way:
                id_, name, vector, when = stated[place]
                memory.teach(x[vector], name, [id_], when=when)
        assert_same(*memories, seed)
        for id_ in {one[0] for one in stated}:
            last = max(one[3] for one in stated if one[0] == id_)
            names = {one[1] for one in stated if (one[0], one[3]) == (id_, last)}
            assert memories[0].concept(id_) in names


@law
@given(seed=seeds, limit=limits, kind=kinds)
def test_an_example_that_is_taught_as_another_concept_counts_for_that_only(seed, limit, kind):
    x, names, ids = clusters(seed)
    moved = [*names[:-1], NAMES[0]]
    with few_frequencies(limit):
        one = memory_of(kind, (x, names, ids))
        answers(one, questions(seed))
        one.teach(x[-1], NAMES[0], ids[-1:], when=1)  # of the same time, so the greater name wins
        assert one.concept(int(ids[-1])) == names[-1]
        one.teach(x[-1], NAMES[0], ids[-1:])
        other = memory_of(kind, (x, moved, ids))
        assert one.counts == other.counts == {"ant": 5, "bee": 4, "cat": 3}
        assert answers(one, questions(seed)) == answers(other, questions(seed))


@law
@given(seed=seeds, limit=limits, kind=kinds)
def test_the_vector_that_was_taught_last_counts(seed, limit, kind):
    x, names, ids = clusters(seed)
    with few_frequencies(limit):
        one = memory_of(kind, (vectors(seed + 3, 12), names, ids))
        answers(one, questions(seed))
        one.teach(x, names, ids)
        assert answers(one, questions(seed)) == answers(memory_of(kind, (x, names, ids)), questions(seed))


# removing


@law
@given(seed=seeds, kind=kinds, limit=limits, between=st.booleans())
def test_taught_and_removed_is_never_taught(seed, kind, limit, between):
    batch, more = clusters(seed, 3, 3), clusters(seed, 4, 2, draw=1)
    with few_frequencies(limit):
        one, other = memory_of(kind, batch, more), memory_of(kind, batch)
        if between:
            answers(one, questions(seed))
        one.unteach(shuffled(seed, more)[2])
        assert_same(one, other, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_the_dual_limit_can_be_crossed_in_both_directions(kind):
    """With four examples the dual problem, with thirteen the primal; each time as in a memory without a past."""
    few, more = clusters(1, 2, 2), clusters(1, 3, 3, draw=1)
    with few_frequencies((6, 6)):
        memory = memory_of(kind, few)
        for _ in range(2):
            assert_same(memory, memory_of(kind, few), 1)
            memory.teach(*more, when=1)
            assert_same(memory, _taught_at_once(kind, few, more), 1)
            memory.unteach(more[2])


def _taught_at_once(kind, *batches):
    memory = memory_of(kind)
    for batch in batches:
        memory.teach(*batch, when=1)
    return memory


@law
@given(seed=seeds, kind=kinds, limit=limits)
def test_a_forgotten_concept_was_never_taught(seed, kind, limit):
    batch = clusters(seed, 3, 4)
    x, names, _ = batch
    others = [place for place, name in enumerate(names) if name != "bee"]
    with few_frequencies(limit):
        one, other = memory_of(kind, batch), memory_of(kind, take(batch, others))
        one.deny(x[:2] + 1, "bee", [9001, 9002])
        answers(one, questions(seed))
        assert one.forget("bee") == 4
        assert_same(one, other, seed)
        assert 9001 not in one


@law
@given(seed=seeds, kind=kinds, limit=limits)
def test_a_rename_to_another_concept_merges_both(seed, kind, limit):
    x, names, ids = clusters(seed, 3, 4)
    with few_frequencies(limit):
        one, other = memory_of(kind, (x, names, ids)), memory_of(kind)
        other.teach(x, ["cat" if name == "ant" else name for name in names], ids)
        answers(one, questions(seed))
        assert one.rename("ant", " cat ") == 4
        assert one.counts == {"bee": 4, "cat": 8}
        assert_same(one, other, seed)


@law
@given(seed=seeds, kind=kinds, limit=limits)
def test_a_rename_changes_no_score(seed, kind, limit):
    """If the order of names stays the same; and a second rename undoes the first."""
    batch = clusters(seed)
    with few_frequencies(limit):
        memory, q = memory_of(kind, batch), questions(seed)
        memory.deny(q[:1], "bee", [77])
        before, scores = answers(memory, q), [memory.scores(q, reader=reader) for reader in READERS]
        memory.rename("bee", "buzz")
        assert memory.concepts == ("ant", "buzz", "cat")
        assert [a.tobytes() for a in scores] == [memory.scores(q, reader=reader).tobytes() for reader in READERS]
        memory.rename("buzz", "bee")
        assert answers(memory, q) == before


def test_a_rename_to_a_denied_concept_drops_the_denial():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x, "cat", [5])
    memory.deny(x, "dog", [5])
    memory.rename("cat", "dog")
    assert (memory.concept(5), denied(memory, 5)) == ("dog", ())


# denials


@law
@given(seed=seeds, limit=limits, kind=kinds)
def test_a_denial_lowers_the_denied_concept_and_no_other(seed, limit, kind):
    batch, q = clusters(seed), questions(seed)
    with few_frequencies(limit, 256):
        memory = memory_of(kind, batch)
        before = memory.scores(q, reader="ridge")
        best = int(before[0].argmax())
        ids = memory.deny(q[:1], memory.concepts[best])
        after = memory.scores(q, reader="ridge")
        assert after[0, best] < max(0.0, before[0, best])
        others = np.arange(3) != best
        np.testing.assert_allclose(after[:, others], before[:, others], atol=2e-3)
        assert memory.concepts == tuple(NAMES[:3])  # a denial adds no concept
        assert memory.counts == dict.fromkeys(NAMES[:3], 4)
        assert memory.concept(int(ids[0])) is None
        memory.unteach(ids)
        assert_same(memory, memory_of(kind, batch), seed)


@law
@given(seed=seeds, limit=limits)
def test_denying_a_concept_that_was_never_taught_changes_no_score(seed, limit):
    batch, q = clusters(seed), questions(seed)
    with few_frequencies(limit):
        memory = memory_of(KINDS[0], batch)
        before = memory.scores(q, reader="ridge")
        memory.deny(q[:2], "yak")
        assert "yak" not in memory.concepts
        np.testing.assert_allclose(memory.scores(q, reader="ridge"), before, atol=2e-3)


def test_a_denial_alone_makes_no_concept():
    memory = ConceptMemory(DIM)
    memory.deny(vectors(1, 2), "ant")
    assert (len(memory), memory.concepts, memory.counts) == (2, (), {})
    assert memory.nearest(vectors(1, 2)).none.all()


def test_denials_of_an_example_add_up_and_its_concept_stays():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x, "cat", [5])
    for name in ("dog", "ant"):
        memory.deny(x, name, [5])
    assert memory.concept(5) == "cat"
    assert denied(memory, 5) == ("ant", "dog")
    memory.deny(x, "cat", [5])
    assert memory.concept(5) is None
    memory.teach(x, "ant", [5])
    assert memory.concept(5) == "ant"
    assert denied(memory, 5) == ()


@law
@given(seed=seeds)
def test_denials_of_the_same_time_add_up_in_any_order(seed):
    names = np.random.default_rng(seed).permutation(NAMES).tolist()
    one, other, third = memory_of(), memory_of(), memory_of()
    x = vectors(seed, 1)
    for a, b in zip(names, NAMES, strict=True):
        one.deny(x, a, when=3)
        (id_,) = other.deny(x, b, when=3).tolist()
    third.deny(np.repeat(x, 4, axis=0), names)
    assert statements(one) == statements(other)
    assert denied(one, id_) == denied(third, id_) == tuple(NAMES)


def test_an_earlier_denial_is_ignored():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x, "cat", [5], when=8)
    for when in (7, 8):
        memory.deny(x, "cat", [5], when=when)
        assert memory.concept(5) == "cat"
    memory.deny(x, "cat", [5], when=9)
    assert memory.concept(5) is None


# merging


def taught_at_times(seed, kind, n=10):
    """A memory that was taught some of twelve ids at some of three times, and what it was taught."""
    rng = np.random.default_rng(seed)
    memory, x = memory_of(kind), vectors(seed, n)
    history = []
    for i in range(n):
        batch = x[i], NAMES[rng.integers(0, 4)], [int(rng.integers(0, 12))]
        when = int(rng.integers(0, 3))
        memory.teach(*batch, when=when)
        history.append((batch, when))
    return memory, history


def merged(*memories):
    out = memory_of((memories[0].metric, memories[0].code_bytes))
    for memory in memories:
        out |= memory
    return out


@law
@given(seed=seeds, kind=kinds, limit=limits)
def test_merging_is_commutative_associative_and_idempotent(seed, kind, limit):
    with few_frequencies(limit):
        a, b, c = (taught_at_times(seed + i, kind)[0] for i in range(3))
        a.deny(vectors(seed, 1), "ant", [3], when=2)
        assert_same(merged(a, b), merged(b, a), seed)
        assert_same(merged(merged(a, b), c), merged(a, merged(b, c)), seed)
        assert_same(merged(a, b, a, b, b), merged(a, b), seed)
        itself = merged(a)
        itself |= itself
        assert_same(itself, a, seed)


@law
@given(seed=seeds, kind=kinds, limit=limits)
def test_merging_is_teaching_everything_to_one_memory(seed, kind, limit):
    with few_frequencies(limit):
        (one, mine), (other, theirs) = taught_at_times(seed, kind), taught_at_times(seed + 1, kind)
        answers(one, questions(seed))
        before = statements(other)
        one |= other
        every = memory_of(kind)
        for batch, when in (*mine, *theirs):
            every.teach(*batch, when=when)
        assert_same(one, every, seed)
        assert statements(other) == before


def test_after_a_merge_a_new_statement_is_the_latest():
    one, other, x = ConceptMemory(DIM), ConceptMemory(DIM), vectors(1, 1)
    for name in ("ant", "bee", "ant", "bee"):
        other.teach(x, name)
    one |= other
    one.teach(x, "ant")
    assert one.concepts == ("ant",)
    other |= one
    assert other.concepts == ("ant",)


# files


@law
@given(seed=seeds, kind=kinds, limit=limits)
def test_a_loaded_memory_changes_like_the_saved_one(tmp_path_factory, seed, kind, limit):
    path = tmp_path_factory.mktemp("saved") / "memory.h5"
    with few_frequencies(limit):
        one, _ = taught_at_times(seed, kind)
        one.deny(vectors(seed, 2), ["ant", "yak"], [3, 40])
        one.save(path)
        other = ConceptMemory.load(path)
        assert_same(one, other, seed)
        for memory in (one, other):
            memory |= taught_at_times(seed + 1, kind)[0]
            memory.teach(vectors(seed + 2, 2), "eel")
            memory.unteach([40])
            memory.rename("eel", "ant")
        assert_same(one, other, seed)


# any sequence


class AnySequence(RuleBasedStateMachine):
    """A memory, a dictionary with the same content, and sometimes a new memory that is taught the dictionary."""

    numbers = st.integers(0, 25)
    ids = st.integers(0, 15)
    names = st.sampled_from(NAMES)

    @initialize(kind=kinds)
    def begin(self, kind):
        self.kind, self.memory, self.truth = kind, memory_of(kind), oracles.Statements()

    @rule(numbers=st.lists(numbers, max_size=4), first=ids, name=names)
    def teach(self, numbers, first, name):
        given_ids = [(first + place) % 16 for place in range(len(numbers))]
        x = np.concatenate([vectors(1, 0), *(vectors(number, 1) for number in numbers)])
        when = self.truth.clock + 1
        assert self.memory.teach(x, name, given_ids).tolist() == given_ids
        for id_, number in zip(given_ids, numbers, strict=True):
            self.truth.teach(id_, number, name, when)

    @rule(number=numbers, id_=ids, name=names, ago=st.integers(0, 6))
    def teach_earlier(self, number, id_, name, ago):
        when = self.truth.clock - ago
        if (
            id_ not in self.truth.known or self.truth.known[id_][1] != when
        ):  # of the same time the greater wins: see the law
            self.memory.teach(vectors(number, 1), name, [id_], when=when)
            self.truth.teach(id_, number, name, when)

    @rule(number=numbers, id_=ids, name=names, ago=st.integers(-2, 6))
    def deny(self, number, id_, name, ago):
        when = self.truth.clock - ago
        if id_ not in self.truth.known or self.truth.known[id_][1] != when:
            self.memory.deny(vectors(number, 1), name, [id_], when=when)
            self.truth.deny(id_, number, name, when)

    @rule(ids=st.sets(ids, max_size=4))
    def unteach(self, ids):
        if ids <= self.truth.known.keys():
            self.memory.unteach(sorted(ids))
            for id_ in ids:
                del self.truth.known[id_]
        else:
            with pytest.raises(UnknownIdError):
                self.memory.unteach(sorted(ids))

    @rule(name=names)
    def forget(self, name):
        count = self.truth.counts().get(name)
        if count is None:
            with pytest.raises(InputError):
                self.memory.forget(name)
        else:
            assert self.memory.forget(name) == count
            self.truth.replace(name, None)

    @rule(old=names, new=st.sampled_from([*NAMES, "elk"]))
    def rename(self, old, new):
        count = self.truth.counts().get(old)
        if count is None:
            with pytest.raises(InputError):
                self.memory.rename(old, new)
        else:
            assert self.memory.rename(old, new) == count
            self.truth.replace(old, new)

    @rule(numbers=st.lists(numbers, max_size=5), first=ids, name=names, since=st.integers(1, 3), mine=st.booleans())
    def merge(self, numbers, first, name, since, mine):
        other, truth = memory_of(self.kind), oracles.Statements()
        when = self.truth.clock + since
        for place, number in enumerate(numbers):
            id_ = (first + place) % 16
            other.teach(vectors(number, 1), name, [id_], when=when)
            truth.teach(id_, number, name, when)
        if mine:
            self.memory |= other
        else:
            other |= self.memory
            self.memory = other
        self.truth.merge(truth)
        if not mine:
            self.truth.clock = max([truth.clock, *(when for _, when, _, _ in self.truth.known.values())])

    @rule()
    def save_and_load(self):
        with tempfile.TemporaryDirectory() as folder:
            self.memory.save(Path(folder) / "memory.h5")
            self.memory = ConceptMemory.load(Path(folder) / "memory.h5")

    @rule()
    def ask(self):
        """A new memory of the latest statements gives the same answers."""
        new = memory_of(self.kind)
        for id_, (number, when, concept, denials) in sorted(self.truth.known.items(), reverse=True):
            x = vectors(number, 1)
            if concept is not None:
                new.teach(x, concept, [id_], when=when)
            for name in denials:
                new.deny(x, name, [id_], when=when)
        assert_same(self.memory, new, 5)

    @invariant()
    def contains_what_the_dictionary_contains(self):
        assert len(self.memory) == len(self.truth.known)
        assert list(self.memory.concepts) == self.truth.concepts()
        assert self.memory.counts == self.truth.counts()
        for id_ in range(16):
            assert (id_ in self.memory) == (id_ in self.truth.known)
            if id_ in self.memory:
                assert self.memory.concept(id_) == self.truth.known[id_][2]
                assert set(denied(self.memory, id_)) == self.truth.known[id_][3]


@pytest.mark.parametrize("limit", LIMITS)
def test_a_memory_changes_like_a_dictionary(limit):
    steps = settings(max_examples=12, stateful_step_count=20, deadline=None, derandomize=True)
    with few_frequencies(limit):
        run_state_machine_as_test(AnySequence, settings=steps)
