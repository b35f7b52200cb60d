"""A collection as programs use it: pictures are found, changed files are read again, removed ones are not found."""

from __future__ import annotations

import os
import shutil
import sqlite3

import numpy as np
import pytest
from PIL import Image

import assocmem
from assocmem.data.imagenet import imagenet_labels
from assocmem.errors import CollectionError, InputError, LockedError, MediaError, MismatchError, UnknownConceptError
from assocmem.index.store.lock import writer_lock
from tests import media
from tests.fakes import ColourExtractor, open_photos, picture, pictures


def _names(hits):
    return [os.path.basename(hit.path) for hit in hits]


def test_a_picture_finds_itself_and_its_altered_copy(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(20))
    report = photos.add([tmp_path / "in"])
    assert (report.indexed, report.unchanged, report.failed, report.items) == (20, 0, [], 20)
    assert len(photos) == 20
    copy = tmp_path / "copy.jpg"
    picture(7).crop((5, 5, 96, 72)).resize((60, 40)).save(copy, quality=30)
    hits = photos.search(copy, k=3)
    assert _names(hits)[0] == "0007.png"
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert hits[0].score > 0.9 > hits[1].score
    assert hits[0].kind == "image"
    assert (hits[0].start, hits[0].end) == (None, None)
    assert photos.search(paths[3], k=1)[0].score == pytest.approx(1, abs=1e-3)


def test_an_array_is_a_query_too(photos, tmp_path):
    pictures(tmp_path / "in", range(5))
    photos.add(str(tmp_path / "in"))  # one path needs no list
    assert _names(photos.search(np.asarray(picture(2)), k=1)) == ["0002.png"]
    with pytest.raises(InputError, match=r"expected a uint8 array \(height, width, 3\), found float64"):
        photos.search(np.zeros((4, 4, 3)))


def test_indexing_again_reads_only_what_is_new_or_changed(photos, extractor, tmp_path):
    paths = pictures(tmp_path / "in", range(6))
    photos.add([tmp_path / "in"])
    assert extractor.seen == 6
    again = photos.add([tmp_path / "in"])
    assert (again.indexed, again.unchanged, extractor.seen) == (0, 6, 6)
    picture(100).save(paths[0])
    pictures(tmp_path / "in", [6])
    third = photos.add([tmp_path / "in"])
    assert (third.indexed, third.unchanged, third.items, extractor.seen) == (2, 5, 7, 8)
    assert _names(photos.search(np.asarray(picture(100)), k=1)) == ["0000.png"]
    assert photos.search(np.asarray(picture(0)), k=1)[0].score < 0.9  # the old content is gone


