"""ImageNet's labels and the categories above them: distinct names, and a hierarchy without cycles or loose ends."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from importlib.resources import files

import pytest

from assocmem.data.imagenet import ancestors, category_names, imagenet_labels, is_category, labels_in_category

ROWS = [line.split("\t") for line in files("assocmem.data").joinpath("wordnet.tsv").read_text("utf-8").splitlines()]
ABOVE = {wnid: above.split() for wnid, above, _ in ROWS}
NAMES = {wnid: names.split(", ") for wnid, _, names in ROWS if names}
LABELS = {label.wnid for label in imagenet_labels()}


def test_labels_are_in_the_order_of_the_logits() -> None:
    labels = imagenet_labels()
    assert [label.index for label in labels] == list(range(1000))
    assert [label.wnid for label in labels] == sorted({label.wnid for label in labels})
    known = {0: "tench", 1: "goldfish", 281: "tabby", 291: "lion", 388: "giant panda", 657: "missile",
             812: "space shuttle", 967: "espresso", 999: "toilet tissue"}  # fmt: skip
    assert {index: labels[index].name for index in known} == known


def test_no_two_labels_share_a_name_whatever_the_case() -> None:
    assert len({label.name.casefold() for label in imagenet_labels()}) == 1000


def test_a_name_is_the_first_synonym_unless_others_share_it() -> None:
    changed = {label.index: label.name for label in imagenet_labels() if label.name != label.synonyms[0]}
    assert changed == {
        134: "crane (bird)",
        264: "Cardigan (Cardigan Welsh corgi)",
        517: "crane (machine)",
        639: "maillot (tank suit)",
    }


def test_synonyms_are_complete_and_trimmed() -> None:
    for label in imagenet_labels():
        assert label.synonyms
        assert all(name == name.strip() and name and "," not in name for name in label.synonyms)
    assert imagenet_labels()[281].synonyms == ("tabby", "tabby cat")


def test_labels_are_read_once_and_cannot_be_changed() -> None:
    assert imagenet_labels() is imagenet_labels()
    with pytest.raises(FrozenInstanceError):
        imagenet_labels()[0].name = "x"  # type: ignore[misc]


# Categories


def below(name):
    return [imagenet_labels()[index].name for index in sorted(labels_in_category(name))]


def chains(wnid):
    """Return all paths upwards as lists of ids; endless if there is a cycle."""
    return [[wnid, *chain] for upper in ABOVE[wnid] for chain in chains(upper)] or [[wnid]]


def test_every_label_is_in_a_category_and_no_id_is_unknown() -> None:
    assert [wnid for wnid, *_ in ROWS] == sorted({wnid for wnid, *_ in ROWS})
    assert set(NAMES) == set(ABOVE) - LABELS
    assert all(ABOVE[wnid] for wnid in LABELS)
    assert {upper for above in ABOVE.values() for upper in above} == set(NAMES)


def test_paths_upwards_end_and_have_no_cycles() -> None:
    for wnid in LABELS:
        for chain in chains(wnid):
            assert len(set(chain)) == len(chain)
            assert not ABOVE[chain[-1]]


def test_names_are_complete_and_few_categories_share_one() -> None:
    meanings: dict[str, int] = {}
    for names in NAMES.values():
        assert all(name == name.strip() and name and "_" not in name for name in names)
        assert len(set(names)) == len(names)
        for name in names:
            meanings[name.casefold()] = meanings.get(name.casefold(), 0) + 1
    assert max(meanings.values()) == 2
    shared = {name for name, times in meanings.items() if times > 1}
    assert {"vessel", "table", "food"} <= shared
    assert len(shared) < 20


def test_a_label_is_in_exactly_the_categories_above_it() -> None:
    """The two lookups agree for each category's usual name, which two categories may share."""
    for usual in {names[0] for names in NAMES.values()}:
        categories = [wnid for wnid, names in NAMES.items() if usual.casefold() in map(str.casefold, names)]
        if all(NAMES[wnid][0] == usual for wnid in categories):
            found = {label.index for label in imagenet_labels() if usual in ancestors(label.index)}
            assert labels_in_category(usual) == found != set()


def test_a_category_contains_the_labels_of_those_below_it() -> None:
    for label in imagenet_labels():
        for chain in chains(label.wnid):
            for wnid in chain[1:]:
                assert all(label.index in labels_in_category(name) for name in NAMES[wnid])


@pytest.mark.parametrize(
    ("category", "count", "some"),
    [
        ("bird", 59, {"cock", "king penguin", "hummingbird"}),
        ("dog", 118, {"Chihuahua", "Mexican hairless"}),
        ("fish", 16, {"tench", "great white shark"}),
        ("vehicle", 67, {"airliner", "canoe", "unicycle"}),
        ("musical instrument", 26, {"accordion", "gong"}),
        ("instrument", 26, {"accordion"}),
        ("fruit", 10, {"strawberry", "banana"}),
        ("train", 5, {"bullet train", "steam locomotive", "freight car"}),
        ("boat", 9, {"canoe", "catamaran"}),
        ("vessel", 38, {"canoe", "bathtub"}),
        ("bug", 27, {"ladybug"}),
    ],
)
def test_a_category_finds_its_labels(category, count, some) -> None:
    assert len(below(category)) == count
    assert some <= set(below(category))


@pytest.mark.parametrize(
    ("category", "others"),
    [
        ("dog", {"hotdog", "dogsled", "African hunting dog", "timber wolf"}),
        ("cat", {"lion", "lesser panda", "polecat"}),
        ("toy", {"Chihuahua"}),
        ("car", {"freight car", "car mirror"}),
        ("machine", {"ambulance"}),
        ("fruit", {"acorn", "corn"}),
        ("food", {"hay", "menu", "grocery store"}),
        ("train", {"car wheel"}),
    ],
)
def test_another_meaning_of_the_word_is_left_out(category, others) -> None:
    assert others <= {label.name for label in imagenet_labels()}
    assert below(category)
    assert not others & set(below(category))


def test_the_nearest_categories_come_first() -> None:
    retriever = ancestors(207)
    assert retriever[0] == "retriever"
    order = [retriever.index(category) for category in ("retriever", "hunting dog", "dog", "carnivore", "vertebrate")]
    assert order == sorted(order)
    assert len(set(retriever)) == len(retriever)


def test_whole_names_are_found_in_any_case() -> None:
    assert all(map(is_category, category_names()))
    assert len(set(category_names())) == len(category_names())
    assert labels_in_category("Canis FAMILIARIS") == labels_in_category("dog")
    for words in ("", "birds", "bir", "entity", "golden retriever"):
        assert not is_category(words)
        assert labels_in_category(words) == frozenset()
