"""The ImageNet labels: their order, and names that a person can tell apart."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from assocmem.data.labels import imagenet_labels


def test_labels_stand_in_the_order_of_the_logits() -> None:
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


def test_synonyms_are_whole_and_trimmed() -> None:
    for label in imagenet_labels():
        assert label.synonyms
        assert all(name == name.strip() and name and "," not in name for name in label.synonyms)
    assert imagenet_labels()[281].synonyms == ("tabby", "tabby cat")


def test_labels_are_read_once_and_cannot_be_changed() -> None:
    assert imagenet_labels() is imagenet_labels()
    with pytest.raises(FrozenInstanceError):
        imagenet_labels()[0].name = "x"  # type: ignore[misc]
