"""Threads: batches that are shared out to several of them, and a lock for many readers or one writer.

Kernels release the interpreter lock, so threads run them in parallel. numba's own parallel loops are not used: under
its work queue, two threads that enter a parallel loop at the same time abort the process.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import pairwise

from assocmem._numerics.validation import check_size


def check_threads(threads: int | None) -> int:
    """Return a number of threads, by default one per core that the process may use; InputError below 1."""
    if threads is not None:
        return check_size("threads", threads, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def parallel_for(work: Callable[[int, int], None], count: int, threads: int, least: int = 1) -> None:
    """Call ``work(start, stop)`` for equal parts of ``range(count)``, each in a thread of its own.

    Parameters
    ----------
    work : function of two ints
    count : int
    threads : int
        At most this many parts.
    least : int
        At least this many items per part: fewer are not worth a thread.
    """
    parts = min(threads, max(1, count // least))
    if parts == 1:
        work(0, count)
        return
    edges = [count * i // parts for i in range(parts + 1)]
    with ThreadPoolExecutor(parts - 1) as pool:
        others = [pool.submit(work, start, stop) for start, stop in pairwise(edges[1:])]
        work(0, edges[1])  # in the calling thread, which would only wait
        for done in others:
            done.result()


_LOCKS: weakref.WeakSet[ReadWriteLock | WriterLock] = weakref.WeakSet()
"""All locks. A fork must find none of them in the middle of a change, and makes them new in the child."""
FORK_PATIENCE = 10.0
"""Seconds for which a fork waits for a writer."""


class WriterLock:
    """A lock that the thread which holds it may take again; a child that is forked gets it free."""

    def __init__(self) -> None:
        self.renew()
        _LOCKS.add(self)

    def renew(self) -> None:
        """Make the lock free, whoever held it."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _Side:
    """One side of a lock as a context manager that can be entered many times."""

    def __init__(self, acquire: Callable[[], None], release: Callable[[], None]) -> None:
        self._acquire, self._release = acquire, release

    def __enter__(self) -> None:
        self._acquire()

    def __exit__(self, *_: object) -> None:
        self._release()


class ReadWriteLock:
    """Readers share the lock, a writer holds it alone; new readers wait for a waiting writer, so that it gets its turn.

    Not reentrant: a thread that holds the lock must not ask for it again.

    Attributes
    ----------
    writes : int
        How often it was held to write: what is protected has not changed as long as this has not.
    """

    def __init__(self) -> None:
        self.writes = 0
        self.renew()
        _LOCKS.add(self)
        self._reading_side = _Side(self._start_reading, self._stop_reading)
        self._writing_side = _Side(self._start_writing, self._stop_writing)

    def renew(self) -> None:
        """Make the lock free, whoever held it."""
        self._changed = threading.Condition()
        self._readers = 0
        self._writing = False
        self._waiting = 0  # writers
        self._writer = 0  # thread

    def hold_back(self) -> bool:
        """Wait until no other thread writes, and let none begin; return whether ``let_go`` must be called."""
        if self._writing and self._writer == threading.get_ident():
            return False  # whoever forks while it writes knows what it does
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._writing, FORK_PATIENCE)
        return True

    def let_go(self) -> None:
        """Undo ``hold_back``."""
        self._changed.release()

    def reading(self) -> AbstractContextManager[None]:
        """Hold the lock together with other readers."""
        return self._reading_side

    def writing(self) -> AbstractContextManager[None]:
        """Hold the lock alone."""
        return self._writing_side

    def _start_reading(self) -> None:
        with self._changed:
            while self._writing or self._waiting:
                self._changed.wait()
            self._readers += 1

    def _stop_reading(self) -> None:
        with self._changed:
            self._readers -= 1
            if not self._readers:
                self._changed.notify_all()

    def _start_writing(self) -> None:
        with self._changed:
            self._waiting += 1
            try:
                while self._writing or self._readers:
                    self._changed.wait()
            finally:
                self._waiting -= 1
            self.writes += 1
            self._writing = True
            self._writer = threading.get_ident()

    def _stop_writing(self) -> None:
        with self._changed:
            self._writing = False
            self._changed.notify_all()


_held: list[ReadWriteLock] = []


def _before_fork() -> None:
    _held.extend(lock for lock in list(_LOCKS) if isinstance(lock, ReadWriteLock) and lock.hold_back())


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().let_go()


def _after_fork_in_child() -> None:
    _held.clear()
    for lock in list(_LOCKS):
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
