"""Teaching a collection: concepts are found, listed, renamed, merged and taken back."""

from __future__ import annotations

import getpass
import os
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from assocmem.errors import CollectionError, UnknownConceptError
from tests.fakes import ColourExtractor, kin, open_photos, picture, pictures, taught_concept
from tests.media import scenes, write_video


def _paths(hits):
    return [hit.path for hit in hits]


def test_a_concept_is_found_by_its_name_and_named_for_a_file(photos, files, tmp_path):
    photos.add(tmp_path / "in")
    for name, kind in (("castle", 1), ("harbour", 2)):
        report = photos.teach(name, files[kind][:3])
        assert (report.taught, report.known, report.changed, report.indexed) == (3, 0, 0, 0)
        assert (report.concepts, report.failed) == ([name], [])
    hits = photos.search("castle", 4)
    assert _paths(hits) == list(map(str, files[1]))
    assert [hit.score for hit in hits[:3]] == [1, 1, 1]
    assert 0.4 < hits[3].score < 1
    for name, kind in (("castle", 1), ("harbour", 2)):
        hit = photos.concepts(files[kind][3])[0]
        assert (hit.rank, hit.concept, hit.source) == (1, name, "taught")
        assert hit.score > 0.8


def test_taught_concepts_are_named_before_imagenets(photos, files):
    photos.teach("castle", files[1])
    photos.teach("harbour", files[2])
    shown = photos.concepts(files[1][0], 3)
    assert [(hit.rank, hit.source) for hit in shown] == [(1, "taught"), *((n, "imagenet") for n in (1, 2, 3))]


def test_new_files_are_indexed_first(photos, files, extractor):
    report = photos.teach("castle", files[1][0])  # one path needs no list; there is no collection yet
    assert (report.indexed, report.taught, len(photos)) == (1, 1, 1)
    report = photos.teach("castle", [os.path.dirname(files[1][0])])
    assert (report.indexed, report.taught, report.known, len(photos)) == (3, 3, 1, 4)
    assert extractor.seen == 4
    assert photos.verify() == []


def test_paths_may_come_one_by_one(photos, files):
    assert photos.teach("castle", (path for path in files[1])).taught == 4
    assert photos.correct((path for path in files[1][:2]), right="fort").taught == 2
    assert photos.forget("fort", (path for path in files[1][:1])) == 1


def test_a_file_named_twice_is_one_example(photos, files):
    report = photos.teach("castle", [files[1][0], files[1][0], os.path.dirname(files[1][0])])
    assert report.taught == 4
    assert [(one.concept, one.examples) for one in photos.taught_concepts()] == [("castle", 4)]


def test_teaching_the_same_again_changes_nothing_and_another_concept_does(photos, files):
    photos.teach("castle", files[1])
    again = photos.teach("CASTLE", files[1])
    assert (again.taught, again.known, again.changed, again.concepts) == (0, 4, 0, ["castle"])
    other = photos.teach("fort", files[1][:1])
    assert (other.taught, other.known, other.changed) == (1, 0, 1)
    assert {one.concept: one.examples for one in photos.taught_concepts()} == {"castle": 3, "fort": 1}
    assert len(photos.teachings()) == 5
    assert (photos.info().concepts, photos.info().examples) == (2, 4)


