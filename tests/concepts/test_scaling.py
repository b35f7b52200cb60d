"""Scaling of vectors: what it makes of offsets and wide columns, and that it leaves usual data alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.concepts.scaling import Moments, RunningScaling
from tests.concepts.sample_memories import vectors
from tests.strategies import law, seeds

DIM = 9


def scaling_of(x):
    moments = Moments(x.shape[1])
    moments.add(x)
    return moments.scaling()


@law
@given(seed=seeds, n=st.integers(2, 30))
def test_the_width_is_the_mean_squared_distance_to_an_eighth_of_an_octave(seed, n):
    x = vectors(seed, n, DIM)
    scaling = scaling_of(x)
    shown = scaling(x).astype(np.float64)
    mean = np.mean([((a - b) ** 2).sum() for a in shown for b in shown])
    assert abs(np.log2(scaling.width / mean)) <= 0.126
    assert (4 * np.log2(scaling.width)) % 1 == pytest.approx(0, abs=1e-9)


@law
@given(seed=seeds, offset=st.sampled_from([0, 1e2, -1e4, 1e6]), size=st.sampled_from([1, 1e-15, 1e12]))
def test_vectors_come_near_the_origin_whatever_their_offset_and_size(seed, offset, size):
    x = ((vectors(seed, 40, DIM) + offset) * size).astype(np.float32)
    shown = scaling_of(x)(x)
    assert np.abs(shown).max() < 30
    assert 0.3 < shown.std(axis=0).min() <= shown.std(axis=0).max() < 3


@law
@given(seed=seeds, wide=st.integers(0, DIM - 1))
def test_a_wide_column_is_scaled_to_the_usual_width_and_no_other(seed, wide):
    x = vectors(seed, 200, DIM)
    plain = scaling_of(x)
    x[:, wide] *= 1e4
    scaling = scaling_of(x)
    shown = scaling(x).std(axis=0)
    assert 0.4 < shown[wide] / np.median(shown) < 2.5
    others = np.arange(DIM) != wide
    assert scaling.factors[others].tolist() == plain.factors[others].tolist()


def test_usual_data_are_left_as_they_are():
    scaling = scaling_of(np.abs(vectors(1, 300, DIM)))
    assert not scaling.centre.any()
    assert len(set(scaling.factors.tolist())) == 1


@pytest.mark.parametrize("x", [np.ones((1, DIM)), np.ones((5, DIM)), np.zeros((3, DIM))])
def test_identical_vectors_have_a_width(x):
    assert scaling_of(x.astype(np.float32)).width > 0


@law
@given(seed=seeds)
def test_a_running_scaling_is_that_of_the_vectors_that_are_there(seed):
    """With a column that is wide in some vectors only, so that it is narrowed for a while."""
    x = vectors(seed, 30, DIM)
    x[2:20, 2] *= 1e3
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    running, none = RunningScaling(DIM, directions=True), x[:0]
    running.restart([x[:2]])
    changes = [
        (none, x[2:20], x[:20], True),
        (x[:2], none, x[2:20], True),
        (x[2:20], x[20:], x[20:], False),
        (none, x[:2], x[[*range(2), *range(20, 30)]], False),
    ]
    for left, came, there, narrow in changes:
        running.change(left, came)
        fresh = RunningScaling(DIM, directions=True)
        fresh.restart([there])
        one, other = running.scaling(lambda there=there: [there]), fresh.scaling(lambda there=there: [there])
        assert one.same(other)
        assert (one.narrowing is not None) == narrow
    assert not one.same(None)
