"""Searching: which engine answers, and threads that ask while another adds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from assocmem.errors import InputError, MediaError
from assocmem.index.collection import Collection
from assocmem.index.query import searcher as policy
from assocmem.index.query.searcher import best_of, check_k
from assocmem.index.store import snapshot
from assocmem.search.exhaustive import ExhaustiveEngine
from assocmem.search.pooled import PooledEngine
from tests.fakes import ColourExtractor, open_photos, picture, pictures
from tests.processes import run_python

ONE_QUESTION = """if 1:
    import sys
    from assocmem.index.collection import Collection
    from tests.fakes import ColourExtractor

    folder, path, once = sys.argv[1:]
    with Collection(folder, extractor=ColourExtractor(), once=once == "once") as photos:
        print(photos.search(path, 1)[0].path)
    print(*sorted(name for name in sys.modules if name in ("assocmem.search.pooled", "assocmem.index.derived.pools")))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A collection of 120 pictures with pools."""
    root = tmp_path_factory.mktemp("photos")
    with pytest.MonkeyPatch.context() as patch, open_photos(root / "photos.amem") as photos:
        patch.setattr(snapshot, "POOLED_FROM", 100)
        patch.setattr("assocmem.index.derived.refresh.REFRESH_AT", 1)  # 120 pictures alone would have no files
        photos.add(pictures(root / "in", range(120)))
        assert (photos.folder / "memory-pools.h5").exists()
    return root / "photos.amem"


@pytest.fixture
def efforts(monkeypatch):
    """List (engine, effort) of every search of an engine from now on."""
    asked = []
    for kind in (ExhaustiveEngine, PooledEngine):
        search = kind.search

        def noted(self, queries, k, effort=None, search=search):
            asked.append((type(self).__name__, effort))
            return search(self, queries, k, effort=effort)

        monkeypatch.setattr(kind, "search", noted)
    return asked


# Which engine


def test_the_thresholds_are_those_of_the_measurements():
    assert (snapshot.POOLED_FROM, policy.ONCE_FROM) == (20_000, 500_000)


@pytest.mark.parametrize(
    ("once", "pooled_from", "once_from", "effort", "expected"),
    [
        (False, 121, 500, None, ("ExhaustiveEngine", None)),
        (False, 120, 500, None, ("PooledEngine", None)),
        (False, 120, 120, None, ("PooledEngine", None)),
        (False, 120, 500, 0.2, ("PooledEngine", 0.2)),
        (False, 120, 500, 1, ("ExhaustiveEngine", 1)),
        (True, 120, 121, None, ("ExhaustiveEngine", 1.0)),
        (True, 120, 120, None, ("PooledEngine", None)),
        (True, 120, 121, 0.2, ("PooledEngine", 0.2)),
        (True, 121, 121, None, ("ExhaustiveEngine", 1.0)),
    ],
)
def test_the_engine_depends_on_the_size_and_on_how_often_a_process_asks(
    folder, efforts, monkeypatch, once, pooled_from, once_from, effort, expected
):
    monkeypatch.setattr(snapshot, "POOLED_FROM", pooled_from)
    monkeypatch.setattr(policy, "ONCE_FROM", once_from)
    with Collection(folder, extractor=ColourExtractor(), once=once) as photos:
        photos.searcher.warm(effort)
        efforts.clear()
        hits = photos.search(np.asarray(picture(7)), 3, effort=effort)
        assert efforts[-1] == expected
        assert hits[0].path.endswith("0007.png")


@pytest.mark.parametrize("words", ["lasting", "once"])
def test_a_process_that_asks_once_does_not_load_pools(folder, monkeypatch, words):
    """As ``assocmem search`` does; a large collection is made by a smaller threshold in this process."""
    script = ONE_QUESTION.replace("folder, path", "snapshot.POOLED_FROM = 100\n    folder, path").replace(
        "import sys", "import sys\n    from assocmem.index.store import snapshot", 1
    )
    done = run_python(script, folder, folder.parent / "in" / "0007.png", words)
    found, loaded = done.stdout.splitlines()
    assert found == str(folder.parent / "in" / "0007.png"), done.stderr
    assert loaded.split() == ([] if words == "once" else ["assocmem.index.derived.pools", "assocmem.search.pooled"])


def test_a_small_collection_is_scanned_although_it_has_pools(folder):
    with open_photos(folder) as photos:
        assert type(photos.searcher.engine()) is ExhaustiveEngine
        assert photos.info().engine.name == "exhaustive"


# Answers


def test_the_halves_of_a_search_are_a_search(folder):
    with open_photos(folder) as photos:
        asked = photos.searcher.ask(str(folder.parent / "in" / "0003.png"))
        assert (asked.words, asked.features.shape, asked.sketches().shape) == (None, (1, 108), (1, 100))
        assert photos.searcher.answer(asked, 5) == photos.search(folder.parent / "in" / "0003.png", 5)
        words = photos.searcher.ask("tabby")
        assert (words.words, words.features.shape, words.sketches().shape) == ("tabby", (0, 0), (0, 100))
        assert photos.searcher.answer(words, 5) == photos.search("tabby", 5)


def test_of_several_queries_each_item_counts_by_its_best():
    scored = [(3, 0.5), (1, 0.25), (-1, 0.9), (3, 0.75), (2, 0.75), (1, 0.125)]
    assert best_of(scored, 3) == [(2, 0.75), (3, 0.75), (1, 0.25)]
    assert best_of(scored, 1) == [(2, 0.75)]
    assert best_of([], 3) == []


def test_originals_checks_its_arguments_before_it_reads_a_file(folder):
    with open_photos(folder) as photos:
        with pytest.raises(InputError, match="k: expected a whole number"):
            photos.originals(folder / "missing.png", k=0)
        with pytest.raises(MediaError, match="no such file"):
            photos.originals(folder / "missing.png", k=1)


@pytest.mark.parametrize("k", [0, -1, 2.0, "3", None])
def test_a_number_of_hits_is_a_whole_number_above_0(k):
    with pytest.raises(InputError, match="k: expected a whole number, at least 1"):
        check_k(k)


# Threads


def test_two_threads_may_ask_everything_while_one_adds_and_removes(photos, tmp_path, monkeypatch):
    """Every answer is that of some state between two commits; nothing fails."""
    monkeypatch.setattr("assocmem.index.derived.refresh.REFRESH_AT", 8)
    paths = pictures(tmp_path / "in", range(10))
    photos.add(paths)
    more = pictures(tmp_path / "more", range(100, 130))

    def write():
        for start in range(0, 30, 5):
            photos.add(more[start : start + 5])
            photos.remove(more[start : start + 2])

    def ask(seed):
        image = np.asarray(picture(seed))
        info = photos.info()
        return (
            photos.search(image, 1)[0].path == str(paths[seed]),
            bool(photos.seen(image)),
            photos.originals(image, 1)[0].path == str(paths[seed]),
            photos.duplicates() == [],
            10 <= len(photos) <= 33,
            info.items == info.images,
            len(photos.concepts(image, 2)) == 2,
        )

    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(write)
        while not writing.done():
            answers = [pool.submit(ask, seed) for seed in (3, 8)]
            assert [answer.result() for answer in answers] == [(True,) * 7] * 2
        writing.result()
    assert len(photos) == 28
    assert photos.verify() == []
