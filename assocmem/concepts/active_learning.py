"""Active learning: which picture of a pool to ask about next, and whether another answer is worth asking for.

One question is asked at a time: the classifier is fitted again after each answer. Before an answer is known, the
kernel of the classifier gives in closed form how much it would reduce the variance of all other pictures; the
probabilities show for which pictures that matters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from assocmem._numerics.rotation import unit_rows
from assocmem._numerics.types import F32, I64, Bools
from assocmem.errors import InputError

COPY_SIMILARITY = 0.95
"""Cosine similarity above which a picture is known by its near copy: twenty frames of one shot are one question."""
MAX_REFERENCES = 400
"""At most this many pictures represent the pool."""
MAX_CANDIDATES = 500
"""At most this many pictures, the most doubtful, are compared as questions."""
STOP_ANSWERS, STOP_CHANGED = 20, 0.03
"""Stop if this many answers together changed the names of less than this share of the pool."""

_BIAS = np.float32(1.0)  # the classifier does not penalise its mean; a constant feature does as well for variances
_MIN_RIDGE = 1e-4  # exact copies among the taught pictures make the kernel singular


class KernelMatrices(NamedTuple):
    """Similarities, float32, of t taught pictures, n pictures of the pool, and r references that represent the pool."""

    taught: F32
    """(t, t)"""
    pool: F32
    """(n, t): of the pool to the taught pictures"""
    spread: F32
    """(n, r): of the pool to the references"""
    references: I64
    """(r,): rows of the references in the pool; see ``reference_rows``"""


class Choice(NamedTuple):
    """The picture to ask about, and the reason."""

    row: int
    """row of the pool; -1 if there is nothing left to ask"""
    reason: str
    """for people"""
    others: int
    """about how many pictures of the pool are similar enough for the answer to matter"""


def reference_rows(n: int) -> I64:
    """Return the rows that represent a pool of n, int64 (r,): at most MAX_REFERENCES, evenly spaced."""
    if n == 0:
        return np.empty(0, np.int64)
    return np.unique(np.linspace(0, n - 1, min(n, MAX_REFERENCES)).astype(np.int64))


def unlike_known(features: npt.ArrayLike, known: npt.ArrayLike, threshold: float = COPY_SIMILARITY) -> Bools:
    """Return which pictures are not near copies of a known picture, bool (n,).

    Parameters
    ----------
    features : array, shape (n, dim)
        Of the pool, with the mean of the collection subtracted; of any length.
    known : array, shape (t, dim)
        Of all pictures that were taught, asked about or skipped. After an answer only its own row is new: the results
        of several calls can be combined by ``&``.
    threshold : float
        Cosine similarity above which two pictures are near copies.

    Raises
    ------
    InputError
        The shapes do not fit.
    """
    x, k = np.atleast_2d(np.asarray(features, np.float32)), np.atleast_2d(np.asarray(known, np.float32))
    if not k.size:
        return np.ones(len(x), np.bool_)
    if x.shape[1] != k.shape[1]:
        raise InputError(f"expected features of one width, found {x.shape} and {k.shape}")
    x, k = unit_rows(x), unit_rows(k)
    return np.asarray((x @ k.T).max(axis=1, initial=-1.0) <= threshold)


def choose(kernel: KernelMatrices, probabilities: npt.ArrayLike, open_rows: Bools, *, ridge: float = 0.1) -> Choice:
    r"""Return the picture whose answer should help most; of equal pictures the first.

    The doubt about a picture is u = 1 - (p1 - p2), one minus the margin of its two most probable classes. In the
    Gaussian process with the same kernel, given all that was taught, an answer at i lowers the variance at j by
    cov(i, j)^2 / (var(i) + ridge). The picture with the greatest

    .. math:: u_i \sum_j \sqrt{u_j} \, cov(i, j)^2 / (var(i) + ridge)

    is chosen: it is doubtful, and so are pictures whose variance its answer reduces. The variance follows
    Cohn, Ghahramani & Jordan (1996); the weights were found by measurement. Before two classes are known, all doubts
    are 1.

    Parameters
    ----------
    kernel : KernelMatrices
        t may be 0.
    probabilities : array, shape (n, c)
        Of the classes known so far, for the pool; c may be 0 or 1.
    open_rows : bool (n,)
        The pictures that may be asked about; see ``unlike_known``.
    ridge : float
        Noise of an answer: the regularisation of the classifier.

    Raises
    ------
    InputError
        The shapes do not fit.
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
        return Choice(-1, "all that is left is known, or a near copy of it", 0)
    doubts = _doubts(p)
    rows = _most_doubtful(doubts, open_rows)
    covariance, variance = _posterior(kernel, rows, ridge)
    reductions = np.square(covariance) / (variance + np.float32(max(ridge, _MIN_RIDGE)))[:, None]
    gains = doubts[rows] * (reductions @ np.sqrt(doubts[kernel.references]))
    best = int(np.argmax(gains))
    shared = reductions[best] > 0.25 * reductions[best].max(initial=0.0)
    others = round(int(shared.sum()) * n / max(r, 1))
    return Choice(int(rows[best]), _reason(p[rows[best]], t, others), others)


