"""The memory that tells what was seen: kernels against plain loops, the laws it keeps, and what is predicted of it."""

from __future__ import annotations

import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.alarms import FLOOR, KEPT, build, by_chance
from assocmem.errors import DamagedError, InputError, MismatchError
from assocmem.seen import BITS_PER_TIE, SCALE, SeenMemory, units_for
from assocmem.symbols import AXES, SYMBOLS, MessageCoder
from assocmem.ties import heaviest, most_shared, pair_clusters
from tests.naive import rotate


def draw(n, seed=0, clusters=16, symbols=SYMBOLS):
    return np.random.default_rng(seed).integers(0, symbols, (n, clusters)).astype(np.uint16)


def naive_ties(messages, units):
    """All tied pairs ((cluster, unit), (cluster, unit)), both ways round."""
    ties = set()
    for message in messages:
        own = [(c, int(s) * units // SYMBOLS) for c, s in enumerate(message)]
        ties |= {(a, b) for a in own for b in own if a != b}
    return ties


def naive_evidence(memory, messages, cues):
    """The heaviest clique by trying every subset of clusters; weights by counting ties."""
    ties, pairs = naive_ties(messages, memory.units), pair_clusters(memory.clusters).tolist()
    lines = [[b for a, b in pairs if a == c] for c in range(memory.clusters)]

    def popularity(cluster, unit):
        found = sum(((cluster, unit), (b, u)) in ties for b in lines[cluster] for u in range(memory.units))
        return -math.log1p(-found / (len(lines[cluster]) * memory.units))

    every = [popularity(c, u) for c in range(memory.clusters) for u in range(memory.units)]
    mean = sum(every) / len(every)

    def weight(a, b):
        level = sum(round(8 * math.log2(popularity(*unit))) for unit in (a, b))
        chance = -math.expm1(-(2 ** (level / 8)) / mean)
        return round(SCALE * min(BITS_PER_TIE, -math.log2(chance)))

    out = []
    for cue in cues:
        own = [(c, int(s) * memory.units // SYMBOLS) for c, s in enumerate(cue)]
        best = 0
        for size in range(2, len(own) + 1):
            for chosen in itertools.combinations(own, size):
                edges = list(itertools.combinations(chosen, 2))
                if all(edge in ties for edge in edges):
                    best = max(best, sum(weight(*edge) for edge in edges))
        out.append(best / SCALE)
    return out


# kernels and oracles


@pytest.mark.parametrize("clusters", [2, 3, 4, 5, 16, 17])
def test_every_two_clusters_are_one_pair_and_rows_are_shared_out_evenly(clusters):
    pairs = pair_clusters(clusters)
    assert {frozenset(pair) for pair in pairs.tolist()} == set(
        map(frozenset, itertools.combinations(range(clusters), 2))
    )
    assert len(pairs) == clusters * (clusters - 1) // 2
    rows = np.bincount(pairs[:, 0], minlength=clusters)
    assert rows.max() - rows.min() <= 1


@given(st.integers(2, 8), st.floats(0, 1), st.integers(0, 40), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_heaviest_clique_is_the_best_of_all_subsets(c, density, least, seed):
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((c, c)) < density, 1)
    weights = np.triu(rng.integers(0, 12, (c, c)), 1) * upper
    upper, weights = upper | upper.T, (weights + weights.T).astype(np.int32)
    tied = np.array([sum(1 << b for b in range(c) if upper[a, b]) for a in range(c)], np.uint64)
    best = 0
    for size in range(2, c + 1):
        for chosen in itertools.combinations(range(c), size):
            edges = list(itertools.combinations(chosen, 2))
            if all(upper[edge] for edge in edges):
                best = max(best, int(sum(weights[edge] for edge in edges)))
    found = heaviest(tied, weights, max(1, least), np.zeros((c + 1, 5), np.int64))
    assert found == (best if best >= max(1, least) else 0)


@pytest.mark.parametrize("clusters", [3, 6])
def test_evidence_is_that_of_plain_loops(clusters):
    memory, messages = SeenMemory(64, clusters=clusters), draw(60, clusters=clusters, symbols=900)
    memory.store(messages)
    cues = np.concatenate([messages[:5], draw(20, seed=1, clusters=clusters, symbols=900)])
    assert memory.evidence(cues).tolist() == naive_evidence(memory, messages, cues)
    ties = naive_ties(messages, 64)
    assert int(sum(memory.pair_densities) * 64**2 + 0.5) == len(ties) // 2
    assert memory.density == pytest.approx(memory.pair_densities.mean())


def test_most_shared_symbols_are_counted():
    messages, cues = draw(50, symbols=3), draw(8, seed=1, symbols=3)
    skip = np.array([-1, 0, 1, 2, 3, 4, 5, 6])
    out = np.empty(8, np.int64)
    most_shared(messages, cues, skip, out)
    for cue, without, found in zip(cues, skip, out, strict=True):
        assert found == max((messages[i] == cue).sum() for i in range(50) if i != without)
    most_shared(messages[:0], cues, skip, out)
    assert not out.any()


def test_messages_are_the_longest_axes_of_one_more_round_each():
    coder = MessageCoder(20, clusters=3, mean=np.full(20, 0.01, np.float32), seed=4)
    features = np.random.default_rng(0).normal(size=(6, 20)).astype(np.float32)
    raw = np.random.PCG64(4).random_raw(5 * AXES) >> np.uint64(63)
    signs = (np.where(raw, 1, -1) / np.sqrt(AXES)).reshape(5, AXES)
    expected = []
    for rounds in (3, 4, 5):
        rotated = np.array(rotate(features, coder.mean, signs[:rounds]))
        axes = np.abs(rotated).argmax(axis=1)
        expected.append(2 * axes + (rotated[np.arange(6), axes] < 0))
    assert np.array_equal(coder.messages(features), np.array(expected).T)
    assert np.array_equal(MessageCoder(20, mean=coder.mean, seed=4).messages(features)[:, :3], coder.messages(features))
    with pytest.raises(InputError, match="finite"):
        coder.messages(np.full((1, 20), np.nan))


# laws


def test_what_was_stored_is_seen_however_full_the_memory_is():
    memory, messages = SeenMemory(64), draw(60_000)
    memory.store(messages)
    assert memory.density > 0.99
    assert memory.seen(messages[::100], threshold=1e6).all()
    assert SeenMemory(64).seen(messages[:5], 1).tolist() == [False] * 5


@given(st.permutations(range(30)), st.integers(0, 30))
@settings(max_examples=20, deadline=None)
def test_order_repetition_and_merging_do_not_matter(order, cut):
    messages, whole = draw(30), SeenMemory(64)
    whole.store(messages)
    parts = [SeenMemory(64), SeenMemory(64)]
    for part, rows in zip(parts, (order[:cut], order[max(0, cut - 5) :]), strict=True):
        for row in rows:
            part.store(messages[[row]])
    parts[0] |= parts[1]
    assert parts[0] == whole
    cues = draw(30, seed=1)
    cues[:, :9] = messages[:, :9]
    assert np.array_equal(parts[0].evidence(cues), whole.evidence(cues))


def test_storing_one_by_one_weighs_as_storing_at_once():
    messages, whole, part = draw(300), SeenMemory(64), SeenMemory(64)
    whole.store(messages)
    for start in range(0, 300, 50):
        part.store(messages[start : start + 50])
        part.evidence(messages[:3])
    assert np.array_equal(part.evidence(draw(100, seed=1)), whole.evidence(draw(100, seed=1)))


def test_evidence_below_the_least_is_none():
    memory = SeenMemory(64)
    memory.store(draw(1000))
    cues = draw(500, seed=1)
    whole, cut = memory.evidence(cues), memory.evidence(cues, least=8)
    assert np.array_equal(np.where(whole >= 8, whole, 0), cut)
    assert 0 < (cut > 0).sum() < 500


def test_half_of_a_message_among_wrong_symbols_is_seen():
    messages = draw(5_000)
    memory, judgement = build(messages)
    cues = draw(500, seed=1)
    assert memory.seen(cues, judgement.threshold).mean() < 0.02
    cues[:, ::2] = messages[:500, ::2]
    assert memory.seen(cues, judgement.threshold).mean() > 0.99


@pytest.mark.parametrize("mmap", [False, True])
def test_a_memory_comes_back_from_its_file(tmp_path, mmap):
    memory, cues = SeenMemory(128), draw(50, seed=1)
    memory.store(draw(500))
    memory.save(tmp_path / "seen.h5")
    again = SeenMemory.load(tmp_path / "seen.h5", mmap=mmap)
    assert again == memory
    assert again.units == 128
    assert np.array_equal(again.evidence(cues), memory.evidence(cues))
    assert pickle.loads(pickle.dumps(memory)) == memory
    if mmap:
        with pytest.raises(InputError, match="mapped"):
            again.store(cues)


def test_another_kind_of_file_is_refused(tmp_path):
    from assocmem.clique import CliqueMemory

    CliqueMemory(4, 64).save(tmp_path / "clique.h5")
    with pytest.raises(MismatchError, match="expected a seen memory"):
        SeenMemory.load(tmp_path / "clique.h5")
    (tmp_path / "none.h5").write_bytes(b"nothing")
    with pytest.raises(DamagedError):
        SeenMemory.load(tmp_path / "none.h5")


@pytest.mark.parametrize("units", [0, 63, 65, 4160, 1.5, "64"])
def test_impossible_sizes_are_refused(units):
    with pytest.raises(InputError, match="units"):
        SeenMemory(units)


@pytest.mark.parametrize(
    "messages", [np.zeros((2, 15), int), np.zeros(16, int), np.zeros((1, 16)), np.full((1, 16), 4096), [[-1] * 16]]
)
def test_bad_messages_are_refused_and_nothing_is_stored(messages):
    memory = SeenMemory(64)
    for act in (memory.store, memory.evidence):
        with pytest.raises(InputError, match="messages: expected"):
            act(messages)
    assert memory.density == 0


# what is said of it


@pytest.mark.parametrize("n", [0, 1, 1000, 60_000, 10_000_000])
def test_a_planned_memory_takes_the_bytes_that_were_planned(n):
    units = units_for(n)
    assert units % 64 == 0
    assert 64 <= units <= SYMBOLS
    if 5_000 < n < 6_000_000:
        assert 15 * units**2 / n == pytest.approx(40, rel=0.4)


def test_random_messages_alarm_and_miss_as_theory_predicts():
    messages = draw(20_000)
    memory, judgement = build(messages, units=192)
    cues = draw(20_000, seed=1)
    assert memory.density == pytest.approx(1 - math.exp(-20_000 / 192**2), abs=0.01)
    evidence = memory.evidence(cues)
    rng = np.random.default_rng(2)
    for bits in (8, 11, judgement.threshold):
        measured = (evidence >= bits).mean()
        predicted = (by_chance(memory, messages, rng, count=20_000) >= bits).mean()
        assert predicted == pytest.approx(measured, rel=0.2, abs=0.002)
    assert judgement.alike < 0.01
    for predicted, measured in zip(judgement.theory_miss, judgement.measured_miss, strict=True):
        assert predicted == pytest.approx(measured, abs=0.05)
    assert judgement.measured_miss[KEPT.index(10)] < 0.01


def test_the_threshold_keeps_the_wanted_rate():
    messages = draw(20_000)
    for wanted in (0.1, 0.01, 0.002):
        memory, judgement = build(messages, wanted=wanted, units=128)
        alarms = memory.seen(draw(20_000, seed=1), judgement.threshold).mean()
        assert 0.3 * wanted < alarms < 1.8 * wanted


def test_items_that_resemble_each_other_raise_the_threshold_and_are_told_apart():
    rng = np.random.default_rng(0)
    scenes = draw(400)
    kept = rng.random((8_000, 16)) < 0.15  # two or three symbols of the scene, which others have too
    messages = np.where(kept, scenes[rng.integers(0, 400, 8_000)], draw(8_000, seed=2))
    _, plain = build(draw(8_000))
    _, crowd = build(messages)
    assert crowd.threshold >= plain.threshold
    assert crowd.held_false < 0.05
    twins = np.repeat(draw(2_000), 2, axis=0)
    assert build(twins)[1].alike == 1
    assert build(twins)[1].held_false is None


@pytest.mark.parametrize("n", [0, 1, 9, 30])
def test_few_items_are_judged_by_theory(n):
    memory, judgement = build(draw(n))
    assert FLOOR <= judgement.threshold <= FLOOR * 1.5
    assert judgement.items == n
    assert memory.seen(draw(n), FLOOR).all()
    assert not memory.seen(draw(50, seed=9), FLOOR).any()


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(InputError, match="wanted"):
        build(draw(5), wanted=0)
