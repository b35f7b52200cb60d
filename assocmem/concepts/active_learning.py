"""Active learning: which picture to ask about next, and whether another answer is worth asking for. Arrays only.

One question at a time: the classifier is solved anew after each answer. Its kernel gives, in closed form, what an
answer would do to all others before it is known; its probabilities say where that would matter. Knows no names.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.types import F32, I64, Bools
from assocmem.errors import InputError

NEAR = 0.95
"""Cosine similarity from which a picture counts as known by its copy: twenty frames of one shot are one question."""
REFERENCES, CANDIDATES = 400, 500
"""At most so many pictures stand for the pool, and so many, the most doubtful, are weighed as questions."""
ANSWERS, CHANGED = 20, 0.03
"""Stop when so many answers together renamed less than this share of the pool."""

_BIAS = np.float32(1.0)  # the classifier does not penalise its mean; a constant feature is as good for variances
_FLOOR = 1e-4  # ridge at least: exact copies among the taught make the kernel singular


class Kernel(NamedTuple):
    """Similarities, float32, of t taught pictures, n of the pool, and r of the pool that stand for all of it."""

    taught: F32
    """(t, t)"""
    pool: F32
    """(n, t)"""
    spread: F32
    """(n, r), to the references."""
    references: I64
    """(r,): their rows in the pool; see ``references``."""


class Question(NamedTuple):
    """What to ask about, and why."""

    row: int
    """Row of the pool; -1 when nothing is left to ask."""
    reason: str
    """For a person."""
    others: int
    """About how many of the pool the answer tells something about."""


def references(n: int) -> I64:
    """Return the rows, int64 (r,), that stand for a pool of n: all of them or REFERENCES, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, REFERENCES)).astype(np.int64)) if n else np.empty(0, np.int64)


def fresh(features: npt.ArrayLike, known: npt.ArrayLike, near: float = NEAR) -> Bools:
    """Return which pictures are no near copy of one that is known, bool (n,).

    Parameters
    ----------
    features : array, shape (n, dim)
        Of the pool, with the mean of the collection taken off; any length.
    known : array, shape (t, dim)
        Of all that were taught, asked about or passed over. After an answer only its own row is new: the results
        of several calls may be joined by ``&``.
    near : float
        Cosine similarity above which two pictures are copies.

    Raises
    ------
    InputError
        Shapes that do not fit.
    """
    x, k = np.atleast_2d(np.asarray(features, np.float32)), np.atleast_2d(np.asarray(known, np.float32))
    if not k.size:
        return np.ones(len(x), np.bool_)
    if x.shape[1] != k.shape[1]:
        raise InputError(f"expected features of one width, found {x.shape} and {k.shape}")
    x, k = unit_rows(x), unit_rows(k)
    return np.asarray((x @ k.T).max(axis=1, initial=-1.0) <= near)


def choose(kernel: Kernel, probabilities: npt.ArrayLike, open_rows: Bools, *, ridge: float = 0.1) -> Question:
    r"""Return the picture whose answer should help most; of equals, the first.

    The doubt of a picture is u = 1 - (p1 - p2), one less the margin of its two likeliest classes. An answer at i
    lowers the variance at j by cov(i, j)^2 / (var(i) + ridge), in the Gaussian process of the same kernel given all
    that was taught; the question with the greatest

    .. math:: u_i \sum_j \sqrt{u_j} \, cov(i, j)^2 / (var(i) + ridge)

    is asked: itself doubtful, and telling much about others that are. Cohn, Ghahramani & Jordan (1996) for the
    variance; the weights were found by measurement. Before two classes are known, all doubts are 1.

    Parameters
    ----------
    kernel : Kernel
        Similarities; t may be 0.
    probabilities : array, shape (n, c)
        Of the classes known so far, for the pool; c may be 0 or 1.
    open_rows : bool (n,)
        What may be asked; see ``fresh``.
    ridge : float
        Noise of an answer, the classifier's regularisation.

    Raises
    ------
    InputError
        Shapes that do not fit.
    """
    p, n = np.asarray(probabilities, np.float32), len(kernel.pool)
    t, r = len(kernel.taught), len(kernel.references)
    if p.ndim != 2 or len(p) != n or open_rows.shape != (n,) or kernel.pool.shape != (n, t):
        raise InputError(
            f"expected {n} rows of probabilities and of open_rows, and {t} taught, found {p.shape}, "
            f"{open_rows.shape} and {kernel.pool.shape}"
        )
    if kernel.taught.shape != (t, t) or kernel.spread.shape != (n, r):
        raise InputError(f"expected ({t}, {t}) and ({n}, {r}), found {kernel.taught.shape}, {kernel.spread.shape}")
    if not open_rows.any():
        return Question(-1, "all that is left is known, or a near copy of it", 0)
    doubts = _doubts(p)
    rows = _most_doubtful(doubts, open_rows)
    covariance, variance = _posterior(kernel, rows, ridge)
    tells = np.square(covariance) / (variance + np.float32(max(ridge, _FLOOR)))[:, None]
    gains = doubts[rows] * (tells @ np.sqrt(doubts[kernel.references]))
    best = int(np.argmax(gains))
    shared = tells[best] > 0.25 * tells[best].max(initial=0.0)
    others = round(int(shared.sum()) * n / max(r, 1))
    return Question(int(rows[best]), _reason(p[rows[best]], t, others), others)


