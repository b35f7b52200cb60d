"""Labels that follow from teachings, and models that follow the teachings, without a collection."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.codes.dct_sketches import SKETCH_LENGTH
from assocmem.concepts.memory import ConceptMemory
from assocmem.index.store.records import Teaching
from assocmem.index.teach.taught_model import TaughtLabel, TaughtModel, current_labels

DIM = 8
NAMES = ["Ant", "bee", "cat", "ANT"]


def teaching(number, example, concept, is_one=True):
    return Teaching(number, example, concept, is_one, concept, "", "", "", None, None, None)


def feature(example):
    return np.random.default_rng(example).standard_normal(DIM).astype(np.float16)


class Tables:
    """Teachings in a list; ``asked`` are the examples whose data was read."""

    def __init__(self):
        self.list, self.asked = [], []

    def teachings(self, *, standing=False):
        assert standing
        return list(self.list)

    def parents(self):
        return {"bee": "insect"}

    def example_data(self, ids, dim):
        assert dim == DIM
        ids = list(ids)
        self.asked += ids
        sketches = np.array([[id_] * SKETCH_LENGTH for id_ in ids], np.int8).reshape(len(ids), SKETCH_LENGTH)
        return np.array([feature(id_) for id_ in ids], np.float16).reshape(len(ids), DIM), sketches


# Labels


@pytest.mark.parametrize(
    ("statements", "concept", "denied"),
    [
        ([("ant", True)], "ant", set()),
        ([("ant", True), ("Bee", True)], "Bee", set()),
        ([("ant", True), ("ANT", True)], "ANT", set()),
        ([("Ant", False)], None, {"ant"}),
        ([("ant", True), ("Ant", False)], None, {"ant"}),
        ([("ant", True), ("Bee", False)], "ant", {"bee"}),
        ([("Bee", False), ("ant", True)], "ant", {"bee"}),
        ([("Bee", False), ("bee", True)], "bee", set()),
        ([("Bee", False), ("CAT", False), ("bee", False)], None, {"bee", "cat"}),
    ],
)
def test_the_later_of_two_teachings_wins_and_other_denials_stay(statements, concept, denied):
    teachings = [teaching(number, 5, name, is_one) for number, (name, is_one) in enumerate(statements, 1)]
    assert current_labels(teachings) == {5: TaughtLabel(concept, frozenset(denied))}


def test_labels_are_in_the_order_of_their_latest_teachings():
    teachings = [teaching(1, 7, "ant"), teaching(2, 3, "ant"), teaching(3, 9, "bee"), teaching(4, 7, "bee", False)]
    assert list(current_labels(teachings)) == [3, 9, 7]
    assert current_labels([]) == {}


# Models


def plain_memory(labels):
    """Return a memory that is taught all labels: concepts, and denials of taught ones where there is no concept."""
    memory = ConceptMemory(DIM)
    taught = {label.concept.casefold(): label.concept for label in labels.values() if label.concept}
    for id_ in sorted(labels):
        if labels[id_].concept:
            memory.teach(feature(id_)[None].astype(np.float32), [labels[id_].concept], ids=np.array([id_]))
    for id_ in sorted(labels):
        for name in sorted(labels[id_].denied & taught.keys()) if not labels[id_].concept else ():
            memory.deny(feature(id_).astype(np.float32), taught[name], ids=[id_])
    return memory


def assert_follows(model, tables, queries):
    labels = current_labels(tables.list)
    assert model.labels == labels
    assert list(model.labels) == list(labels)
    memory = plain_memory(labels)
    assert model.concepts == memory.concepts
    assert model.memory.counts == memory.counts
    ids = sorted(labels)
    assert all((id_ in model.memory) == (id_ in memory) for id_ in ids)
    directions = np.array([feature(id_) for id_ in ids], np.float32).reshape(len(ids), DIM)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(model.unit_features(), directions, rtol=1e-5)
    if model.concepts:
        for found, expected in zip(model.memory.probabilities(queries), memory.probabilities(queries), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_a_model_that_follows_equals_one_that_is_taught_all_at_once(tmp_path, seed):
    rng, tables = np.random.default_rng(seed), Tables()
    model = TaughtModel(tables, 0, DIM, tmp_path)
    assert model.concepts == ()
    queries = rng.standard_normal((3, DIM)).astype(np.float32)
    known = set()
    for version in range(1, 16):
        if tables.list and rng.random() < 0.35:
            tables.list.pop(rng.integers(len(tables.list)))  # undone
        else:
            name = NAMES[rng.integers(len(NAMES))]
            number = tables.list[-1].id + 1 if tables.list else 1
            tables.list.append(teaching(number, int(rng.integers(1, 9)), name, bool(rng.random() < 0.6)))
        tables.asked.clear()
        model.update(tables, version)
        assert model.version == version
        assert model.parents == {"bee": "insect"}
        assert set(tables.asked) == {one.example for one in tables.list} - known  # nothing is read twice
        known = {one.example for one in tables.list}
        assert_follows(model, tables, queries)


def test_a_denial_counts_from_when_its_concept_is_taught(tmp_path):
    tables = Tables()
    tables.list = [teaching(1, 1, "ant", False), teaching(2, 2, "bee"), teaching(3, 3, "cat")]
    model = TaughtModel(tables, 1, DIM, tmp_path)
    assert 1 not in model.memory
    tables.list.append(teaching(4, 4, "Ant"))
    model.update(tables, 2)
    assert 1 in model.memory
    assert_follows(model, tables, feature(1)[None].astype(np.float32))
    tables.list.pop()
    model.update(tables, 3)
    assert 1 not in model.memory
    assert_follows(model, tables, feature(1)[None].astype(np.float32))


def test_several_examples_come_and_go_at_once(tmp_path):
    tables, queries = Tables(), np.array([feature(9)], np.float32)
    tables.list = [teaching(number, number, NAMES[number % 3]) for number in (2, 5, 9)]
    model = TaughtModel(tables, 1, DIM, tmp_path)
    for version, examples in enumerate([(2, 5, 9, 1, 3, 4, 7), (1, 3, 6, 8), (2, 4, 5, 6, 7, 8, 9)], 2):
        tables.list = [teaching(number, number, NAMES[number % 3]) for number in examples]
        model.update(tables, version)
        assert_follows(model, tables, queries)


def test_only_examples_with_a_new_label_are_taught_again(tmp_path, monkeypatch):
    tables = Tables()
    tables.list = [teaching(1, 1, "ant"), teaching(2, 2, "bee"), teaching(3, 3, "ant", False)]
    model = TaughtModel(tables, 1, DIM, tmp_path)
    gone, unteach = [], model.memory.unteach
    monkeypatch.setattr(model.memory, "unteach", lambda ids: gone.append(ids) or unteach(ids))
    tables.list += [teaching(4, 2, "cat"), teaching(5, 4, "ant")]
    model.update(tables, 2)
    assert gone == [[2]]


def test_of_examples_that_look_the_same_the_last_statement_counts(tmp_path):
    tables = Tables()
    tables.list = [teaching(1, 1, "ant"), teaching(2, 2, "bee"), teaching(3, 3, "cat")]
    tables.example_data = lambda ids, dim: (
        np.array([feature(0) for _ in ids], np.float16),
        np.ones((len(list(ids)), SKETCH_LENGTH), np.int8),
    )
    model = TaughtModel(tables, 1, DIM, tmp_path)

    def label():
        sketches = np.ones((1, SKETCH_LENGTH), np.int8)
        return model.copies(feature(0)[None].astype(np.float32), lambda: sketches)[0].concept

    assert label() == "cat"
    tables.list.append(teaching(4, 1, "ant"))
    model.update(tables, 2)
    assert label() == "ant"
