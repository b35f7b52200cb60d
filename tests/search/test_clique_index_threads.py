"""Searches while other threads write: results are items that the index contained, and nothing waits forever."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np

from assocmem.errors import DuplicateIdError
from assocmem.search.clique_index import CliqueIndex

DIM = 16


def vectors(seed, n):
    return np.random.default_rng(seed).standard_normal((n, DIM)).astype(np.float32)


def together(*jobs):
    """Run jobs at the same time, each in a thread, and raise the first error."""
    start, errors = threading.Barrier(len(jobs)), []

    def run(job):
        try:
            start.wait(30)
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "some wait forever"
    if errors:
        raise errors[0]


def test_searching_while_another_thread_adds():
    x, q = vectors(1, 6000), vectors(2, 5)
    index, done, rounds = CliqueIndex(DIM, "l2", features="float32"), threading.Event(), []
    index.add(x[:600])

    def add():
        try:
            for part in np.split(x[600:], 9):
                index.add(part)
        finally:
            done.set()

    def search():
        while True:
            last = done.is_set()
            before = len(index)
            for effort in (0.1, 1.0):
                found, ids = index.search(q, 5, effort=effort)
                after = len(index)
                assert ids.min() >= 0
                assert ids.max() < after + 512  # the chunk that is being added
                exact = ((q[:, None] - x[ids]) ** 2).sum(axis=2)
                np.testing.assert_allclose(found, exact, rtol=1e-4)
                assert (np.diff(found, axis=1) >= 0).all()
            least = np.sort(((q[:, None] - x[None, :before]) ** 2).sum(axis=2), axis=1)[:, :5]
            assert (found <= least * 1.0001).all()  # at full effort no worse than the items before
            rounds.append(before)
            if last:
                return

    together(add, search, search)
    assert len(rounds) >= 2
    assert rounds[-1] == 6000


def test_reading_while_another_thread_removes_and_adds():
    x = vectors(1, 3000)
    index, done = CliqueIndex(DIM, "l2", features="float32"), threading.Event()
    index.add(x[:2000], ids=np.arange(2000) * 7)
    stay = np.arange(0, 2000, 2) * 7

    def write():
        try:
            for number in range(1, 40, 2):
                gone = np.arange(number, 2000, 40) * 7
                index.remove(gone)
                index.add(x[2000 : 2000 + len(gone)], ids=gone + 1)
        finally:
            done.set()

    def read():
        while not done.is_set():
            assert all(int(id_) in index for id_ in stay[:200])
            np.testing.assert_array_equal(index.reconstruct(stay), x[:2000:2])
            _, ids = index.search(np.ascontiguousarray(x[:40:2]), 1, effort=1.0)
            assert (ids[:, 0] == np.arange(0, 40, 2) * 7).all()
            lims, found, _ = index.range_search(x[:3], 0.5)
            assert lims[-1] == len(found) >= 2
            stats = index.stats()
            assert stats.items <= 2000
            assert np.isin(stay, index.ids()).all()

    together(write, read, read)


def test_an_item_is_never_missing_while_it_is_updated():
    x, other = vectors(1, 60), vectors(2, 60)
    index, done = CliqueIndex(DIM, "l2", features="float32"), threading.Event()
    index.add(x)
    ids = np.arange(60)

    def write():
        try:
            for number in range(300):
                index.update(ids, other if number % 2 == 0 else x)
        finally:
            done.set()

    def read():
        while not done.is_set():
            assert len(index) == 60
            found = index.reconstruct(ids)
            assert np.array_equal(found, x) or np.array_equal(found, other)
            assert (np.sort(index.search(x[:1], 60, effort=1.0)[1][0]) == ids).all()

    together(write, read, read)


def test_two_indexes_that_merge_with_each_other_do_not_wait_forever():
    def merge(here, there):
        try:
            here |= there
        except DuplicateIdError:  # the other one was first, and contains the same ids now
            assert (len(here), len(there)) == (50, 100)

    for number in range(20):
        one, two = CliqueIndex(DIM), CliqueIndex(DIM)
        one.add(vectors(number, 50))
        two.add(vectors(number + 1, 50), ids=np.arange(100, 150))
        together(partial(merge, one, two), partial(merge, two, one))
        assert {len(one), len(two)} == {50, 100}


def test_writers_take_turns():
    index = CliqueIndex(DIM)
    parts = [vectors(seed, 700) for seed in range(4)]
    together(*(partial(index.add, part) for part in parts))
    assert len(index) == 2800
    assert index.ids().tolist() == list(range(2800))
    kept = {row.tobytes() for row in index.reconstruct(index.ids())}
    assert kept == {row.tobytes() for part in parts for row in part}


def test_saving_while_another_thread_adds_saves_a_consistent_index(tmp_path):
    index, done, x = CliqueIndex(DIM), threading.Event(), vectors(1, 4000)
    index.add(x[:10])

    def add():
        try:
            for part in np.array_split(x[10:], 8):
                index.add(part)
        finally:
            done.set()

    def save():
        while not done.is_set():
            index.save(tmp_path / "index.h5")
            again = CliqueIndex.load(tmp_path / "index.h5")
            np.testing.assert_array_equal(again.ids(), np.arange(len(again)))
            _, ids = again.search(np.ascontiguousarray(x[: len(again) : 97]), 1, effort=1.0)
            assert (ids[:, 0] == np.arange(0, len(again), 97)).all()

    together(add, save)
