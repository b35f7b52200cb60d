"""The clique memory against an oracle of sets and loops, and its laws."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.memory.clique import CliqueMemory
from tests.naive_memory import Network, ones
from tests.strategies import PLAIN, SHAPES, cues, law, messages, seeds, shapes


def memory_of(shape, *batches):
    memory = CliqueMemory(shape[0], shape[1], active=shape[2])
    for batch in batches:
        memory.store(batch)
    return memory


def network_of(shape, stored):
    network = Network(*shape)
    network.store(stored)
    return network


def ties(memory):
    return {(u, v) for u, row in enumerate(memory.bits) for v in ones(row)}


# storing


@law
@given(shape=shapes, seed=seeds, n=st.integers(0, 12))
def test_what_is_stored_is_what_the_oracle_stores(shape, seed, n):
    stored = messages(seed, shape, n)
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    assert ties(memory) == network.ties
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
        for _ in range(20):  # a lost bit would be lost by chance
            memory = CliqueMemory(shape[0], shape[1], active=shape[2])
            memory.store(stored, threads=threads)
            assert memory == one


@pytest.mark.parametrize("shape", SHAPES)
def test_threads_never_write_to_one_row(shape):
    """Each part of the clusters, stored alone, fills those clusters' rows and no others."""
    clusters, units, _ = shape
    stored = messages(0, shape, 30).astype(np.int32)
    whole = memory_of(shape, stored)
    for first, last in ((0, 1), (1, clusters), (0, clusters)):
        part = CliqueMemory(shape[0], shape[1], active=shape[2])
        part._kernels.store(part.bits, stored, first, last)
        mine = slice(first * units, last * units)
        assert np.array_equal(part.bits[mine], whole.bits[mine])
        assert part.bits.any(axis=1).sum() == whole.bits[mine].any(axis=1).sum()


# recognising


@law
@given(shape=shapes, seed=seeds)
def test_what_was_stored_is_familiar_and_so_are_its_parts(shape, seed):
    stored = messages(seed, shape, 15)
    memory = memory_of(shape, stored)
    parts = stored.copy()
    parts[np.arange(15), np.argmax(parts >= 0, axis=1)] = -1
    for familiar in (stored, parts):
        assert memory.familiar(familiar).all()
        assert (memory.familiarity(familiar) == 1).all()


@law
@given(shape=shapes, seed=seeds)
def test_familiarity_is_the_share_of_the_oracles_connections(shape, seed):
    stored, others = messages(seed, shape, 10, symbols=4), messages(seed + 1, shape, 10, symbols=5)
    lone = np.full_like(others[:5], -1)
    lone[:, 0] = np.arange(5)
    asked = np.concatenate([stored, others, lone])
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    expected = [network.familiarity(message) for message in asked]
    np.testing.assert_allclose(memory.familiarity(asked), expected, atol=1e-12)
    assert memory.familiar(asked).tolist() == [share == 1 for share in expected]


# recalling


@settings(law, max_examples=10 if PLAIN else 120)
@given(
    shape=shapes,
    seed=seeds,
    n=st.sampled_from([1, 8, 30, 120]),
    rule=st.sampled_from(["sum-of-max", "sum-of-sum", "gwsta"]),
    erased=st.integers(0, 3),
    wrong=st.integers(0, 2),
    guided=st.booleans(),
    rounds=st.sampled_from([1, 2, 3, None]),
)
def test_recall_is_that_of_the_oracle(shape, seed, n, rule, erased, wrong, guided, rounds):
    stored = messages(seed, shape, n, symbols=12)
    memory, network = memory_of(shape, stored), network_of(shape, stored)
    asked = cues(seed, shape, stored[:3], erased=erased, wrong=wrong, guided=guided)
    answer = memory.recall(asked, rule=rule, iterations=rounds, guided=guided, candidates=True)
    for i, cue in enumerate(asked.tolist()):
        message, exact, last, left = network.recall(cue, rule, rounds or 100, guided)
        assert answer.messages[i].tolist() == message
        assert answer.exact[i] == exact
        assert answer.iterations[i] == last
        assert set(np.flatnonzero(answer.candidates[i].reshape(-1))) == left


@law
@given(shape=shapes, seed=seeds, rule=st.sampled_from(["sum-of-max", "sum-of-sum", "gwsta"]), guided=st.booleans())
def test_a_complete_stored_message_is_recalled(shape, seed, rule, guided):
    stored = messages(seed, shape, 4)
    answer = memory_of(shape, stored).recall(stored, rule=rule, guided=guided)
    assert np.array_equal(answer.messages, stored)
    assert answer.exact.all()


@pytest.mark.skipif(PLAIN, reason="batches that are worth threads")
@pytest.mark.parametrize("rule", ["sum-of-max", "sum-of-sum", "gwsta"])
@pytest.mark.parametrize("shape", [(4, 64, 4), (6, 20, 3)])
def test_any_number_of_threads_recalls_the_same(shape, rule):
    stored = messages(1, shape, 300)
    memory = memory_of(shape, stored)
    asked = cues(1, shape, np.resize(stored, (6000, shape[0])), erased=1, wrong=1)
    one = memory.recall(asked, rule=rule, candidates=True, threads=1)
    for threads in (2, 3):
        more = memory.recall(asked, rule=rule, candidates=True, threads=threads)
        for name in ("messages", "exact", "iterations", "candidates"):
            assert np.array_equal(getattr(one, name), getattr(more, name))


def test_wrong_symbols_are_corrected():
    shape = (8, 256, 8)
    stored = messages(2, shape, 20 if PLAIN else 500)
    memory = memory_of(shape, stored)
    asked = cues(3, shape, stored, erased=1, wrong=2)
    assert not memory.familiar(asked).any()
    for rule in ("sum-of-max", "sum-of-sum"):
        answer = memory.recall(asked, rule=rule)
        assert (answer.messages == stored).all(axis=1).mean() > 0.99


def test_exact_answers_are_cliques_and_ambiguous_ones_name_their_candidates():
    memory = CliqueMemory(3, 4)
    memory.store([[0, 0, 0], [0, 0, 1], [1, 1, 1]])
    answer = memory.recall([[0, 0, -1], [-1, 1, -1], [0, 1, -1], [-1, -1, -1]], candidates=True)
    assert answer.messages[0].tolist() == [0, 0, -1]
    assert answer.candidates[0, 2].tolist() == [True, True, False, False]
    assert answer.messages[1].tolist() == [1, 1, 1]
    assert answer.exact.tolist() == [False, True, False, False]
    assert answer.messages[3].tolist() == [-1, -1, -1]
    assert memory.recall([[0, 0, -1]]).candidates is None


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


def test_a_pickled_memory_is_the_same():
    memory = memory_of((5, 64, 3), messages(0, (5, 64, 3), 20))
    again = pickle.loads(pickle.dumps(memory))
    assert again == memory
    again.store(messages(1, (5, 64, 3), 5))
    assert again != memory
