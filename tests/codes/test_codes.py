"""Codes: every kernel against its oracle, and the laws a code must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem._numerics import rotation
from assocmem.codes import winner_codes as codes
from assocmem.errors import InputError
from tests import naive


def _features(seed, n, dim):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.mark.parametrize("m", [8, 16, 64, 256])
def test_hadamard_equals_the_matrix(m):
    a = _features(m, 1, m)[0]
    expected = naive.hadamard_matrix(m) @ a.astype(np.float64)
    rotation.hadamard(a)
    np.testing.assert_allclose(a, expected, atol=1e-4)


@pytest.mark.parametrize(("dim", "clusters"), [(5, 8), (100, 8), (128, 16), (300, 8)])
def test_encoding_equals_the_oracle(dim, clusters):
    x = _features(dim, 20, dim)
    mean = _features(1, 1, dim)[0] * 0.01
    coder = codes.CliqueCoder(dim, clusters=clusters, mean=mean, seed=3)
    rotated = naive.rotate(x, mean, coder._signs)
    np.testing.assert_allclose(coder.rotate(x), rotated, atol=1e-5)
    np.testing.assert_array_equal(codes.unpack(coder.encode(x)), naive.winners(rotated, clusters))


def test_scores_equal_the_oracle():
    coder = codes.CliqueCoder(50, clusters=16)
    packed = coder.encode(_features(0, 33, 50))
    values = coder.unit_values(_features(1, 1, 50))
    out = np.empty(33, np.float32)
    codes.score_codes(packed, codes.byte_tables(values), out)
    np.testing.assert_allclose(out, naive.score(codes.unpack(packed), values), atol=1e-5)


def test_rotation_keeps_angles():
    """Rotating is isometric: inner products of unit vectors survive it."""
    x = _features(4, 6, 200)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rotated = codes.CliqueCoder(200).rotate(x)
    np.testing.assert_allclose(rotated @ rotated.T, x @ x.T, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), scale=st.floats(0.01, 1000))
def test_a_code_ignores_the_length_of_its_feature(seed, scale):
    coder = codes.CliqueCoder(40, clusters=8)
    x = _features(seed, 3, 40)
    same = (codes.unpack(coder.encode(x)) == codes.unpack(coder.encode(x * np.float32(scale)))).mean()
    assert same >= 0.95  # rounding may move a winner where two axes all but tie


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.integers(1, 6))
def test_a_code_does_not_depend_on_its_batch(seed, cut):
    coder = codes.CliqueCoder(40, clusters=8)
    x = _features(seed, 7, 40)
    parts = np.concatenate([coder.encode(x[:cut]), coder.encode(x[cut:])])
    np.testing.assert_array_equal(coder.encode(x), parts)


def test_codes_are_the_same_on_every_machine_and_version():
    """These bytes are on people's disks: a change here is a change of the collection format."""
    x = np.arange(1, 25, dtype=np.float32)[None, :] ** 2 % 17
    assert codes.CliqueCoder(24, clusters=8, seed=0).encode(x).tobytes().hex() == "1a198e15"
    assert codes.CliqueCoder(24, clusters=8, seed=1).encode(x).tobytes().hex() == "48048667"


def test_a_long_batch_is_encoded_in_parts():
    coder = codes.CliqueCoder(24, clusters=8)
    x = _features(9, 2500, 24)
    np.testing.assert_array_equal(coder.encode(x)[2040:2050], coder.encode(x[2040:2050]))


def test_strided_read_only_and_double_input_are_welcome():
    coder = codes.CliqueCoder(24, clusters=8)
    x = _features(2, 6, 24)
    expected = coder.encode(x)
    wide = np.zeros((6, 48), np.float64)
    wide[:, ::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(coder.encode(wide[:, ::2]), expected)
    np.testing.assert_array_equal(coder.encode(frozen), expected)


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (np.zeros((2, 23)), r"expected shape \(n, 24\), found \(2, 23\)"),
        (np.full((1, 24), np.nan), "NaN or infinity"),
        (np.zeros((1, 24), complex), "found dtype complex128"),
        (np.zeros((1, 1, 24)), "expected shape"),
    ],
)
def test_bad_features_are_named(bad, found):
    with pytest.raises(InputError, match=found):
        codes.CliqueCoder(24, clusters=8).encode(bad)


@pytest.mark.parametrize("arguments", [{"dim": 0}, {"dim": 8, "clusters": 12}, {"dim": 8, "clusters": 0}])
def test_bad_parameters_are_named(arguments):
    with pytest.raises(InputError, match="expected"):
        codes.CliqueCoder(**arguments)
