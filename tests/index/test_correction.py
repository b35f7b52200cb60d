"""A correction sticks: for the file and its near copies, at once, and whatever happens to files and collection."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import assocmem
from assocmem.errors import InputError, UnknownConceptError
from tests.fakes import ColourExtractor, kin, kinds, picture, pictures

ROOT = Path(__file__).resolve().parents[2]
READER = """if 1:
    import sys
    import assocmem
    from tests.fakes import ColourExtractor

    with assocmem.open(sys.argv[1], extractor=ColourExtractor()) as photos:
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
    with assocmem.open(folder / "photos.amem", extractor=ColourExtractor()) as photos:
        photos.teach("castle", files[1][:3])
        photos.teach("harbour", files[2][:3])
        photos.add(folder / "in")
        assert _taught(photos, files[1][3]) == "castle"
    return folder


@pytest.fixture
def photos(template, tmp_path):
    """A collection of the same files, moved here: with them goes what was said."""
    shutil.copytree(template / "photos.amem", tmp_path / "photos.amem")
    shutil.copytree(template / "in", tmp_path / "in")
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        collection.add(tmp_path / "in")
        collection.remove(template / "in")
        yield collection


@pytest.fixture
def file(tmp_path):
    """Taken for a castle, and none."""
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


def _taught(photos, file):
    shown = [hit for hit in photos.concepts(file) if hit.source == "taught"]
    return shown[0].concept if shown else None


def _labels(photos, file, k=5):
    return [hit.concept for hit in photos.concepts(file, k) if hit.source == "imagenet"]


def check(photos, files, concept="gate"):
    """Everything that is asked about these files is answered as it was said."""
    for path in files:
        shown = photos.concepts(path, 1)[0]
        assert (shown.concept, shown.source, shown.score) == (concept, "taught", 1), path
    assert not {hit.path for hit in photos.search("castle", 50)} & set(map(str, files))
    with_copies = {hit.path: hit.score for hit in photos.search(concept, 50)}
    assert {with_copies.get(str(path), 1.0) for path in files} == {1.0}


def test_a_correction_changes_the_answer_for_the_file_and_its_near_copies_at_once(photos, file, copies):
    photos.add(copies)
    for path in (file, *copies):
        assert _taught(photos, path) == "castle"
    assert {str(file), *map(str, copies)} <= {hit.path for hit in photos.search("castle", 50)}
    report = photos.correct(file, wrong="castle", right="gate")
    assert (report.taught, report.concepts) == (1, ["gate"])
    check(photos, [file, *copies])
    assert {str(file), *map(str, copies)} == {hit.path for hit in photos.search("gate", 4)}
    assert _taught(photos, np.asarray(kin(1, 3))) == "gate"


def test_a_denial_alone_takes_the_concept_away_and_nothing_else(photos, file, copies, tmp_path):
    photos.add(copies)
    report = photos.correct(file, wrong="Castle")
    assert (report.taught, report.concepts) == (1, [])
    for path in (file, *copies):
        assert _taught(photos, path) != "castle"
    assert {hit.path for hit in photos.search("castle", 50)} >= {str(tmp_path / "in" / "kind1" / "0.png")}
    assert not {hit.path for hit in photos.search("castle", 50)} & {str(file), *map(str, copies)}
    assert photos.correct(file, wrong="castle").known == 1


def test_an_example_that_is_corrected_is_none_any_more(photos, tmp_path):
    example = tmp_path / "in" / "kind1" / "0.png"
    photos.correct(example, wrong="castle")
    assert _taught(photos, example) != "castle"
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
    check(photos, [file, *copies])  # it is out of the collection, and what it was is known all the same
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
    assert _taught(photos, file) == "door"


def test_a_denial_goes_with_the_concept_that_it_is_of(photos, file, tmp_path):
    photos.teach("keep", tmp_path / "in" / "kind1" / "2.png")
    photos.correct(file, wrong="castle")
    photos.merge("castle", "keep")
    assert _taught(photos, file) != "keep"
    photos.rename("keep", "fortress")
    assert _taught(photos, file) != "fortress"
    assert str(file) not in {hit.path for hit in photos.search("fortress", 50)}


