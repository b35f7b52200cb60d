"""A review: it asks before anything was taught, learns each answer before it asks again, and ends by itself."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assocmem import ConceptMemory
from assocmem.data.imagenet import imagenet_labels
from assocmem.errors import CollectionError, InputError
from assocmem.index.teach.taught_model import TaughtModels
from tests.fakes import ColourExtractor, open_photos

STRAY, STILL = 50, 2  # grey levels by which pictures of a group, and frames of a shot, differ


def noisy(group, number, amount):
    """A picture of a group: its patches and some noise."""
    base = np.random.default_rng(group).integers(60, 195, (6, 6, 3))
    noise = np.random.default_rng((group, number)).normal(0, amount, (6, 6, 3))
    patches = Image.fromarray(np.clip(base + noise, 0, 255).astype(np.uint8))
    return patches.resize((24, 24), Image.Resampling.NEAREST)


def write(folder, sizes, amount):
    """A folder for each group; returns all paths."""
    paths = []
    for group, size in enumerate(sizes):
        (folder / f"group{group}").mkdir(parents=True)
        for number in range(size):
            paths.append(folder / f"group{group}" / f"{number:03}.png")
            noisy(group, number, amount).save(paths[-1])
    return paths


def group_of(path):
    return Path(path).parent.name


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Collections that no test changes: two groups, and six shots of eight frames."""
    root = tmp_path_factory.mktemp("review")
    for name, sizes, amount in (("two", (30, 30), STRAY), ("shots", (8,) * 6, STILL)):
        write(root / name, sizes, amount)
        with open_photos(root / f"{name}.amem") as photos:
            photos.add(root / name)
    return root


@pytest.fixture
def two(made, tmp_path):
    yield from opened(made, tmp_path, "two")


@pytest.fixture
def shots(made, tmp_path):
    yield from opened(made, tmp_path, "shots")


def opened(made, tmp_path, name):
    """A copy of a collection, for teaching."""
    shutil.copytree(made / f"{name}.amem", tmp_path / "photos.amem")
    with open_photos(tmp_path / "photos.amem") as photos:
        yield photos


def small(tmp_path, images):
    for number, image in enumerate(images):
        image.save(tmp_path / f"{number}.png")
    photos = open_photos(tmp_path / "small.amem")
    photos.add(tmp_path)
    return photos


def shown(photos, path):
    """Names of taught concepts that a file shows, best first."""
    return [hit.concept for hit in photos.concepts(path, 9) if hit.source == "taught"]


def test_questions_come_without_anything_taught(two):
    first = next(two.review())
    assert first.why == "nothing was taught yet; about 60 more are like it"
    assert first.source == "imagenet"
    assert first.concept in {label.name for label in imagenet_labels()}
    assert first.probability == first.item.score == pytest.approx(two.concepts(first.item.path, 1)[0].score, abs=1e-2)
    assert Path(first.item.path).exists()
    assert two.teachings() == []


def test_an_answer_is_learned_before_the_next_question_is_chosen(two):
    review = two.review()
    first = next(review)
    review.name(first, "a bird")
    assert shown(two, first.item.path) == ["a bird"]
    second = next(review)
    assert "nothing was taught yet" not in second.why
    review.name(second, "a fish")
    assert shown(two, second.item.path)[0] == "a fish"
    assert review.answers == 2
    assert [one.concept for one in two.taught_concepts()] == ["a bird", "a fish"]
    proposed = [question for question in two.review().questions(30) if question.source == "taught"]
    assert {question.concept for question in proposed} <= {"a bird", "a fish"}
    assert proposed


def test_yes_teaches_the_proposed_concept(two):
    review = two.review()
    question = next(review)
    review.yes(question)
    hits = two.concepts(question.item.path, 1)
    assert (hits[0].concept, hits[0].source) == (question.concept, "taught")
    assert hits[0].score == pytest.approx(1)


def test_no_denies_the_proposed_concept(two):
    review = two.review()
    question = next(review)
    review.no(question)
    assert question.concept not in [hit.concept for hit in two.concepts(question.item.path, 20)]
    assert [(one.concept, one.is_one) for one in two.teachings()] == [(question.concept, False)]
    assert next(review).item.item != question.item.item


