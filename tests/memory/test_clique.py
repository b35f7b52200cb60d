"""The clique memory: storing and recognising, against an oracle of sets and loops, and its laws."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.memory.clique import CliqueMemory
from tests.memory.cliques import memory_of, network_of
from tests.naive_memory import ones
from tests.strategies import PLAIN, SHAPES, law, messages, seeds, shapes


def connections(memory):
    """Return the pairs (u, v) of connected units."""
    return {(u, v) for u, row in enumerate(memory.bits) for v in ones(row)}


# Storing


@law
@given(shape=shapes, seed=seeds, n=st.integers(0, 12))
def test_storing_sets_the_bits_of_the_oracle(shape, seed, n):
    stored = messages(seed, shape, n)
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    assert connections(memory) == network.connections
    assert memory.density == pytest.approx(network.density(), abs=1e-12)


@law
@given(shape=shapes, seed=seeds)
def test_the_order_of_storing_does_not_matter(shape, seed):
    stored = messages(seed, shape, 20)
    shuffled = np.random.default_rng(seed).permutation(stored)
    assert memory_of(shape, stored) == memory_of(shape, *np.split(shuffled, [3, 11]))


@law
@given(shape=shapes, seed=seeds)
def test_storing_twice_is_storing_once(shape, seed):
    stored = messages(seed, shape, 15)
    assert memory_of(shape, stored, stored) == memory_of(shape, stored)


@law
@given(shape=shapes, seed=seeds)
def test_adding_never_clears_a_bit(shape, seed):
    memory = memory_of(shape, messages(seed, shape, 15))
    before = memory.bits.copy()
    memory.store(messages(seed + 1, shape, 15))
    assert np.array_equal(memory.bits & before, before)


@law
@given(shape=shapes, seed=seeds)
def test_merging_is_commutative_associative_idempotent_and_equals_storing_all(shape, seed):
    parts = [messages(seed + i, shape, 8) for i in range(3)]
    a, b, c = (memory_of(shape, part) for part in parts)
    ab = memory_of(shape, parts[0])
    ab |= b
    ba = memory_of(shape, parts[1])
    ba |= a
    assert ab == ba == memory_of(shape, *parts[:2])
    bc = memory_of(shape, parts[1])
    bc |= c
    ab.merge(c)
    a.merge(bc)
    assert ab == a == memory_of(shape, *parts)
    a.merge(ab)
    assert a == ab


@law
@given(shape=shapes, seed=seeds, n=st.integers(0, 12), of=st.integers(0, 40))
def test_forgetting_equals_never_having_stored(shape, seed, n, of):
    # Few symbols, so that what is forgotten shares connections with what is kept.
    stored = np.unique(messages(seed, shape, n + of, symbols=4), axis=0)
    gone, kept = stored[:n], stored[n:]
    memory = memory_of(shape, stored)
    memory.forget(gone, kept)
    assert memory == memory_of(shape, kept)


@pytest.mark.skipif(PLAIN, reason="batches that are worth threads")
@pytest.mark.parametrize("shape", [(4, 64, 4), (5, 64, 3)])
def test_any_number_of_threads_stores_the_same_bits(shape):
    stored = messages(0, shape, 5000)
    one = CliqueMemory(shape[0], shape[1], active=shape[2])
    one.store(stored, threads=1)
    for threads in (2, 3, 7):
        for _ in range(20):  # a bit is lost only by chance
            memory = CliqueMemory(shape[0], shape[1], active=shape[2])
            memory.store(stored, threads=threads)
            assert memory == one


@pytest.mark.skipif(PLAIN, reason="batches that are worth threads")
@pytest.mark.parametrize("shape", [(2, 64, 2), (3, 65, 2)])
def test_more_threads_than_clusters_store_the_same_bits(shape):
    stored = messages(0, shape, 5000)
    one, many = memory_of(shape), memory_of(shape)
    one.store(stored, threads=1)
    many.store(stored, threads=64)
    assert many == one


# Recognising


@law
@given(shape=shapes, seed=seeds)
def test_stored_messages_and_their_parts_are_familiar(shape, seed):
    stored = messages(seed, shape, 15)
    memory = memory_of(shape, stored)
    parts = stored.copy()
    parts[np.arange(15), np.argmax(parts >= 0, axis=1)] = -1
    for familiar in (stored, parts):
        assert memory.familiar(familiar).all()
        assert (memory.familiarity(familiar) == 1).all()


@law
@given(shape=shapes, seed=seeds)
def test_familiarity_is_the_share_of_connections_in_the_oracle(shape, seed):
    stored, others = messages(seed, shape, 10, symbols=4), messages(seed + 1, shape, 10, symbols=5)
    lone = np.full_like(others[:9], -1)
    lone[:5, 0] = np.arange(5)
    lone[5:, -1] = np.arange(4)
    asked = np.concatenate([stored, others, lone])
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    expected = [network.familiarity(message) for message in asked]
    np.testing.assert_allclose(memory.familiarity(asked), expected, atol=1e-12)
    assert memory.familiar(asked).tolist() == [share == 1 for share in expected]


# Size and threads


@pytest.mark.parametrize("shape", SHAPES)
def test_a_memory_takes_its_bits_and_no_more(shape):
    memory = CliqueMemory(shape[0], shape[1], active=shape[2])
    n = shape[0] * shape[1]
    assert memory.nbytes == n * -(-n // 64) * 8
    assert CliqueMemory(20, 64).nbytes == (20 * 64) ** 2 // 8
    assert CliqueMemory(13, 100).nbytes < 1.05 * 1300**2 / 8


@pytest.mark.skipif(PLAIN, reason="batches that take a while")
def test_threads_that_store_into_one_memory_lose_nothing():
    parts = [messages(seed, (4, 64, 4), 3000) for seed in range(4)]
    expected = memory_of((4, 64, 4), *parts)
    for _ in range(20):
        memory = CliqueMemory(4, 64)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(memory.store, parts))
        assert memory == expected