def test_it_is_known_in_other_processes_at_once_and_for_ever(photos, file, copies):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", READER, str(photos.folder)]

    def ask(child, path):
        child.stdin.write(f"{path}\n")
        child.stdin.flush()
        return child.stdout.readline().split()

    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:  # a reader that has it open while it is corrected
        try:
            assert ask(child, file) == ["castle", "taught", "True"]
            photos.correct(file, wrong="castle", right="gate")
            assert [ask(child, path) for path in (file, *copies)] == [["gate", "taught", "False"]] * 4
        finally:
            child.kill()
    folder = photos.folder
    photos.close()
    asked = "".join(f"{path}\n" for path in (file, *copies))
    done = subprocess.run([*command[:-1], folder], env=environment, input=asked, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["gate taught False"] * 4


def test_one_of_imagenets_concepts_is_taken_away(photos, file, copies):
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
    assert _taught(photos, file) == "castle"  # of that nothing was said
    assert str(file) in {hit.path for hit in photos.search(second, 50)}
    photos.undo(photos.teachings()[-1].id)
    assert wrong in _labels(photos, file)


def test_what_is_no_dog_is_no_beagle_either(tmp_path):
    """A kind is taken away with all that is below it; so is a word that means two of ImageNet's."""
    from assocmem.data.label_names import named_labels

    dogs = {label.name for label in named_labels("dog")}
    paths = pictures(tmp_path / "in", range(40))
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as photos:
        photos.add(paths)
        found = [hit for hit in photos.search("dog", 40) if hit.score > 0.3]
        first = found[0].path
        assert set(_labels(photos, first)) & dogs
        photos.correct(first, wrong="dog")
        assert not set(_labels(photos, first, 1000)) & dogs
        for words in ("dog", "dogs", " Dog ", "animal", *sorted(dogs)[:3]):
            hits = {hit.path: hit.score for hit in photos.search(words, 40)}
            assert words == "animal" or first not in hits, words


def test_a_correction_may_name_what_is_not_in_the_collection(photos, tmp_path):
    new = pictures(tmp_path / "new", [50])
    report = photos.correct(new, wrong="castle", right="gate")
    assert (report.indexed, report.taught) == (1, 1)
    check(photos, new)


def test_of_two_copies_that_were_said_to_be_different_the_asked_one_counts(photos, file, tmp_path):
    twin = tmp_path / "in" / "twin.jpg"
    kin(1, 3).save(twin, quality=60)
    photos.correct(file, wrong="castle", right="gate")
    photos.correct(twin, right="tower")
    assert (_taught(photos, file), _taught(photos, twin)) == ("gate", "tower")
    assert photos.search("gate", 1)[0].path == str(file)
    assert photos.search("tower", 1)[0].path == str(twin)


@pytest.mark.parametrize("first", ["png", "bmp"])
def test_of_two_that_look_the_same_what_was_said_last_counts(photos, file, tmp_path, first):
    """Other bytes, the same pixels: nothing tells them apart, so the correction must."""
    twin = tmp_path / "in" / "twin.bmp"
    Image.open(file).save(twin)
    photos.add(twin)
    pair = [file, twin] if first == "png" else [twin, file]
    photos.teach("castle", pair[0])
    photos.correct(pair[1], wrong="castle", right="gate")
    assert _taught(photos, pair[1]) == "gate"


def test_nothing_is_changed_when_nothing_is_called_so(photos, file):
    for correct in (
        lambda: photos.correct(file, wrong="casttle", right="gate"),
        lambda: photos.correct(file, wrong="golden retreiver"),
    ):
        count = len(photos.teachings())
        with pytest.raises(UnknownConceptError) as caught:
            correct()
        assert caught.value.nearest
        assert len(photos.teachings()) == count


def test_a_correction_must_say_something(photos, file):
    with pytest.raises(InputError, match="expected what the file is, what it is not, or both; found neither"):
        photos.correct(file)
    with pytest.raises(InputError, match="expected two concepts, found 'Castle' twice"):
        photos.correct(file, wrong="Castle", right="castle")
    assert _taught(photos, file) == "castle"


def test_a_picture_unlike_all_is_answered_as_before(photos, file):
    image = np.asarray(picture(77))
    out = io.BytesIO()
    picture(77).save(out, "PNG")
    before = _labels(photos, image)
    photos.correct(file, wrong=_labels(photos, file)[0])
    assert _labels(photos, image) == before
