"""CliqueIndex: exact at full effort, in whatever order items were added and removed; close to exact below."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.codes.nibble_codes import NibbleCoder
from assocmem.errors import DuplicateIdError, RecallWarning
from assocmem.search.clique_index import CliqueIndex
from tests import naive_index
from tests.search.index_helpers import (
    DIM,
    EFFORTS,
    KINDS,
    METRICS,
    answers,
    check_structure,
    facts_of,
    made,
    vectors,
)
from tests.strategies import law, seeds

SORTS = st.tuples(st.sampled_from(METRICS), st.sampled_from(KINDS))
EVERY_SORT = pytest.mark.parametrize(("metric", "kind"), [(metric, kind) for metric in METRICS for kind in KINDS])


# full effort


@law
@given(seed=seeds, sort=SORTS, n=st.sampled_from([1, 7, 100, 700]), k=st.sampled_from([1, 3, 10]))
def test_full_effort_equals_brute_force(seed, sort, n, k):
    metric, kind = sort
    x, q = vectors(seed, n, kind), vectors(seed + 1, 4, kind)
    index, truth = CliqueIndex(DIM, metric, features=kind), naive_index.Index(metric, kind)
    index.add(x)
    truth.add(x)
    found, ids = index.search(q, k, effort=1.0)
    assert (found.dtype, ids.dtype, found.shape, ids.shape) == (np.float32, np.int64, (4, k), (4, k))
    for i in range(4):
        truth.check(q[i], found[i], ids[i])


@law
@given(seed=seeds, sort=SORTS)
def test_results_have_exact_values_at_any_effort(seed, sort):
    metric, kind = sort
    x, q = vectors(seed, 1500, kind), vectors(seed + 1, 3, kind)
    index = CliqueIndex(DIM, metric, features=kind)
    index.add(x)
    full, order = index.search(q, 1500, effort=1.0)
    for effort in (0.02, 0.2):
        found, ids = index.search(q, 10, effort=effort)
        for i in range(3):
            exact = dict(zip(order[i].tolist(), full[i].tolist(), strict=True))
            there = ids[i][ids[i] >= 0].tolist()  # with little effort, fewer than ten may be found
            assert [exact[id_] for id_ in there] == found[i, : len(there)].tolist()
            ranked = [(-exact[id_] if metric == "cosine" else exact[id_], id_) for id_ in there]
            assert ranked == sorted(ranked)


@EVERY_SORT
def test_ties_are_sorted_by_id(metric, kind):
    index = CliqueIndex(DIM, metric, features=kind)
    x = np.repeat(vectors(1, 1, kind), 5, axis=0)
    index.add(x, ids=[7, 3, 2**62, 0, 5])
    for effort in EFFORTS:
        assert index.search(x[:1], 5, effort=effort)[1].tolist() == [[0, 3, 5, 7, 2**62]]


@EVERY_SORT
def test_results_are_padded_if_there_are_fewer_items(metric, kind):
    index = made(1, 3, metric, kind)
    for effort in EFFORTS:
        found, ids = index.search(vectors(2, 2, kind), 5, effort=effort)
        assert (np.sort(ids[:, :3]) == [0, 1, 2]).all()
        assert (ids[:, 3:] == -1).all()
        assert (found[:, 3:] == (np.inf if metric == "l2" else -np.inf)).all()


def test_one_vector_is_enough_to_search():
    index = CliqueIndex(DIM)
    x = vectors(1, 1)
    assert index.add(x[0]).tolist() == [0]
    found, ids = index.search(x[0], 1)
    assert ids.tolist() == [[0]]
    np.testing.assert_allclose(found, 1, atol=1e-3)


@pytest.mark.parametrize("dim", [1, 2, 15, 16, 17, 100])
def test_any_dimension_is_possible(dim):
    index, truth = CliqueIndex(dim, "l2", features="float32"), naive_index.Index("l2")
    x = vectors(dim, 300, dim=dim)
    index.add(x)
    truth.add(x)
    found, ids = index.search(x[:3], 5, effort=1.0)
    for i in range(3):
        truth.check(x[i], found[i], ids[i])
    assert np.isfinite(index.search(x[:3], 1, effort=0.5)[0]).all()


@pytest.mark.parametrize("clusters", [8, 16, 32])
def test_any_number_of_clusters_is_possible(clusters):
    index = made(3, 1500, clusters=clusters, mean=np.full(DIM, 0.1))
    assert index.stats().code_bytes == clusters // 2
    x = vectors(3, 1500)[:50]
    assert (index.search(x, 1, effort=0.3)[0] > 0.999).mean() > 0.8


# order, threads, batches


@law
@given(seed=seeds, sort=SORTS)
def test_the_order_of_adds_changes_nothing_at_full_effort(seed, sort):
    metric, kind = sort
    x, q, rng = vectors(seed, 300, kind), vectors(seed + 1, 4, kind), np.random.default_rng(seed)
    index = CliqueIndex(DIM, metric, features=kind)
    index.add(x)
    other, order = CliqueIndex(DIM, metric, features=kind), rng.permutation(300)
    for part in np.split(order, np.sort(rng.integers(0, 300, 4))):
        other.add(x[part], ids=part)
    assert answers(index, q, efforts=[1.0]) == answers(other, q, efforts=[1.0])


@law
@given(seed=seeds, threads=st.sampled_from([2, 3, 7, None]), effort=st.sampled_from(EFFORTS))
def test_threads_never_change_an_answer(seed, threads, effort):
    index, q = made(seed, 1100), vectors(seed + 1, 30)
    one, many = (index.search(q, 5, effort=effort, threads=number) for number in (1, threads))
    assert one[0].tobytes() == many[0].tobytes()
    assert one[1].tobytes() == many[1].tobytes()


@law
@given(seed=seeds, effort=st.sampled_from(EFFORTS))
def test_answers_do_not_depend_on_the_batch(seed, effort):
    index, q = made(seed, 1100), vectors(seed + 1, 9)
    whole = index.search(q, 5, effort=effort)
    parts = [index.search(row, 5, effort=effort) for row in q]
    for array, rows in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(array, np.concatenate(rows))


@law
@given(seed=seeds, sort=SORTS)
def test_adding_and_removing_restores_the_answers(seed, sort):
    metric, kind = sort
    index, q = made(seed, 300, metric, kind), vectors(seed + 1, 4, kind)
    before = answers(index, q, efforts=[1.0])
    new = index.add(vectors(seed + 2, 500, kind))
    assert len(index) == 800
    index.remove(np.random.default_rng(seed).permutation(new))
    assert answers(index, q, efforts=[1.0]) == before
    check_structure(index)


def test_an_index_can_be_used_after_all_items_were_removed():
    index = made(1, 500)
    index.remove(index.ids())
    assert len(index) == 0
    assert index.ids().tolist() == []
    assert index.add(vectors(2, 5)).tolist() == [500, 501, 502, 503, 504]  # no id is used twice
    assert index.search(vectors(2, 5), 1)[1].tolist() == [[500], [501], [502], [503], [504]]
    check_structure(index)


def test_rows_of_removed_items_are_used_again():
    index = made(1, 3000)
    for round_ in range(8):
        index.remove(index.ids()[:2500])
        index.add(vectors(round_, 2500))
    assert facts_of(index)["rows"] <= 8000
    check_structure(index)


@law
@given(seed=seeds, sort=SORTS)
def test_update_replaces_vectors(seed, sort):
    metric, kind = sort
    index, x = made(seed, 300, metric, kind), vectors(seed + 1, 3, kind)
    ids = np.random.default_rng(seed).permutation(300)[:3]
    index.update(ids, x)
    assert len(index) == 300
    np.testing.assert_array_equal(index.reconstruct(ids), x.astype(kind).astype(np.float32))
    fresh, moved = CliqueIndex(DIM, metric, features=kind), vectors(seed, 300, kind)
    moved[ids] = x
    fresh.add(moved)
    assert answers(index, x, efforts=[1.0]) == answers(fresh, x, efforts=[1.0])
    check_structure(index)


def test_known_ids_are_refused_replaced_or_skipped():
    x, new = vectors(1, 10), vectors(2, 4)
    ids = [20, 3, 21, 9]
    index = made(1, 10)
    with pytest.raises(DuplicateIdError, match=r"found 3 in the index \(2 such\); say on_conflict"):
        index.add(new, ids=ids)
    assert index.ids().tolist() == list(range(10))
    assert index.add(new, ids=ids, on_conflict="skip").tolist() == [20, 21]
    np.testing.assert_array_equal(index.reconstruct([3, 9, 20, 21]), half(x[[3, 9]], new[[0, 2]]))
    assert index.add(new, ids=ids, on_conflict="replace").tolist() == ids
    np.testing.assert_array_equal(index.reconstruct(ids), half(new))
    assert index.add(x[:2]).tolist() == [22, 23]
    assert len(index) == 14
    check_structure(index)


def half(*parts):
    return np.concatenate(parts).astype(np.float16).astype(np.float32)


def test_contains():
    index = made(1, 5)
    index.add(vectors(2, 2), ids=[100, 2**63 - 1])
    index.remove([2])
    for id_, there in [(0, True), (2, False), (5, False), (100, True), (2**63 - 1, True), (-1, False), (2**63, False)]:
        assert (id_ in index) == there
        assert id_ >= 2**63 or id_ < 0 or (np.int64(id_) in index) == there
    assert "0" not in index
    assert None not in index
    assert index.ids().tolist() == [0, 1, 3, 4, 100, 2**63 - 1]


# merging


@law
@given(seed=seeds, sort=SORTS, sizes=st.sampled_from([(0, 5), (5, 0), (70, 300), (300, 70), (0, 0)]))
def test_merging_then_searching_equals_adding_all(seed, sort, sizes):
    metric, kind = sort
    x, q = vectors(seed, sum(sizes) + 1, kind), vectors(seed + 1, 4, kind)
    both, one, two = (CliqueIndex(DIM, metric, features=kind) for _ in range(3))
    ids = np.random.default_rng(seed).permutation(1000)[: len(x)]
    both.add(x, ids=ids)
    one.add(x[: sizes[0] + 1], ids=ids[: sizes[0] + 1])
    two.add(x[sizes[0] + 1 :], ids=ids[sizes[0] + 1 :])
    before = answers(two, q) if sizes[1] else None
    merged = one
    merged |= two
    assert merged is one
    assert answers(one, q, efforts=[1.0]) == answers(both, q, efforts=[1.0])
    assert before is None or answers(two, q) == before  # the other is as it was
    check_structure(one)
    one.add(vectors(seed + 5, 100, kind))
    check_structure(one)


def test_merging_never_encodes_if_the_means_are_equal(monkeypatch):
    mean = np.full(DIM, 0.1, np.float32)
    one, two = made(1, 300, mean=mean), CliqueIndex(DIM, mean=mean)
    two.add(vectors(2, 300), ids=np.arange(1000, 1300))

    def encode(*_):
        raise AssertionError("encoded")

    monkeypatch.setattr(NibbleCoder, "encode", encode)
    one |= two
    assert len(one) == 600
    check_structure(one)


# a radius


@law
@given(seed=seeds, sort=SORTS)
def test_range_search_finds_all_items_within_the_radius(seed, sort):
    metric, kind = sort
    x, q = vectors(seed, 200, kind), vectors(seed + 1, 3, kind)
    index = CliqueIndex(DIM, metric, features=kind)
    index.add(x, ids=np.random.default_rng(seed).permutation(1000)[:200])
    full, order = index.search(q, 200, effort=1.0)
    radius = float(full[0, 20])
    lims, found, ids = index.range_search(q, radius, effort=1.0)
    assert (lims.dtype, found.dtype, ids.dtype) == (np.int64, np.float32, np.int64)
    assert len(lims) == 4
    for i in range(3):
        part = slice(lims[i], lims[i + 1])
        inside = full[i] > np.float32(radius) if metric == "cosine" else full[i] < np.float32(radius)
        assert ids[part].tolist() == order[i, inside].tolist()
        assert found[part].tolist() == full[i, inside].tolist()


def test_range_search_may_find_nothing():
    lims, found, ids = made(1, 50).range_search(vectors(2, 3), 1.5)
    assert (lims.tolist(), len(found), len(ids)) == ([0, 0, 0, 0], 0, 0)


# recall


def crowd(n, dim, seed):
    """Points around centres, like features of pictures, and queries of the same distribution."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((n // 50, dim))
    x = centres[rng.integers(0, len(centres), n + 100)] + 0.6 * rng.standard_normal((n + 100, dim))
    return x[:n].astype(np.float32), x[n:].astype(np.float32)


