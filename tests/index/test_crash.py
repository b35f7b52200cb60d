"""Killed at any moment: the collection stays whole, and the next run ends where an undisturbed one does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import assocmem
from assocmem.index.store.catalog import NAME, Catalog
from assocmem.index.store.segments import read_segment
from tests.fakes import ColourExtractor, pictures
from tests.media import scenes, write_video

ROOT = Path(__file__).resolve().parents[2]
CHILD = """if 1:
    import os, sys
    import assocmem
    from assocmem.index.ingest.decode import run as adding
    from assocmem.index.store import database
    from assocmem.index.store import disk
    from assocmem.index.store import segments
    from assocmem.index.ingest.decode import writer
    from tests.fakes import ColourExtractor

    collection, folder, batch, point, count = sys.argv[1:]
    adding.BATCH_ITEMS = int(batch)
    calls = 0

    def deadly(function, when=lambda *arguments: True):
        # As if the power failed right before the call: nothing is cleaned up, nothing is flushed.
        def call(*arguments, **options):
            global calls
            calls += bool(when(*arguments))
            if calls == int(count):
                os._exit(9)
            return function(*arguments, **options)
        return call

    if point == "sync":
        disk.sync = segments.sync = writer.sync = database.sync = deadly(disk.sync)
    elif point == "rename":
        segments.Path.rename = deadly(segments.Path.rename)
    elif point == "commit":
        database.Database._change = deadly(database.Database._change, lambda db, sql, *_: sql == "COMMIT")
    elif point == "unlink":
        segments.Path.unlink = deadly(segments.Path.unlink, lambda path, **_: path.suffix == ".h5")

    with assocmem.open(collection, extractor=ColourExtractor()) as photos:
        print("opened", flush=True)
        report = photos.add([folder], progress=lambda step: print(step.done, flush=True))
        print("done", report.items, flush=True)
"""


def start(collection, folder, batch, point="", count=0):
    """Start a run in a process of its own, which commits every ``batch`` items."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [collection, folder, batch, point, count]
    command = [sys.executable, "-W", "error", "-c", CHILD, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def state(folder):
    """Every item with what is stored of it; the numbers of items and segments are left out: they may differ."""
    items = {}
    with closing(Catalog(folder)) as catalog:
        for number in catalog.segments():
            segment = read_segment(folder / "segments", number)
            places = [(row, item) for row, item, alive in catalog.segment_rows(number) if alive]
            rows = catalog.items(item for _, item in places)
            for row, item in places:
                data = segment.data(np.array([row]))
                stored = tuple(
                    getattr(data, name).tobytes() for name in ("features", "codes", "labels", "label_scores")
                )
                key = (rows[item].path, rows[item].kind, rows[item].start, rows[item].end)
                assert key not in items
                items[key] = stored
        assert catalog.failures() == []
    return items


def check(folder):
    """Whole, whatever happened; before the first commit there may be nothing yet."""
    with assocmem.open(folder, extractor=ColourExtractor()) as photos:
        if (folder / NAME).exists():
            assert photos.verify() == []
        return len(photos)


def finish(folder, media, expected):
    """An undisturbed run ends with the same items, and leaves nothing over."""
    with assocmem.open(folder, extractor=ColourExtractor()) as photos:
        report = photos.add([media])
        assert (report.failed, report.interrupted, report.items) == ([], False, len(expected))
        assert photos.verify() == []
        assert photos.add([media]).indexed == 0
        live = {f"{segment.number:08d}.h5" for segment in photos.refresh().segments}
    assert state(folder) == expected
    assert {path.name for path in (folder / "segments").iterdir()} == live
    assert not list(folder.glob("*.tmp*"))


def undisturbed(folder, seeds):
    """Pictures and a video of three shots, and the items of a collection of them that was never disturbed."""
    media = folder / "media"
    pictures(media, seeds)
    write_video(media / f"{max(seeds):04d}.mp4", scenes([30, 30, 30]))
    with assocmem.open(folder / "photos.amem", extractor=ColourExtractor()) as photos:
        assert photos.add([media]).items == len(seeds) + 3
    return media, state(folder / "photos.amem")


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("many"), range(120))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("few"), range(33))


def test_killed_twenty_times_the_run_goes_on_and_ends_the_same(tmp_path, many):
    media, expected = many
    moments = random.Random(2)
    kills = runs = 0
    while kills < 20:
        runs += 1
        folder = tmp_path / f"{runs}.amem"
        stored = finished = 0
        while kills < 20 and not finished:
            with start(folder, media, 8) as child:
                for _ in range(moments.randrange(40)):
                    child.stdout.readline()
                child.kill()
            finished = child.returncode == 0  # it was quicker than we
            kills += child.returncode == -signal.SIGKILL
            before, stored = stored, check(folder)
            assert before <= stored <= len(expected)
        finish(folder, media, expected)
    assert runs < 20


# The numbers count the calls of one run. Its 36 items make nine segments, which are merged in the end: the new folder,
# the catalog and the segments' folder sync once each, each of ten segments syncs twice and is renamed once; the first
# COMMIT only reads, then come nine batches, the failures, and, thirteenth, the merge.
@pytest.mark.parametrize(
    ("point", "count"),
    [("sync", n) for n in (1, 2, 4, 5, 9)]
    + [("rename", n) for n in (1, 2, 11)]
    + [("commit", n) for n in (2, 3, 13)]
    + [("unlink", n) for n in (1, 5)],
)
def test_a_run_that_ends_at_the_worst_moment_goes_on_and_ends_the_same(tmp_path, few, point, count):
    media, expected = few
    folder = tmp_path / "photos.amem"
    with start(folder, media, 4, point, count) as child:
        child.stdout.read()
    assert child.returncode == 9
    check(folder)
    finish(folder, media, expected)
