"""Random waves: bytes are the cosines and sines they should be, products are a Gaussian, for ever the same."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics.rotation import make_signs
from assocmem.concepts.random_features import TOP, WAVES, RandomWaves, fill_waves
from tests import naive_concepts
from tests.strategies import PLAIN, law, seeds

WIDTH = 30.0


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def filled(projections, per_turn):
    out = np.full((len(projections), 2 * projections.shape[1]), 99, np.int8)
    fill_waves(projections, np.float32(per_turn), out)
    return out


def likeness(a, b):
    """Inner products, as shares of what a feature's own should be."""
    return a.astype(np.float64) @ b.astype(np.float64).T / (TOP**2 * WAVES)


@law
@given(seed=seeds, per_turn=st.sampled_from([0.02, 0.25, 1.0, 7.5]), w=st.integers(1, 40))
def test_bytes_are_cosines_and_sines_rounded(seed, per_turn, w):
    projections = normal(seed, 3, w)
    found, expected = filled(projections, per_turn), naive_concepts.waves(projections, per_turn)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.51)


def test_bytes_are_right_at_every_eighth_of_a_turn():
    eighths = np.arange(-24, 25, dtype=np.float32)[None]
    found = filled(eighths, 0.125)
    assert found.tolist() == np.rint(naive_concepts.waves(eighths, 0.125)).astype(int).tolist()
    assert (np.abs(found.astype(int)).max(), found.max(), found.min()) == (127, 127, -127)


@law
@given(seed=seeds, turns=st.integers(-100, 100))
def test_whole_turns_do_not_matter(seed, turns):
    part = np.random.default_rng(seed).integers(-512, 513, (2, 10)).astype(np.float32) / 1024
    assert filled(part + np.float32(turns), 1.0).tolist() == filled(part, 1.0).tolist()


@law
@given(seed=seeds)
def test_the_other_way_round_cosines_stay_and_sines_turn(seed):
    projections = normal(seed, 2, 20)
    one, other = filled(projections, 1.3), filled(-projections, 1.3)
    assert np.array_equal(one[:, :20], other[:, :20])
    assert np.array_equal(one[:, 20:], -other[:, 20:])


@pytest.mark.parametrize("dim", [3, 16, 20])
def test_waves_run_along_the_directions_of_the_rotation(dim):
    """The first and the last turn, by one butterfly after another."""
    x, axes = normal(dim, 1, dim), 16 if dim <= 16 else 32
    found = RandomWaves(dim, seed=4)(x, WIDTH)[0]
    per_turn = np.sqrt(2 * axes / WIDTH) / (2 * np.pi)
    for turn in (0, WAVES // axes - 1):
        projections = naive_concepts.turned(x[0], make_signs(axes, 3, 4 + 7919 * (turn + 1)), axes)
        expected = naive_concepts.waves([projections], per_turn)[0]
        start = turn * axes
        np.testing.assert_allclose(found[start : start + axes], expected[:axes], rtol=0, atol=0.51)
        np.testing.assert_allclose(found[WAVES + start : WAVES + start + axes], expected[axes:], rtol=0, atol=0.51)


@pytest.mark.parametrize("dim", [24] if PLAIN else [8, 24, 300, 2048, 2500])
@pytest.mark.parametrize("size", [0.3, 1.0, 3.0])
def test_products_are_about_a_gaussian_of_the_distance(dim, size):
    x = normal(dim, 3 if PLAIN else 8, dim) * np.float32(size * np.sqrt(WIDTH / dim) / 2)
    features = RandomWaves(dim)(x, WIDTH)
    expected = [[naive_concepts.gaussian(a, b, WIDTH) for b in x] for a in x]
    np.testing.assert_allclose(likeness(features, features), expected, rtol=0, atol=0.08)
    np.testing.assert_allclose(np.diag(likeness(features, features)), 1, atol=0.005)


def test_products_of_sparse_vectors_too():
    x = np.zeros((6, 64), np.float32)
    x[np.arange(5), [0, 1, 5, 33, 63]] = 3
    expected = [[naive_concepts.gaussian(a, b, WIDTH) for b in x] for a in x]
    features = RandomWaves(64)(x, WIDTH)
    np.testing.assert_allclose(likeness(features, features), expected, rtol=0, atol=0.08)


@law
@given(seed=seeds)
def test_only_the_difference_counts(seed):
    x, away = normal(seed, 2, 10), 2 * normal(seed + 1, 1, 10)
    make = RandomWaves(10, seed)
    near, far = make(x, WIDTH), make(x + away, WIDTH)
    np.testing.assert_allclose(likeness(near[:1], near[1:]), likeness(far[:1], far[1:]), rtol=0, atol=0.005)


@law
@given(seed=seeds, n=st.integers(1, 4))
def test_a_row_has_the_same_bytes_in_any_company(seed, n):
    x, make = normal(seed, n, 20), RandomWaves(20)
    together = make(x, WIDTH)
    assert together.shape == (n, RandomWaves.SIZE)
    assert [make(row[None], WIDTH)[0].tobytes() for row in x] == [row.tobytes() for row in together]


def test_the_seed_chooses_the_directions():
    x = normal(0, 1, 20)
    one, again, other = (RandomWaves(20, seed)(x, WIDTH) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert (one == other).mean() < 0.1


def test_waves_are_those_of_the_seed_for_ever():
    x = np.arange(-30, 30, dtype=np.float32).reshape(3, 20) / 8
    digest = hashlib.sha256(RandomWaves(20, seed=3)(x, WIDTH).tobytes()).hexdigest()
    assert digest.startswith("f75992c83457489351f62829ad0eea94")
