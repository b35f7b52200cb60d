"""``seen`` makes sure: what only looks alike was not seen, and what was seen is named."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from assocmem.bench.duplicates.documents import draw
from assocmem.index.store.segments import segment_path
from tests.copies.test_second_look import photograph
from tests.fakes import ColourExtractor, open_photos, picture, pictures
from tests.media import scene, write_video


class DullExtractor(ColourExtractor):
    """To it, all pictures are nearly alike, as pages of text are to a network."""

    def extract(self, images):
        found = super().extract(images)
        found.features[:] = 1 + 1e-3 * found.features / np.abs(found.features).max(axis=1, keepdims=True)
        return found


@pytest.fixture
def receipts(tmp_path):
    """Twenty receipts in a collection whose network finds them all alike."""
    (tmp_path / "in").mkdir()
    for number in range(20):
        draw("receipt", number).resize((300, 600)).save(tmp_path / "in" / f"{number:04d}.png")
    with open_photos(tmp_path / "receipts.amem", DullExtractor()) as photos:
        photos.add(tmp_path / "in")
        yield photos


def test_receipts_that_were_never_indexed_are_not_seen_though_they_are_familiar(receipts, tmp_path):
    alike = 0
    for number in range(100, 110):
        draw("receipt", number).resize((300, 600)).save(tmp_path / "new.png")
        answer = receipts.seen(tmp_path / "new.png")
        assert not answer
        assert (answer.hit, answer.kind, answer.parts_seen) == (None, None, 0)
        alike += answer.alike
    assert alike == 10


def test_what_was_seen_is_named(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(12))
    photos.add(paths)
    for seed, path in enumerate(paths):
        picture(seed).resize((80, 60)).save(tmp_path / "copy.png")
        for asked in (path, tmp_path / "copy.png", np.asarray(picture(seed))):
            answer = photos.seen(asked)
            assert answer
            assert (answer.hit.path, answer.kind) == (str(path), "same")
    photos.remove([paths[3]])
    assert not photos.seen(np.asarray(picture(3)))


def test_a_part_of_a_picture_is_seen_and_a_form_with_another_name_is_not(photos, tmp_path):
    photograph(1).save(tmp_path / "whole.png")
    draw("letter", 1).save(tmp_path / "letter.png")
    photos.add([tmp_path / "whole.png", tmp_path / "letter.png", *pictures(tmp_path / "in", range(5))])
    mirrored = np.asarray(photograph(1))[:, ::-1]
    answer = photos.seen(np.ascontiguousarray(mirrored))
    if answer.alike:  # the colours are at other places: the memory may not know it
        assert (os.path.basename(answer.hit.path), answer.kind) == ("whole.png", "similar")
    assert not photos.seen(np.asarray(draw("letter", 2)))


def test_a_video_is_seen_by_most_of_its_shots_and_the_first_is_named(photos, tmp_path):
    frames = list(scene(1, 30))
    write_video(tmp_path / "a.mp4", frames)
    photos.add([tmp_path / "a.mp4", *pictures(tmp_path / "in", range(5))])
    answer = photos.seen(tmp_path / "a.mp4")
    assert answer
    assert answer.parts_seen == answer.parts == 1
    assert (os.path.basename(answer.hit.path), answer.hit.start) == ("a.mp4", 0.0)


def test_items_of_an_earlier_version_are_recognised_by_the_memory_alone(photos, tmp_path):
    paths = pictures(tmp_path / "in", range(6))
    photos.add(paths)
    with h5py.File(segment_path(photos.folder / "segments", 1), "a") as file:
        del file["details"]
    with open_photos(photos.folder) as again:
        answer = again.seen(paths[2])
        assert answer
        assert (answer.hit.path, answer.kind) == (str(paths[2]), "unchecked")
