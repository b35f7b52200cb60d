"""The laws of a concept memory: an answer depends on what stands of what was said, and on nothing else, bit for bit."""

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
from tests import naive_concepts
from tests.lessons import (
    BORDERS,
    DIM,
    NAMES,
    READERS,
    SORTS,
    answers,
    clusters,
    few_waves,
    memory_of,
    take,
    told,
    vectors,
)
from tests.strategies import law, seeds

sorts, borders = st.sampled_from(SORTS), st.sampled_from(BORDERS)


def asked(seed):
    return vectors(seed + 50, 4)


def shuffled(seed, lesson):
    return take(lesson, np.random.default_rng(seed + 1).permutation(len(lesson[0])))


def same(one, other, seed):
    """Both were told the same, and say the same."""
    assert told(one) == told(other)
    assert answers(one, asked(seed)) == answers(other, asked(seed))


# order


@law
@given(seed=seeds, sort=sorts, border=borders, way=seeds)
def test_the_order_of_teaching_changes_no_bit(seed, sort, border, way):
    lesson = clusters(seed)
    with few_waves(border):
        one = memory_of(sort, lesson)
        other = ConceptMemory(DIM, sort[0], code_bytes=sort[1])
        for place in np.random.default_rng(way).permutation(12).tolist():
            other.teach(*take(lesson, slice(place, place + 1)), when=1)
            if place % 5 == 0:
                answers(other, asked(seed))  # being asked in between leaves no trace
        same(one, other, seed)


@law
@given(seed=seeds, sort=sorts, border=borders)
def test_one_at_a_time_is_all_at_once(seed, sort, border):
    x, names, _ = clusters(seed)
    with few_waves(border):
        one, other = memory_of(sort, (x, names)), memory_of(sort)
        ids = [int(other.teach(row, name, when=1)[0]) for row, name in zip(x, names, strict=True)]
        assert ids == one.teach(x, names, when=1).tolist()
        same(one, other, seed)


@law
@given(seed=seeds, order=seeds)
def test_the_later_saying_stands_whenever_it_is_heard(seed, order):
    """Of one time, the same of both: so that it does not matter either."""
    rng = np.random.default_rng(seed)
    sayings = [(int(rng.integers(0, 4)), NAMES[rng.integers(0, 4)], i, int(rng.integers(0, 3))) for i in range(12)]
    x = vectors(seed, 12)
    with few_waves():
        memories = [memory_of(), memory_of()]
        for memory, way in zip(memories, (range(12), np.random.default_rng(order).permutation(12)), strict=True):
            for place in way:
                id_, name, vector, when = sayings[place]
                memory.teach(x[vector], name, [id_], when=when)
        same(*memories, seed)
        for id_ in {saying[0] for saying in sayings}:
            last = max(saying[3] for saying in sayings if saying[0] == id_)
            names = {saying[1] for saying in sayings if (saying[0], saying[3]) == (id_, last)}
            assert memories[0].concept(id_) in names


@law
@given(seed=seeds, border=borders, sort=sorts)
def test_an_example_taught_under_a_second_concept_counts_for_that_only(seed, border, sort):
    x, names, ids = clusters(seed)
    moved = [*names[:-1], NAMES[0]]
    with few_waves(border):
        one = memory_of(sort, (x, names, ids))
        answers(one, asked(seed))
        one.teach(x[-1], NAMES[0], ids[-1:], when=1)  # of one time, so that the greater name stands
        assert one.concept(int(ids[-1])) == names[-1]
        one.teach(x[-1], NAMES[0], ids[-1:])
        other = memory_of(sort, (x, moved, ids))
        assert one.counts == other.counts == {"ant": 5, "bee": 4, "cat": 3}
        assert answers(one, asked(seed)) == answers(other, asked(seed))


@law
@given(seed=seeds, border=borders, sort=sorts)
def test_an_example_that_looks_different_now_is_as_it_looks_now(seed, border, sort):
    x, names, ids = clusters(seed)
    with few_waves(border):
        one = memory_of(sort, (vectors(seed + 3, 12), names, ids))
        answers(one, asked(seed))
        one.teach(x, names, ids)
        assert answers(one, asked(seed)) == answers(memory_of(sort, (x, names, ids)), asked(seed))


# what was never there


