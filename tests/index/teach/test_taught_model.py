"""The model of the teachings: an updated one answers like a new one, and threads may ask while another teaches."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain

import h5py
import numpy as np
import pytest
from PIL import Image

from assocmem.concepts.memory import ConceptMemory
from assocmem.errors import AssocmemError
from assocmem.index.derived.files import TAUGHT
from assocmem.index.store.teaching_tables import TeachingTables
from assocmem.index.teach.taught_model import TaughtModel, TaughtModels
from tests.concepts.sample_memories import LIMITS, few_frequencies
from tests.fakes import kin, kinds

NAMES = ["castle", "Fort", "harbour", "lion", "tabby"]
"""Two of them are ImageNet's too."""


@pytest.fixture
def files(tmp_path):
    """Three pictures each of four kinds, below ``tmp_path/in``."""
    return kinds(tmp_path / "in", (1, 2, 3, 4), 3)


@pytest.fixture
def twins(files):
    """Other bytes with the same pixels as some files: of their labels, the one of the last statement counts."""
    found = [path.with_suffix(".bmp") for path in (files[1][0], files[2][0])]
    for path in found:
        Image.open(path.with_suffix(".png")).save(path)
    return found


@pytest.fixture
def queries(photos, files):
    """Features and sketches of all items, and of pictures like them."""
    images = [np.asarray(kin(kind, which)) for kind in range(1, 6) for which in range(4)]
    asked = [photos.searcher.read(image) for image in images]
    return np.concatenate([one.features for one in asked]), np.concatenate([one.sketches() for one in asked])


def new_model(session, **options):
    """Build a model of all teachings from nothing."""
    with session.reading() as catalog:
        tables, version = TeachingTables(catalog), catalog.taught_version
        return TaughtModel(tables, version, session.made_with().dim, session.folder, use_file=False, **options)


def answers(model, queries):
    """Everything that a model answers; numbers as bytes."""
    features, sketches = queries
    answer = model.answer(features, lambda: sketches)
    told = {
        "names": (model.concepts, model.parents, model.last_taught, model.memory.counts),
        "labels": list(model.labels.items()),
        "probabilities": (answer.probabilities.shape, answer.probabilities.tobytes()),
        "none": answer.none.tobytes(),
        "copies": answer.copies,
        "examples": model.unit_features().tobytes(),
    }
    if model.concepts:
        told["scores"] = model.memory.scores(features).tobytes()
        told["confidence"] = {name: np.float64(one).tobytes() for name, one in model.memory.confidence.items()}
        told["features"] = model.features_of(model.concepts[:2], 4).tobytes()
        told["solved"] = {name: array.tobytes() for name, array in model.memory.solved().items()}
    return told


class Walk:
    """A seeded random walk through everything that changes teachings."""

    def __init__(self, photos, paths, seed):
        self.photos, self.paths, self.rng = photos, paths, random.Random(seed)
        self.left, self.done = [], []

    def some(self):
        return self.rng.sample(self.paths, self.rng.randint(1, 4))

    def step(self):
        """Make the next kind of change, in random order; a refused one is tried again with other names."""
        if not self.left:
            self.left = [self.teach, self.teach, self.deny, self.correct, self.forget, self.undo, self.rename,
                self.merge, self.place]  # fmt: skip
            self.rng.shuffle(self.left)
        change = self.left.pop()
        for _ in range(20):
            with suppress(AssocmemError):
                change()
                self.done.append(change.__name__)
                return

    def teach(self):
        self.photos.teach(self.rng.choice(NAMES), self.some())

    def deny(self):
        self.photos.correct(self.some(), wrong=self.rng.choice(NAMES))

    def correct(self):
        self.photos.correct(self.some(), wrong=self.rng.choice(NAMES), right=self.rng.choice(NAMES))

    def known(self):
        return self.rng.choice([*self.photos.teacher.example_counts(), self.rng.choice(NAMES)])

    def forget(self):
        self.photos.forget(self.known(), self.rng.choice([None, self.some()[:1]]))

    def undo(self):
        ids = [one.id for one in self.photos.teachings()]
        self.photos.undo(self.rng.sample(ids, min(len(ids), self.rng.randint(1, 5))))

    def rename(self):
        self.photos.rename(self.known(), self.rng.choice([*NAMES, "CASTLE", "fort"]))

    def merge(self):
        self.photos.merge(self.known(), self.known())

    def place(self):
        self.photos.set_parent(self.known(), self.rng.choice([*NAMES, None]))


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("seed", range(2))
def test_an_updated_model_answers_bit_for_bit_like_a_new_one(
    photos, session, files, twins, queries, tmp_path, seed, limits
):
    photos.add(tmp_path / "in")
    photos.teach(NAMES[0], files[1][:2])
    walk, models = Walk(photos, [*chain(*files.values()), *twins], seed), TaughtModels(session)
    with few_frequencies(limits):  # solved as few, as many, and as thousands of examples are
        for step in range(60):
            walk.step()
            if step % 5 == 4 or step > 56:  # after several changes, or after each
                with models.reading() as model:
                    assert answers(model, queries) == answers(new_model(session), queries), walk.done
    assert len(set(walk.done)) == 8  # every kind of change was made


def test_denials_of_a_concept_count_again_when_it_comes_back(photos, session, files, queries, tmp_path):
    photos.add(tmp_path / "in")
    models = TaughtModels(session)

    def check():
        with models.reading() as model:
            assert answers(model, queries) == answers(new_model(session), queries)
            return answers(model, queries)

    photos.teach("castle", files[1])
    photos.teach("harbour", files[2])
    photos.correct(files[3][0], wrong="castle")  # a denial of a taught concept
    photos.correct(files[3][1], wrong="lion")  # of one that is only ImageNet's
    both = check()
    taught = photos.teach("lion", files[4]).teachings  # now the second denial is of a taught concept too
    assert check() != both
    photos.forget("castle", files[1])  # the first denial is of no taught concept any more
    without = check()
    assert "castle" not in without["names"][0]
    photos.undo(taught)
    photos.teach("castle", files[1])
    again = check()
    for name in ("probabilities", "none", "scores", "solved"):
        assert again[name] == both[name], name


