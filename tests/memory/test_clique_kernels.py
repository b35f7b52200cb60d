"""Kernels of the clique memory, called alone."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.memory.clique_kernels import STORE_BATCH, clique_kernels
from tests.memory.cliques import memory_of, network_of
from tests.naive_memory import ones
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


def test_a_single_message_is_counted():
    memory = memory_of((4, 64, 4), [[1, 2, 3, 4]])
    counts = np.empty((1, 2), np.int32)
    clique_kernels(4, 64, 4).count_connections(memory.bits, np.array([[1, 2, 3, 5]], np.int32), False, counts)
    assert counts.tolist() == [[3, 6]]


def test_batches_are_stored_to_their_ends():
    shape = (2, 64, 2)
    stored = messages(0, shape, STORE_BATCH + 6)
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    assert {(u, v) for u, row in enumerate(memory.bits) for v in ones(row)} == network.connections


def test_more_units_than_16_bits_can_number_are_connected():
    units = 2**15 + 64
    bits = np.zeros((2 * units, 2 * units // 64), np.uint64)  # half a gigabyte, of which a few pages are touched
    clique_kernels(2, units, 2).store(bits, np.array([[3, units - 1]], np.int32), 0, 2)
    for unit in (3, 2 * units - 1):
        assert ones(bits[unit]) == [3, 2 * units - 1]
    assert not bits[2 * units - 1 - 2**16].any()