def recall(index, q, k, effort):
    truth, found = (index.search(q, k, effort=share)[1] for share in (1.0, effort))
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(truth.tolist(), found.tolist(), strict=True)])


@pytest.mark.parametrize("metric", METRICS)
def test_a_search_finds_as_many_as_it_promises_and_tune_reaches_the_wanted_recall(metric):
    x, q = crowd(6000, 64, 1)
    index = CliqueIndex(64, metric)
    index.add(x)
    assert recall(index, q, 10, None) >= 0.93
    assert index.stages(q).items < 2500
    for wanted in (0.8, 0.95):
        effort = index.tune(q, recall=wanted)
        assert 0 < effort < 1
        assert recall(index, q, 10, None) >= wanted - 1e-9
        assert index.stages(q).items == pytest.approx(6000 * effort)
    stages = index.stages(q, effort=0.1)
    assert 0 < stages.refined <= stages.items < 6000
    check_structure(index)


def test_tune_says_that_only_an_exact_search_reaches_a_recall():
    rng = np.random.default_rng(0)
    x, q = (rng.standard_normal((n, 700)).astype(np.float32) for n in (1500, 50))
    index = CliqueIndex(700, "l2")
    index.add(x)
    with pytest.warns(RecallWarning, match="only an exact one does, or is as quick"):
        assert index.tune(q, recall=1.0) == 1.0
    assert recall(index, q, 10, None) == 1.0


