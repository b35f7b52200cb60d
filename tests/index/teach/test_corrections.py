"""A correction lasts: for the file and its near copies, at once, whatever happens to files and collection."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from assocmem.data.label_names import named_labels
from assocmem.errors import InputError, UnknownConceptError
from tests.fakes import kin, kinds, open_photos, picture, pictures, taught_concept
from tests.processes import run_python, start_python

READER = """if 1:
    import sys
    from tests.fakes import open_photos

    with open_photos(sys.argv[1]) as photos:
        for line in sys.stdin:
            hit = photos.concepts(line.strip(), 1)[0]
            print(hit.concept, hit.source, any(found.path == line.strip() for found in photos.search("castle", 30)))
            sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two concepts of three pictures each; the fourth of each kind was not taught."""
    folder = tmp_path_factory.mktemp("template")
    files = kinds(folder / "in", (1, 2), 4)
    with open_photos(folder / "photos.amem") as photos:
        photos.teach("castle", files[1][:3])
        photos.teach("harbour", files[2][:3])
        photos.add(folder / "in")
        assert taught_concept(photos, files[1][3]) == "castle"
    return folder


@pytest.fixture
def photos(template, tmp_path):
    """A collection of the same files, moved here: their labels move with them."""
    shutil.copytree(template / "photos.amem", tmp_path / "photos.amem")
    shutil.copytree(template / "in", tmp_path / "in")
    with open_photos(tmp_path / "photos.amem") as collection:
        collection.add(tmp_path / "in")
        collection.remove(template / "in")
        yield collection


@pytest.fixture
def file(tmp_path):
    """It is recognised as a castle, wrongly."""
    return tmp_path / "in" / "kind1" / "3.png"


@pytest.fixture
def copies(tmp_path):
    """The same picture as a JPEG, smaller, and slightly cropped."""
    folder = tmp_path / "copies"
    folder.mkdir()
    found = [folder / "again.jpg", folder / "smaller.png", folder / "cropped.jpg"]
    kin(1, 3).save(found[0], quality=50)
    kin(1, 3).resize((64, 48)).save(found[1])
    kin(1, 3).crop((2, 2, 94, 71)).save(found[2], quality=85)
    return found


def _labels(photos, file, k=5):
    return [hit.concept for hit in photos.concepts(file, k) if hit.source == "imagenet"]


def check(photos, files, concept="gate"):
    """Check that all answers about these files are this concept."""
    for path in files:
        shown = photos.concepts(path, 1)[0]
        assert (shown.concept, shown.source, shown.score) == (concept, "taught", 1), path
    assert not {hit.path for hit in photos.search("castle", 50)} & set(map(str, files))
    with_copies = {hit.path: hit.score for hit in photos.search(concept, 50)}
    assert {with_copies.get(str(path), 1.0) for path in files} == {1.0}


def test_a_correction_changes_the_answer_for_the_file_and_its_near_copies_at_once(photos, file, copies):
    photos.add(copies)
    for path in (file, *copies):
        assert taught_concept(photos, path) == "castle"
    assert {str(file), *map(str, copies)} <= {hit.path for hit in photos.search("castle", 50)}
    report = photos.correct(file, wrong="castle", right="gate")
    assert (report.taught, report.concepts) == (1, ["gate"])
    check(photos, [file, *copies])
    assert {str(file), *map(str, copies)} == {hit.path for hit in photos.search("gate", 4)}
    assert taught_concept(photos, np.asarray(kin(1, 3))) == "gate"


def test_a_denial_alone_removes_the_concept_and_nothing_else(photos, file, copies, tmp_path):
    photos.add(copies)
    report = photos.correct(file, wrong="Castle")
    assert (report.taught, report.concepts) == (1, [])
    for path in (file, *copies):
        assert taught_concept(photos, path) != "castle"
    assert {hit.path for hit in photos.search("castle", 50)} >= {str(tmp_path / "in" / "kind1" / "0.png")}
    assert not {hit.path for hit in photos.search("castle", 50)} & {str(file), *map(str, copies)}
    assert photos.correct(file, wrong="castle").known == 1


def test_a_corrected_example_is_not_an_example_any_more(photos, tmp_path):
    example = tmp_path / "in" / "kind1" / "0.png"
    photos.correct(example, wrong="castle")
    assert taught_concept(photos, example) != "castle"
    assert str(example) not in {hit.path for hit in photos.search("castle", 50)}
    castle = next(one for one in photos.taught_concepts() if one.concept == "castle")
    assert (castle.examples, castle.denied) == (2, 1)


def test_it_survives_later_teaching(photos, file, copies, tmp_path):
    photos.correct(file, wrong="castle", right="gate")
    more = [tmp_path / "more" / f"{which}.png" for which in range(4, 12)]
    more[0].parent.mkdir()
    for which, path in enumerate(more, 4):
        kin(1, which).save(path)
    photos.teach("castle", more)
    photos.teach("tower", pictures(tmp_path / "towers", range(20, 26)))
    check(photos, [file, *copies])


def test_it_survives_indexing_again(photos, file, copies):
    photos.correct(file, wrong="castle", right="gate")
    os.utime(file, (1, 1))
    photos.add(file)
    check(photos, [file, *copies])
    photos.remove(file)
    check(photos, [file, *copies])  # it is no longer in the collection, but its label stays
    assert str(file) not in {hit.path for hit in photos.search("gate", 50)}
    photos.add(file)
    check(photos, [file, *copies])
    assert photos.search("gate", 1)[0].path == str(file)
    moved = file.with_name("moved.png")
    file.rename(moved)
    photos.add(file.parent)
    check(photos, [moved, *copies])
    assert photos.search("gate", 1)[0].path == str(moved)
    assert photos.verify() == []


def test_it_survives_the_merging_of_segments(photos, file, copies, tmp_path):
    photos.correct(file, wrong="castle", right="gate")
    before = photos.info().segments
    for seed in range(30, 38):
        photos.add(pictures(tmp_path / "many", [seed]))
    assert photos.info().segments < before + 8
    check(photos, [file, *copies])
    assert photos.verify() == []


def test_it_survives_renaming_and_merging_of_concepts(photos, file, copies, tmp_path):
    photos.correct(file, wrong="castle", right="gate")
    photos.rename("gate", "portal")
    check(photos, [file, *copies], "portal")
    photos.merge("harbour", "castle")
    check(photos, [file, *copies], "portal")
    photos.teach("door", pictures(tmp_path / "doors", [40]))
    photos.merge("portal", "door")
    check(photos, [file, *copies], "door")
    photos.merge("castle", "door")
    assert taught_concept(photos, file) == "door"


def test_a_denial_follows_its_concept(photos, file, tmp_path):
    photos.teach("keep", tmp_path / "in" / "kind1" / "2.png")
    photos.correct(file, wrong="castle")
    photos.merge("castle", "keep")
    assert taught_concept(photos, file) != "keep"
    photos.rename("keep", "fortress")
    assert taught_concept(photos, file) != "fortress"
    assert str(file) not in {hit.path for hit in photos.search("fortress", 50)}


def test_it_is_known_in_other_processes_at_once_and_for_ever(photos, file, copies):
    def ask(child, path):
        child.stdin.write(f"{path}\n")
        child.stdin.flush()
        return child.stdout.readline().split()

    with start_python(READER, photos.folder) as child:  # a reader that has it open while it is corrected
        try:
            assert ask(child, file) == ["castle", "taught", "True"]
            photos.correct(file, wrong="castle", right="gate")
            assert [ask(child, path) for path in (file, *copies)] == [["gate", "taught", "False"]] * 4
        finally:
            child.kill()
    folder = photos.folder
    photos.close()
    asked = "".join(f"{path}\n" for path in (file, *copies))
    done = run_python(READER, folder, input=asked)
    assert done.stdout.splitlines() == ["gate taught False"] * 4


def test_a_concept_of_imagenet_is_denied(photos, file, copies):
    photos.add(copies)
    [wrong, second, *_] = _labels(photos, file)
    assert str(file) in {hit.path for hit in photos.search(wrong, 50)}
    before = {hit.concept: hit.score for hit in photos.concepts(file, 5) if hit.source == "imagenet"}
    report = photos.correct(file, wrong=wrong.upper())
    assert (report.taught, photos.teachings()[-1].concept) == (1, wrong)
    for path in (file, *copies):
        assert wrong not in _labels(photos, path, 1000)
        assert str(path) not in {hit.path for hit in photos.search(wrong, 50)}
    after = {hit.concept: hit.score for hit in photos.concepts(file, 5) if hit.source == "imagenet"}
    assert after[second] == before[second]
    assert taught_concept(photos, file) == "castle"  # which was not denied
    assert str(file) in {hit.path for hit in photos.search(second, 50)}
    photos.undo(photos.teachings()[-1].id)
    assert wrong in _labels(photos, file)


def test_a_picture_that_is_not_a_dog_is_not_a_beagle_either(tmp_path):
    """A kind is denied with all concepts below it."""
    dogs = {label.name for label in named_labels("dog")}
    paths = pictures(tmp_path / "in", range(40))
    with open_photos(tmp_path / "photos.amem") as photos:
        photos.add(paths)
        found = [hit for hit in photos.search("dog", 40) if hit.score > 0.3]
        first = found[0].path
        assert set(_labels(photos, first)) & dogs
        photos.correct(first, wrong="dog")
        assert not set(_labels(photos, first, 1000)) & dogs
        for words in ("dog", "dogs", " Dog ", "animal", *sorted(dogs)[:3]):
            hits = {hit.path: hit.score for hit in photos.search(words, 40)}
            assert words == "animal" or first not in hits, words


def test_a_correction_may_name_a_new_file(photos, tmp_path):
    new = pictures(tmp_path / "new", [50])
    report = photos.correct(new, wrong="castle", right="gate")
    assert (report.indexed, report.taught) == (1, 1)
    check(photos, new)


def test_of_two_copies_with_different_labels_each_has_its_own(photos, file, tmp_path):
    twin = tmp_path / "in" / "twin.jpg"
    kin(1, 3).save(twin, quality=60)
    photos.correct(file, wrong="castle", right="gate")
    photos.correct(twin, right="tower")
    assert (taught_concept(photos, file), taught_concept(photos, twin)) == ("gate", "tower")
    assert photos.search("gate", 1)[0].path == str(file)
    assert photos.search("tower", 1)[0].path == str(twin)


@pytest.mark.parametrize("first", ["png", "bmp"])
def test_of_two_that_look_the_same_the_last_statement_counts(photos, file, tmp_path, first):
    """Other bytes, the same pixels: nothing else distinguishes them."""
    twin = tmp_path / "in" / "twin.bmp"
    Image.open(file).save(twin)
    photos.add(twin)
    pair = [file, twin] if first == "png" else [twin, file]
    photos.teach("castle", pair[0])
    photos.correct(pair[1], wrong="castle", right="gate")
    assert taught_concept(photos, pair[1]) == "gate"


def test_an_unknown_wrong_name_changes_nothing(photos, file):
    for correct in (
        lambda: photos.correct(file, wrong="casttle", right="gate"),
        lambda: photos.correct(file, wrong="golden retreiver"),
    ):
        count = len(photos.teachings())
        with pytest.raises(UnknownConceptError) as caught:
            correct()
        assert caught.value.nearest
        assert len(photos.teachings()) == count


def test_a_correction_needs_a_wrong_or_a_right_concept(photos, file):
    with pytest.raises(InputError, match="expected what the file is, what it is not, or both; found neither"):
        photos.correct(file)
    with pytest.raises(InputError, match="expected two concepts, found 'Castle' twice"):
        photos.correct(file, wrong="Castle", right="castle")
    assert taught_concept(photos, file) == "castle"


def test_a_picture_that_is_not_similar_is_answered_as_before(photos, file):
    image = np.asarray(picture(77))
    before = _labels(photos, image)
    photos.correct(file, wrong=_labels(photos, file)[0])
    assert _labels(photos, image) == before
