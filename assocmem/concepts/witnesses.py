"""What examples say of a vector, in three ways that share one decomposition of their features.

- *Ridge regression* on the concepts as targets: best where a concept is many clusters.
- The *discriminant*: distances to the means of concepts, by the scatter within concepts (Fisher 1936).
- The *means*: the same distances, all directions alike.

A mean of few examples is itself uncertain: a vector of its concept lies, squared, (n + 1) / n times as far from a mean
of n examples as from the true one. Distances are divided by this, so that rare concepts lose nothing.

All are computed from inner products in the metric ``(features' features + strength)**-1``, with the scores of examples
that are left out in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import F64, I64

_LEAST = 1e-9  # of what is left when an example is left out: below this it is the only one of its kind
_RESOLUTION = 1e-9  # of squared lengths: differences below it are rounding errors, of vectors that are the same


class Products(NamedTuple):
    """Inner products of the means of C concepts, of k denied examples, and of m sampled examples."""

    rows: F64
    """float64 (C + k, C + k): of means and denied examples, in the metric"""
    sample: F64
    """float64 (m, C + k): of sampled examples with means and denied examples, in the metric"""
    own: F64
    """float64 (m,): of sampled examples with themselves, in the metric"""
    plain_means: F64
    """float64 (C, C): of means"""
    plain_sample: F64
    """float64 (m, C): of sampled examples with means"""
    plain_own: F64
    """float64 (m,): of sampled examples with themselves"""


@dataclass(frozen=True, slots=True)
class Linear:
    """Scores ``coefficients @ <row, x> + offsets`` of vectors x, and of sampled examples that are left out."""

    coefficients: F64
    """float64 (C, rows)"""
    offsets: F64
    """float64 (C,)"""
    left_out: F64
    """float64 (m, C)"""


def ridge(products: Products, counts: F64, classes: I64, denied: F64) -> Linear:
    """Return ridge regression with concepts as targets, centred unless there is a single one.

    Parameters
    ----------
    products : Products
    counts : float64 (C,)
        Examples of each concept.
    classes : int64 (m,)
        Concepts of the sampled examples.
    denied : float64 (k, C)
        Targets of the denied examples.
    """
    count, concepts = counts.sum() + len(denied), len(counts)
    share = np.concatenate([counts, np.ones(len(denied))]) / count
    targets = np.concatenate([np.diag(counts), denied])
    base = targets.sum(axis=0) / count
    change = np.diag(np.concatenate([np.zeros(concepts), np.ones(len(denied))]))
    if concepts > 1:
        change -= count * np.outer(share, share)
        targets -= count * np.outer(share, base)
    else:
        share, base = np.zeros_like(share), np.zeros_like(base)
    # The metric with denied examples and without the mean is that of the products after a change of few dimensions.
    turned = np.linalg.inv(np.eye(len(share)) + change @ products.rows)
    sample, middle = products.sample @ turned, share @ products.rows @ turned
    squares = products.own - np.einsum("ij,ij->i", products.sample @ turned @ change, products.sample)
    leverages = squares - 2 * (sample @ share) + middle @ share + (1 / count if concepts > 1 else 0)
    guesses = base + (sample - middle) @ targets
    truths = np.eye(concepts)[classes]
    left_out = truths - (truths - guesses) / np.maximum(1 - leverages, _LEAST)[:, None]
    return Linear((turned @ targets).T, base - middle @ targets, left_out)


def discriminant(products: Products, counts: F64, classes: I64) -> Linear:
    """Return negative halved squared distances to means by the scatter within concepts; see ``_distances``."""
    concepts = len(counts)
    means = products.rows[:concepts, :concepts]
    turned = np.linalg.inv(np.diag(1 / counts) - means)
    sample = products.sample[:, :concepts]
    own = products.own + np.einsum("ij,ij->i", sample @ turned, sample)
    turned /= counts
    # Squared distances are in units of the variance within concepts.
    unit = max(1.0, counts.sum() - concepts)
    found = _distances(unit * means @ turned, unit * sample @ turned, unit * own, counts, classes, unit)
    return Linear(unit * found.coefficients @ turned.T, found.offsets, found.left_out)


def nearest_means(products: Products, counts: F64, classes: I64) -> Linear:
    """Return negative halved squared distances to means; see ``_distances``."""
    return _distances(products.plain_means, products.plain_sample, products.plain_own, counts, classes, None)


def _distances(means: F64, sample: F64, own: F64, counts: F64, classes: I64, unit: float | None) -> Linear:
    """Return ``-(q - 2 <x, mean> + <mean, mean>) / 2 * n / (n + 1)`` for each concept of n examples.

    q is the mean of ``<x, x>`` of examples that are left out: with each vector's own value the score would not be
    linear, and measures no better. ``unit``: degrees of freedom of the metric if examples are part of it.
    """
    places, mine = np.arange(len(classes)), counts[classes]
    others = np.maximum(mine - 1, 1)
    crossed = sample - means[classes]  # <mean k, x - own mean>
    toward = own - sample[places, classes]  # <x, x - own mean>
    squares = toward - crossed[places, classes]  # <x - own mean, x - own mean>
    # Leaving x out takes n / (n - 1) of the outer product of x - own mean from the scatter.
    gain = np.zeros(len(classes))
    if unit is not None:
        taken = mine / others / unit
        gain = taken / np.maximum(1 - taken * squares, _LEAST)
    left_sample = sample + (gain * toward)[:, None] * crossed
    left_means = means.diagonal() + gain[:, None] * crossed**2
    left_own = own + gain * toward**2
    # and moves the own mean away from x.
    moved, own_cross = 1 + gain * squares, crossed[places, classes]
    left_sample[places, classes] -= toward * moved / others
    left_means[places, classes] += (squares / others - 2 * own_cross) * moved / others
    known = mine > 1
    size = float(left_own[known].mean() if known.any() else own.mean() if len(own) else 0.0)
    trust = counts / (counts + 1)
    left_trust = np.tile(trust, (len(classes), 1))
    left_trust[places, classes] = others / (others + 1)
    left_out = left_trust * (left_sample - (left_means + size) / 2)
    if size > 0:
        left_out = np.round(left_out / (_RESOLUTION * size)) * (_RESOLUTION * size)
    return Linear(np.diag(trust), -trust * (means.diagonal() + size) / 2, left_out)
