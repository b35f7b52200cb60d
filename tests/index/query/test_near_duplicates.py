"""Near copies in collections: in a whole one, in one folder against another, in one collection against another."""

from __future__ import annotations

import os
import shutil

import h5py
import numpy as np
import pytest
from PIL import Image

from assocmem.errors import CollectionError, InputError, MediaError, MismatchError
from assocmem.index.store.segments import read_segment, segment_path
from tests.fakes import ColourExtractor, altered, open_photos, picture, pictures
from tests.media import scene, write_video


def seeds_of(found):
    """Groups as lists of the seeds in the file names."""
    return [[os.path.basename(hit.path)[:4] for hit in (copies.original, *copies.copies)] for copies in found]


def test_copies_are_grouped_and_others_are_not(photos, tmp_path):
    pictures(tmp_path / "in", range(20))
    altered(tmp_path / "copies", range(0, 20, 2))
    photos.add([tmp_path / "in", tmp_path / "copies"])
    found = photos.duplicates()
    assert sorted(names[0] for names in seeds_of(found)) == [f"{seed:04d}" for seed in range(0, 20, 2)]
    for copies in found:
        assert len(set(seeds_of([copies])[0])) == 1
        assert [hit.rank for hit in copies.copies] == list(range(1, 1 + len(copies.copies)))
        assert all(1.0 <= hit.score <= copies.original.score for hit in copies.copies)


def test_files_of_the_same_bytes_are_copies(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    shutil.copy(paths[1], tmp_path / "again.png")
    photos.add([*paths, tmp_path / "again.png"])
    (copies,) = photos.duplicates()
    assert {copies.original.path, *(hit.path for hit in copies.copies)} == {str(paths[1]), str(tmp_path / "again.png")}


def test_folders_are_compared(photos, tmp_path):
    pictures(tmp_path / "a", range(10))
    altered(tmp_path / "b", [3, 4, 7])
    altered(tmp_path / "c", [5])
    photos.add([tmp_path / name for name in "abc"])
    found = photos.duplicates(tmp_path / "a", against=tmp_path / "b")
    assert seeds_of(found) == [["0003"] * 2, ["0004"] * 2, ["0007"] * 2]
    assert all("/a/" in copies.original.path and "/b/" in copies.copies[0].path for copies in found)
    assert [names[0] for names in seeds_of(photos.duplicates(against=[tmp_path / "b"]))] == ["0003", "0004", "0007"]
    assert seeds_of(photos.duplicates(tmp_path / "b", against=tmp_path / "c")) == []
    assert seeds_of(photos.duplicates([tmp_path / "a"])) == []
    assert len(photos.duplicates([tmp_path / "a", tmp_path / "c"])) == 1


def test_collections_are_compared(photos, tmp_path):
    photos.add(pictures(tmp_path / "a", range(6)))
    altered(tmp_path / "b", [2, 5])
    with open_photos(tmp_path / "other.amem") as other:
        other.add(tmp_path / "b")
        assert seeds_of(photos.duplicates(against=other)) == [["0002"] * 2, ["0005"] * 2]
        assert seeds_of(other.duplicates(against=photos)) == [["0002"] * 2, ["0005"] * 2]
    with open_photos(tmp_path / "strange.amem", ColourExtractor("colour-2")) as strange:
        strange.add(tmp_path / "b")
        with pytest.raises(MismatchError, match="index its folders with the extractor of the first"):
            photos.duplicates(against=strange)


def test_removed_items_are_not_copies(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(4))
    altered(tmp_path / "copies", [1, 2])
    photos.add([*paths, tmp_path / "copies"])
    photos.remove([paths[1]])
    assert [names[0] for names in seeds_of(photos.duplicates())] == ["0002"]


def test_many_small_segments_give_the_groups_of_one(tmp_path):
    pictures(tmp_path / "in", range(12))
    altered(tmp_path / "in", range(12))
    paths = sorted((tmp_path / "in").iterdir())
    answers = []
    for name, batches in (("one", [paths]), ("many", [[path] for path in paths])):
        with open_photos(tmp_path / f"{name}.amem") as photos:
            for batch in batches:
                photos.add(batch)
            answers.append([
                [(hit.path, hit.score) for hit in (copies.original, *copies.copies)] for copies in photos.duplicates()
            ])  # fmt: skip
    assert answers[0] == answers[1]
    assert len(answers[0]) == 12


def test_a_video_is_not_a_copy_of_itself_but_of_another(photos, tmp_path):
    frames = list(scene(1, 30))
    write_video(tmp_path / "a.mp4", frames)
    write_video(tmp_path / "b.mkv", frames)
    Image.fromarray(frames[15]).save(tmp_path / "frame.png")
    photos.add([tmp_path / name for name in ("a.mp4", "b.mkv", "frame.png")])
    (copies,) = photos.duplicates()
    everything = {os.path.basename(hit.path): hit.kind for hit in (copies.original, *copies.copies)}
    assert everything == {"a.mp4": "shot", "b.mkv": "shot", "frame.png": "image"}


def test_a_collection_without_sketches_answers_by_features(photos, tmp_path):
    """Versions before sketches wrote such collections. Items that are added later have sketches."""
    paths = pictures(tmp_path / "in", range(8))
    altered(tmp_path / "copies", [1, 2])
    photos.add([*paths, tmp_path / "copies"])
    path = segment_path(photos.folder / "segments", 1)
    with h5py.File(path, "a") as file:
        del file["sketches"]
    segment = read_segment(photos.folder / "segments", 1)
    assert not segment.sketches[np.arange(10)].any()
    altered(tmp_path / "more", [2, 4])
    with open_photos(photos.folder) as again:
        again.add(tmp_path / "more")
        assert sorted(names[0] for names in seeds_of(again.duplicates())) == ["0001", "0002", "0004"]
        assert again.verify() == []


def test_an_empty_collection_has_no_copies(photos, tmp_path):
    with pytest.raises(CollectionError, match="no collection yet"):
        photos.duplicates()
    photos.add(pictures(tmp_path / "in", range(2)))
    photos.remove([tmp_path / "in"])
    assert photos.duplicates() == []


def test_a_file_finds_its_originals(photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(20)))
    altered(tmp_path / "out", [3, 7, 8])
    for path in sorted((tmp_path / "out").iterdir()):
        first, second, *_ = photos.originals(path)
        assert os.path.basename(first.path)[:4] == path.name[:4]
        assert first.score >= 1.0 > second.score
    assert photos.originals(np.asarray(picture(4)), k=1)[0].path.endswith("0004.png")
    photos.remove([tmp_path / "in" / "0004.png"])
    assert not photos.originals(np.asarray(picture(4)), k=1)[0].path.endswith("0004.png")
    assert len(photos.originals(np.asarray(picture(4)), k=100)) == 19
    photos.remove([tmp_path / "in"])
    assert photos.originals(np.asarray(picture(4))) == []
    with pytest.raises(MediaError, match="no such file"):
        photos.originals("lighthouse")