def test_a_touched_file_is_not_read_by_the_network_again(photos, extractor, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    photos.add(paths)
    os.utime(paths[1], (1, 1))
    report = photos.add(paths)
    assert (report.indexed, report.moved, report.unchanged, extractor.seen) == (0, 1, 2, 3)
    assert photos.add(paths).unchanged == 3


def test_a_moved_file_keeps_its_item(photos, extractor, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    photos.add([tmp_path / "in"])
    before = photos.search(paths[1], k=1)[0]
    (tmp_path / "in" / "deeper").mkdir()
    moved = tmp_path / "in" / "deeper" / "renamed.jpg"
    paths[1].rename(moved)
    extractor.seen = 0
    report = photos.add([tmp_path / "in"])
    assert (report.indexed, report.moved, extractor.seen, len(photos)) == (0, 1, 0, 3)
    after = photos.search(moved, k=1)[0]
    assert (after.item, after.path) == (before.item, str(moved))
    assert photos.missing() == []


def test_a_copy_becomes_an_item_of_its_own_without_the_network(photos, extractor, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    photos.add([tmp_path / "in"])
    shutil.copy(paths[2], tmp_path / "in" / "twin.png")
    report = photos.add([tmp_path / "in"])
    assert (report.indexed, report.moved, extractor.seen, len(photos)) == (1, 1, 3, 4)
    assert sorted(_names(photos.search(paths[2], k=2))) == ["0002.png", "twin.png"]
    assert photos.verify() == []


def test_two_files_that_swap_their_contents(photos, extractor, tmp_path):
    a, b = pictures(tmp_path / "in", range(2))
    photos.add([a, b])
    swapped = tmp_path / "x"
    a.rename(swapped)
    b.rename(a)
    swapped.rename(b)
    os.utime(a, (5, 5))
    os.utime(b, (6, 6))
    photos.add([a, b])
    assert _names(photos.search(np.asarray(picture(0)), k=1)) == [b.name]
    assert _names(photos.search(np.asarray(picture(1)), k=1)) == [a.name]
    assert len(photos) == 2
    assert photos.verify() == []


def test_a_chain_of_renames(photos, extractor, tmp_path):
    a, b = pictures(tmp_path / "in", range(2))
    photos.add([a, b])
    c = a.with_name("c.png")
    b.rename(c)
    a.rename(b)
    report = photos.add([tmp_path / "in"])
    assert extractor.seen == 2
    assert not report.failed
    assert _names(photos.search(np.asarray(picture(0)), k=1)) == [b.name]
    assert _names(photos.search(np.asarray(picture(1)), k=1)) == [c.name]
    assert len(photos) == 2
    assert photos.verify() == []


def test_removed_items_are_not_found_and_come_back_when_indexed_again(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(5))
    pictures(tmp_path / "in" / "private", range(10, 13))
    photos.add([tmp_path / "in"])
    assert photos.remove([tmp_path / "in" / "private"]) == 3
    assert photos.remove([paths[0]]) == 1
    assert len(photos) == 4
    assert paths[0].exists()
    found = {hit.path for hit in photos.search(paths[1], k=10)}
    assert found == {str(path) for path in paths[1:]}
    assert photos.add([tmp_path / "in"]).indexed == 4
    assert photos.verify() == []


def test_removing_what_is_not_there_removes_nothing(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    photos.add(paths)
    with pytest.raises(CollectionError, match=r"other\.png: not in the collection; nothing was removed"):
        photos.remove([paths[0], tmp_path / "other.png"])
    assert len(photos) == 3


def test_a_file_that_was_replaced_in_place_is_found_by_reading_contents_again(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(4))
    photos.add(paths)
    new, status = pictures(tmp_path / "new", [9])[0].read_bytes(), paths[0].stat()
    size = max(status.st_size, len(new))
    for path in paths:  # padded to one size, as on a camera's card; what is behind the end of a PNG does not count
        path.write_bytes(path.read_bytes().ljust(size, b"\0"))
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    photos.add(paths)
    before = {hit.path: hit.score for hit in photos.search(tmp_path / "new" / os.listdir(tmp_path / "new")[0], 4)}
    paths[0].write_bytes(new.ljust(size, b"\0"))
    os.utime(paths[0], ns=(status.st_mtime_ns, status.st_mtime_ns))
    report = photos.add(paths)
    assert (report.indexed, report.unchanged) == (0, 4)
    report = photos.add(paths, recheck=True)
    assert (report.indexed, report.unchanged, report.moved) == (1, 3, 0)
    after = {hit.path: hit.score for hit in photos.search(paths[0], 4)}
    assert after[str(paths[0])] > max(0.999, before[str(paths[0])])
    assert len(photos) == 4
    paths[1].write_bytes(b"\0" * size)  # damaged in place: told, and no longer found
    os.utime(paths[1], ns=(status.st_mtime_ns, status.st_mtime_ns))
    report = photos.add(paths, recheck=True)
    assert [failure.path for failure in report.failed] == [str(paths[1])]
    assert len(photos) == 3


def test_items_of_files_that_are_gone(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(4))
    photos.add(paths)
    paths[0].unlink()
    assert photos.missing() == [str(paths[0])]
    assert photos.remove(missing=True) == 1
    assert photos.missing() == []
    assert len(photos) == 3


def test_a_jpeg_cut_short_is_an_item_and_marked(photos, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    data = media.encoded(media.photo(1), "JPEG", quality=90)
    (folder / "whole.jpg").write_bytes(data)
    (folder / "no-end.jpg").write_bytes(data[:-2])
    (folder / "cut.jpg").write_bytes(data[: len(data) * 3 // 4])
    (folder / "header.jpg").write_bytes(data[:300])
    report = photos.add(folder)
    reasons = {os.path.basename(failure.path): failure.reason for failure in report.failed}
    assert reasons.keys() == {"cut.jpg", "header.jpg"}
    assert reasons["cut.jpg"] == "cut short: the rest of the picture is missing"
    assert report.indexed == len(photos) == 3
    assert [os.path.basename(hit.path) for hit in photos.search(folder / "cut.jpg", k=1)] == ["cut.jpg"]
    assert {os.path.basename(failure.path) for failure in photos.add(folder).failed} == reasons.keys()
    assert len(photos) == 3


def test_files_that_cannot_be_read_are_reported_and_stop_nothing(photos, tmp_path):
    folder = tmp_path / "in"
    good = pictures(folder, range(3))
    (folder / "empty.jpg").touch()
    (folder / "text.png").write_text("not a picture at all")
    (folder / "cut.png").write_bytes(good[0].read_bytes()[:400])
    (folder / "notes.txt").write_text("other files are not reported")
    report = photos.add([folder, tmp_path / "nowhere"])
    assert report.indexed == 3
    reasons = {os.path.basename(failure.path): failure.reason for failure in report.failed}
    assert reasons.keys() == {"empty.jpg", "text.png", "cut.png", "nowhere"}
    assert reasons["empty.jpg"] == "empty file"
    assert "neither a picture nor a video" in reasons["text.png"]
    assert "truncated" in reasons["cut.png"]
    assert reasons["nowhere"] == "no such file or directory"
    assert {os.path.basename(f.path) for f in photos.failures()} == reasons.keys() - {"nowhere"}
    again = photos.add([folder])
    assert (again.unchanged, again.indexed) == (3, 0)
    assert {os.path.basename(f.path) for f in again.failed} == reasons.keys() - {"nowhere"}
    good[1].rename(folder / "cut.png")
    (folder / "empty.jpg").unlink()
    photos.add([folder])
    assert {os.path.basename(f.path) for f in photos.failures()} == {"text.png"}


def test_names_that_are_not_utf8(photos, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    raw = os.fsencode(folder) + b"/caf\xe9.png"
    picture(1).save(tmp_path / "plain.png")
    try:
        os.rename(tmp_path / "plain.png", raw)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert photos.add([folder]).indexed == 1
    hit = photos.search(np.asarray(picture(1)), k=1)[0]
    assert os.fsencode(hit.path) == raw
    assert photos.add([folder]).unchanged == 1
    assert photos.remove([hit.path]) == 1


def test_words_find_items_of_a_concept(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(12))
    photos.add([tmp_path / "in"])
    best = photos.concepts(paths[4], k=1)[0]
    label = next(label for label in imagenet_labels() if label.name == best.concept)
    hits = photos.search(label.synonyms[0])
    assert "0004.png" in _names(hits)
    assert all(0 < hit.score <= 1 for hit in hits)
    assert best.source == "imagenet"
    assert best.concept in photos.searcher.common_concepts(k=100)
    photos.remove([paths[4]])
    assert "0004.png" not in _names(photos.search(label.synonyms[0]))


def test_unknown_words_name_the_nearest_concepts(photos, tmp_path):
    pictures(tmp_path / "in", range(2))
    photos.add([tmp_path / "in"])
    with pytest.raises(UnknownConceptError, match="golden retriever") as caught:
        photos.search("golden retreiver")
    assert caught.value.nearest[0] == "golden retriever"


def test_a_path_that_does_not_exist_is_not_a_concept(photos, tmp_path):
    pictures(tmp_path / "in", range(2))
    photos.add([tmp_path / "in"])
    for query in ("missing.jpg", str(tmp_path / "tabby")):
        with pytest.raises(MediaError, match="no such file"):
            photos.search(query)


def test_concepts_need_no_collection(tmp_path, extractor):
    picture(3).save(tmp_path / "p.png")
    with open_photos(tmp_path / "new.amem", extractor) as photos:
        found = photos.concepts(tmp_path / "p.png", k=7)
    assert [hit.rank for hit in found] == list(range(1, 8))
    assert 1 >= found[0].score >= found[-1].score >= 0
    assert not (tmp_path / "new.amem").exists()


def test_a_reader_sees_what_a_writer_commits(tmp_path):
    folder = tmp_path / "photos.amem"
    paths = pictures(tmp_path / "in", range(10))
    with open_photos(folder) as writer:
        writer.add(paths[:5])
        with open_photos(folder) as reader:
            assert len(reader.search(paths[0])) == 5
            writer.add(paths[5:])
            assert len(reader.search(paths[0])) == 10
            writer.remove(paths[:1])
            assert len(reader.search(paths[0])) == 9


def test_a_second_writer_gets_the_name_of_the_first(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(2))
    photos.add(paths[:1])
    with writer_lock(photos.folder), pytest.raises(LockedError, match=rf"process {os.getpid()} on"):
        photos.add(paths)
    assert len(photos) == 1
    assert photos.add(paths).indexed == 1


def test_another_extractor_is_refused_and_nothing_written(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    photos.add(paths[:2])
    generation = photos.info().generation
    with open_photos(photos.folder, ColourExtractor("colour-2")) as other:
        with pytest.raises(MismatchError, match=r"made with extractor colour-1, but this is colour-2"):
            other.add(paths)
        with pytest.raises(MismatchError, match="colour-2"):
            other.search(paths[0])
    assert photos.info().generation == generation


def test_a_newer_format_is_refused(photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    with sqlite3.connect(photos.folder / "catalog.sqlite3") as db:
        db.execute("UPDATE meta SET value = '7' WHERE key = 'format'")
    db.close()
    with pytest.raises(MismatchError, match="expected collection format 1, found 7"):
        assocmem.open(photos.folder)


def test_a_directory_with_other_files_is_refused(tmp_path):
    (tmp_path / "something").write_text("mine")
    with pytest.raises(CollectionError, match="expected a collection or an empty directory"):
        assocmem.open(tmp_path)
    assert os.listdir(tmp_path) == ["something"]


def test_questions_without_a_collection_are_refused(tmp_path):
    picture(0).save(tmp_path / "p.png")
    with open_photos(tmp_path / "none.amem") as photos:
        assert len(photos) == 0
        for question in (lambda: photos.search(tmp_path / "p.png"), photos.info, photos.verify):
            with pytest.raises(CollectionError, match="there is no collection yet"):
                question()


def test_the_collections_own_directory_is_not_indexed(tmp_path):
    folder = tmp_path / "in"
    paths = pictures(folder, range(3))
    with open_photos(folder / "photos.amem") as photos:
        photos.add([folder])
        picture(9).save(photos.folder / "inside.png")
        assert photos.add([folder]).indexed == 0
        assert len(photos) == len(paths)


def test_ctrl_c_keeps_finished_files(tmp_path):
    folder = tmp_path / "in"
    pictures(folder, range(60))
    with open_photos(tmp_path / "a.amem", ColourExtractor(fail_after=30)) as photos:
        report = photos.add([folder])
        assert report.interrupted
        assert 0 < report.indexed <= 30
        assert photos.verify() == []
    rest = ColourExtractor()
    with open_photos(tmp_path / "a.amem", rest) as photos:
        second = photos.add([folder])
        assert report.indexed + second.indexed == 60
        assert rest.seen == second.indexed
        assert photos.verify() == []


def test_progress_counts_up_to_the_end(photos, tmp_path):
    pictures(tmp_path / "in", range(5))
    steps = []
    photos.add([tmp_path / "in"], progress=steps.append)
    assert [step.done for step in steps] == [1, 2, 3, 4, 5]
    assert {step.total for step in steps} == {5}
    assert steps[-1].items == 5


def test_many_small_runs_end_in_few_segments(photos, tmp_path):
    folder = tmp_path / "in"
    for seed in range(20):
        photos.add(pictures(folder, [seed]))
    info = photos.info()
    assert info.segments < 8
    assert info.items == 20
    assert len(list((photos.folder / "segments").iterdir())) == info.segments
    assert len(photos.search(np.asarray(picture(0)), k=50)) == 20
    assert photos.verify() == []


def test_threads_change_nothing(tmp_path):
    folder = tmp_path / "in"
    pictures(folder, range(40))
    (folder / "0005x.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    answers = []
    for threads in (1, 4):
        with open_photos(tmp_path / f"{threads}.amem") as photos:
            report = photos.add([folder], threads=threads)
            answers.append((report.indexed, report.failed, photos.search(np.asarray(picture(3)), k=40)))
    assert answers[0] == answers[1]


def test_the_first_frame_of_a_gif_counts(photos, tmp_path):
    frames = [picture(0), picture(1)]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:], loop=0)
    photos.add([tmp_path / "two.gif"])
    with Image.open(tmp_path / "two.gif") as gif:
        assert gif.n_frames == 2
    assert photos.search(np.asarray(picture(0)), k=1)[0].score > 0.95
    assert photos.search(np.asarray(picture(1)), k=1)[0].score < 0.9
