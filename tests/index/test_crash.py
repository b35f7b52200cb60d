"""Killed at any moment: the collection stays intact, and the next run ends like an undisturbed one."""

from __future__ import annotations

import json
import random
import signal
from contextlib import closing

import numpy as np
import pytest

from assocmem.index.derived.files import CLIQUES, FAMILIARITY, LABEL_COUNTS, MESSAGES, NAMES
from assocmem.index.store.catalog import NAME, Catalog
from assocmem.index.store.segments import read_segment
from tests.fakes import open_photos, pictures
from tests.media import scenes, write_video
from tests.processes import start_python

CHILD = """if 1:
    import json, os, stat, sys
    from pathlib import Path
    from assocmem.index.derived import refresh
    from assocmem.index.ingest import indexer
    from assocmem.index.store.catalog import Catalog
    from tests.fakes import open_photos

    collection, folder, batch, refresh_at, point, count = sys.argv[1:]
    indexer.BATCH_ITEMS = int(batch)
    refresh.REFRESH_AT = int(refresh_at)
    calls = {"sync": 0, "rename": 0, "commit": 0, "unlink": 0}

    def deadly(name, function, what):
        # As if the power failed right before the call: nothing is cleaned up, nothing is flushed.
        def call(*arguments, **options):
            target = what(*arguments)
            calls[name] += target is not None
            if (name, calls[name]) == (point, int(count)):
                print("killed", target, flush=True)
                os._exit(9)
            return function(*arguments, **options)
        return call

    def kind(descriptor):
        return "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"

    def target(path, new):
        return Path(new).name

    # The system's own calls: no module can be left out.
    os.fsync = deadly("sync", os.fsync, kind)
    Path.rename = deadly("rename", Path.rename, target)
    Path.replace = deadly("rename", Path.replace, target)
    Path.unlink = deadly("unlink", Path.unlink, lambda path, **_: path.name if path.stem.isdigit() else None)
    Catalog.change = deadly("commit", Catalog.change, lambda db, sql, *_: sql if sql == "COMMIT" else None)

    with open_photos(collection) as photos:
        print("opened", flush=True)
        report = photos.add([folder], progress=lambda step: print(step.done, flush=True))
        print("done", report.items, flush=True)
    print(json.dumps(calls))
"""
SELDOM, ALWAYS = 10**6, 1
"""New items from which on the files of derived memories are replaced."""


def start(collection, folder, batch, refresh_at=SELDOM, point="", count=0):
    """Start a run in a process of its own, which commits every ``batch`` items."""
    return start_python(CHILD, collection, folder, batch, refresh_at, point, count)


def state(folder):
    """Every item with its stored values; the numbers of items and segments may differ and are left out."""
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
    """Check that a collection is intact; before the first commit it may be missing. Returns the number of items."""
    with open_photos(folder) as photos:
        if (folder / NAME).exists():
            assert photos.verify() == []
        return len(photos)


def finish(folder, media, expected):
    """Check that an undisturbed run ends with the same items, and leaves nothing over."""
    with open_photos(folder) as photos:
        report = photos.add([media])
        assert (report.failed, report.interrupted, report.items) == ([], False, len(expected))
        assert photos.verify() == []
        assert photos.add([media]).indexed == 0
    with closing(Catalog(folder)) as catalog:
        live = {f"{number:08d}.h5" for number in catalog.segments()}
    assert state(folder) == expected
    assert {path.name for path in (folder / "segments").iterdir()} == live
    assert not list(folder.glob("*.tmp*"))


def undisturbed(folder, seeds):
    """Make pictures and a video of three shots; returns their folder, and the items of a collection of them."""
    media = folder / "media"
    pictures(media, seeds)
    write_video(media / f"{max(seeds):04d}.mp4", scenes([30, 30, 30]))
    with open_photos(folder / "photos.amem") as photos:
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
            finished = child.returncode == 0  # it ended before it was killed
            kills += child.returncode == -signal.SIGKILL
            before, stored = stored, check(folder)
            assert before <= stored <= len(expected)
        finish(folder, media, expected)
    assert runs < 20


# The numbers count the calls of one run. Its 36 items make nine segments, which are merged at the end. The syncs: the
# folder's parent, the catalog and its folder, the collection's folder, then twice for each of ten segments. The first
# COMMIT only reads, then come nine batches, the merge, before nine segments are removed, and another that only reads.
CALLS = {"sync": 24, "rename": 11, "commit": 12, "unlink": 9}
SEGMENTS = [f"{number:08d}.h5" for number in range(1, 11)]
KILLS = [
    *[("sync", n, "folder" if n in (1, 3, 4, 6) else "file") for n in (1, 2, 3, 4, 5, 6, 9)],
    *[("rename", 1, NAME), ("rename", 2, SEGMENTS[0]), ("rename", 11, SEGMENTS[9])],
    *[("commit", n, "COMMIT") for n in (2, 3, 11)],
    *[("unlink", 1, SEGMENTS[0]), ("unlink", 5, SEGMENTS[4])],
]


def test_the_kill_points_are_all_calls_of_an_undisturbed_run(tmp_path, few):
    media, expected = few
    for refresh_at, more in ((SELDOM, {}), (ALWAYS, {"sync": 24 + 2 * 5, "rename": 11 + 5})):
        folder = tmp_path / f"{refresh_at}.amem"
        with start(folder, media, 4, refresh_at) as child:
            lines = child.stdout.read().splitlines()
        assert lines[-2] == f"done {len(expected)}"
        assert json.loads(lines[-1]) == CALLS | more
        assert len(list(folder.glob("memory-*.h5"))) == (5 if more else 0)


@pytest.mark.parametrize(("point", "count", "target"), KILLS)
def test_a_run_that_ends_at_the_worst_moment_goes_on_and_ends_the_same(tmp_path, few, point, count, target):
    media, expected = few
    folder = tmp_path / "photos.amem"
    with start(folder, media, 4, SELDOM, point, count) as child:
        last = child.stdout.read().splitlines()[-1]
    assert (child.returncode, last) == (9, f"killed {target}")
    check(folder)
    finish(folder, media, expected)


FILES = [LABEL_COUNTS, CLIQUES, FAMILIARITY, NAMES, MESSAGES]


@pytest.mark.parametrize(
    ("point", "count", "target"),
    [("rename", 12 + n, FILES[n]) for n in range(5)] + [("sync", 25, "file"), ("sync", 30, "folder")],
)
def test_a_run_that_ends_between_derived_files_is_completed_by_the_next(tmp_path, few, point, count, target):
    media, expected = few
    folder = tmp_path / "photos.amem"
    with start(folder, media, 4, ALWAYS, point, count) as child:
        last = child.stdout.read().splitlines()[-1]
    assert (child.returncode, last) == (9, f"killed {target}")
    assert check(folder) == len(expected)
    assert len(list(folder.glob(".memory-*.tmp"))) == (target != "folder")
    finish(folder, media, expected)
    if len(list(folder.glob("memory-*.h5"))) > 0:  # if none was replaced, none is missing
        assert {path.name for path in folder.glob("memory-*.h5")} == set(FILES)