@law
@given(seed=seeds, sort=sorts, border=borders, between=st.booleans())
def test_taught_and_untaught_is_never_taught(seed, sort, border, between):
    lesson, more = clusters(seed, 3, 3), clusters(seed, 4, 2, taken=1)
    with few_waves(border):
        one, other = memory_of(sort, lesson, more), memory_of(sort, lesson)
        if between:
            answers(one, asked(seed))
        one.unteach(shuffled(seed, more)[2])
        same(one, other, seed)


@pytest.mark.parametrize("sort", SORTS)
def test_the_border_can_be_crossed_there_and_back(sort):
    """With four examples the dual, with nine the primal; each time as a memory that was never elsewhere."""
    few, more = clusters(1, 2, 2), clusters(1, 3, 3, taken=1)
    with few_waves((6, 6)):
        memory = memory_of(sort, few)
        for _ in range(2):
            same(memory, memory_of(sort, few), 1)
            memory.teach(*more, when=1)
            same(memory, _taught_at_once(sort, few, more), 1)
            memory.unteach(more[2])


def _taught_at_once(sort, *lessons):
    memory = memory_of(sort)
    for lesson in lessons:
        memory.teach(*lesson, when=1)
    return memory


@law
@given(seed=seeds, sort=sorts, border=borders)
def test_a_forgotten_concept_was_never_taught(seed, sort, border):
    lesson = clusters(seed, 3, 4)
    x, names, _ = lesson
    others = [place for place, name in enumerate(names) if name != "bee"]
    with few_waves(border):
        one, other = memory_of(sort, lesson), memory_of(sort, take(lesson, others))
        one.deny(x[:2] + 1, "bee", [9001, 9002])
        answers(one, asked(seed))
        assert one.forget("bee") == 4
        same(one, other, seed)
        assert 9001 not in one


@law
@given(seed=seeds, sort=sorts, border=borders)
def test_renamed_onto_another_they_are_one(seed, sort, border):
    x, names, ids = clusters(seed, 3, 4)
    with few_waves(border):
        one, other = memory_of(sort, (x, names, ids)), memory_of(sort)
        other.teach(x, ["cat" if name == "ant" else name for name in names], ids)
        answers(one, asked(seed))
        assert one.rename("ant", " cat ") == 4
        assert one.counts == {"bee": 4, "cat": 8}
        same(one, other, seed)


@law
@given(seed=seeds, sort=sorts, border=borders)
def test_a_name_is_but_a_name(seed, sort, border):
    """With the order of names the same, a rename changes no score; and back is as before."""
    lesson = clusters(seed)
    with few_waves(border):
        memory, q = memory_of(sort, lesson), asked(seed)
        memory.deny(q[:1], "bee", [77])
        before, scores = answers(memory, q), [memory.scores(q, reader=reader) for reader in READERS]
        memory.rename("bee", "buzz")
        assert memory.concepts == ("ant", "buzz", "cat")
        assert [a.tobytes() for a in scores] == [memory.scores(q, reader=reader).tobytes() for reader in READERS]
        memory.rename("buzz", "bee")
        assert answers(memory, q) == before


def test_renamed_to_what_it_was_denied_an_example_is_that():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x, "cat", [5])
    memory.deny(x, "dog", [5])
    memory.rename("cat", "dog")
    assert (memory.concept(5), memory._examples.saying(5).denied) == ("dog", ())


# denials


@law
@given(seed=seeds, border=borders, sort=sorts)
def test_denial_lowers_what_is_denied_and_leaves_the_rest(seed, border, sort):
    lesson, q = clusters(seed), asked(seed)
    with few_waves(border, 256):
        memory = memory_of(sort, lesson)
        before = memory.scores(q, reader="ridge")
        best = int(before[0].argmax())
        ids = memory.deny(q[:1], memory.concepts[best])
        after = memory.scores(q, reader="ridge")
        assert after[0, best] < max(0.0, before[0, best])
        others = np.arange(3) != best
        np.testing.assert_allclose(after[:, others], before[:, others], atol=2e-3)
        assert memory.concepts == tuple(NAMES[:3])  # it adds no concept
        assert memory.counts == dict.fromkeys(NAMES[:3], 4)
        assert memory.concept(int(ids[0])) is None
        memory.unteach(ids)
        same(memory, memory_of(sort, lesson), seed)


