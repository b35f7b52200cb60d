"""Copies: pickles, deep copies, workers, and children that are forked while other threads are at work."""

from __future__ import annotations

import copy
import io
import multiprocessing
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import assocmem
from assocmem.errors import DamagedError, InputError, MismatchError
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
    with pytest.raises(MismatchError, match="expected one of a CliqueIndex of format 2 or 3, found 4"):
        CliqueIndex.__new__(CliqueIndex).__setstate__(state | {"version": 4})
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


def test_files_in_memory_and_open_files():
    index, q = made(1, 900), vectors(2, 20)
    file = io.BytesIO()
    index.save(file)
    assert file.getvalue() == index.to_bytes()
    file.seek(0)
    for other in (CliqueIndex.load(file), CliqueIndex.from_bytes(index.to_bytes())):
        assert answers(other, q) == answers(index, q)
    with pytest.raises(InputError, match="mmap: expected the name of a file, found an open one"):
        CliqueIndex.load(file, mmap=True)
    with pytest.raises(DamagedError, match="expected a complete clique index"):
        CliqueIndex.from_bytes(index.to_bytes()[:-100])


def test_threads_can_save_to_one_file_at_once(tmp_path):
    indexes, errors = [made(seed, 100 + seed) for seed in range(3)], []

    def save(index):
        try:
            for _ in range(10):
                index.save(tmp_path / "index.h5")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(index,)) for index in indexes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(CliqueIndex.load(tmp_path / "index.h5")) in (100, 101, 102)
    assert [path.name for path in tmp_path.iterdir()] == ["index.h5"]


def test_names_that_users_of_faiss_know():
    index = made(1, 60)
    assert (index.ntotal, index.d) == (60, DIM)
    assert list(index) == list(range(60))
    assert index.contains([3, 70, -1]).tolist() == [True, False, False]
    assert np.array([3, 5]) in index
    assert [3, 70] not in index
    assert index.remove_ids([3, 70, 3]) == 1
    assert 3 not in index
    index.reset()
    assert index.ntotal == 0