def test_the_memory_is_taught_every_label(photos, session, files, queries, tmp_path):
    """Against a memory that is taught by hand, with two denials of one example."""
    photos.add(tmp_path / "in")
    photos.teach("castle", files[1])
    photos.teach("harbour", files[2])
    for wrong in ("harbour", "castle", "lion"):
        photos.correct(files[3][0], wrong=wrong)
    photos.correct(files[1][0], wrong="castle", right="fort")
    [segment] = session.snapshot().segments
    rows = {photos.search(path, 1)[0].path: photos.search(path, 1)[0].item for path in chain(*files.values())}
    features = {path: segment.features[np.flatnonzero(segment.ids == item)] for path, item in rows.items()}
    examples = {teaching.path: teaching.example for teaching in photos.teachings()}
    memory = ConceptMemory(session.made_with().dim)
    for name, paths in (("castle", files[1][1:]), ("harbour", files[2]), ("fort", files[1][:1])):
        for path in map(str, paths):
            memory.teach(features[path].astype(np.float32), [name], ids=np.array([examples[path]]))
    denied = str(files[3][0])
    for name in ("castle", "harbour"):
        memory.deny(features[denied][0].astype(np.float32), name, ids=[examples[denied]])
    with TaughtModels(session).reading() as model:
        assert model.memory.counts == memory.counts == {"castle": 2, "fort": 1, "harbour": 3}
        assert model.memory.scores(queries[0]).tobytes() == memory.scores(queries[0]).tobytes()


def test_an_update_teaches_only_what_changed(photos, session, files, tmp_path, monkeypatch):
    photos.add(tmp_path / "in")
    photos.teach("castle", files[1])
    photos.teach("harbour", files[2])
    models, read = TaughtModels(session), []
    with models.reading() as model:
        taught = []
        teach = model.memory.teach
        monkeypatch.setattr(model.memory, "teach", lambda *a, **o: taught.append(len(o["ids"])) or teach(*a, **o))
    data = TeachingTables.example_data
    monkeypatch.setattr(
        TeachingTables, "example_data", lambda self, ids, dim: read.append(len(ids)) or data(self, ids, dim)
    )
    photos.teach("fort", files[3][:1])
    with models.reading() as again:
        assert again is model
        assert (taught, read) == ([1], [1])
    with models.reading():
        assert (taught, read) == ([1], [1])  # nothing changed
    photos.set_parent("fort", "castle")
    with models.reading():
        assert (taught, read) == ([1], [1])
        assert model.parents == {"fort": "castle"}


# The file


@pytest.mark.parametrize("kept_from", [1, 256])
def test_few_examples_are_not_kept(photos, session, files, queries, tmp_path, monkeypatch, kept_from):
    monkeypatch.setattr("assocmem.index.teach.taught_model.KEPT_FROM", kept_from)
    photos.add(tmp_path / "in")
    photos.teach("castle", files[1])
    assert photos.concepts(files[1][0], 1)[0].concept == "castle"  # the model is open
    photos.teach("harbour", files[2])
    assert (photos.folder / TAUGHT).exists() == (kept_from == 1)
    with TaughtModels(session).reading() as model:
        assert answers(model, queries) == answers(new_model(session), queries)


def test_many_examples_are_kept_by_default(photos, session, tmp_path):
    many = kinds(tmp_path / "in", (1, 2), 128)
    photos.add(tmp_path / "in")
    photos.teach("castle", many[1])
    assert not (photos.folder / TAUGHT).exists()
    photos.teach("harbour", many[2])
    assert (photos.folder / TAUGHT).exists()
    assert photos.verify() == []
    photos.forget("harbour", many[2][0])  # 255 are left: the file is old, and not used
    with TaughtModels(session).reading() as model:
        assert model.memory.counts == {"castle": 128, "harbour": 127}


def test_verify_finds_weights_that_are_not_those_of_the_examples(kept_at_once, photos, files):
    photos.teach("castle", files[1])
    photos.teach("harbour", files[2])
    assert photos.verify() == []
    with h5py.File(photos.folder / TAUGHT, "r+") as file:
        file["weights"][...] += 0.5
    assert [line.partition(": ")[2] for line in photos.verify()] == [
        "its weights are not those of the examples; remove it, it will be built again"
    ]


# Threads


def test_threads_may_ask_while_another_teaches(photos, files):
    """Concepts come and go, so that a model that changes during a question would give wrong names or fail."""
    photos.teach("harbour", files[2])
    images = [np.asarray(kin(2, which)) for which in range(4)]

    def ask():
        names = {tuple(hit.concept for hit in photos.concepts(image) if hit.source == "taught") for image in images}
        hits = [hit.path for hit in photos.search("harbour", 3)]
        return names, sorted(hits)

    with ThreadPoolExecutor(3) as pool:
        for turn in range(20):
            asked = [pool.submit(ask) for _ in range(3)]
            name = f"castle {turn}" if turn % 2 else f"village {turn}"  # before and after it in the alphabet
            photos.teach(name, files[1])
            if turn % 3 == 0:
                photos.forget(name)
            for answer in asked:
                names, hits = answer.result()
                assert {shown[0] for shown in names} == {"harbour"}
                assert hits == sorted(map(str, files[2]))
