"""Laws of a taught collection: answers depend, bit for bit, on the teachings in force, not on how they were made."""

from __future__ import annotations

import random
import shutil

import pytest

from assocmem.errors import InputError, UnknownConceptError
from assocmem.index.derived.files import TAUGHT
from tests.fakes import kinds, open_photos


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A collection of four kinds, three pictures each, without teachings."""
    folder = tmp_path_factory.mktemp("template")
    files = kinds(folder / "in", (1, 2, 3, 4), 3)
    with open_photos(folder / "photos.amem") as photos:
        photos.add(folder / "in")
    return folder / "photos.amem", files


@pytest.fixture
def make(template, tmp_path):
    """Make copies of the collection."""
    made = []

    def fresh():
        target = tmp_path / f"{len(made)}.amem"
        shutil.copytree(template[0], target)
        made.append(open_photos(target))
        return made[-1]

    yield fresh
    for photos in made:
        photos.close()


@pytest.fixture
def files(template):
    return template[1]


NAMES = ("castle", "fort", "harbour", "gate", "place")


def answers(photos, files):
    """Everything that can be asked about concepts; scores are compared bit for bit."""
    told = {}
    for name in NAMES:
        try:
            told[name] = photos.search(name, 20), photos.searcher.meant(name)
        except UnknownConceptError as error:
            told[name] = str(error)
    shown = [photos.concepts(path, 4) for paths in files.values() for path in paths]
    listed = [(one.concept, one.parent, one.examples, one.denied, one.confidence) for one in photos.taught_concepts()]
    info = photos.info()
    return told, shown, listed, info.concepts, info.examples


def statements(files):
    """Statements about files; no two are about the same file."""
    return [
        lambda photos: photos.teach("castle", files[1][:2]),
        lambda photos: photos.teach("fort", files[2][:2]),
        lambda photos: photos.teach("harbour", files[3]),
        lambda photos: photos.teach("Castle", files[1][2]),
        lambda photos: photos.correct(files[2][2], wrong="lion"),
        lambda photos: photos.correct(files[4][0], wrong="tabby", right="gate"),
    ]


def test_the_order_of_teachings_changes_no_answer(make, files):
    told = []
    for seed in range(3):
        photos, order = make(), statements(files)
        random.Random(seed).shuffle(order)
        for state in order:
            state(photos)
        photos.rename("castle", "castle")
        told.append(answers(photos, files))
    assert told[0] == told[1] == told[2]
    assert told[0][2] != []


def test_teaching_at_once_file_by_file_and_twice_are_the_same(make, files):
    at_once, one_by_one = make(), make()
    at_once.teach("castle", files[1])
    at_once.teach("fort", files[2])
    for _ in range(2):
        for paths in zip(files[2], files[1], strict=True):
            one_by_one.teach("fort", paths[0])
            one_by_one.teach("castle", paths[1])
    assert answers(at_once, files) == answers(one_by_one, files)


@pytest.mark.parametrize("way", ["forget", "forget files", "undo"])
def test_taught_and_forgotten_is_never_taught(make, files, way):
    never, forgotten = make(), make()
    for photos in (never, forgotten):
        photos.teach("castle", files[1])
        photos.teach("fort", files[2])
    before = answers(never, files)
    forgotten.teach("harbour", [*files[3], files[1][0]])
    forgotten.correct(files[2][0], wrong="harbour")
    assert answers(forgotten, files) != before
    if way == "forget":
        forgotten.forget("harbour")
    elif way == "forget files":
        forgotten.forget("harbour", [*files[3], files[1][0], files[2][0]])
    else:
        forgotten.undo([one.id for one in forgotten.teachings("harbour")])
    assert answers(forgotten, files) == before


def test_everything_taught_and_forgotten_is_never_taught(make, files):
    never, forgotten = make(), make()
    forgotten.teach("castle", files[1], parent="place")
    forgotten.correct(files[3], wrong="tabby", right="fort")
    for name in ("castle", "fort", "Tabby"):
        forgotten.forget(name)
    assert answers(forgotten, files) == answers(never, files)


def test_merged_is_taught_as_one(make, files):
    merged, one = make(), make()
    merged.teach("castle", files[1], parent="place")
    merged.teach("fort", files[2])
    merged.correct(files[3][0], wrong="castle")
    merged.correct(files[3][1], wrong="fort")
    merged.teach("harbour", files[4])
    merged.merge("castle", "fort")
    merged.set_parent("fort", None)
    one.teach("fort", [*files[1], *files[2]])
    one.correct(files[3][:2], wrong="fort")
    one.teach("harbour", files[4])
    assert answers(merged, files) == answers(one, files)


def test_renamed_is_taught_by_that_name(make, files):
    renamed, named = make(), make()
    renamed.teach("keep", files[1])
    renamed.teach("gate", files[2], parent="keep")
    renamed.correct(files[3][0], wrong="keep")
    renamed.rename("keep", "fort")
    named.teach("gate", files[2], parent="fort")
    named.teach("fort", files[1])
    named.correct(files[3][0], wrong="fort")
    assert answers(renamed, files) == answers(named, files)


def test_undo_restores_the_answers_of_before(make, files):
    photos = make()
    photos.teach("castle", files[1])
    photos.teach("fort", files[2])
    photos.correct(files[3][0], wrong="fort")
    history = [answers(photos, files)]
    steps = [
        lambda: photos.teach("fort", files[1][0]),
        lambda: photos.correct(files[1][1], wrong="castle"),
        lambda: photos.correct(files[3][0], right="fort"),
        lambda: photos.correct(files[2], wrong="fort", right="harbour"),
    ]
    marks = [photos.teachings()[-1].id]
    for step in steps:
        step()
        history.append(answers(photos, files))
        marks.append(photos.teachings()[-1].id)
    for place in reversed(range(len(steps))):
        ids = [one.id for one in photos.teachings() if marks[place] < one.id <= marks[place + 1]]
        assert photos.undo(ids) == len(ids)
        assert photos.undo(ids) == 0
        assert answers(photos, files) == history[place]


def test_a_kept_model_and_a_new_one_give_the_same_answers(make, files, kept_at_once):
    photos = make()
    for state in statements(files):
        state(photos)
    before = answers(photos, files)
    assert (photos.folder / TAUGHT).exists()
    for remove in (False, True):
        if remove:
            (photos.folder / TAUGHT).unlink()
        with open_photos(photos.folder) as again:
            assert answers(again, files) == before
            assert again.verify() == []


def test_no_order_of_parents_makes_a_circle(make, files):
    """Merging and renaming may put a concept below itself; then it has no parent, and nothing loops for ever."""
    for change in (lambda p: p.merge("castle", "gate"), lambda p: p.rename("gate", "PLACE")):
        photos = make()
        photos.teach("castle", files[1], parent="Place")
        photos.teach("fort", files[2], parent="castle")
        photos.teach("gate", files[3], parent="fort")
        change(photos)
        parents = {one.concept: one.parent for one in photos.taught_concepts()}
        last = "gate" if "gate" in parents else "PLACE"
        for name in parents:
            with pytest.raises(InputError, match="expected a concept that is not below"):
                photos.set_parent(last, name)
        assert parents[last] is None
        photos.set_parent("fort", None)
        photos.set_parent("fort", last)
        assert set(photos.searcher.meant(last).taught) == set(parents)


def test_the_concepts_below_a_renamed_one_stay_there_in_any_spelling(make, files):
    photos = make()
    photos.teach("castle", files[1], parent="place")
    photos.teach("PLACE", files[2])
    photos.rename("Place", "harbour")
    assert {one.concept: one.parent for one in photos.taught_concepts()} == {"castle": "harbour", "harbour": None}
