"""What a collection was taught, ready to answer: a concept memory of the examples, and what applies to near copies.

A statement about an example applies to it and to its near copies, whatever the memory predicts. Contains no SQL.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from assocmem._numerics.types import F16, F32, I8, Bools
from assocmem.codes.dct_sketches import SKETCH_LENGTH, SKETCH_THRESHOLD, inverse_norms, sketch_cosines
from assocmem.concepts.statements import Statement
from assocmem.index.derived.files import TAUGHT, add_dataset, keep_file, not_of_the_items, read_kept
from assocmem.index.results import COPY
from assocmem.index.session import Session
from assocmem.index.store.records import Teaching
from assocmem.index.store.teaching_tables import TeachingTables

KEPT_FROM = 256
"""Examples from which on what was solved is kept in a file: fewer are solved in less than a tenth of a second."""
_CHUNK = 4096
_SAME = 1e-5
"""Similarities that differ by less belong to one content in two files."""


@dataclass(frozen=True, slots=True)
class TaughtLabel:
    """What an example is, and is not, according to all statements about it."""

    concept: str | None
    denied: frozenset[str]
    """names in lower case"""


def current_labels(teachings: Iterable[Teaching]) -> dict[int, TaughtLabel]:
    """Return the label of each example, by id, in the order of their latest teachings.

    The later of two contradictory teachings wins; teaching keeps denials of other concepts. Names ignore case.
    """
    found: dict[int, Statement] = {}
    for teaching in teachings:
        known = found.pop(teaching.example, Statement(teaching.id))
        change = known.taught if teaching.is_one else known.denying
        found[teaching.example] = change(teaching.concept, teaching.id, key=str.casefold)
    return {
        example: TaughtLabel(known.concept or None, frozenset(name.casefold() for name in known.denied))
        for example, known in found.items()
    }


class Answer(NamedTuple):
    """What n features show."""

    probabilities: F32
    """float32 (n, concepts)"""
    none: Bools
    """bool (n,): none of the concepts"""
    copies: list[TaughtLabel | None]
    """label of the example that each is a near copy of"""


class TaughtModel:
    """Answers from what was taught.

    Parameters
    ----------
    tables : TeachingTables
    version : int
        Of the teachings.
    dim : int
        Length of a feature.
    folder : Path
        The collection's folder, which contains the file of what was solved.
    use_file : bool
        Read that file if it is of this version; otherwise solve.

    Attributes
    ----------
    memory : ConceptMemory
    labels : dict of int to TaughtLabel
        By example id, in the order of the last statement.
    parents : dict of str to str
        Concept -> the concept above it.
    last_taught : dict of str to str
        Concept -> time of the last statement about it: UTC, ISO 8601.
    """

    def __init__(self, tables: TeachingTables, version: int, dim: int, folder: Path, *, use_file: bool = True) -> None:
        from assocmem.concepts.memory import ConceptMemory  # kernels take a second to import: teaching needs none

        self.memory = ConceptMemory(dim)
        self.labels: dict[int, TaughtLabel] = {}
        self.parents: dict[str, str] = {}
        self.last_taught: dict[str, str] = {}
        self._folder, self._dim = folder, dim
        self._ids: list[int] = []  # ascending
        self._features: F16 = np.empty((0, dim), np.float16)
        self._sketches: I8 = np.empty((0, SKETCH_LENGTH), np.int8)
        self._taught: dict[int, tuple[str, ...]] = {}
        self.update(tables, version)
        if self.concepts and not (use_file and self._restore()):
            self.memory.solved()

    def update(self, tables: TeachingTables, version: int) -> None:
        """Follow the teachings: only examples whose label changed are taught, denied or removed."""
        self.version = version
        teachings = tables.teachings(standing=True)
        self.labels = current_labels(teachings)
        self.last_taught = {teaching.concept: teaching.at for teaching in teachings}
        self.parents = tables.parents()
        self._order = {id_: place for place, id_ in enumerate(self.labels)}
        self._load(tables)
        wanted = self._wanted()
        changed = sorted(id_ for id_ in wanted.keys() | self._taught.keys() if wanted.get(id_) != self._taught.get(id_))
        self.memory.unteach([id_ for id_ in changed if id_ in self.memory])
        self._teach([id_ for id_ in changed if id_ in wanted], wanted)
        self._taught = wanted

    def _load(self, tables: TeachingTables) -> None:
        """Read the data of new examples, and drop those of examples without a label."""
        ids = sorted(self.labels)
        if ids == self._ids:
            return
        places = {id_: place for place, id_ in enumerate(self._ids)}
        fresh = [id_ for id_ in ids if id_ not in places]
        features, sketches = tables.example_data(fresh, self._dim)
        places |= {id_: len(self._ids) + place for place, id_ in enumerate(fresh)}
        rows = [places[id_] for id_ in ids]
        self._features = np.concatenate([self._features, features])[rows]
        self._sketches = np.concatenate([self._sketches, sketches])[rows]
        self._ids = ids

    def _wanted(self) -> dict[int, tuple[str, ...]]:
        """Return what the memory is taught about each example: a concept, or "" and the taught ones that are denied."""
        known = {label.concept.casefold(): label.concept for label in self.labels.values() if label.concept}
        wanted: dict[int, tuple[str, ...]] = {}
        for id_ in self._ids:
            label = self.labels[id_]
            if label.concept is not None:
                wanted[id_] = (label.concept,)
            elif denied := sorted(label.denied & known.keys()):
                wanted[id_] = ("", *(known[name] for name in denied))
        return wanted

    def _teach(self, ids: list[int], wanted: dict[int, tuple[str, ...]]) -> None:
        places = {id_: place for place, id_ in enumerate(self._ids)}
        are = [id_ for id_ in ids if wanted[id_][0]]
        if are:
            features = self._features[[places[id_] for id_ in are]].astype(np.float32)
            self.memory.teach(features, [wanted[id_][0] for id_ in are], ids=np.array(are, np.int64))
        for id_ in ids:
            for name in wanted[id_][1:]:
                self.memory.deny(self._features[places[id_]].astype(np.float32), name, ids=[id_])

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of all concepts that have an example, sorted."""
        return self.memory.concepts

    # File

    def keep(self) -> None:
        """Write what was solved to the model's file."""
        arrays = self.memory.solved()
        path = self._folder / TAUGHT
        if not arrays:
            path.unlink(missing_ok=True)
            return

        def fill(file: h5py.File) -> None:
            for name, values in arrays.items():
                add_dataset(file, name, values, len(values))

        keep_file(path, self.version, fill)

    def _restore(self) -> bool:
        """Read what was solved; False if it has to be solved again."""

        def read(file: h5py.File) -> bool:
            self.memory.restore_solved({name: file[name][()] for name in file})
            return True

        return read_kept(self._folder / TAUGHT, read, self.version) or False

    # Answers

    def answer(self, features: F32, sketches: Callable[[], I8]) -> Answer:
        """Predict concepts, and replace predictions by the labels of examples that the rows are near copies of.

        Parameters
        ----------
        features : float32 (n, dim)
        sketches : function that returns int8 (n, SKETCH_LENGTH)
            Called only if a feature is near that of an example.
        """
        shares, none = self.memory.probabilities(np.ascontiguousarray(features))
        copies = self.copies(features, sketches)
        places = {name.casefold(): place for place, name in enumerate(self.concepts)}
        for row, label in enumerate(copies):
            if label is None:
                continue
            denied = [places[name] for name in label.denied if name in places]
            if label.concept is not None:
                shares[row], none[row] = 0, False
                shares[row, places[label.concept.casefold()]] = 1
            elif denied:
                best = int(shares[row].argmax())
                shares[row, denied] = 0
                none[row] |= best in denied  # the predicted concept is denied; the others were never likely
                total = float(shares[row].sum())
                shares[row] /= max(total, 1.0 if len(places) == 1 else 1e-9)
        return Answer(shares, none, copies)

    def copies(self, features: F32, sketches: Callable[[], I8]) -> list[TaughtLabel | None]:
        """Return the label of the most similar example that each row is a near copy of; None if there is none."""
        out: list[TaughtLabel | None] = []
        sketches = functools.cache(sketches)
        for row, feature in enumerate(features):
            similar = self._similarity(feature, row, sketches)
            best = float(similar.max()) if len(similar) else 0.0
            if best < COPY:
                out.append(None)
                continue
            # Of examples that look the same, the one with the last statement.
            same = [self._ids[place] for place in np.flatnonzero(similar >= best - _SAME).tolist()]
            out.append(self.labels[max(same, key=self._order.__getitem__)])
        return out

    def _similarity(self, feature: F32, row: int, sketches: Callable[[], I8]) -> F32:
        """Return the similarity to each example, float32 (examples,); 0 where the feature cannot be of a copy."""
        out = np.zeros(len(self._ids), np.float32)
        unit = feature / max(float(np.linalg.norm(feature)), 1e-30)
        for start in range(0, len(out), _CHUNK):
            part = self._features[start : start + _CHUNK].astype(np.float32)
            lengths = np.sqrt(np.einsum("ij,ij->i", part, part))
            cosines = part @ unit / np.maximum(lengths, 1e-30)
            # A sketch adds at most what its cosine exceeds SKETCH_THRESHOLD by.
            rows = np.flatnonzero(cosines >= COPY - (1 - SKETCH_THRESHOLD) - 1e-3)
            if len(rows):
                theirs = self._sketches[start + rows]
                out[start + rows] = cosines[rows] + _sketch_part(cosines[rows], sketches()[row], theirs)
        return out

    def features_of(self, concepts: Sequence[str], most: int) -> F32:
        """Return features of examples of some concepts, float32 (n, dim), evenly spread if there are too many."""
        mine = [place for place, id_ in enumerate(self._ids) if self.labels[id_].concept in concepts]
        return self._features[mine[:: -(-len(mine) // most)]].astype(np.float32)

    def unit_features(self) -> F32:
        """Return the features of all examples, scaled to length 1, float32 (examples, dim)."""
        from assocmem._numerics.rotation import unit_rows

        return unit_rows(self._features.astype(np.float32))

    # Names

    def named(self, words: str) -> str | None:
        """Return the concept with this name, ignoring case and white space."""
        wanted = " ".join(words.split()).casefold()
        return next((name for name in self.concepts if name.casefold() == wanted), None)

    def chain(self, concept: str) -> list[str]:
        """Return a concept and those above it, the nearest first."""
        above = {name.casefold(): parent for name, parent in self.parents.items()}
        found = [concept]
        while (parent := above.get(found[-1].casefold())) is not None and parent not in found:
            found.append(parent)
        return found


class TaughtModels:
    """The model of a collection's teachings, brought up to date whenever it is used.

    One thread uses it at a time: an update changes it, and the first answer after an update solves it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._model: TaughtModel | None = None
        self._lock = threading.RLock()

    @contextlib.contextmanager
    def reading(self) -> Iterator[TaughtModel | None]:
        """Hold the model of all teachings for one question; None if the collection was never taught."""
        with self._lock:
            yield self._current()

    def _current(self) -> TaughtModel | None:
        with self._session.lock:
            catalog = self._session.catalog()
            version = None if catalog is None else catalog.taught_version
            if catalog is None or version is None:
                return None
            model, self._model = self._model, None  # an update that fails half-way leaves no model
            if model is None:
                dim, folder = self._session.made_with().dim, self._session.folder
                model = TaughtModel(TeachingTables(catalog), version, dim, folder)
            elif model.version != version:
                model.update(TeachingTables(catalog), version)
            self._model = model
            return model

    def follow(self) -> None:
        """Bring an open model up to date after a change; keep what was solved if solving takes long.

        A process that only teaches does not open the model of a few examples: the next question solves it in
        milliseconds.
        """
        with self._session.reading() as catalog:
            examples = TeachingTables(catalog).example_count()
        with self._lock:
            model = self._current() if self._model is not None or examples >= KEPT_FROM else None
            if model is not None and examples >= KEPT_FROM:
                model.keep()

    def example_items(self) -> dict[int, int]:
        """Return the living items that are examples: item id -> example id."""
        with self._session.reading() as catalog:
            return TeachingTables(catalog).example_items()


def _sketch_part(cosines: F32, sketch: I8, others: I8) -> F32:
    """Return what sketches add to the similarity of features, float32 (n,)."""
    from assocmem.copies.candidate_pairs import COSINE_THRESHOLD

    alike = np.maximum(0, sketch_cosines(sketch[None, :], others)[0] - np.float32(SKETCH_THRESHOLD))
    bare = inverse_norms(sketch[None, :])[0] * inverse_norms(others) == 0
    return np.asarray(
        np.where(bare, 2 * np.maximum(0, cosines - np.float32(COSINE_THRESHOLD)), alike), dtype=np.float32
    )


def nearest_taught(words: str, names: Sequence[str]) -> list[str]:
    """Return the names of taught concepts with a spelling similar to these words, at most three."""
    alike = difflib.get_close_matches(" ".join(words.split()).casefold(), [name.casefold() for name in names], 3, 0.6)
    return [name for name in names if name.casefold() in alike]


def taught_problems(tables: TeachingTables, version: int, dim: int, folder: Path) -> list[str]:
    """Return what is wrong with the model's file: weights that are not those of the teachings."""
    kept, fresh = (TaughtModel(tables, version, dim, folder, use_file=use_file) for use_file in (True, False))
    pairs = zip(kept.memory.solved().values(), fresh.memory.solved().values(), strict=True)
    if all(np.allclose(one, other, rtol=1e-3, atol=1e-4) for one, other in pairs):
        return []
    return [not_of_the_items(folder / TAUGHT, "weights", "examples")]