def test_each_folder_is_a_concept(photos, tmp_path, files):
    picture(9).save(tmp_path / "in" / "loose.png")
    (tmp_path / "in" / ".hidden").mkdir()
    (tmp_path / "in" / "empty").mkdir()
    picture(10).save(tmp_path / "in" / ".hidden" / "10.png")
    (tmp_path / "in" / "kind1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    photos.teach("KIND2", files[2][:1])
    report = photos.teach_folders(tmp_path / "in")
    assert (report.taught, report.known, report.indexed, report.concepts) == (7, 1, 7, ["kind1", "KIND2"])
    assert [failure.path for failure in report.failed] == [str(tmp_path / "in" / "kind1" / "broken.png")]
    assert {one.concept: one.examples for one in photos.taught_concepts()} == {"KIND2": 4, "kind1": 4}
    assert taught_concept(photos, files[1][0]) == "kind1"


def test_concepts_are_listed_with_their_figures(photos, files):
    before = datetime.now(UTC).isoformat(timespec="seconds")
    photos.teach("castle", files[1][:3], parent="building")
    photos.teach("harbour", files[2][:1])
    photos.correct(files[2][3], wrong="castle")
    castle, harbour = photos.taught_concepts()
    assert (castle.concept, castle.parent, castle.examples, castle.denied) == ("castle", "building", 3, 1)
    assert 0.5 < castle.confidence <= 1
    assert (harbour.concept, harbour.parent, harbour.examples, harbour.denied) == ("harbour", None, 1, 0)
    assert harbour.confidence is None
    assert before <= castle.taught <= datetime.now(UTC).isoformat(timespec="seconds")


def test_every_teaching_is_in_the_history(photos, files, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "klara")
    photos.teach("castle", files[1][:2])
    photos.correct(files[1][1], wrong="castle", right="fort")
    photos.rename("castle", "keep")
    photos.undo(1)
    told = photos.teachings()
    assert [(one.id, one.concept, one.said, one.is_one) for one in told] == [
        (1, "keep", "castle", True),
        (2, "keep", "castle", True),
        (3, "keep", "castle", False),
        (4, "fort", "fort", True),
    ]
    assert {one.who for one in told} == {"klara"}
    assert [one.path for one in told] == [str(files[1][place]) for place in (0, 1, 1, 1)]
    assert [one.undone is None for one in told] == [False, True, True, True]
    assert told[1].example == told[2].example == told[3].example != told[0].example
    assert [one.id for one in photos.teachings("keep")] == [one.id for one in photos.teachings("Castle")] == [1, 2, 3]


def test_a_user_without_a_name_can_teach(photos, files, monkeypatch):
    def nobody():
        raise OSError("no name")

    monkeypatch.setattr(getpass, "getuser", nobody)
    photos.teach("castle", files[1][:1])
    assert photos.teachings()[0].who == ""


def test_all_shots_of_a_video_are_taught_or_one_of_them(photos, tmp_path):
    video = write_video(tmp_path / "in.mp4", scenes([30, 30, 30]))
    photos.teach("harbour", [video, *pictures(tmp_path / "in", [5])])
    assert photos.taught_concepts()[0].examples == 4
    shots = [hit for hit in photos.search("harbour", 9) if hit.kind == "shot"]
    assert [hit.score for hit in shots] == [1, 1, 1]
    assert [(one.start is None, one.path) for one in photos.teachings()] == [
        *[(False, str(video))] * 3,
        (True, str(tmp_path / "in" / "0005.png")),
    ]
    assert photos.teacher.label_items(shots[1].item, "Boat").taught == 1
    assert [(hit.item, hit.score) for hit in photos.search("boat", 1)] == [(shots[1].item, 1)]
    assert shots[1].item not in [hit.item for hit in photos.search("harbour", 9)]
    photos.teacher.label_items([shots[0].item, shots[1].item], "harbour", is_one=False)
    assert {hit.item for hit in photos.search("harbour", 9) if hit.kind == "shot"} == {shots[2].item}
    assert photos.forget("harbour", video) == 5  # three shots taught, and two denied
    assert {one.concept: one.examples for one in photos.taught_concepts()} == {"Boat": 1, "harbour": 1}


def test_a_renamed_concept_is_found_by_its_new_name_only(photos, files):
    photos.teach("castle", files[1][:3], parent="building")
    photos.teach("gate", files[2][:2], parent="castle")
    before = photos.search("castle")
    assert photos.rename(" CASTLE ", "  old   keep ") == "old keep"
    assert photos.search("Old Keep") == before
    assert {one.concept: one.parent for one in photos.taught_concepts()} == {"gate": "old keep", "old keep": "building"}
    assert str(files[1][0]) not in _paths(photos.search("castle")) or photos.searcher.meant("castle").taught == ()


def test_a_name_may_get_another_spelling_and_keeps_its_parents(photos, files):
    photos.teach("castle", files[1][:2], parent="building")
    photos.teach("gate", files[2][:2], parent="castle")
    for name in ("Castle", "Castle", "castle"):
        assert photos.rename("castle", name) == name
        assert {one.concept: one.parent for one in photos.taught_concepts()} == {name: "building", "gate": name}


def test_merged_concepts_are_one(photos, files):
    photos.teach("castle", files[1][:2], parent="building")
    photos.teach("fort", files[1][2:], parent="place")
    photos.teach("gate", files[2][:2], parent="castle")
    assert photos.merge("castle", "FORT") == "fort"
    assert {one.concept: (one.examples, one.parent) for one in photos.taught_concepts()} == {
        "fort": (4, "place"),
        "gate": (2, "fort"),
    }
    assert [hit.score for hit in photos.search("fort", 4)] == [1, 1, 1, 1]


def test_a_concept_is_forgotten_whole_or_by_files(photos, files):
    photos.teach("castle", files[1])
    photos.teach("harbour", files[2], parent="place")
    assert photos.forget("castle", files[1][:1]) == 1
    assert photos.taught_concepts()[0].examples == 3
    assert photos.forget("Harbour", os.path.dirname(files[2][0])) == 4
    assert [one.concept for one in photos.taught_concepts()] == ["castle"]
    assert photos.forget("castle") == 3
    assert photos.taught_concepts() == []
    assert (photos.info().concepts, photos.info().examples) == (0, 0)
    assert all(hit.source == "imagenet" for hit in photos.concepts(files[1][0]))
    assert len(photos.teachings()) == 8
    assert photos.verify() == []


def test_a_moved_file_is_forgotten_by_its_new_path(photos, files, tmp_path):
    photos.teach("castle", files[1][:2])
    moved = tmp_path / "in" / "elsewhere" / "moved.png"
    moved.parent.mkdir()
    files[1][0].rename(moved)
    photos.add(tmp_path / "in")
    assert photos.forget("castle", moved) == 1
    assert photos.taught_concepts()[0].examples == 1


def test_an_earlier_teaching_holds_again_when_the_later_one_is_forgotten(photos, files):
    photos.teach("castle", files[1][:2])
    photos.teach("fort", files[1][:1])
    photos.forget("fort")
    assert taught_concept(photos, files[1][0]) == "castle"


def test_a_copy_of_a_taught_file_is_the_same_example(photos, files, tmp_path):
    photos.teach("castle", files[1][:2])
    twin = shutil.copy(files[1][0], tmp_path / "twin.png")
    photos.add(twin)
    assert [hit.score for hit in photos.search("castle", 3)] == [1, 1, 1]
    assert photos.teach("castle", twin).known == 1
    photos.correct(twin, right="fort")
    assert {hit.path for hit in photos.search("fort", 2)} == {str(twin), str(files[1][0])}


def test_parents_are_set_and_removed(photos, files):
    photos.teach("castle", files[1][:2])
    photos.set_parent("castle", "  building")
    assert photos.taught_concepts()[0].parent == "building"
    photos.teach("castle", [], parent="ruin")  # only its parent
    assert photos.taught_concepts()[0].parent == "ruin"
    photos.set_parent("castle", None)
    assert photos.taught_concepts()[0].parent is None


def test_teachings_are_there_when_the_collection_is_opened_again(photos, files):
    photos.teach("castle", files[1][:2])
    photos.teach("harbour", files[2][:2])
    told = photos.search("castle"), photos.concepts(files[1][3]), photos.taught_concepts(), photos.teachings()
    photos.close()
    with open_photos(photos.folder) as again:
        assert (
            again.search("castle"),
            again.concepts(files[1][3]),
            again.taught_concepts(),
            again.teachings(),
        ) == told
        assert again.verify() == []


def test_a_file_with_other_content_is_not_an_example_any_more(photos, files):
    photos.teach("castle", files[1][:2])
    photos.teach("harbour", files[2][:2])
    kin(2, 7).save(files[1][0])
    photos.add(files[1][0])
    assert taught_concept(photos, files[1][0]) == "harbour"
    assert str(files[1][0]) not in _paths(photos.search("castle", 1))
    assert photos.taught_concepts()[0].examples == 2  # the old content is still an example


def test_ctrl_c_while_files_are_indexed_teaches_nothing(tmp_path):
    paths = pictures(tmp_path / "in", range(60))
    with open_photos(tmp_path / "a.amem", ColourExtractor(fail_after=30)) as photos:
        for teach in (
            lambda: photos.teach("castle", tmp_path / "in"),
            lambda: photos.teach_folders(tmp_path),
            lambda: photos.correct(paths, right="castle"),
        ):
            with pytest.raises(KeyboardInterrupt):
                teach()
        assert 0 < len(photos) < 60
        assert photos.teachings() == []


def test_an_array_is_recognised_by_taught_concepts(photos, files):
    photos.teach("castle", files[1][:2])
    photos.teach("harbour", files[2][:2])
    assert taught_concept(photos, np.asarray(kin(2, 0))) == "harbour"


def test_an_open_reader_sees_later_teachings(photos, files):
    photos.add([*files[1], *files[2]])
    with open_photos(photos.folder) as reader:
        assert reader.taught_concepts() == []
        for teach, concept in (
            (lambda: photos.teach("castle", files[1][:2]), "castle"),
            (lambda: photos.rename("castle", "fort"), "fort"),
            (lambda: photos.forget("fort"), None),
        ):
            teach()
            assert taught_concept(reader, files[1][0]) == concept
    with pytest.raises(CollectionError, match="has been closed"):
        reader.teach("castle", files[1][:2])


def test_a_concept_that_is_taught_again_after_undo_has_no_parent(photos, files):
    photos.teach("castle", files[1][:2], parent="building")
    photos.undo(teaching.id for teaching in photos.teachings())
    photos.teach("castle", files[1][:2])
    assert photos.taught_concepts()[0].parent is None


def test_a_concept_that_was_only_denied_is_not_a_taught_concept(photos, files):
    photos.teach("castle", files[1][:2])
    photos.correct(files[2][0], wrong="tabby")
    with pytest.raises(UnknownConceptError, match="no taught concept is called 'tabby'"):
        photos.rename("tabby", "cat")
    assert photos.rename("castle", "tabby") == "tabby"
    assert photos.forget("tabby") == 3  # teachings and denials


def test_a_name_with_a_slash_is_searched_for(photos, files):
    photos.teach("AC/DC", files[1][:2])
    assert set(_paths(photos.search("ac/dc", 2))) == set(map(str, files[1][:2]))


def test_only_a_taught_concept_can_be_put_below_another(photos, files):
    photos.teach("castle", files[1][:2])
    with pytest.raises(UnknownConceptError):
        photos.teach("harbour", [], parent="building")
