"""Threads: every item is done once, errors are raised, and a writer holds the lock alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from assocmem._numerics.threads import ReadWriteLock, check_threads, parallel_for
from assocmem.errors import InputError

PATIENCE = 5.0
"""Seconds after which a thread that is waited for counts as stuck."""


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("least", [1, 3, 5000])
def test_every_item_is_in_exactly_one_part_and_parts_are_worth_a_thread(count, threads, least):
    parts = []
    parallel_for(lambda start, stop: parts.append((start, stop)), count, threads, least)
    assert [i for start, stop in sorted(parts) for i in range(start, stop)] == list(range(count))
    assert len(parts) <= threads
    assert len(parts) == 1 or min(stop - start for start, stop in parts) >= least


def test_parts_run_at_the_same_time():
    together = threading.Barrier(3, timeout=PATIENCE)
    parallel_for(lambda start, stop: together.wait(), 3, 3)


@pytest.mark.parametrize("failing", [0, 2])
def test_an_error_in_any_part_is_raised(failing):
    def work(start, stop):
        if start == failing:
            raise KeyError(start)

    with pytest.raises(KeyError):
        parallel_for(work, 3, 3)


def test_the_default_is_a_thread_per_core():
    assert check_threads(None) >= 1
    assert check_threads(3) == 3
    with pytest.raises(InputError, match="threads: expected a whole number of at least 1, found 0"):
        check_threads(0)


def test_readers_hold_the_lock_together():
    lock, together = ReadWriteLock(), threading.Barrier(3, timeout=PATIENCE)

    def read():
        with lock.reading():
            together.wait()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(read) for _ in range(3)]:
            done.result()


def test_a_writer_holds_the_lock_alone():
    lock, inside, seen = ReadWriteLock(), [], []

    def use(side):
        for _ in range(50):
            with side():
                inside.append(side)
                seen.append((side == lock.writing, len(inside)))
                inside.remove(side)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(use, side) for side in [lock.reading, lock.writing] * 3]:
            done.result()
    assert len(seen) == 300
    assert all(together == 1 for writing, together in seen if writing)


def test_new_readers_wait_for_a_waiting_writer():
    lock, order = ReadWriteLock(), []

    def enter(name, side):
        with side():
            order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with lock.reading():
            writer = pool.submit(enter, "writer", lock.writing)
            reader = pool.submit(enter, "reader", lock.reading)
            while not wait([reader], 0.2).not_done:  # the writer was not waiting yet
                order.clear()
                reader = pool.submit(enter, "reader", lock.reading)
            assert order == []
        writer.result(PATIENCE)
        reader.result(PATIENCE)
    assert order == ["writer", "reader"]


def test_the_lock_is_released_after_an_error():
    lock = ReadWriteLock()
    for side in (lock.reading, lock.writing):
        with pytest.raises(KeyError), side():
            raise KeyError
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: lock.writing().__enter__()).result(PATIENCE)