def test_no_denies_a_concept_that_was_taught(two):
    review = two.review()
    for question in review:
        if question.source == "taught":
            break
        review.name(question, "one of all")
    path = question.item.path
    assert shown(two, path) == ["one of all"]
    review.no(question)
    assert shown(two, path) == []
    assert not two.teachings()[-1].is_one


def test_a_picture_that_was_only_denied_is_not_asked_about_again(shots):
    review = shots.review()
    question = next(review)
    review.no(question)
    again = {group_of(one.item.path) for one in shots.review().questions(48)}
    assert len(again) == 5
    assert group_of(question.item.path) not in again


def test_without_a_proposal_yes_is_refused_and_no_skips(two):
    review = two.review()
    bare = dataclasses.replace(next(review), concept=None)
    with pytest.raises(InputError, match="expected a question that proposes something"):
        review.yes(bare)
    review.no(bare)
    assert (review.answers, two.teachings()) == (0, [])


def test_an_answer_is_taken_back_and_given_again(two):
    review = two.review()
    assert review.back() is None
    question = next(review)
    review.name(question, "hreon")
    assert review.back() == question
    review.name(question, "heron")
    assert [(teaching.concept, teaching.undone is None) for teaching in two.teachings()] == [
        ("hreon", False),
        ("heron", True),
    ]
    assert review.answers == 1


def test_an_invalid_name_leaves_the_question_open(two):
    review = two.review()
    question = next(review)
    with pytest.raises(InputError, match="expected a name"):
        review.name(question, " ")
    assert (review.answers, two.teachings()) == (0, [])
    assert next(review) == question


@pytest.mark.parametrize("how", ["name", "skip", "no"])
def test_near_copies_of_what_was_asked_are_not_asked_about(shots, how):
    """Of eight frames of a shot, one is asked about, whatever the answer."""
    review, asked = shots.review(), []
    for question in review:
        asked.append(group_of(question.item.path))
        if how == "name":
            review.name(question, asked[-1])
        elif how == "no" and question.concept is not None:
            review.no(question)
        else:
            review.skip(question)
    assert sorted(asked) == [f"group{shot}" for shot in range(6)]
    assert review.ended == "all that is left is known, or a near copy of it"


def test_near_copies_of_what_was_taught_are_not_asked_about(shots, made, tmp_path):
    noisy(2, 99, STILL).save(tmp_path / "copy.png")  # a ninth frame, from elsewhere
    shots.teach("known", tmp_path / "copy.png")
    asked = {group_of(question.item.path) for question in shots.review().questions(100)}
    assert asked == {f"group{shot}" for shot in range(6)} - {"group2"}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_collection_of_copies_alone_is_one_question(tmp_path, count):
    """After removing the mean, only the differences between copies are left."""
    with small(tmp_path, [noisy(0, number, STILL) for number in range(count)]) as photos:
        assert len(photos.review().questions(10)) == 1
        review = photos.review()
        for question in review:
            review.name(question, "it")
        assert review.answers == 1
        assert photos.review().questions(10) == []


def test_a_skipped_picture_is_not_asked_about_in_the_same_review(two):
    review = two.review()
    skipped = next(review)
    review.skip(skipped)
    assert (review.answers, two.teachings()) == (0, [])
    later = [question.item.item for question in review.questions(100)]
    assert skipped.item.item not in later
    assert len(later) == 59
    assert next(two.review()) == skipped  # but in the next one


@pytest.mark.parametrize("begun", [False, True])
def test_it_ends_when_further_answers_change_nothing(two, made, begun):
    if begun:  # something was taught before
        two.teach("group0", made / "two" / "group0" / "000.png")
    review = two.review()
    for question in review:
        review.name(question, group_of(question.item.path))
    assert review.ended.startswith("another answer would change little: the last 20 answers changed the names of ")
    assert review.ended.endswith(" of 60")
    assert review.answers < 45
    right = [shown(two, path)[:1] == [group_of(path)] for path in sorted((made / "two").rglob("*.png"))]
    assert sum(right) >= 57
    assert next(review, None) is None  # it stays ended
    assert review.questions(3) == []


