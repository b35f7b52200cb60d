"""Copies: pickles, deep copies, workers, and children that are forked while other threads are at work."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import assocmem
from assocmem.errors import DamagedError, MismatchError
from assocmem.search.clique_index import CliqueIndex
from tests.search.index_helpers import DIM, answers, check_structure, made, vectors


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, CliqueIndex.copy, lambda a: pickle.loads(pickle.dumps(a))]
)
@pytest.mark.parametrize("mapped", [False, True])
def test_copies_answer_alike_and_have_items_of_their_own(copied, mapped, tmp_path):
    index, q = made(1, 900), vectors(2, 20)
    if mapped:
        index.save(tmp_path / "index.h5")
        index = CliqueIndex.load(tmp_path / "index.h5", mmap=True)
    other = copied(index)
    assert type(other) is CliqueIndex
    assert answers(other, q) == answers(index, q)
    other.remove(other.ids()[:100])
    other.add(vectors(3, 50))
    check_structure(other)
    assert (len(index), len(other)) == (900, 850)
    assert answers(index, q) == answers(made(1, 900), q)


def test_a_fitted_estimator_can_be_copied():
    fitted = assocmem.CliqueNeighbors().fit(vectors(1, 300))
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.kneighbors(vectors(2, 9))[1], fitted.kneighbors(vectors(2, 9))[1])


def test_a_pickle_of_another_version_is_a_mismatch_and_a_damaged_one_is_damage():
    state = made(1, 50).__getstate__()
    with pytest.raises(MismatchError, match="expected one of a CliqueIndex of format 2, found 3"):
        CliqueIndex.__new__(CliqueIndex).__setstate__(state | {"version": 3})
    with pytest.raises(DamagedError, match="expected a complete CliqueIndex, found damage"):
        CliqueIndex.__new__(CliqueIndex).__setstate__(state | {"arrays": {}})


def nearest(index, q):
    return index.search(q, 3, effort=1)[1]


def test_a_spawned_worker_can_use_an_index():
    index, q = made(1, 300), vectors(2, 9)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(nearest, (index, q))
    np.testing.assert_array_equal(found, nearest(index, q))


def ended(child, seconds=60.0):
    """Whether a child ends well in time; one that does not is killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("busy", ["search", "add", "save"])
def test_a_child_that_is_forked_while_a_thread_is_busy_goes_on(busy, tmp_path):
    index, x, stop = made(1, 2000), vectors(2, 40), threading.Event()
    work = {
        "search": lambda: index.search(x, 5),
        "add": lambda: index.add(x),
        "save": lambda: index.save(tmp_path / "index.h5"),
    }

    def go_on():
        while not stop.is_set():
            work[busy]()

    index.search(x, 5)
    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                ok = 1
                try:
                    index.search(x, 5)
                    index.add(x[:3])
                    check_structure(index)
                    ok = 0
                finally:
                    os._exit(ok)
            assert ended(child)
    finally:
        stop.set()
        thread.join()
    check_structure(index)
    assert index.search(x, DIM)[1].shape == (40, DIM)
