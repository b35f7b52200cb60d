"""A review: the collection asks about the pictures whose names would teach it most, and learns from each answer.

``concepts.active_learning`` decides what to ask about and when to stop; here are the pool of items, the answers and the
reasons in words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.types import F32, I64, Bools
from assocmem.concepts.active_learning import KernelMatrices, choose, reference_rows, unlike_known, worth_asking
from assocmem.concepts.examples import hash_sample
from assocmem.data.imagenet import imagenet_labels
from assocmem.errors import InputError
from assocmem.index.results import Hit, TeachReport
from assocmem.index.session import Session
from assocmem.index.store.catalog import StrPath
from assocmem.index.teach.taught_model import TaughtModel, TaughtModels
from assocmem.index.teach.teaching import Teacher

POOL = 4000
"""Most items that are considered; of more, a sample."""
_SURE = 0.3
"""Least probability of a concept that is proposed; one of ImageNet's if it is more probable than all taught ones."""
_PLAIN = 0.7
"""Probability below which two concepts are named."""
_RIDGE = 0.1
_COPY = 0.99
"""Cosine similarity, without the mean removed, above which pictures are copies: if all pictures are similar, removing
the mean leaves only the differences between copies."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one item."""

    item: Hit
    concept: str | None
    """what it may be; None without a guess"""
    probability: float
    source: str
    """``taught`` or ``imagenet``; empty without a concept"""
    why: str
    """why this picture is asked about"""


