"""Witnesses in closed form against plain computations, and left-out scores against fits without each example."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.concepts import witnesses
from tests.concepts import oracles
from tests.strategies import seeds

law = settings(max_examples=20, deadline=None)
strengths = st.sampled_from([1e-3, 0.1, 10.0])


def some(seed, counts, d=6, k=0):
    """Examples around the middles of their concepts, the numbers of the concepts, and denied examples."""
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(len(counts)), counts)
    middles = rng.standard_normal((len(counts), d))
    return middles[which] + 0.7 * rng.standard_normal((len(which), d)), which, rng.standard_normal((k, d))


def inner(x, which, denied, strength):
    means = np.stack([x[which == concept].mean(axis=0) for concept in range(which.max() + 1)])
    metric, rows = np.linalg.inv(x.T @ x + strength * np.eye(x.shape[1])), np.concatenate([means, denied])
    own = np.einsum("ij,jk,ik->i", x, metric, x)
    plain = means @ means.T, x @ means.T, (x**2).sum(axis=1)
    return witnesses.Products(rows @ metric @ rows.T, x @ metric @ rows.T, own, *plain), rows @ metric, means


@law
@given(seed=seeds, strength=strengths, k=st.sampled_from([0, 3]), concepts=st.integers(1, 4))
def test_ridge_is_the_plain_ridge(seed, strength, k, concepts):
    x, which, denied = some(seed, range(2, 2 + concepts), k=k)
    products, maps, _ = inner(x, which, denied, strength)
    counts = np.bincount(which).astype(float)
    wanted = np.random.default_rng(seed).standard_normal((k, concepts))
    found = witnesses.ridge(products, counts, which, wanted)
    every, targets = np.concatenate([x, denied]), np.concatenate([np.eye(concepts)[which], wanted])
    ones, centred = np.ones(len(every)), concepts > 1
    weights, offsets = oracles.ridge(every, targets, ones, strength, centred)
    np.testing.assert_allclose(found.coefficients @ maps, weights, atol=1e-7)
    np.testing.assert_allclose(found.offsets, offsets, atol=1e-7)
    left_out = oracles.left_out(every, targets, ones, strength, range(len(x)), centred)
    np.testing.assert_allclose(found.left_out, left_out, atol=1e-6)


def distances(x, which, q, size, strength, unit):
    """Scores of vectors by the means of examples and their scatter within concepts; without scatter for no strength."""
    concepts, d = which.max() + 1, x.shape[1]
    scores = np.full((len(q), concepts), np.nan)
    means = {c: x[which == c].mean(axis=0) for c in range(concepts) if (which == c).any()}
    within = sum(np.outer(row - means[c], row - means[c]) for row, c in zip(x, which, strict=True))
    metric = np.eye(d) if strength is None else unit * np.linalg.inv(within + strength * np.eye(d))
    for c, mean in means.items():
        n = int((which == c).sum())
        scores[:, c] = [-(size(v @ metric @ v) - 2 * v @ metric @ mean + mean @ metric @ mean) / 2 * n / (n + 1)
                        for v in q]  # fmt: skip
    return scores, metric


@law
@given(seed=seeds, strength=st.sampled_from([None, 1e-3, 0.1, 10.0]), counts=st.sampled_from([(2, 3), (4, 2, 9)]))
def test_distances_are_those_of_plain_means_and_scatters(seed, strength, counts):
    x, which, _ = some(seed, counts)
    products, maps, means = inner(x, which, np.empty((0, 6)), strength or 1.0)
    found = (witnesses.nearest_means if strength is None else witnesses.discriminant)(
        products, np.array(counts, float), which
    )
    unit = len(x) - len(counts)
    sizes, left_out = [], []
    for row in range(len(x)):
        others = np.arange(len(x)) != row
        _, metric = distances(x[others], which[others], x[row : row + 1], float, strength, unit)
        sizes.append(x[row] @ metric @ x[row])
    size = float(np.mean(sizes))
    for row in range(len(x)):
        others = np.arange(len(x)) != row
        left_out += distances(x[others], which[others], x[row : row + 1], lambda _: size, strength, unit)[0].tolist()
    expected = distances(x, which, x, lambda _: size, strength, unit)[0]
    rows = means if strength is None else maps
    np.testing.assert_allclose(x @ (found.coefficients @ rows).T + found.offsets, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.left_out, left_out, rtol=1e-4, atol=1e-5)


def test_distances_of_identical_examples_are_no_noise():
    x = np.repeat(np.random.default_rng(0).standard_normal((1, 6)), 9, axis=0)
    which = np.array([0] * 5 + [1] * 4)
    products, _, _ = inner(x, which, np.empty((0, 6)), 1e-6)
    for kind in (witnesses.nearest_means, witnesses.discriminant):
        left_out = kind(products, np.array([5.0, 4.0]), which).left_out
        assert np.ptp(left_out) == pytest.approx(0, abs=1e-12)
