"""Random Fourier features: rounded cosines and sines, inner products near a Gaussian, the same on every machine."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics.rotation import make_signs
from assocmem.concepts.random_features import FREQUENCIES, RandomFourierFeatures, fill_features, squared_length
from tests.concepts import oracles
from tests.strategies import PLAIN, law, seeds

WIDTH = 30.0


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def filled(projections, per_turn):
    out = np.full((len(projections), 2 * projections.shape[1]), 99, np.int8)
    fill_features(projections, np.float32(per_turn), out)
    return out


def similarities(a, b):
    """Inner products in units of the inner product of a feature with itself."""
    return a.astype(np.float64) @ b.astype(np.float64).T / squared_length(a.shape[1])


@law
@given(seed=seeds, per_turn=st.sampled_from([0.02, 0.25, 1.0, 7.5]), w=st.integers(1, 40))
def test_bytes_are_cosines_and_sines_rounded(seed, per_turn, w):
    projections = normal(seed, 3, w)
    found, expected = filled(projections, per_turn), oracles.fourier_features(projections, per_turn)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.51)


def test_bytes_are_exact_at_every_eighth_of_a_turn():
    eighths = np.arange(-24, 25, dtype=np.float32)[None]
    found = filled(eighths, 0.125)
    assert found.tolist() == np.rint(oracles.fourier_features(eighths, 0.125)).astype(int).tolist()
    assert (np.abs(found.astype(int)).max(), found.max(), found.min()) == (127, 127, -127)


@law
@given(seed=seeds, turns=st.integers(-100, 100))
def test_whole_turns_change_nothing(seed, turns):
    part = np.random.default_rng(seed).integers(-512, 513, (2, 10)).astype(np.float32) / 1024
    assert filled(part + np.float32(turns), 1.0).tolist() == filled(part, 1.0).tolist()


@law
@given(seed=seeds)
def test_for_the_opposite_vector_cosines_stay_and_sines_change_sign(seed):
    projections = normal(seed, 2, 20)
    one, other = filled(projections, 1.3), filled(-projections, 1.3)
    assert np.array_equal(one[:, :20], other[:, :20])
    assert np.array_equal(one[:, 20:], -other[:, 20:])


@pytest.mark.parametrize("dim", [3, 16, 20])
def test_projections_are_those_of_the_rotations(dim):
    """The first and the last rotation, by one butterfly after another."""
    x, axes = normal(dim, 1, dim), 16 if dim <= 16 else 32
    found = RandomFourierFeatures(dim, seed=4)(x, WIDTH)[0]
    per_turn = np.sqrt(2 * axes / WIDTH) / (2 * np.pi)
    for number in (0, FREQUENCIES // axes - 1):
        projections = oracles.rotated(x[0], make_signs(axes, 3, 4 + 7919 * (number + 1)), axes)
        expected = oracles.fourier_features([projections], per_turn)[0]
        start = number * axes
        np.testing.assert_allclose(found[start : start + axes], expected[:axes], rtol=0, atol=0.51)
        np.testing.assert_allclose(
            found[FREQUENCIES + start : FREQUENCIES + start + axes], expected[axes:], rtol=0, atol=0.51
        )


@pytest.mark.parametrize("dim", [24] if PLAIN else [8, 24, 300, 2048, 2500])
@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
def test_products_are_near_a_gaussian_of_the_distance(dim, size):
    x = normal(dim, 3 if PLAIN else 8, dim) * np.float32(size * np.sqrt(WIDTH / dim) / 2)
    features = RandomFourierFeatures(dim)(x, WIDTH)
    expected = [[oracles.gaussian(a, b, WIDTH) for b in x] for a in x]
    np.testing.assert_allclose(similarities(features, features), expected, rtol=0, atol=0.08)
    np.testing.assert_allclose(np.diag(similarities(features, features)), 1, atol=0.005)


def test_products_of_sparse_vectors_are_near_a_gaussian():
    x = np.zeros((6, 64), np.float32)
    x[np.arange(5), [0, 1, 5, 33, 63]] = 3
    expected = [[oracles.gaussian(a, b, WIDTH) for b in x] for a in x]
    features = RandomFourierFeatures(64)(x, WIDTH)
    np.testing.assert_allclose(similarities(features, features), expected, rtol=0, atol=0.08)


@law
@given(seed=seeds)
def test_only_the_difference_of_two_vectors_counts(seed):
    x, away = normal(seed, 2, 10), 2 * normal(seed + 1, 1, 10)
    make = RandomFourierFeatures(10, seed)
    near, far = make(x, WIDTH), make(x + away, WIDTH)
    np.testing.assert_allclose(similarities(near[:1], near[1:]), similarities(far[:1], far[1:]), rtol=0, atol=0.005)


@law
@given(seed=seeds, n=st.integers(1, 4))
def test_a_row_has_the_same_bytes_in_any_batch(seed, n):
    x, make = normal(seed, n, 20), RandomFourierFeatures(20)
    together = make(x, WIDTH)
    assert together.shape == (n, 2 * FREQUENCIES)
    assert [make(row[None], WIDTH)[0].tobytes() for row in x] == [row.tobytes() for row in together]


def test_the_seed_chooses_the_directions():
    x = normal(0, 1, 20)
    one, again, other = (RandomFourierFeatures(20, seed)(x, WIDTH) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert (one == other).mean() < 0.1


def test_features_of_a_seed_never_change():
    x = np.arange(-30, 30, dtype=np.float32).reshape(3, 20) / 8
    digest = hashlib.sha256(RandomFourierFeatures(20, seed=3)(x, WIDTH).tobytes()).hexdigest()
    assert digest.startswith("f75992c83457489351f62829ad0eea94")
