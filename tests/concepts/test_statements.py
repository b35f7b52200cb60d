"""The rule that the later statement wins, and statements that are made from earlier ones."""

from __future__ import annotations

from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts.statements import Statement

NAMES = ["ant", "bee", "cat"]
names = st.sampled_from(NAMES)
statements = st.builds(
    lambda when, concept, denied: Statement(when, concept, tuple(sorted(denied))),
    st.integers(0, 2),
    st.sampled_from(["", *NAMES]),
    st.sets(names),
)


def winner(one, other):
    return other if other.supersedes(one) else one


@given(one=statements, other=statements)
def test_of_two_statements_the_later_wins(one, other):
    assert one.supersedes(other) + other.supersedes(one) == (one != other)
    if one.when > other.when:
        assert one.supersedes(other)


@given(three=st.lists(statements, min_size=3, max_size=3))
def test_the_winner_does_not_depend_on_the_order(three):
    assert len({reduce(winner, order) for order in permutations(three)}) == 1


def test_of_the_same_time_a_concept_wins_over_none_then_the_one_that_denies_more():
    order = [
        Statement(1),
        Statement(1, "", ("bee",)),
        Statement(1, "", ("ant", "bee")),
        Statement(1, "ant"),
        Statement(1, "bee"),
        Statement(1, "bee", ("ant",)),
        Statement(2),
    ]
    for place, one in enumerate(order):
        assert [one.supersedes(other) for other in order] == [number < place for number in range(len(order))]


@given(known=statements, name=names)
def test_taught_sets_the_concept_and_keeps_other_denials(known, name):
    new = known.taught(name, 9)
    assert (new.when, new.concept, set(new.denied)) == (9, name, set(known.denied) - {name})


@given(known=statements, name=names)
def test_denying_adds_a_denial_and_keeps_another_concept(known, name):
    new = known.denying(name, 9)
    assert (new.when, set(new.denied)) == (9, {*known.denied, name})
    assert new.concept == ("" if known.concept == name else known.concept)
    assert list(new.denied) == sorted(new.denied)


def test_names_with_the_same_key_are_the_same_name():
    known = Statement(1, "Ant").denying("BEE", 2, key=str.casefold)
    assert known == Statement(2, "Ant", ("BEE",))
    assert known.denying("bee", 3, key=str.casefold) == Statement(3, "Ant", ("bee",))
    assert known.denying("ANT", 3, key=str.casefold) == Statement(3, "", ("ANT", "BEE"))
    assert known.taught("Bee", 3, key=str.casefold) == Statement(3, "Bee")
    assert known.taught("bee", 3) == Statement(3, "bee", ("BEE",))


@pytest.mark.parametrize(
    ("statement", "name", "expected"),
    [
        (Statement(3, "ant"), "bee", Statement(3, "bee")),
        (Statement(3, "ant"), None, None),
        (Statement(3, "", ("ant",)), None, None),
        (Statement(3, "", ("ant", "cat")), None, Statement(3, "", ("cat",))),
        (Statement(3, "ant", ("cat",)), None, Statement(3, "", ("cat",))),
        (Statement(3, "bee", ("ant",)), "bee", Statement(3, "bee")),
        (Statement(3, "", ("ant", "bee")), "bee", Statement(3, "", ("bee",))),
        (Statement(3, "ant", ("bee",)), "bee", Statement(3, "bee")),
        (Statement(3, "ant", ("bee",)), "ape", Statement(3, "ape", ("bee",))),
        (Statement(3, "cat", ("bee",)), "ape", Statement(3, "cat", ("bee",))),
    ],
)
def test_renamed_replaces_a_concept_and_its_denials(statement, name, expected):
    assert statement.renamed("ant", name) == expected


def test_a_statement_mentions_its_concept_and_its_denials():
    statement = Statement(1, "ant", ("bee",))
    assert [statement.mentions(name) for name in NAMES] == [True, True, False]
    assert not Statement(1, "bee", ("cat",)).mentions("ant")


def test_equal_names_are_one_name_though_they_are_two_strings():
    ant, name = "".join(["an", "t"]), "".join(["be", "e"])
    assert Statement(1, "ant").mentions(ant)
    assert Statement(1, "ant", ("bee",)).renamed(ant, "cat") == Statement(1, "cat", ("bee",))
    assert Statement(1, "ant", ("bee",)).renamed(name, "cat") == Statement(1, "ant", ("cat",))
    assert Statement(1, "ant").denying(ant, 2) == Statement(2, "", ("ant",))
    assert Statement(1, "", ("ant",)).taught(ant, 2) == Statement(2, "ant")
