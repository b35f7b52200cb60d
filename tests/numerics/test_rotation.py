"""The pseudo-random rotation: the same floats on every machine, and lengths and angles are preserved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics import rotation
from assocmem.errors import InputError
from tests import naive, naive_index
from tests.strategies import law, seeds


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("m", [1, 2, 4, 8, 16, 32, 64, 128, 512])
def test_the_transform_equals_plain_butterflies_bit_for_bit(m):
    a = normal(m, m)
    expected = naive_index.butterfly(a)
    rotation.hadamard(a)
    assert a.tobytes() == np.array(expected, np.float32).tobytes()


@pytest.mark.parametrize("at", [0, 3, 16])
def test_the_short_transform_changes_sixteen_numbers_only(at):
    a = normal(at, 40)
    expected = a.copy()
    expected[at : at + 16] = naive_index.butterfly(a[at : at + 16])
    rotation.transform_short(a, at)
    assert a.tobytes() == expected.tobytes()


@law
@given(seed=seeds, m=st.sampled_from([1, 2, 16, 64]))
def test_transforming_twice_multiplies_by_the_length(seed, m):
    a = np.random.default_rng(seed).integers(-50, 51, m).astype(np.float32)
    twice = a.copy()
    rotation.hadamard(twice)
    rotation.hadamard(twice)
    np.testing.assert_array_equal(twice, m * a)


@pytest.mark.parametrize(("dim", "width"), [(5, 16), (16, 16), (30, 32), (100, 128)])
def test_both_rotations_equal_the_matrix(dim, width):
    x, mean = normal(dim, 6, dim), 0.1 * normal(1, dim)
    x[3] = 0
    signs = rotation.make_signs(width, 3, 5)
    scaled, plain = np.empty((2, 6, width), np.float32)
    rotation.rotate_rows(x, mean, signs, scaled)
    rotation.rotate_differences(x, mean, signs, plain)
    np.testing.assert_allclose(scaled, naive.rotate(x, mean, signs), atol=1e-5)
    matrix, padded = naive.hadamard_matrix(width), np.zeros((6, width))
    padded[:, :dim] = x.astype(np.float64) - mean
    for sign in signs:
        padded = (padded * sign) @ matrix
    np.testing.assert_allclose(plain, padded, atol=1e-4)


@law
@given(seed=seeds)
def test_rotating_preserves_lengths_and_angles(seed):
    x = normal(seed, 5, 50)
    out = np.empty((5, 64), np.float32)
    rotation.rotate_differences(x, np.zeros(50, np.float32), rotation.make_signs(64, 3, seed), out)
    np.testing.assert_allclose(out @ out.T, x @ x.T, atol=1e-3)


def test_signs_of_a_seed_never_change():
    signs = rotation.make_signs(16, 2, 0)
    assert signs.dtype == np.float32
    assert set(np.abs(signs).reshape(-1).tolist()) == {0.25}
    assert "".join("+-"[int(value < 0)] for value in signs[0]) == "+---+++++++-+-+-"
    assert not np.array_equal(signs, rotation.make_signs(16, 2, 1))


@given(st.integers(1, 10**9))
def test_the_next_power_of_two_is_the_least_one_that_is_large_enough(n):
    power = rotation.next_power_of_two(n)
    assert power.bit_count() == 1
    assert power // 2 < n <= power


def test_a_rotation_scales_if_asked_and_subtracts_its_mean():
    x, mean = normal(1, 6, 20), 0.1 * normal(2, 20)
    rotate = rotation.Rotation(20, 32, unit=True, mean=mean, seed=7)
    expected = naive.rotate(x, mean, rotation.make_signs(32, rotation.Rotation.ROUNDS, 7))
    np.testing.assert_allclose(rotate(x), expected, atol=1e-5)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(rotate(unit, unit=False), expected, atol=1e-5)


def test_means_are_checked():
    with pytest.raises(InputError, match=r"mean: expected shape \(n, 24\), found \(23,\)"):
        rotation.Rotation(24, 32, unit=True, mean=np.zeros(23))
    with pytest.raises(InputError, match="mean: expected finite numbers"):
        rotation.Rotation(24, 32, unit=True, mean=np.full(24, np.nan))


def test_unit_rows_have_length_one_and_zeros_stay():
    x = normal(3, 5, 9)
    x[2] = 0
    unit = rotation.unit_rows(x)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), [1, 1, 0, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(unit * np.linalg.norm(x, axis=1, keepdims=True), x, rtol=1e-5)


@pytest.mark.parametrize("n", [1, 4])
def test_inner_products_are_those_of_all_rows(n):
    x, y = normal(4, n, 9), normal(5, 3, 9)
    found = rotation.inner_products(x, y)
    np.testing.assert_allclose(found, [[float(a @ b) for b in y] for a in x.astype(float)], rtol=1e-5)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("dim", [1, 15, 16, 100, 128])
def test_queries_are_centred_and_measured_as_numpy_does_it(dim, unit):
    rng = np.random.default_rng(dim)
    x, mean = (rng.standard_normal((7, dim)) * 30).astype(np.float32), rng.standard_normal(dim).astype(np.float32)
    width = -(-dim // 16) * 16
    out, inverses, halves = np.full((7, width), np.nan, np.float32), np.empty(7, np.float32), np.empty(7, np.float32)
    rotation.centre_queries(x, mean, unit, out, inverses, halves)
    lengths = np.linalg.norm(x.astype(float), axis=1) if unit else np.ones(7)
    centred = x / lengths[:, None] - mean
    np.testing.assert_allclose(inverses, 1 / lengths, rtol=1e-6)
    np.testing.assert_allclose(out[:, :dim], centred, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(out[:, dim:], 0)
    np.testing.assert_allclose(halves, 0.5 * (centred**2).sum(axis=1), rtol=1e-4)


def test_rows_that_are_longer_than_needed_are_rotated_as_if_they_were_not():
    rotate = rotation.Rotation(20, 32, unit=False, seed=3)
    x = np.random.default_rng(0).standard_normal((5, 32)).astype(np.float32)
    np.testing.assert_array_equal(rotate(x), rotate(np.ascontiguousarray(x[:, :20])))