def worth_asking(guesses: npt.ArrayLike) -> tuple[bool, str]:
    """Say whether another answer is worth asking for, and why.

    It is not when the last ANSWERS answers together changed less than CHANGED of the pool's names: Bloodgood &
    Vijay-Shanker (2009), stopping by stabilising predictions. An error estimated from the answers would not do: what
    was asked about is hard, so left out it is mostly got wrong, and what was not asked about looks too sure.

    Parameters
    ----------
    guesses : integers, shape (m, n)
        The likeliest class of each of the pool after each answer, oldest first, numbered alike throughout; only the
        first and the last of the last ANSWERS + 1 rows matter.

    Raises
    ------
    InputError
        Not two-dimensional.
    """
    history = np.asarray(guesses)
    if history.ndim != 2:
        raise InputError(f"expected guesses of shape (answers, pictures), found {history.shape}")
    m, n = history.shape
    if n == 0:
        return False, "there is nothing to name"
    if m <= ANSWERS:
        return True, f"{m} answers are too few to see whether they still change anything"
    changed = int(np.count_nonzero(history[-1] != history[-1 - ANSWERS]))
    said = f"the last {ANSWERS} answers changed the names of {changed} of {n}"
    return changed >= CHANGED * n, said


def _doubts(p: F32) -> F32:
    """One less the margin of the two likeliest, (n,); 1 before there are two."""
    if p.shape[1] < 2:
        return np.ones(len(p), np.float32)
    top = np.partition(p, -2, axis=1)
    return np.asarray(np.clip(1 - (top[:, -1] - top[:, -2]), 1e-6, 1), np.float32)


def _most_doubtful(doubts: F32, open_rows: Bools) -> I64:
    """Return at most CANDIDATES open rows, in order of rows; of equal doubt, those spread over the pool."""
    rows = np.flatnonzero(open_rows)
    if len(rows) <= CANDIDATES:
        return rows
    spread = np.arange(len(rows)) * 2654435761 % 2**32  # no side of the pool first, when all are in doubt
    return np.asarray(np.sort(rows[np.lexsort((spread, -doubts[rows]))[:CANDIDATES]]))


def _posterior(kernel: Kernel, rows: I64, ridge: float) -> tuple[F32, F32]:
    """Covariance of some rows with the references, and their variance, given what was taught."""
    prior = kernel.spread[rows] + _BIAS
    own = np.full(len(rows), 1 + _BIAS, np.float32)
    if not len(kernel.taught):
        return prior, own
    noisy = kernel.taught.astype(np.float64) + _BIAS + max(ridge, _FLOOR) * np.eye(len(kernel.taught))
    half = np.linalg.inv(np.linalg.cholesky(noisy)).astype(np.float32)
    mine = (kernel.pool[rows] + _BIAS) @ half.T
    theirs = (kernel.pool[kernel.references] + _BIAS) @ half.T
    variance = np.maximum(own - np.einsum("ij,ij->i", mine, mine), 0)
    return np.asarray(prior - mine @ theirs.T, np.float32), np.asarray(variance, np.float32)


def _reason(p: F32, taught: int, others: int) -> str:
    alike = f"; about {others} more are like it" if others > 1 else ""
    if taught == 0:
        return "nothing is known yet" + alike
    if len(p) < 2:
        return "unlike what is known" + alike
    first, second = (float(v) for v in np.sort(p)[:-3:-1])
    if first < 0.5:
        return f"no known name fits well, the best {first:.0%}" + alike
    if first - second < 0.4:
        return f"it may be one of two, {first:.0%} and {second:.0%}" + alike
    return f"fairly sure, {first:.0%}" + alike
