"""Every public class can be pickled and copied; a copy answers alike and shares nothing."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import os
import pickle
import signal
import threading

import numpy as np
import pytest

import assocmem
from assocmem.errors import AssocmemError
from tests.fakes import ColourExtractor
from tests.media import encoded, photo

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
COPIES = [copy.copy, copy.deepcopy, *(lambda one, p=p: pickle.loads(pickle.dumps(one, p)) for p in PROTOCOLS)]


def vectors(n, dim=16, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def clique_memory():
    memory = assocmem.CliqueMemory(8, 16)
    memory.store(np.random.default_rng(0).integers(0, 16, (20, 8)))
    return memory


def willshaw():
    memory = assocmem.WillshawMemory(40, 30)
    memory.associate([[1, 2], [5, 9]], [[3], [7, 8]])
    return memory


def seen_memory():
    memory = assocmem.SeenMemory(256)
    memory.store(np.random.default_rng(0).integers(0, 256, (20, 16)))
    return memory


def taught():
    memory = assocmem.ConceptMemory(16)
    memory.teach(vectors(6), list("ababab"))
    memory.nearest(vectors(2))
    return memory


def index():
    found = assocmem.CliqueIndex(16)
    found.add(vectors(50))
    return found


# What to make of each class, how to change it, and what to compare
STATES = {
    "CliqueIndex": (index, lambda one: one.remove([3]), lambda one: one.ids().tolist()),
    "CliqueMemory": (clique_memory, lambda one: one.store(np.zeros((1, 8), int)), lambda one: one.bits.tobytes()),
    "WillshawMemory": (willshaw, lambda one: one.associate([[0]], [[0]]), lambda one: one.bits.tobytes()),
    "SeenMemory": (seen_memory, lambda one: one.store(np.zeros((1, 16), int)), lambda one: one.bits.tobytes()),
    "ConceptMemory": (taught, lambda one: one.forget("a"), lambda one: one.probabilities(vectors(3))[0].tobytes()),
    "MessageCoder": (lambda: assocmem.MessageCoder(16), None, lambda one: one.messages(vectors(5)).tobytes()),
    "CliqueNeighbors": (lambda: assocmem.CliqueNeighbors(3).fit(vectors(30)), lambda one: one.fit(vectors(9)),
                        lambda one: one.kneighbors(vectors(4), 3)[1].tolist()),
    "CliqueTransformer": (lambda: assocmem.CliqueTransformer(n_neighbors=3).fit(vectors(30)), None,
                          lambda one: one.transform(vectors(4)).toarray().tolist()),
    "CliqueConcepts": (lambda: assocmem.CliqueConcepts().fit(vectors(8), list("abababab")),
                       lambda one: one.partial_fit(vectors(1, seed=5), ["c"]),
                       lambda one: one.predict_proba(vectors(3)).tolist()),
}  # fmt: skip


def public_classes():
    return {name: cls for name in assocmem.__all__ if inspect.isclass(cls := getattr(assocmem, name))}


def is_plain(cls):
    """Tuples, records and errors: what they are made of can be pickled."""
    return issubclass(cls, tuple | AssocmemError) or hasattr(cls, "__dataclass_fields__")


def test_every_public_class_is_tried_here():
    others = {name for name, cls in public_classes().items() if not is_plain(cls)}
    assert others - {"Collection"} == set(STATES)


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("name", STATES)
def test_a_copy_answers_alike_and_shares_nothing(name, copied):
    make, change, shown = STATES[name]
    one = make()
    other = copied(one)
    assert type(other) is type(one)
    before = shown(one)
    assert shown(other) == before
    shallow = copied is copy.copy and name.startswith("Clique") and hasattr(one, "get_params")  # as in scikit-learn
    if change is not None and not shallow:
        change(other)
        assert shown(one) == before


@pytest.mark.parametrize("cls", [cls for cls in public_classes().values() if hasattr(cls, "__dataclass_fields__")])
def test_records_can_be_pickled(cls):
    fields = [name for name, field in inspect.signature(cls).parameters.items() if field.default is field.empty]
    one = cls(**dict.fromkeys(fields, 1))
    for copied in COPIES:
        assert copied(one) == one


def test_a_collection_is_opened_again(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(photo(1), "png"))
    with assocmem.Collection(tmp_path / "c.amem", extractor=ColourExtractor()) as one:
        one.add([tmp_path / "a.png"])
        for copied in (copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))):
            with copied(one) as other:
                assert other.folder.resolve() == one.folder.resolve()
                (hit,) = other.search(tmp_path / "a.png")
                assert hit.path == one.search(tmp_path / "a.png")[0].path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("name", ["CliqueMemory", "WillshawMemory", "SeenMemory"])
def test_a_child_that_is_forked_while_a_thread_stores_can_store(name):
    """The lock is held at the moment of the fork: the child gets it free."""
    make, change, _ = STATES[name]
    memory = make()
    held, release = threading.Event(), threading.Event()

    def hold():
        with memory._writing:
            held.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    child = os.fork()
    if not child:
        signal.alarm(20)  # a child that hangs is ended
        change(memory)
        os._exit(0)
    release.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _die_adding(index):
    index.add(vectors(100, seed=9))
    os._exit(3)


def _die_saving(index, path):
    index.add(vectors(100, seed=9))
    index.save(path)
    with open(path, "r+b"):
        os._exit(3)


def test_a_worker_that_dies_leaves_the_index_as_it_was(tmp_path):
    one = index()
    before, ids = one.to_bytes(), one.ids().tolist()
    one.save(tmp_path / "index.h5")
    for work, arguments in ((_die_adding, (one,)), (_die_saving, (one, tmp_path / "other.h5"))):
        process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
        process.start()
        process.join(120)
        assert process.exitcode == 3
    assert one.ids().tolist() == ids
    assert one.to_bytes() == before
    assert assocmem.CliqueIndex.load(tmp_path / "index.h5").ids().tolist() == ids
    assert len(assocmem.CliqueIndex.load(tmp_path / "other.h5")) == 150
    one.save(tmp_path / "other.h5")
    assert assocmem.CliqueIndex.load(tmp_path / "other.h5").ids().tolist() == ids


def _found(index, q):
    return index.search(q, 3)[1].tolist()


def test_joblib_workers_search():
    joblib = pytest.importorskip("joblib")
    one, q = index(), vectors(6, seed=4)
    parts = joblib.Parallel(n_jobs=2)(joblib.delayed(_found)(one, q[i : i + 2]) for i in range(0, 6, 2))
    assert [row for part in parts for row in part] == _found(one, q)