@law
@given(seed=seeds, border=borders)
def test_denying_what_was_never_taught_moves_nothing(seed, border):
    lesson, q = clusters(seed), asked(seed)
    with few_waves(border):
        memory = memory_of(SORTS[0], lesson)
        before = memory.scores(q, reader="ridge")
        memory.deny(q[:2], "yak")
        assert "yak" not in memory.concepts
        np.testing.assert_allclose(memory.scores(q, reader="ridge"), before, atol=2e-3)


def test_a_denied_example_alone_is_no_concept():
    memory = ConceptMemory(DIM)
    memory.deny(vectors(1, 2), "ant")
    assert (len(memory), memory.concepts, memory.counts) == (2, (), {})
    assert memory.nearest(vectors(1, 2)).none.all()


def test_what_is_denied_of_an_example_adds_up_and_its_concept_stays():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x, "cat", [5])
    for name in ("dog", "ant"):
        memory.deny(x, name, [5])
    assert memory.concept(5) == "cat"
    assert memory._examples.saying(5).denied == ("ant", "dog")
    memory.deny(x, "cat", [5])
    assert memory.concept(5) is None
    memory.teach(x, "ant", [5])
    assert memory.concept(5) == "ant"
    assert memory._examples.saying(5).denied == ()


@law
@given(seed=seeds)
def test_denials_of_one_time_add_up_in_any_order(seed):
    names = np.random.default_rng(seed).permutation(NAMES).tolist()
    one, other, third = memory_of(), memory_of(), memory_of()
    x = vectors(seed, 1)
    for a, b in zip(names, NAMES, strict=True):
        one.deny(x, a, when=3)
        other.deny(x, b, when=3)
    third.deny(np.repeat(x, 4, axis=0), names)
    assert told(one) == told(other)
    assert one._examples.sayings[0].denied == third._examples.sayings[0].denied == tuple(NAMES)


def test_a_denial_of_before_is_not_heard():
    memory, x = ConceptMemory(DIM), vectors(1, 1)
    memory.teach(x, "cat", [5], when=8)
    for when in (7, 8):
        memory.deny(x, "cat", [5], when=when)
        assert memory.concept(5) == "cat"
    memory.deny(x, "cat", [5], when=9)
    assert memory.concept(5) is None


# merging


def told_at(seed, sort, n=10):
    """A memory with a past: sayings of some of twelve ids at some of three times."""
    rng = np.random.default_rng(seed)
    memory, x = memory_of(sort), vectors(seed, n)
    sayings = []
    for i in range(n):
        saying = x[i], NAMES[rng.integers(0, 4)], [int(rng.integers(0, 12))]
        when = int(rng.integers(0, 3))
        memory.teach(*saying, when=when)
        sayings.append((saying, when))
    return memory, sayings


def merged(*memories):
    out = memory_of((memories[0].metric, memories[0].code_bytes))
    for memory in memories:
        out |= memory
    return out


@law
@given(seed=seeds, sort=sorts, border=borders)
def test_merging_is_commutative_associative_and_idempotent(seed, sort, border):
    with few_waves(border):
        a, b, c = (told_at(seed + i, sort)[0] for i in range(3))
        a.deny(vectors(seed, 1), "ant", [3], when=2)
        same(merged(a, b), merged(b, a), seed)
        same(merged(merged(a, b), c), merged(a, merged(b, c)), seed)
        same(merged(a, b, a, b, b), merged(a, b), seed)
        itself = merged(a)
        itself |= itself
        same(itself, a, seed)


@law
@given(seed=seeds, sort=sorts, border=borders)
def test_merging_is_being_told_it_all(seed, sort, border):
    with few_waves(border):
        (one, mine), (other, theirs) = told_at(seed, sort), told_at(seed + 1, sort)
        answers(one, asked(seed))
        before = told(other)
        one |= other
        every = memory_of(sort)
        for saying, when in (*mine, *theirs):
            every.teach(*saying, when=when)
        same(one, every, seed)
        assert told(other) == before