def test_questions_at_once_differ_are_spread_and_change_nothing(two, tmp_path):
    before = {path: path.read_bytes() for path in (tmp_path / "photos.amem").rglob("*") if path.is_file()}
    review = two.review()
    questions = review.questions(8)
    assert len({question.item.item for question in questions}) == 8
    assert {group_of(question.item.path) for question in questions[:4]} == {"group0", "group1"}
    assert (review.answers, review.ended) == (0, "")
    assert two.taught_concepts() == []
    assert before == {path: path.read_bytes() for path in before}
    assert two.teachings() == []
    more = review.questions(100)  # the same review goes on
    assert len(more) == 52
    assert review.ended == "all that is left is known, or a near copy of it"
    assert two.review().questions(0) == []


def test_questions_below_given_paths_only(two, made):
    folder, file = made / "two" / "group1", made / "two" / "group0" / "003.png"
    asked = [question.item.path for question in two.review([folder, file]).questions(100)]
    assert len(asked) == len(set(asked)) == 31
    assert {path for path in asked if group_of(path) == "group0"} == {str(file)}
    assert len(two.review(str(file)).questions(9)) == 1  # one path needs no list
    with pytest.raises(CollectionError, match="not in the collection; index it first"):
        two.review(made / "nowhere")


def test_an_empty_collection_has_no_questions(tmp_path):
    none = open_photos(tmp_path / "none.amem")
    with none, pytest.raises(CollectionError, match="there is no collection yet"):
        none.review()
    with small(tmp_path, [noisy(0, 0, STRAY)]) as photos:
        photos.teach("it", tmp_path / "0.png")
        photos.remove(tmp_path / "0.png")
        review = photos.review()
        assert next(review, None) is None
        assert review.ended == "there is nothing to ask about"


def test_items_that_are_removed_meanwhile_are_not_asked_about(two, made):
    review = two.review()
    first = next(review)
    two.remove([made / "two" / "group0", first.item.path])
    with pytest.raises(CollectionError, match="not in the collection; nothing was taught"):
        review.name(first, "gone")
    assert review.answers == 0
    review.skip(first)
    assert {group_of(question.item.path) for question in review.questions(100)} <= {"group1"}


def test_the_same_answers_get_the_same_questions(made, tmp_path):
    reviews = []
    for copy in ("a", "b"):
        (tmp_path / copy).mkdir()
        for photos in opened(made, tmp_path / copy, "two"):
            review, asked = photos.review(), []
            for question in review:
                asked.append(question)
                if len(asked) % 5 == 4:
                    review.skip(question)
                else:
                    review.name(question, group_of(question.item.path))
            reviews.append((asked, review.ended))
    assert reviews[0] == reviews[1]


def test_fewer_answers_are_needed_than_of_pictures_chosen_by_chance(session, tmp_path):
    """Groups of unequal size: chance meets the small ones late."""
    paths = write(tmp_path / "in", (40, 20, 10, 5, 3, 2, 2, 2), 35)
    extractor = ColourExtractor()
    prepared = [extractor.prepare(np.asarray(Image.open(path))) for path in paths]
    features, groups = extractor.extract(prepared).features, np.array([group_of(path) for path in paths])

    def right(memory):
        return np.mean(np.array(memory.concepts)[memory.probabilities(features)[0].argmax(axis=1)] == groups)

    with open_photos(tmp_path / "photos.amem", extractor) as photos:
        photos.add(tmp_path / "in")
        models = TaughtModels(session)
        review = photos.review()
        for question in review:
            review.name(question, group_of(question.item.path))
            with models.reading() as model:
                if right(model.memory) >= 0.98:
                    break
        needed = review.answers
    simulate_evidence = []
    for seed in range(9):
        memory = ConceptMemory(extractor.dim)
        for row in np.random.default_rng(seed).permutation(len(paths)):
            memory.teach(features[[row]], [str(groups[row])])
            if len(memory.concepts) > 6 and right(memory) >= 0.98:
                break
        simulate_evidence.append(len(memory))
    assert 2 * needed <= np.median(simulate_evidence)
