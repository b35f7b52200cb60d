"""Winner-take-all codes: kernels against plain loops, and the laws of codes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem._numerics.rotation import make_signs
from assocmem.codes import winner_codes
from assocmem.codes.winner_codes import (
    MESSAGE_UNITS,
    CliqueCoder,
    byte_tables,
    kernels_cached,
    pick_signed_winners,
    score_codes,
    unpack_codes,
)
from assocmem.errors import InputError
from tests import naive


def features(seed, n, dim):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def unit_values(coder, query):
    """Return a query's value at every unit."""
    return np.ascontiguousarray(coder.rotate(query)[0, : 16 * coder.clusters])


@pytest.mark.parametrize(("dim", "clusters"), [(5, 8), (100, 8), (128, 16), (300, 8)])
def test_encoding_equals_the_oracle(dim, clusters):
    x = features(dim, 20, dim)
    mean = features(1, 1, dim)[0] * 0.01
    coder = CliqueCoder(dim, clusters=clusters, mean=mean, seed=3)
    rotated = naive.rotate(x, mean, make_signs(coder.width, CliqueCoder.ROUNDS, 3))
    np.testing.assert_allclose(coder.rotate(x), rotated, atol=1e-5)
    np.testing.assert_array_equal(unpack_codes(coder.encode(x)), naive.winners(rotated, clusters))


@pytest.mark.parametrize(("dim", "clusters"), [(5, 8), (100, 16), (300, 24)])
def test_messages_equal_the_oracle(dim, clusters):
    coder = CliqueCoder(dim, clusters=clusters, seed=3)
    x = features(dim, 20, dim)
    rotated = coder.rotate(x).astype(float)
    axes = MESSAGE_UNITS // 2
    expected = []
    for row in rotated:
        parts = [row[axes * c : axes * (c + 1)] for c in range(coder.message_clusters)]
        winners = [int(np.abs(part).argmax()) for part in parts]
        expected.append([2 * w + int(part[w] < 0) for w, part in zip(winners, parts, strict=True)])
    assert coder.messages(x).tolist() == expected


def test_the_first_of_equal_axes_wins():
    coder = CliqueCoder(16, clusters=8)
    zeros = np.zeros((1, 16))
    assert not coder.rotate(zeros).any()
    assert not coder.encode(zeros).any()
    assert not coder.messages(zeros).any()


def test_scores_equal_the_oracle():
    coder = CliqueCoder(50, clusters=16)
    packed = coder.encode(features(0, 33, 50))
    values = unit_values(coder, features(1, 1, 50))
    out = np.empty(33, np.float32)
    score_codes(packed, byte_tables(values), out)
    np.testing.assert_allclose(out, naive.score(unpack_codes(packed), values), atol=1e-5)


def test_rotating_preserves_angles():
    x = features(4, 6, 200)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rotated = CliqueCoder(200).rotate(x)
    np.testing.assert_allclose(rotated @ rotated.T, x @ x.T, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), scale=st.floats(0.01, 1000))
def test_a_code_does_not_depend_on_the_length_of_its_feature(seed, scale):
    coder = CliqueCoder(40, clusters=8)
    x = features(seed, 3, 40)
    same = (unpack_codes(coder.encode(x)) == unpack_codes(coder.encode(x * np.float32(scale)))).mean()
    assert same >= 0.95  # rounding may change a winner where two axes are nearly equal


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.integers(1, 6))
def test_a_code_does_not_depend_on_its_batch(seed, cut):
    coder = CliqueCoder(40, clusters=8)
    x = features(seed, 7, 40)
    parts = np.concatenate([coder.encode(x[:cut]), coder.encode(x[cut:])])
    np.testing.assert_array_equal(coder.encode(x), parts)


def test_codes_are_the_same_on_every_machine_and_version():
    """These bytes are stored in collections: another result is another format."""
    x = np.arange(1, 25, dtype=np.float32)[None, :] ** 2 % 17
    assert CliqueCoder(24, clusters=8, seed=0).encode(x).tobytes().hex() == "1a198e15"
    assert CliqueCoder(24, clusters=8, seed=1).encode(x).tobytes().hex() == "48048667"
    assert CliqueCoder(24, clusters=24, seed=0).messages(x).tolist() == [[64, 47, 229]]


def test_a_long_batch_is_encoded_in_parts():
    coder = CliqueCoder(24, clusters=8)
    x = features(9, 2500, 24)
    np.testing.assert_array_equal(coder.encode(x)[2040:2050], coder.encode(x[2040:2050]))


def test_strided_read_only_and_double_input_is_accepted():
    coder = CliqueCoder(24, clusters=8)
    x = features(2, 6, 24)
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
def test_invalid_features_are_refused(bad, found):
    with pytest.raises(InputError, match=found):
        CliqueCoder(24, clusters=8).encode(bad)


@pytest.mark.parametrize("arguments", [{"dim": 0}, {"dim": 8, "clusters": 12}, {"dim": 8, "clusters": 0}])
def test_invalid_parameters_are_refused(arguments):
    with pytest.raises(InputError, match="expected"):
        CliqueCoder(**arguments)


def test_a_number_alone_has_a_code():
    assert CliqueCoder(1).encode([[2.0], [-2.0]]).shape == (2, 64)


def test_the_greatest_symbol_is_the_last_axis_with_a_minus():
    rotated, symbols = np.zeros((1, MESSAGE_UNITS // 2), np.float32), np.empty((1, 1), np.int32)
    rotated[0, -1] = -1
    pick_signed_winners(rotated, symbols)
    assert symbols.tolist() == [[MESSAGE_UNITS - 1]]
    pick_signed_winners(-rotated, symbols)
    assert symbols.tolist() == [[MESSAGE_UNITS - 2]]


def test_kernels_are_cached_if_each_has_a_file_of_its_name(monkeypatch, tmp_path):
    def kernel(name):
        return SimpleNamespace(
            stats=SimpleNamespace(cache_path=tmp_path), __module__="assocmem.codes.some", __name__=name
        )

    monkeypatch.setattr(winner_codes, "SEARCH_KERNELS", (kernel("one"), kernel("other"), len))  # len is not compiled
    assert not kernels_cached()
    (tmp_path / "some.one-12.py311.nbi").touch()
    (tmp_path / "some.others-12.py311.nbi").touch()
    assert not kernels_cached()
    (tmp_path / "some.other-12.py311.nbi").touch()
    assert kernels_cached()


def test_a_kernel_that_was_called_is_cached():
    coder = CliqueCoder(8, clusters=8)
    x = features(0, 1, 8)
    score_codes(coder.encode(x), byte_tables(unit_values(coder, x)), np.empty(1, np.float32))
    assert kernels_cached()