def test_after_a_merge_a_new_saying_is_the_latest():
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
@given(seed=seeds, sort=sorts, border=borders)
def test_a_loaded_memory_lives_on_like_the_saved_one(tmp_path_factory, seed, sort, border):
    path = tmp_path_factory.mktemp("saved") / "memory.h5"
    with few_waves(border):
        one, _ = told_at(seed, sort)
        one.deny(vectors(seed, 2), ["ant", "yak"], [3, 40])
        one.save(path)
        other = ConceptMemory.load(path)
        same(one, other, seed)
        for memory in (one, other):
            memory |= told_at(seed + 1, sort)[0]
            memory.teach(vectors(seed + 2, 2), "eel")
            memory.unteach([40])
            memory.rename("eel", "ant")
        same(one, other, seed)


# any sequence


class Life(RuleBasedStateMachine):
    """A memory, the dictionary it should be, and from time to time one that was told the dictionary anew."""

    numbers = st.integers(0, 25)
    ids = st.integers(0, 15)
    names = st.sampled_from(NAMES)

    @initialize(sort=sorts)
    def begin(self, sort):
        self.sort, self.memory, self.truth = sort, memory_of(sort), naive_concepts.Registers()

    @rule(numbers=st.lists(numbers, max_size=4), first=ids, name=names)
    def teach(self, numbers, first, name):
        given_ids = [(first + place) % 16 for place in range(len(numbers))]
        x = np.concatenate([vectors(1, 0), *(vectors(number, 1) for number in numbers)])
        when = self.truth.clock + 1
        assert self.memory.teach(x, name, given_ids).tolist() == given_ids
        for id_, number in zip(given_ids, numbers, strict=True):
            self.truth.teach(id_, number, name, when)

    @rule(number=numbers, id_=ids, name=names, ago=st.integers(0, 6))
    def teach_of_before(self, number, id_, name, ago):
        when = self.truth.clock - ago
        if id_ not in self.truth.said or self.truth.said[id_][1] != when:  # of one time the greater stands: see the law
            self.memory.teach(vectors(number, 1), name, [id_], when=when)
            self.truth.teach(id_, number, name, when)

    @rule(number=numbers, id_=ids, name=names, ago=st.integers(-2, 6))
    def deny(self, number, id_, name, ago):
        when = self.truth.clock - ago
        if id_ not in self.truth.said or self.truth.said[id_][1] != when:
            self.memory.deny(vectors(number, 1), name, [id_], when=when)
            self.truth.deny(id_, number, name, when)

    @rule(ids=st.sets(ids, max_size=4))
    def unteach(self, ids):
        if ids <= self.truth.said.keys():
            self.memory.unteach(sorted(ids))
            for id_ in ids:
                del self.truth.said[id_]
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
        other, truth = memory_of(self.sort), naive_concepts.Registers()
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
        self.truth.unite(truth)
        if not mine:
            self.truth.clock = max([truth.clock, *(when for _, when, _, _ in self.truth.said.values())])

    @rule()
    def save_and_load(self):
        with tempfile.TemporaryDirectory() as folder:
            self.memory.save(Path(folder) / "memory.h5")
            self.memory = ConceptMemory.load(Path(folder) / "memory.h5")

    @rule()
    def ask(self):
        """As one says that was told in one go what stands."""
        anew = memory_of(self.sort)
        for id_, (number, when, concept, denied) in sorted(self.truth.said.items(), reverse=True):
            x = vectors(number, 1)
            if concept is not None:
                anew.teach(x, concept, [id_], when=when)
            for name in denied:
                anew.deny(x, name, [id_], when=when)
        same(self.memory, anew, 5)

    @invariant()
    def holds_what_the_dictionary_holds(self):
        assert len(self.memory) == len(self.truth.said)
        assert list(self.memory.concepts) == self.truth.concepts()
        assert self.memory.counts == self.truth.counts()
        for id_ in range(16):
            assert (id_ in self.memory) == (id_ in self.truth.said)
            if id_ in self.memory:
                assert self.memory.concept(id_) == self.truth.said[id_][2]
                assert set(self.memory._examples.saying(id_).denied) == self.truth.said[id_][3]


@pytest.mark.parametrize("border", BORDERS)
def test_a_memory_lives_like_a_dictionary(border):
    steps = settings(max_examples=12, stateful_step_count=20, deadline=None, derandomize=True)
    with few_waves(border):
        run_state_machine_as_test(Life, settings=steps)
