"""The kinds above the labels: a hierarchy without cycles or loose ends, the same from both sides, and WordNet's."""

from __future__ import annotations

from importlib.resources import files

import pytest

from assocmem.data.hierarchy import ancestors, is_kind, kind_names, labels_of_kind
from assocmem.data.labels import imagenet_labels
from tests import wordnet_table

ROWS = [line.split("\t") for line in files("assocmem.data").joinpath("wordnet.tsv").read_text("utf-8").splitlines()]
ABOVE = {wnid: above.split() for wnid, above, _ in ROWS}
NAMES = {wnid: names.split(", ") for wnid, _, names in ROWS if names}
LABELS = {label.wnid for label in imagenet_labels()}


def below(name):
    return [imagenet_labels()[index].name for index in sorted(labels_of_kind(name))]


def chains(wnid):
    """All ways up, each as the list of its ids; endless where there is a cycle."""
    return [[wnid, *chain] for upper in ABOVE[wnid] for chain in chains(upper)] or [[wnid]]


def test_every_label_is_below_a_kind_and_no_id_is_unknown() -> None:
    assert [wnid for wnid, *_ in ROWS] == sorted({wnid for wnid, *_ in ROWS})
    assert set(NAMES) == set(ABOVE) - LABELS
    assert all(ABOVE[wnid] for wnid in LABELS)
    assert {upper for above in ABOVE.values() for upper in above} == set(NAMES)


def test_ways_up_end_and_never_meet_themselves() -> None:
    for wnid in LABELS:
        for chain in chains(wnid):
            assert len(set(chain)) == len(chain)
            assert not ABOVE[chain[-1]]


def test_names_are_whole_and_few_kinds_share_one() -> None:
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


def test_a_label_is_below_exactly_the_kinds_above_it() -> None:
    """The two lookups agree, for each kind by its usual name (which two kinds may share)."""
    for usual in {names[0] for names in NAMES.values()}:
        kinds = [wnid for wnid, names in NAMES.items() if usual.casefold() in map(str.casefold, names)]
        if all(NAMES[wnid][0] == usual for wnid in kinds):
            found = {label.index for label in imagenet_labels() if usual in ancestors(label.index)}
            assert labels_of_kind(usual) == found != set()


def test_what_is_above_holds_what_is_below() -> None:
    for label in imagenet_labels():
        for chain in chains(label.wnid):
            for wnid in chain[1:]:
                assert all(label.index in labels_of_kind(name) for name in NAMES[wnid])


@pytest.mark.parametrize(
    ("kind", "count", "some"),
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
def test_a_kind_finds_its_labels(kind, count, some) -> None:
    assert len(below(kind)) == count
    assert some <= set(below(kind))


@pytest.mark.parametrize(
    ("kind", "strangers"),
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
def test_another_meaning_of_the_word_is_left_out(kind, strangers) -> None:
    assert strangers <= {label.name for label in imagenet_labels()}
    assert below(kind)
    assert not strangers & set(below(kind))


def test_the_nearest_kinds_come_first() -> None:
    retriever = ancestors(207)
    assert retriever[0] == "retriever"
    order = [retriever.index(kind) for kind in ("retriever", "hunting dog", "dog", "carnivore", "vertebrate")]
    assert order == sorted(order)
    assert len(set(retriever)) == len(retriever)


def test_names_are_asked_for_whole_and_in_any_case() -> None:
    assert all(map(is_kind, kind_names()))
    assert len(set(kind_names())) == len(kind_names())
    assert labels_of_kind("Canis FAMILIARIS") == labels_of_kind("dog")
    for words in ("", "birds", "bir", "entity", "golden retriever"):
        assert not is_kind(words)
        assert labels_of_kind(words) == frozenset()


NOUNS = """\
  1 the licence
00000001 03 n 01 thing 0 001 ~ 00000002 n 0000 | whatever there is
00000002 05 n 02 pet 0 house_pet 1 002 @ 00000001 n 0000 ~ 00000003 n 0000 | an animal; | kept
00000003 05 n 01 moggy 0 003 @ 00000002 n 0000 @i 00000001 n 0000 #m 00000001 n 0000 | a cat
00000004 05 n 01 mutt 0 001 @ 00000001 n 0000 | no label
""".splitlines()


def test_the_table_is_made_of_hypernyms() -> None:
    nouns = wordnet_table.read_nouns(NOUNS)
    assert nouns["n00000002"] == (["pet", "house pet"], ["n00000001"])
    assert nouns["n00000003"] == (["moggy"], ["n00000002"])
    whole = ["n00000001\t\tthing", "n00000002\tn00000001\tpet, house pet", "n00000003\tn00000002\t"]
    assert wordnet_table.table(nouns, ["n00000003"]) == whole


def test_what_is_dropped_from_the_table_is_passed_through() -> None:
    nouns = wordnet_table.read_nouns(NOUNS)
    passed = wordnet_table.table(nouns, ["n00000003"], ["n00000002"])
    assert passed == ["n00000001\t\tthing", "n00000003\tn00000001\t"]
    nameless = nouns | {"n00000002": ([], ["n00000001"])}
    assert wordnet_table.table(nameless, ["n00000003"]) == passed


def test_the_table_was_written_with_the_lists_as_they_are() -> None:
    assert not wordnet_table.DROPPED & set(ABOVE)
    assert not [(name, wnid) for name, wnid in wordnet_table.NOT_MEANT if name in NAMES.get(wnid, ())]
    assert all(set(names) <= set(NAMES[wnid]) for wnid, names in wordnet_table.ALSO_CALLED.items())
    assert all(upper in ABOVE[lower] for lower, upper in wordnet_table.ALSO_BELOW)
    assert not [lower for lower, upper in wordnet_table.NOT_BELOW if upper in ABOVE[lower]]
