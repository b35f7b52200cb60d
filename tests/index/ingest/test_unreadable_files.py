"""Files that cannot be read, or change while they are read: each has its own failure; readable parts are stored."""

from __future__ import annotations

import os
import shutil
from itertools import islice

import numpy as np
import pytest

from assocmem.errors import InputError, MediaError
from assocmem.extractors.base import Extraction
from assocmem.index.ingest import pipeline
from assocmem.index.ingest.pipeline import content_hash
from tests.fakes import ColourExtractor, open_photos, picture, pictures
from tests.index.ingest.stages import jobs_of, run_stages
from tests.media import cut_off, scenes, write_video


@pytest.fixture
def broken_video(tmp_path):
    """Return a video that announces four shots; the file ends within the third."""
    path = write_video(tmp_path / "broken.mp4", scenes([30, 30, 30, 30]), faststart=True)
    cut_off(path, 0.7)
    return path


def test_a_file_that_vanishes_is_tried_again(tmp_path):
    paths = pictures(tmp_path, range(3))
    jobs = jobs_of(*paths)
    paths[1].unlink()
    results = run_stages(jobs)
    assert [len(result.items) for result in results] == [1, 0, 1]
    failure = results[1].end.failure
    assert (failure.reason, failure.lasting) == ("no such file or directory", False)


@pytest.mark.parametrize("change", ["touched", "gone"])
def test_a_file_that_changes_while_it_is_read_is_tried_again(tmp_path, change):
    [path] = pictures(tmp_path, [0])

    class Meddling(ColourExtractor):
        def prepare(self, image):
            os.utime(path, (1, 1)) if change == "touched" else path.unlink()
            return super().prepare(image)

    [result] = run_stages(jobs_of(path), Meddling())
    assert "while being read" in result.end.failure.reason
    assert not result.end.failure.lasting
    extractor = ColourExtractor()
    with open_photos(tmp_path / "photos.amem", extractor) as photos:
        extractor.prepare = Meddling().prepare
        picture(0).save(path)
        report = photos.add([path])
        assert "while being read" in report.failed[0].reason
        picture(0).save(path)
        del extractor.prepare
        assert photos.add([path]).failed == photos.failures() == []


def test_numbers_that_cannot_be_stored_are_a_failure_of_their_file(tmp_path):
    class Overflowing(ColourExtractor):
        def extract(self, images):
            found = super().extract(images)
            features, logits = found.features.copy(), found.logits.copy()
            features[[np.array_equal(image, spoiled[0]) for image in images], 5] = 1e6
            features[[np.array_equal(image, spoiled[1]) for image in images], 5] = np.nan
            logits[[np.array_equal(image, spoiled[2]) for image in images], 5] = np.inf
            return Extraction(features, logits)

    pictures(tmp_path / "in", range(12))
    extractor = Overflowing()
    spoiled = [extractor.prepare(np.asarray(picture(seed))) for seed in (3, 4, 5)]
    with open_photos(tmp_path / "photos.amem", extractor) as photos:
        report = photos.add([tmp_path / "in"])
        assert report.indexed == 9
        assert [os.path.basename(f.path) for f in report.failed] == ["0003.png", "0004.png", "0005.png"]
        assert {f.reason for f in report.failed} == {"the network gives no usable numbers for it"}
        assert photos.verify() == []


def test_a_video_broken_in_the_middle_gives_its_readable_part(broken_video):
    [result] = run_stages(jobs_of(broken_video))
    assert len(result.items) == 3
    assert result.end.failure.reason.startswith("broken after ")
    assert result.end.failure.lasting
    assert result.end.hash == content_hash(str(broken_video))


def test_the_readable_part_is_kept_and_the_failure_reported_without_reading_again(tmp_path, broken_video):
    extractor = ColourExtractor()
    with open_photos(tmp_path / "photos.amem", extractor) as photos:
        first = photos.add([broken_video])
        assert (first.indexed, len(first.failed), len(photos)) == (3, 1, 3)
        seen = extractor.seen
        moved = broken_video.with_name("moved.mp4")
        copy = broken_video.with_name("copy.mp4")

        def again(path, items):
            report = photos.add([path])
            assert [(f.path, f.reason) for f in report.failed] == [(str(path), first.failed[0].reason)]
            assert (extractor.seen, len(photos)) == (seen, items)
            assert photos.verify() == []

        again(broken_video, 3)
        os.utime(broken_video, (1, 1))  # another time, the same content
        again(broken_video, 3)
        again(broken_video, 3)
        broken_video.rename(moved)
        again(moved, 3)
        assert [f.path for f in photos.failures()] == [str(moved)]
        shutil.copy(moved, copy)
        again(copy, 6)
        assert [f.path for f in photos.failures()] == [str(copy), str(moved)]
        assert photos.remove([tmp_path]) == 6
        assert photos.failures() == []


def test_a_video_that_was_cut_short_by_circumstances_is_read_again(tmp_path, monkeypatch):
    video = write_video(tmp_path / "clip.mp4", scenes([30, 30, 30]))
    read_parts = pipeline.read_parts

    def unplugged(path, kind, extractor, max_pixels):
        yield from islice(read_parts(path, kind, extractor, max_pixels), 2)
        raise MediaError("input/output error", lasting=False)

    with open_photos(tmp_path / "photos.amem") as photos:
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "read_parts", unplugged)
            report = photos.add([video])
            assert (report.indexed, [f.reason for f in report.failed]) == (2, ["input/output error"])
        report = photos.add([video])
        assert (report.failed, photos.failures(), len(photos)) == ([], [], 3)
        assert photos.add([video]).unchanged == 1


def test_the_limit_of_pixels_is_an_option_and_what_it_refused_is_tried_again(photos, tmp_path):
    (path,) = pictures(tmp_path / "in", [1])
    report = photos.add(path, max_pixels=96 * 72 - 1)
    assert [failure.reason for failure in report.failed] == ["too large: 96 x 72 pixels, the limit is 0.006911 million"]
    assert photos.add(path, max_pixels=96 * 72).indexed == 1
    assert photos.failures() == []
    with pytest.raises(InputError, match="max_pixels: expected at least 1"):
        photos.add(path, max_pixels=0)