def test_unknown_paths_and_invalid_similarities_are_refused(photos, tmp_path):
    photos.add(pictures(tmp_path / "in", range(2)))
    with pytest.raises(CollectionError, match="typo: not in the collection"):
        photos.duplicates(tmp_path / "typo")
    with pytest.raises(CollectionError, match="not in the collection"):
        photos.duplicates(against=tmp_path / "typo")
    for least in (0.2, 1.5, float("nan")):
        with pytest.raises(InputError, match=r"a similarity from 0\.5 to 1\.4"):
            photos.duplicates(least=least)


def test_who_was_found_unlike_the_first_is_not_in_its_group(photos, tmp_path, monkeypatch):
    """A look takes four pictures for one, each and the next: a chain whose ends are not the same."""
    for number, size in enumerate([(96, 72), (92, 70), (90, 68), (88, 66)]):
        picture(1).resize(size).save(tmp_path / f"{number}.png")
        photos.add(tmp_path / f"{number}.png")
    numbers = {}
    for segment in photos._session.snapshot().segments:
        rows = segment.details[np.arange(len(segment.ids))]
        numbers |= {row.tobytes(): int(item) - 1 for item, row in zip(segment.ids, rows, strict=True)}
    assert sorted(numbers.values()) == [0, 1, 2, 3]
    monkeypatch.setattr(
        "assocmem.index.query.evidence.is_same",
        lambda one, other: abs(numbers[one.tobytes()] - numbers[other.tobytes()]) == 1,
    )
    (group,) = photos.duplicates()
    assert os.path.basename(group.original.path) == "1.png"
    names = [os.path.basename(hit.path) for hit in group.copies]
    assert sorted(names) == ["0.png", "2.png"]  # 3 is like 2 alone
