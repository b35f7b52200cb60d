"""Batches over several cores: own threads and kernels that need no lock.

Not numba's parallel code: under its work queue two threads of a program that both enter it end the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from assocmem._numerics.validation import check_size


def check_threads(threads: int | None) -> int:
    """Return how many threads are wanted, by default one per core; InputError below 1."""
    if threads is not None:
        return check_size("threads", threads, 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parts(work: Callable[[int, int], None], count: int, threads: int, least: int = 1) -> None:
    """Call ``work(start, stop)`` for equal parts of ``range(count)``, each in a thread, none below ``least``.

    Parameters
    ----------
    work : function of two ints
    count : int
    threads : int
        At most so many.
    least : int
        Items that are worth a thread.
    """
    parts = min(threads, max(1, count // least))
    if parts == 1:
        work(0, count)
        return
    edges = [count * i // parts for i in range(parts + 1)]
    with ThreadPoolExecutor(parts - 1) as pool:
        others = [pool.submit(work, start, stop) for start, stop in pairwise(edges[1:])]
        work(0, edges[1])  # the calling thread has nothing better to do
        for done in others:
            done.result()
