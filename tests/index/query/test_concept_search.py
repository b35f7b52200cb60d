"""Search by words, among taught and ImageNet's concepts: names, parents, kinds, and the items that are found."""

from __future__ import annotations

import pytest

from assocmem.data.label_names import match_words
from assocmem.errors import UnknownConceptError
from assocmem.index.query import concept_search
from tests.fakes import kinds, open_photos
from tests.media import scenes, write_video


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A collection in which Bello is a dog, and some concepts have parents."""
    folder = tmp_path_factory.mktemp("world")
    files = kinds(folder / "in", (1, 2, 3, 4), 5)
    with open_photos(folder / "photos.amem") as photos:
        photos.add(folder / "in")
        photos.teach("Bello", files[1][:3], parent="dog")
        photos.teach("red house", files[2][:3], parent="home")
        photos.teach("home", files[3][:2], parent="Aunt Klara's")
        photos.teach("Lion", files[4][:2])
        yield photos, files


def _paths(hits):
    return {hit.path for hit in hits}


@pytest.mark.parametrize("words", ["Bello", "BELLO", "  bello ", "red HOUSE", "Red\t house"])
def test_taught_names_are_found_in_any_case(world, words):
    photos, _ = world
    assert [name.casefold() for name in photos.searcher.meant(words).taught] == [" ".join(words.split()).casefold()]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("aunt klara's", {"home", "red house"}),
        ("Home", {"home", "red house"}),
        ("red house", {"red house"}),
        ("dog", {"Bello"}),
        ("dogs", {"Bello"}),
        ("animal", {"Bello"}),
        ("domestic dog", {"Bello"}),
        ("cat", set()),
        ("beagle", set()),
    ],
)
def test_a_parent_means_the_concepts_below_it_and_an_imagenet_kind_is_a_parent_too(world, words, found):
    photos, files = world
    meant = photos.searcher.meant(words)
    assert set(meant.taught) == found
    hits = photos.search(words, 30)
    for name, kind, count in (("Bello", 1, 3), ("red house", 2, 3), ("home", 3, 2)):
        if name in found:
            assert set(map(str, files[kind][:count])) <= {hit.path for hit in hits if hit.score == 1}


def test_a_kind_still_means_imagenets_concepts_below_it(world):
    photos, _ = world
    assert {label.index for label in photos.searcher.meant("dog").labels} == {
        label.index for label in match_words("dog")
    }
    assert photos.searcher.meant("dog").names[0] == "Bello"


def test_a_taught_name_that_is_imagenets_too_means_both(world):
    photos, files = world
    meant = photos.searcher.meant("lion")
    assert (meant.taught, [label.name for label in meant.labels]) == (("Lion",), ["lion"])
    assert meant.names == ["Lion", "lion"]
    hits = photos.search("lion", 2)
    assert _paths(hits) == set(map(str, files[4][:2]))


def test_the_nearest_names_include_taught_ones(world):
    photos, _ = world
    with pytest.raises(UnknownConceptError, match="the nearest names are: Bello") as caught:
        photos.search("belo")
    assert caught.value.nearest[0] == "Bello"
    with pytest.raises(UnknownConceptError) as caught:
        photos.search("golden retreiver")
    assert "golden retriever" in caught.value.nearest


def test_examples_come_first_then_similar_items(world):
    photos, files = world
    hits = photos.search("bello", 5)
    assert [(hit.rank, hit.path) for hit in hits[:3]] == [(n, str(files[1][n - 1])) for n in (1, 2, 3)]
    assert [hit.score for hit in hits[:3]] == [1, 1, 1]
    assert _paths(hits) == set(map(str, files[1]))
    assert 1 > hits[3].score >= hits[4].score > 0
    assert photos.search("bello", 2) == hits[:2]


def test_examples_of_another_concept_are_not_found(world):
    photos, files = world
    assert not _paths(photos.search("bello", 30)) & set(map(str, [*files[2][:3], *files[3][:2], *files[4][:2]]))


def test_of_many_items_those_near_the_examples_are_scored_with_the_same_hits(world, monkeypatch):
    photos, _ = world
    before = {words: photos.search(words, 30) for words in ("bello", "home", "lion", "animal")}
    monkeypatch.setattr(concept_search, "SCORED_UP_TO", 3)
    for words, hits in before.items():
        found = photos.search(words, 30)
        assert [hit.item for hit in found] == [hit.item for hit in hits]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in hits], abs=1e-5)
    monkeypatch.setattr(concept_search, "_NEAR", 5)  # fewer of them are near
    monkeypatch.setattr(concept_search, "_EXAMPLES", 1)
    assert [hit.item for hit in photos.search("bello", 5)] == [hit.item for hit in before["bello"][:5]]


def test_a_part_of_a_taught_name_does_not_mean_it(world):
    photos, _ = world
    with pytest.raises(UnknownConceptError):
        photos.search("klara")


def test_any_shot_of_a_video_is_found_and_shows_its_concept(tmp_path):
    video = write_video(tmp_path / "in.mp4", scenes([30, 30]))
    with open_photos(tmp_path / "photos.amem") as photos:
        photos.teach("harbour", video)
        files = kinds(tmp_path / "in", (1,), 3)
        photos.teach("castle", files[1])
        hits = photos.search("harbour", 2)
        assert [(hit.kind, hit.score, hit.path) for hit in hits] == [("shot", 1, str(video))] * 2
        assert [hit.start for hit in hits] == sorted(hit.start for hit in hits)
        shown = photos.concepts(video, 1)[0]
        assert (shown.concept, shown.source, shown.score) == ("harbour", "taught", 1)
        photos.teacher.label_items(hits[0].item, "gate")  # one shot of two: the video shows both
        assert {hit.concept: hit.score for hit in photos.concepts(video) if hit.source == "taught"} == {
            "gate": 0.5,
            "harbour": 0.5,
        }


def test_a_single_taught_concept_is_searched_and_named(tmp_path):
    files = kinds(tmp_path / "in", (1, 2), 3)
    with open_photos(tmp_path / "photos.amem") as photos:
        photos.add(tmp_path / "in")
        photos.teach("castle", files[1][:1])
        hits = photos.search("castle", 6)
        assert hits[0].path == str(files[1][0])
        assert _paths(hits[:3]) == set(map(str, files[1]))
        assert photos.concepts(files[1][0], 1)[0].score == 1


def test_words_mean_imagenets_concepts_again_when_nothing_is_taught_any_more(tmp_path):
    files = kinds(tmp_path / "in", (1,), 2)
    with open_photos(tmp_path / "photos.amem") as photos:
        photos.teach("lion", files[1])
        photos.forget("lion")
        assert (photos.searcher.meant("lion").taught, photos.searcher.meant("lion").names) == ((), ["lion"])
        assert photos.searcher.meant("panda").names == ["lesser panda", "giant panda"]
