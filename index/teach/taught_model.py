"""What a collection was taught, ready to answer: a concept memory of the examples, and what stands for near copies.

What is said of an example stands for it and its near copies, whatever the memory makes of the rest. Knows no SQL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.types import F32, I8, Bools
from assocmem.codes.dct_sketches import SKETCH_FROM, scales_of, sketch_cosines
from assocmem.concepts.memory import ConceptMemory
from assocmem.copies.candidate_pairs import COSINE_FROM
from assocmem.index.derived.files import keep_file
from assocmem.index.results import COPY
from assocmem.index.store.teaching_tables import Teaching, TeachingTables

TAUGHT = "memory-taught.h5"
_CHUNK = 4096
_SAME = 1e-5
"""Likenesses that differ by less are those of one content in two files."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands of all that was said of an example."""

    concept: str | None
    denied: frozenset[str]
    """names, in lower case"""


def standing(teachings: Iterable[Teaching]) -> dict[int, Standing]:
    """Example id -> what stands, those last that something was said of last; of contradictory sayings the later one."""
    found: dict[int, Standing] = {}
    for teaching in teachings:
        name = teaching.concept.casefold()
        known = found.pop(teaching.example, Standing(None, frozenset()))
        if teaching.is_one:
            found[teaching.example] = Standing(teaching.concept, known.denied - {name})
        else:
            still = None if known.concept and known.concept.casefold() == name else known.concept
            found[teaching.example] = Standing(still, known.denied | {name})
    return found


