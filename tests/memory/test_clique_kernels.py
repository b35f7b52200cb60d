"""Kernels of the clique memory, called alone."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.memory.clique_kernels import clique_kernels
from tests.memory.cliques import memory_of, network_of
from tests.strategies import SHAPES, messages


@pytest.mark.parametrize("shape", SHAPES)
def test_storing_some_clusters_fills_their_rows_and_no_others(shape):
    """Threads share out clusters, so they never write to the same row."""
    clusters, units, _ = shape
    stored = messages(0, shape, 30).astype(np.int32)
    whole = memory_of(shape, stored)
    for first, last in ((0, 1), (1, clusters), (0, clusters)):
        bits = np.zeros_like(whole.bits)
        clique_kernels(*shape).store(bits, stored, first, last)
        mine = slice(first * units, last * units)
        assert np.array_equal(bits[mine], whole.bits[mine])
        assert bits.any(axis=1).sum() == whole.bits[mine].any(axis=1).sum()


@pytest.mark.parametrize("shape", SHAPES)
def test_counting_stops_at_a_missing_connection_if_asked(shape):
    stored, others = messages(0, shape, 10, symbols=4), messages(1, shape, 10, symbols=5).astype(np.int32)
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    full, stopped = np.empty((2, 10, 2), np.int32)
    count = clique_kernels(*shape).count_connections
    count(memory.bits, others, False, full)
    count(memory.bits, others, True, stopped)
    possible = shape[2] * (shape[2] - 1) // 2
    assert (full[:, 0] / possible).tolist() == pytest.approx([network.familiarity(message) for message in others])
    assert (full[:, 1] == possible).all()
    assert ((stopped[:, 0] == possible) == (full[:, 0] == possible)).all()
    assert (stopped[:, 0] <= full[:, 0]).all()


def test_kernels_of_a_shape_are_made_once():
    assert clique_kernels(4, 64, 4) is clique_kernels(4, 64, 4)