def worth_asking(guesses: npt.ArrayLike) -> tuple[bool, str]:
    """Return whether another answer is worth asking for, and why.

    It is not if the last STOP_ANSWERS answers together changed less than STOP_CHANGED of the pool's names: stopping by
    stabilising predictions (Bloodgood & Vijay-Shanker, 2009). An error estimated from the answers would mislead: the
    pictures that were asked about are hard, so left out they are mostly wrong, and the others look too certain.

    Parameters
    ----------
    guesses : integers, shape (m, n)
        The most probable class of each picture of the pool after each answer, oldest first, numbered alike throughout;
        only the first and the last of the last STOP_ANSWERS + 1 rows matter.

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
    if m <= STOP_ANSWERS:
        return True, f"{m} answers are too few to see whether they still change anything"
    changed = int(np.count_nonzero(history[-1] != history[-1 - STOP_ANSWERS]))
    reason = f"the last {STOP_ANSWERS} answers changed the names of {changed} of {n}"
    return changed >= STOP_CHANGED * n, reason


def _doubts(p: F32) -> F32:
    """Return one minus the margin of the two most probable classes, float32 (n,); 1 if there are fewer than two."""
    if p.shape[1] < 2:
        return np.ones(len(p), np.float32)
    top = np.partition(p, -2, axis=1)
    return np.asarray(np.clip(1 - (top[:, -1] - top[:, -2]), 1e-6, 1), np.float32)


def _most_doubtful(doubts: F32, open_rows: Bools) -> I64:
    """Return at most MAX_CANDIDATES open rows, ascending; among equal doubts, rows spread over the pool."""
    rows = np.flatnonzero(open_rows)
    if len(rows) <= MAX_CANDIDATES:
        return rows
    spread = np.arange(len(rows)) * 2654435761 % 2**32  # otherwise one end of the pool comes first when all are equal
    return np.asarray(np.sort(rows[np.lexsort((spread, -doubts[rows]))[:MAX_CANDIDATES]]))


def _posterior(kernel: KernelMatrices, rows: I64, ridge: float) -> tuple[F32, F32]:
    """Return the covariance of some rows with the references, and their variance, given the taught pictures."""
    prior = kernel.spread[rows] + _BIAS
    own = np.full(len(rows), 1 + _BIAS, np.float32)
    if not len(kernel.taught):
        return prior, own
    noisy = kernel.taught.astype(np.float64) + _BIAS + max(ridge, _MIN_RIDGE) * np.eye(len(kernel.taught))
    half = np.linalg.inv(np.linalg.cholesky(noisy)).astype(np.float32)
    mine = (kernel.pool[rows] + _BIAS) @ half.T
    theirs = (kernel.pool[kernel.references] + _BIAS) @ half.T
    variance = np.maximum(own - np.einsum("ij,ij->i", mine, mine), 0)
    return np.asarray(prior - mine @ theirs.T, np.float32), np.asarray(variance, np.float32)


def _reason(p: F32, taught: int, others: int) -> str:
    similar = f"; about {others} more are like it" if others > 1 else ""
    if taught == 0:
        return "nothing is known yet" + similar
    if len(p) < 2:
        return "unlike what is known" + similar
    first, second = (float(v) for v in np.sort(p)[:-3:-1])
    if first < 0.5:
        return f"no known name fits well, the best {first:.0%}" + similar
    if first - second < 0.4:
        return f"it may be one of two, {first:.0%} and {second:.0%}" + similar
    return f"fairly sure, {first:.0%}" + similar