def test_more_effort_scores_more_items():
    index, q = made(1, 4000), vectors(2, 20)
    looked = [index.stages(q, effort=effort).items for effort in (0.02, 0.1, 0.5)]
    assert looked == sorted(looked)
    assert index.stages(q, effort=1.0).refined == 4000


# statistics


def test_stats_count_contents_and_memory():
    index = made(1, 1000)
    stats = index.stats()
    assert (stats.items, stats.code_bytes, stats.mapped_bytes) == (1000, 8, 0)
    assert stats.pools >= 1000 / 64
    assert stats.fill == pytest.approx(1000 / 64 / stats.pools)
    assert stats.memory["vectors"] >= 1000 * DIM * 2
    assert stats.memory["codes and pools"] >= 1000 * 8
    assert index.memory_bytes == sum(stats.memory.values())
    assert index.mapped_bytes == 0
    assert repr(index) == "<CliqueIndex of 1000 vectors, dim=24, metric='cosine'>"


def test_an_empty_index_has_no_items():
    index = CliqueIndex(DIM)
    assert len(index) == 0
    assert index.ids().tolist() == []
    assert index.stats().fill == 0
    assert 0 not in index
    assert index.add(np.empty((0, DIM), np.float32)).tolist() == []
    index.remove([])
    assert index.reconstruct([]).shape == (0, DIM)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_search_partial_finds_more_than_zeros_for_missing_values(metric):
    index = made(5, 3000, metric)
    q = vectors(5, 3000)[:60]
    q[:, ::3] = np.nan
    truth = np.arange(60)
    found = index.search_partial(q, 1)[1][:, 0]
    zeros = index.search(np.nan_to_num(q), 1, effort=1.0)[1][:, 0]
    assert (found == truth).mean() > max(0.8, (zeros == truth).mean())