class Taught:
    """Answers from what was taught.

    Attributes
    ----------
    memory : ConceptMemory
    standing : dict of int to Standing
        By example id.
    parents : dict of str to str
        Concept -> the one above it.
    """

    def __init__(self, catalog: TeachingTables, dim: int, folder: Path, *, anew: bool = False) -> None:
        self.version = int(catalog.meta("taught") or "0")
        self.standing = standing(catalog.teachings(standing=True))
        self.parents = catalog.parents()
        self._ids = sorted(self.standing)
        self._said = {id_: place for place, id_ in enumerate(self.standing)}
        self._features, self._sketches = catalog.example_data(self._ids, dim)
        self.memory = ConceptMemory(dim)
        self._fill()
        self._folder = folder
        if self.concepts and (anew or not self._restore()):
            self.memory.solved()

    def _fill(self) -> None:
        said = [self.standing[id_] for id_ in self._ids]
        features = self._features.astype(np.float32)
        are = np.array([one.concept is not None for one in said], bool)
        if are.any():
            names = [one.concept for one in said if one.concept is not None]
            self.memory.teach(features[are], names, ids=np.array(self._ids, np.int64)[are])
        known = {name.casefold(): name for name in self.concepts}
        for place in np.flatnonzero(~are).tolist():
            for name in sorted(said[place].denied & known.keys()):
                self.memory.deny(features[place], known[name], ids=[self._ids[place]])

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of all concepts that have an example, sorted."""
        return self.memory.concepts

    # its file

    def keep(self) -> None:
        """Write what was found to the memory's file."""
        arrays = self.memory.solved()
        if not arrays:
            (self._folder / TAUGHT).unlink(missing_ok=True)
            return

        def fill(file: h5py.File) -> None:
            for name, values in arrays.items():
                file.create_dataset(name, data=values, chunks=values.shape, fletcher32=True)

        keep_file(self._folder / TAUGHT, self.version, fill)

    def _restore(self) -> bool:
        # Whatever h5py makes of a damaged file, the answer is to find it anew.
        with contextlib.suppress(Exception), h5py.File(self._folder / TAUGHT, "r") as file:
            if file.attrs["generation"] == self.version:
                self.memory.restore_solved({name: file[name][()] for name in file})
                return True
        return False

    # answering

    def probabilities(self, features: F32, sketches: I8) -> tuple[F32, Bools]:
        """Return the probability of each concept, float32 (n, concepts), and whether it is none of them, bool (n,).

        Parameters
        ----------
        features : float32 (n, dim)
        sketches : int8 (n, LENGTH)
        """
        shares, none = self.memory.probabilities(np.ascontiguousarray(features))
        places = {name.casefold(): place for place, name in enumerate(self.concepts)}
        for row, stands in enumerate(self.copies(features, sketches)):
            if stands is None:
                continue
            denied = [places[name] for name in stands.denied if name in places]
            if stands.concept is not None:
                shares[row], none[row] = 0, False
                shares[row, places[stands.concept.casefold()]] = 1
            elif denied:
                best = int(shares[row].argmax())
                shares[row, denied] = 0
                none[row] |= best in denied  # what it was taken for it is not; the rest was never likely
                total = float(shares[row].sum())
                shares[row] /= max(total, 1.0 if len(places) == 1 else 1e-9)
        return shares, none

    def copies(self, features: F32, sketches: I8) -> list[Standing | None]:
        """What stands of the likest example that each is a near copy of; None where there is none."""
        out: list[Standing | None] = []
        for feature, sketch in zip(features, sketches, strict=True):
            alike = self._likeness(feature, sketch)
            best = float(alike.max()) if len(alike) else 0.0
            # Of those that look the same, that of which something was said last.
            likest = [self._ids[place] for place in np.flatnonzero(alike >= best - _SAME).tolist()]
            out.append(self.standing[max(likest, key=self._said.__getitem__)] if best >= COPY else None)
        return out

    def _likeness(self, feature: F32, sketch: I8) -> F32:
        """Likeness to each example, float32 (examples,), as of ``likeness.likeness``; 0 where it cannot be a copy."""
        out = np.zeros(len(self._ids), np.float32)
        unit = feature / max(float(np.linalg.norm(feature)), 1e-30)
        for start in range(0, len(out), _CHUNK):
            part = self._features[start : start + _CHUNK].astype(np.float32)
            lengths = np.sqrt(np.einsum("ij,ij->i", part, part))
            cosines = part @ unit / np.maximum(lengths, 1e-30)
            # Sketches add what exceeds SKETCH_FROM, at most.
            rows = np.flatnonzero(cosines >= COPY - (1 - SKETCH_FROM) - 1e-3)
            if len(rows):
                theirs = self._sketches[start + rows]
                out[start + rows] = cosines[rows] + _sketch_part(cosines[rows], sketch, theirs)
        return out

    def features_of(self, concepts: Sequence[str], most: int) -> F32:
        """Return features of examples of some concepts, float32 (n, dim), evenly spread where there are too many."""
        mine = [place for place, id_ in enumerate(self._ids) if self.standing[id_].concept in concepts]
        return self._features[mine[:: -(-len(mine) // most)]].astype(np.float32)

    def unit_features(self) -> F32:
        """Return the features of all examples, scaled to length 1, float32 (examples, dim)."""
        return unit_rows(self._features.astype(np.float32))

    # names

    def named(self, words: str) -> str | None:
        """Return the concept of this name, whatever its case and white space."""
        wanted = " ".join(words.split()).casefold()
        return next((name for name in self.concepts if name.casefold() == wanted), None)

    def chain(self, concept: str) -> list[str]:
        """Return a concept and those above it, the nearest first."""
        above = {name.casefold(): parent for name, parent in self.parents.items()}
        found = [concept]
        while (parent := above.get(found[-1].casefold())) is not None and parent not in found:
            found.append(parent)
        return found


def _sketch_part(cosines: F32, sketch: I8, others: I8) -> F32:
    """What sketches add to the likeness of features, float32 (n,)."""
    alike = np.maximum(0, sketch_cosines(sketch[None, :], others)[0] - np.float32(SKETCH_FROM))
    bare = scales_of(sketch[None, :])[0] * scales_of(others) == 0
    return np.asarray(np.where(bare, 2 * np.maximum(0, cosines - np.float32(COSINE_FROM)), alike), dtype=np.float32)