class Review:
    """One review. Iterating over it gives questions; answer each by ``yes``, ``no``, ``name`` or ``skip``.

    Parameters
    ----------
    session : Session
    teacher : Teacher
    models : TaughtModels
    paths : iterable of paths
        Ask only about these files and folders; by default about all.

    Attributes
    ----------
    ended : str
        Why there is no further question; empty as long as there may be one.
    answers : int
    """

    def __init__(self, session: Session, teacher: Teacher, models: TaughtModels, paths: Iterable[StrPath] = ()) -> None:
        self._session, self._teacher, self._models = session, teacher, models
        self.ended, self.answers = "", 0
        chosen = session.ids_below(paths) if (paths := list(paths)) else None
        self._ids, features, self._labels = _pool(session, chosen)
        self._features = unit_rows(features)
        self._rows = reference_rows(len(self._ids))
        self._mean = self._features.mean(axis=0) if len(features) else features
        self._width = max(1e-12, 2 * (1 - float(self._mean @ self._mean))) if len(features) else 1.0
        self._spread = self._similarity(self._features, self._features[self._rows])
        self._open = np.ones(len(self._ids), bool)
        self._asked = np.empty((0, features.shape[1]), np.float32)
        self._numbers: dict[str, int] = {}
        self._guesses: list[I64] = []
        self._judged = -1
        self._given: list[tuple[Question, list[int]]] = []
        with models.reading() as known:
            if len(self._ids) and known is not None:
                self._close(known.unit_features())

    def __iter__(self) -> Review:
        return self

    def __next__(self) -> Question:
        """Choose the next question; StopIteration if none is worth asking, ``ended`` says why."""
        if not self.ended:
            found = self._next()
            if found is not None:
                return found
        raise StopIteration

    def questions(self, count: int) -> list[Question]:
        """Return several questions at once, spread over the collection, for a front end that returns answers later."""
        found: list[Question] = []
        while len(found) < count and not self.ended and (question := self._next()) is not None:
            self.skip(question)
            found.append(question)
        return found

    # answers

    def yes(self, question: Question) -> None:
        """Answer that it is the proposed concept."""
        if question.concept is None:
            raise InputError("yes: expected a question that proposes something, found one that does not; name it")
        self.name(question, question.concept)

    def name(self, question: Question, concept: str) -> None:
        """Answer with another concept, new or known; InputError if the name is invalid."""
        self._answered(question, self._teacher.label_items(question.item.item, concept))

    def is_new(self, concept: str) -> bool:
        """Return whether nothing was taught under this name yet."""
        with self._models.reading() as known:
            return known is None or known.named(concept) is None

    def no(self, question: Question) -> None:
        """Answer that it is not the proposed concept; without a proposal, skip it."""
        if question.concept is None:
            self.skip(question)
        else:
            self._answered(question, self._teacher.label_items(question.item.item, question.concept, is_one=False))

    def back(self) -> Question | None:
        """Take the last answer back; returns its question, to be answered again, or None if there is none."""
        if not self._given:
            return None
        question, teachings = self._given.pop()
        self._teacher.undo(teachings)
        self.answers -= 1
        self.ended, self._judged = "", self.answers
        del self._guesses[-1:]
        return question

    def skip(self, question: Question) -> None:
        """Skip it; this review asks neither about it again nor about its near copies."""
        mine = self._ids == question.item.item
        self._open &= ~mine
        self._asked = np.concatenate([self._asked, self._features[mine]])
        self._close(self._features[mine])

    def _answered(self, question: Question, report: TeachReport) -> None:
        self.answers += 1
        self._given.append((question, report.teachings))
        self.skip(question)

    def _close(self, features: F32) -> None:
        """Close the items that these are near copies of."""
        self._open &= unlike_known(self._features - self._mean, features - self._mean)
        self._open &= unlike_known(self._features, features, _COPY)

    # choosing

    def _next(self) -> Question | None:
        if not len(self._ids):
            self.ended = "there is nothing to ask about"
            return None
        with self._models.reading() as known:
            return self._choose(known)

    def _choose(self, known: TaughtModel | None) -> Question | None:
        shares, none = self._shares(known)
        if known is not None and known.concepts and self.answers > self._judged:
            self._judged = self.answers
            self._remember(known, shares)
            worth, why = worth_asking(np.stack(self._guesses))
            if not worth:
                self.ended = f"another answer would change little: {why}"
                return None
        kernel = self._kernel(known)
        found = choose(kernel, shares, self._open, ridge=_RIDGE)
        if found.row < 0:
            self.ended = found.reason
            return None
        hits = self._session.hits([(int(self._ids[found.row]), 1.0)])
        if not hits:  # a writer took it out a moment ago
            self._open[found.row] = False
            return self._choose(known)
        return self._question(hits[0], found.row, found.reason, known, shares, none)

    def _question(self, hit: Hit, row: int, why: str, known: TaughtModel | None, shares: F32, none: Bools) -> Question:
        label, seen = self._labels[row]
        order = np.argsort(-shares[row], kind="stable")[:2].tolist() if shares.shape[1] else []
        share = float(shares[row, order[0]]) if order and not none[row] else 0.0
        names = [] if known is None else [f"{known.concepts[i]} ({shares[row, i]:.0%})" for i in order]
        more = why.partition("; ")[2]
        if label >= 0 and seen >= _SURE and seen > share:
            why = "nothing that was taught fits well" if names else "nothing was taught yet"
            return self._proposal(hit, imagenet_labels()[label].name, seen, "imagenet", why, more)
        if known is not None and share >= _SURE:
            why = f"it may be {' or '.join(names)}" if share < _PLAIN and len(names) > 1 else "fairly sure"
            return self._proposal(hit, known.concepts[order[0]], share, "taught", why, more)
        why = "nothing that was taught fits well" if names else "nothing was taught yet"
        return self._proposal(hit, None, 0.0, "", why, more)

    @staticmethod
    def _proposal(hit: Hit, concept: str | None, share: float, source: str, why: str, more: str) -> Question:
        return Question(replace(hit, score=share), concept, share, source, f"{why}; {more}" if more else why)

    def _shares(self, known: TaughtModel | None) -> tuple[F32, Bools]:
        if known is None or not known.concepts:
            return np.empty((len(self._ids), 0), np.float32), np.ones(len(self._ids), bool)
        return known.memory.probabilities(self._features)

    def _remember(self, known: TaughtModel, shares: F32) -> None:
        names = [self._numbers.setdefault(name, len(self._numbers)) for name in known.concepts]
        self._guesses.append(np.array(names, np.int64)[shares.argmax(axis=1)])

    def _kernel(self, known: TaughtModel | None) -> KernelMatrices:
        taught = self._asked if known is None else np.concatenate([known.unit_features(), self._asked])
        return KernelMatrices(
            self._similarity(taught, taught), self._similarity(self._features, taught), self._spread, self._rows
        )

    def _similarity(self, a: F32, b: F32) -> F32:
        """Gaussian of the distance of unit vectors."""
        return np.asarray(np.exp(np.minimum(0, 2 * (a @ b.T) - 2) / self._width), dtype=np.float32)


def _pool(session: Session, chosen: set[int] | None) -> tuple[I64, F32, list[tuple[int, float]]]:
    """Return ids, features float32 (n, dim) and most probable ImageNet labels of the items to be considered."""
    snapshot = session.snapshot()
    ids, features = [np.empty(0, np.int64)], []
    labels: list[tuple[int, float]] = []
    every = snapshot.living_ids()
    wanted = every if chosen is None else every[np.isin(every, np.array(sorted(chosen), np.int64))]
    wanted = wanted[hash_sample(wanted, POOL)]
    for segment in snapshot.segments:
        rows = np.flatnonzero(np.isin(segment.ids, wanted))
        ids.append(segment.ids[rows])
        features.append(segment.features[rows].astype(np.float32))
        if segment.labels.shape[1]:
            labels += zip(segment.labels[rows, 0].tolist(), segment.label_scores[rows, 0].tolist(), strict=True)
        else:
            labels += [(-1, 0.0)] * len(rows)
    dim = session.coder.dim
    return np.concatenate(ids), np.concatenate([np.empty((0, dim), np.float32), *features]), labels
