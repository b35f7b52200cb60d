"""Words find the concepts they mean: exact names before parts of names, and a hint when nothing fits."""

from __future__ import annotations

import pytest

from assocmem.data.imagenet import category_names, imagenet_labels, labels_in_category
from assocmem.data.label_names import kind_named, match_words, nearest_names
from assocmem.errors import AssocmemError, UnknownConceptError


def matched(words):
    return [label.name for label in match_words(words)]


def test_every_synonym_finds_its_concept():
    for label in imagenet_labels()[::11]:
        for name in label.synonyms:
            assert label in match_words(name), name


def test_an_exact_name_keeps_out_those_that_only_hold_the_word():
    assert matched("lion") == ["lion"]
    assert len([label for label in imagenet_labels() if "lion" in " ".join(label.synonyms).split()]) > 1
    assert matched("tabby") == ["tabby"]


def test_one_word_may_mean_two_things():
    assert matched("crane") == ["crane (bird)", "crane (machine)"]


def test_a_kind_means_all_that_is_below_it_and_nothing_else_with_the_word():
    for kind in ("bird", "dog", "cat", "fish", "bear", "monkey", "spider", "snake", "ship", "musical instrument"):
        assert {label.index for label in match_words(kind)} == labels_in_category(kind) != set()
        assert kind_named(kind) == kind
    assert len(matched("dog")) == 118
    assert "spider monkey" not in matched("spider")


def test_every_name_of_a_kind_is_understood():
    """As the kind, or as the concept of that name."""
    for kind in category_names():
        found = {label.index for label in match_words(kind)}
        if kind_named(kind) is None:
            assert any(label.name.casefold().split(" (")[0] == kind.casefold() for label in match_words(kind)), kind
        else:
            assert found >= labels_in_category(kind), kind


@pytest.mark.parametrize("words", ["mask", "pot", "mouse", "cup", "monitor", "hen"])
def test_a_concepts_own_name_goes_before_a_kind(words):
    assert matched(words) == [words]
    assert kind_named(words) is None


def test_a_synonym_and_a_kind_of_one_name_are_both_meant():
    assert matched("light") == ["lighter", "torch", "traffic light"]
    assert {"beach wagon", "oxcart"} <= set(matched("wagon"))


@pytest.mark.parametrize(("words", "some"), [("plane", "airliner"), ("amphibian", "bullfrog")])
def test_two_words_mean_a_kind_as_well_as_the_concept_of_that_name(words, some):
    assert {words, some} <= set(matched(words))


def test_concepts_come_in_the_order_of_their_indices():
    for words in ("light", "vessel", "animal", "panda"):
        indices = [label.index for label in match_words(words)]
        assert indices == sorted(set(indices))


def test_a_part_of_a_name_finds_all_that_have_it():
    assert matched("panda") == ["lesser panda", "giant panda"]
    assert kind_named("panda") is None


def test_all_words_must_be_in_one_name():
    assert matched("retriever golden") == ["golden retriever"]
    with pytest.raises(UnknownConceptError):
        match_words("golden tabby")


def test_a_word_matches_whole_words_only():
    assert "street sign" in matched("street")
    assert "streetcar" in [name for label in imagenet_labels() for name in label.synonyms]
    assert "streetcar" not in matched("street")


@pytest.mark.parametrize(
    "words", ["Golden Retriever", "GOLDEN RETRIEVER", "golden retrievers", " golden   retriever! "]
)
def test_case_plural_and_punctuation_do_not_matter(words):
    assert matched(words) == ["golden retriever"]


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("lion", "lions"),
        ("sea snake", "Sea snakes"),
        ("bus", "buses"),
        ("butterfly", "butterflies"),
        ("collie", "collies"),
        ("fox", "foxes"),
        ("watch", "watches"),
        ("wolf", "wolves"),
        ("computer mouse", "computer mice"),
        ("person", "people"),
    ],
)
def test_a_plural_finds_what_the_singular_finds(singular, plural):
    assert matched(plural) == matched(singular) != []


@pytest.mark.parametrize(
    ("words", "nearest"),
    [("golden retreiver", "golden retriever"), ("tigre", "tiger"), ("zebrra", "zebra"), ("Taby", "tabby")],
)
def test_unknown_words_name_what_is_spelt_alike(words, nearest):
    with pytest.raises(UnknownConceptError) as caught:
        match_words(words)
    assert nearest in caught.value.nearest
    assert str(caught.value) == (
        f"no concept is called {words!r}, and no file either; the nearest names are: {', '.join(caught.value.nearest)}"
    )
    assert isinstance(caught.value, AssocmemError)


@pytest.mark.parametrize("words", ["", "!!!", "qqqqqqqqqq", "\udcff"])
def test_words_like_nothing_name_nothing(words):
    with pytest.raises(UnknownConceptError, match="no concept is called") as caught:
        match_words(words)
    assert caught.value.nearest == ()
    assert "nearest" not in str(caught.value)


def test_the_nearest_names_come_best_first_and_no_more_than_asked():
    assert nearest_names("golden retriever")[0] == "golden retriever"
    assert len(nearest_names("terrier", 3)) == 3
    assert len(nearest_names("terrier")) == 5
    names = {label.name for label in imagenet_labels()} | set(category_names())
    assert set(nearest_names("terrier", 50)) <= names


def test_kinds_are_among_the_nearest_names():
    assert nearest_names("vehicel")[0] == "vehicle"
    assert nearest_names("funriture")[0] == "furniture"


def test_a_name_is_understood_as_it_is_shown():
    for label in imagenet_labels():
        assert label.name in [meant.name for meant in match_words(label.name)]
    assert [label.name for label in match_words("crane (bird)")] == ["crane (bird)"]
