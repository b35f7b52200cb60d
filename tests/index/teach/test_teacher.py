"""What the teacher tells programs: counts of examples, which names are concepts, spellings, and what was unreadable."""

from __future__ import annotations

import pytest

from assocmem.errors import CollectionError
from tests.fakes import pictures


def items_of(photos, files):
    """Return the items of files."""
    return [photos.search(file, 1)[0].item for file in files]


def test_examples_are_counted_by_concept_without_denials(photos, files):
    assert photos.teacher.example_counts() == {}
    photos.teach("village", files[2][:1])
    photos.teach("castle", files[1])
    photos.correct(files[1][:1], wrong="castle")
    assert list(photos.teacher.example_counts().items()) == [("castle", 3), ("village", 1)]
    photos.forget("village")
    assert photos.teacher.example_counts() == {"castle": 3}


def test_a_concept_is_one_of_imagenet_or_a_taught_one(photos, files):
    assert photos.teacher.is_concept("tench")
    assert not photos.teacher.is_concept("the harbour")
    photos.teach("the harbour", files[1])
    assert photos.teacher.is_concept("The  Harbour")
    assert not photos.teacher.is_concept("the village")


def test_items_are_labelled_and_denied(photos, files):
    photos.add([str(path) for path in files[1]])
    items = items_of(photos, files[1][:3])
    taught = photos.teacher.label_items(items, "castle")
    assert (taught.taught, taught.known, taught.changed, taught.concepts) == (3, 0, 0, ["castle"])
    again = photos.teacher.label_items(items[0], "castle")
    assert (again.taught, again.known, again.changed, again.concepts) == (0, 1, 0, ["castle"])
    denied = photos.teacher.label_items(items[0], "castle", is_one=False)
    assert (denied.taught, denied.known, denied.changed, denied.concepts) == (1, 0, 1, [])
    assert photos.teacher.label_items(items[0], "Castle", is_one=False).known == 1
    changed = photos.teacher.label_items(items, "village")
    assert (changed.taught, changed.known, changed.changed) == (3, 0, 2)


def test_a_name_that_was_only_denied_prescribes_no_spelling(photos, files):
    photos.add([str(path) for path in files[1]])
    photos.teacher.label_items(items_of(photos, files[1][:1]), "Castle", is_one=False)
    assert photos.teach("castle", files[1][1:2]).concepts == ["castle"]
    assert photos.teach("CASTLE", files[1][2:]).concepts == ["castle"]


def test_the_first_unreadable_file_is_named_with_its_reason(photos, files, tmp_path):
    (cut,) = pictures(tmp_path / "bad", [5])
    cut.write_bytes(cut.read_bytes()[:60])
    empty = tmp_path / "bad" / "empty.png"
    empty.write_bytes(b"")

    def message(paths):
        with pytest.raises(CollectionError, match="nothing was taught") as error:
            photos.teach("castle", paths)
        return str(error.value)

    alone = {message([path]) for path in (cut, empty)}
    assert len({text.partition(": ")[2] for text in alone}) == 2
    assert message([cut, empty]) == message([cut])
