"""The stages of indexing as generators: their order, threads and memory, and exceptions in them."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from itertools import islice

import numpy as np
import pytest

from assocmem.errors import MediaError
from assocmem.index.ingest.pipeline import (
    BATCH,
    LOOKAHEAD,
    QUEUED_PARTS,
    End,
    Job,
    Part,
    content_hash,
    decode,
    describe,
    plan,
)
from assocmem.index.ingest.walk import walk
from assocmem.index.store.records import Failure
from tests.fakes import ColourExtractor, open_photos, picture, pictures
from tests.index.ingest.stages import jobs_of, run_stages
from tests.media import scenes, write_video


def never(digest):
    return False


def decoders():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("decode")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    assert decoders() == []
    yield
    assert decoders() == []


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "clip.mp4", scenes([30, 30, 30]))


# plan


def test_the_plan_has_a_step_for_every_file(tmp_path):
    good, known, failed = pictures(tmp_path, range(3))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "lie.png").write_text("text")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "noname").write_bytes(good.read_bytes())
    trouble = Failure(str(failed), "seen before")
    settled = {str(known): True, str(failed): trouble}
    steps = list(plan(walk([tmp_path, tmp_path / "gone"]), lambda found: settled.get(found.path, False)))
    assert [(os.path.basename(s.found.path), s.kind) for s in steps if isinstance(s, Job)] == [
        ("0000.png", "image"),
        ("noname", "image"),
    ]
    assert steps.count(None) == 1
    assert {os.path.basename(s.path): s.reason for s in steps if isinstance(s, Failure)} == {
        "0002.png": "seen before",
        "empty.jpg": "empty file",
        "lie.png": "neither a picture nor a video, whatever its name says",
        "gone": "no such file or directory",
    }
    assert len(steps) == 7  # the text file has none


def test_a_file_that_cannot_be_opened_is_tried_again(tmp_path, monkeypatch):
    pictures(tmp_path, [0])

    def refused(path):
        raise MediaError("permission denied", lasting=False)

    monkeypatch.setattr("assocmem.index.ingest.pipeline.sniff", refused)
    [failure] = plan(walk([tmp_path]), lambda found: False)
    assert (failure.reason, failure.lasting) == ("permission denied", False)
    assert (failure.size, failure.mtime_ns) != (None, None)


# decode and describe


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_the_order_of_the_jobs(tmp_path, video, threads):
    paths = pictures(tmp_path, range(40))
    paths[20] = video
    jobs = [job for path in paths for job in jobs_of(path)]
    digest = content_hash(str(paths[3]))
    results = run_stages(jobs, known=lambda found: found == digest, threads=threads)
    assert [result.end.job for result in results] == jobs
    assert [len(result.items) for result in results] == [1, 1, 1, 0] + [1] * 16 + [3] + [1] * 19
    assert [result.end.known for result in results] == [number == 3 for number in range(40)]
    assert [result.end.hash for result in results] == [content_hash(str(path)) for path in paths]
    single = ColourExtractor()
    for number in (0, 19, 21, 39):
        feature = single.extract([single.prepare(np.asarray(picture(number)))]).features[0]
        assert np.array_equal(results[number].items[0].feature, feature)


def test_shots_carry_their_times_and_the_mean_of_their_frames(video):
    extractor = ColourExtractor()
    jobs = jobs_of(video)
    with closing(decode(jobs, extractor, never, threads=1)) as messages:
        *parts, end = messages
    assert isinstance(end, End)
    assert all(isinstance(part, Part) for part in parts)
    [result] = run_stages(jobs)
    assert [(item.start, item.end) for item in result.items] == [(part.start, part.end) for part in parts]
    assert [round(item.start, 2) for item in result.items] == [0, 1.2, 2.4]
    for item, part in zip(result.items, parts, strict=True):
        extraction = extractor.extract(part.images)
        np.testing.assert_allclose(item.feature, extraction.features.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(item.logits, extraction.logits.mean(axis=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_consumer_that_stops_early_stops_the_threads(tmp_path, after):
    long = write_video(tmp_path / "long.mp4", scenes([20] * 12))  # more shots than a queue holds
    jobs = jobs_of(long, *pictures(tmp_path, range(40)))
    messages = decode(jobs, ColourExtractor(), never, threads=3)
    assert len(list(islice(messages, after))) == after
    messages.close()
    assert decoders() == []


def test_an_exception_in_the_network_reaches_the_caller_and_stops_the_threads(tmp_path):
    class Failing(ColourExtractor):
        def extract(self, images):
            raise ZeroDivisionError

    pictures(tmp_path / "in", range(40))
    with open_photos(tmp_path / "photos.amem", Failing()) as photos:
        with pytest.raises(ZeroDivisionError) as caught:
            photos.add([tmp_path / "in"])
        assert decoders() == []
        assert caught.tb is not None  # although the traceback keeps all frames
        assert photos.verify() == []


def test_an_exception_in_a_thread_reaches_the_caller(tmp_path):
    class Failing(ColourExtractor):
        def prepare(self, image):
            raise ZeroDivisionError

    jobs = jobs_of(*pictures(tmp_path, range(5)))
    with pytest.raises(ZeroDivisionError):
        run_stages(jobs, Failing())


def test_no_more_files_are_decoded_than_look_ahead_allows(tmp_path):
    jobs = jobs_of(*pictures(tmp_path, range(80)))
    asked = []
    more = threading.Condition()

    def known(digest):
        with more:
            asked.append(digest)
            more.notify()
        return False

    ends = begun = 0
    with closing(decode(jobs, ColourExtractor(), known, threads=4)) as messages:
        for message in messages:
            begun = min(80, ends + LOOKAHEAD)
            ends += isinstance(message, End)
            with more:  # the threads get so far without the consumer, and no further
                assert more.wait_for(lambda: len(asked) >= begun, timeout=60)  # noqa: B023
                assert len(asked) == begun
    assert ends == begun == 80


def test_a_long_video_waits_for_its_consumer(tmp_path):
    path = write_video(tmp_path / "long.mp4", scenes([20] * 12))
    prepared = []

    class Counting(ColourExtractor):
        def prepare(self, image):
            prepared.append(1)
            return super().prepare(image)

    consumed = images = 0
    with closing(decode(jobs_of(path), Counting(), never, threads=2)) as messages:
        for message in messages:
            if isinstance(message, Part):
                consumed += 1
                images += len(message.images)
                # Those in the queue, and one part that the thread holds; three pictures each.
                assert len(prepared) <= images + 3 * (QUEUED_PARTS + 1)
    assert consumed == 12


def test_the_network_gets_batches_and_ends_do_not_wait(tmp_path):
    sizes = []

    class Counting(ColourExtractor):
        def extract(self, images):
            sizes.append(len(images))
            return super().extract(images)

    def messages(kinds):
        for kind in kinds:
            if kind == "new":
                yield Part((np.zeros((24, 24, 3), np.uint8),))
            taken.append(kind)
            yield End(None, b"", known=kind == "known")

    for kinds, expected in ((["new"] * 10, [4, 4, 2]), (["known"] * 20, []), (["new"] + ["known"] * 500, [1])):
        sizes.clear()
        taken: list[str] = []
        waiting = [len(taken) - number for number, _ in enumerate(describe(messages(kinds), Counting()))]
        assert len(waiting) == len(kinds)
        assert max(waiting) <= 2 * 4 * BATCH  # a group that runs, and one that is collected
        assert sizes == expected
