"""Words find the concepts they mean: exact names before parts of names, and a hint when nothing fits."""

from __future__ import annotations

import pytest

from assocmem.data.labels import imagenet_labels
from assocmem.errors import AssocmemError
from assocmem.index.names import UnknownConceptError, match_words, nearest_names


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


def test_a_part_of_a_name_finds_all_that_have_it():
    found = matched("retriever")
    assert "golden retriever" in found
    assert len(found) == 5
    assert all("retriever" in name for name in found)


def test_all_words_must_be_in_one_name():
    assert matched("retriever golden") == ["golden retriever"]
    with pytest.raises(UnknownConceptError):
        match_words("golden tabby")


def test_a_word_matches_whole_words_only():
    assert "catamaran" not in matched("cat")
    assert all("cat" in " ".join(label.synonyms).lower().replace("-", " ").split() for label in match_words("cat"))


@pytest.mark.parametrize(
    "words", ["Golden Retriever", "GOLDEN RETRIEVER", "golden retrievers", " golden   retriever! "]
)
def test_case_plural_and_punctuation_do_not_matter(words):
    assert matched(words) == ["golden retriever"]


@pytest.mark.parametrize(("singular", "plural"), [("lion", "lions"), ("sea snake", "Sea snakes"), ("bus", "bus")])
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
    names = {label.name for label in imagenet_labels()}
    assert set(nearest_names("terrier", 50)) <= names


def test_a_name_is_understood_as_it_is_shown():
    for label in imagenet_labels():
        assert label.name in [meant.name for meant in match_words(label.name)]
    assert [label.name for label in match_words("crane (bird)")] == ["crane (bird)"]
