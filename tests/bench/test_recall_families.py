"""Families of vectors have the properties that they claim, and the same seed makes the same ones in every process."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from assocmem.bench.processes import run_function
from assocmem.bench.recall import families
from assocmem.bench.recall.families import FAMILIES, make_family
from assocmem.errors import InputError

N, NQ = 1200, 40


@pytest.fixture(scope="module")
def made():
    return {name: make_family(name, N, NQ) for name in FAMILIES}


def _digest(name, seed):
    data = make_family(name, 60, 20, seed)
    return hashlib.sha256(data.base.tobytes() + data.queries.tobytes()).hexdigest()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_items_queries_and_a_truth_of_its_metric(made, name):
    data = made[name]
    assert data.name == name
    assert data.base.dtype == data.queries.dtype == np.float32
    assert (len(data.base), len(data.queries)) == (N, NQ)
    assert data.base.shape[1] == data.queries.shape[1]
    assert np.isfinite(data.base).all()
    if data.metric == "angular":
        assert np.linalg.norm(data.base, axis=1) == pytest.approx(1, abs=1e-5)
        exact = 1 - data.queries.astype(float) @ data.base.astype(float).T
    else:
        exact = np.sqrt(((data.queries[:, None].astype(float) - data.base[None].astype(float)) ** 2).sum(axis=2))
    assert data.truth[:, 9] == pytest.approx(np.sort(exact, axis=1)[:, 9], rel=1e-3, abs=1e-5)


def test_the_same_seed_makes_the_same_family_in_every_process_and_another_seed_another():
    for name in ("one-hot", "gist-like"):
        elsewhere = run_function("tests.bench.test_recall_families", "_digest", name, 3)
        assert _digest(name, 3) == elsewhere
        assert _digest(name, 4) != elsewhere


@pytest.mark.parametrize(("name", "dim"), [("gaussian-32", 32), ("gaussian-128", 128), ("offset-100", 32)])
def test_gaussians_have_the_spread_and_the_place_of_their_name(made, name, dim):
    base = made[name].base
    assert base.shape[1] == dim
    assert base.mean() == pytest.approx(100 if "offset" in name else 0, abs=0.05)
    assert base.std(axis=0) == pytest.approx(1, abs=0.15)


def test_sizes_of_clusters_are_uneven(made):
    base = made["clusters-10"].base.astype(float)
    unlike = ((base[:, None, :16] - base[None, :, :16]) ** 2).sum(axis=2) > 16
    sizes, left = [], np.ones(N, bool)
    while left.any():  # a cluster is what is near its first item
        member = left & ~unlike[np.flatnonzero(left)[0]]
        sizes.append(int(member.sum()))
        left &= ~member
    largest = sorted(sizes, reverse=True)
    assert largest[0] > 2 * largest[2] > 0
    assert sum(largest[:10]) > 0.9 * N
    assert made["clusters-1000"].base.shape == (N, 128)


def test_the_drifting_mean_moves_while_items_are_added_and_queries_come_from_all_of_its_path(made):
    along = made["drift"].base @ np.full(64, 1 / 8, np.float32)
    assert np.corrcoef(along, np.arange(N))[0, 1] > 0.99
    assert along[-100:].mean() - along[:100].mean() == pytest.approx(families.PATH, rel=0.15)
    asked = made["drift"].queries @ np.full(64, 1 / 8, np.float32)
    assert asked.min() < families.PATH / 4 < 3 * families.PATH / 4 < asked.max()


def test_sorted_items_are_added_in_order_and_queries_are_not(made):
    assert (np.diff(made["sorted"].base[:, 0]) >= 0).all()
    assert (np.diff(made["sorted"].queries[:, 0]) < 0).any()


def test_copies_are_as_frequent_as_claimed(made):
    _, counts = np.unique(made["twelve-copies"].base, axis=0, return_counts=True)
    assert (counts == families.COPIES).all()
    in_order = made["twelve-copies"].base
    assert (in_order[1:] == in_order[:-1]).all(axis=1).mean() < 0.1  # copies are not added one after another
    _, counts = np.unique(made["zipf-copies"].base, axis=0, return_counts=True)
    assert counts.max() > 50
    assert np.sort(counts)[-1] > 1.4 * np.sort(counts)[-2]
    assert (counts == 1).sum() > 100


def test_one_hot_rows_have_one_value_in_each_column(made):
    base, start = made["one-hot"].base, 0
    assert set(np.unique(base)) == {0, 1}
    for values in families.CATEGORIES:
        assert (base[:, start : start + values].sum(axis=1) == 1).all()
        start += values
    assert start == base.shape[1]


def test_words_and_topics_are_sparse_and_some_are_much_more_frequent(made):
    words, topics = made["words"].base > 0, made["topics"].base > 0
    assert words.sum(axis=1).max() <= families.TEXT_WORDS
    assert topics.sum(axis=1).max() <= families.TEXT_TOPICS
    assert min(words.sum(axis=1).min(), topics.sum(axis=1).min()) >= 1
    assert topics.shape[1] == 384
    for x in (words, topics):
        frequency = np.sort(x.mean(axis=0))[::-1]
        assert frequency[0] > 5 * frequency[len(frequency) // 2]


def test_the_manifold_has_few_dimensions_nearby():
    base = make_family("manifold", 20_000, 10).base
    near = base[np.argsort(((base - base[0]) ** 2).sum(axis=1))[:40]]
    spread = np.linalg.svd(near - near.mean(axis=0), compute_uv=False) ** 2
    assert spread[:5].sum() > 0.8 * spread.sum()
    whole = np.linalg.svd(base[:1000] - base[:1000].mean(axis=0), compute_uv=False) ** 2
    assert whole[:5].sum() < 0.5 * whole.sum()


def test_histograms_are_not_negative_and_have_one_sum(made):
    base = made["histograms"].base
    assert base.min() >= 0
    assert base.sum(axis=1) == pytest.approx(families.HISTOGRAM_SUM, rel=1e-4)


def test_places_are_on_the_globe_as_densely_at_the_equator_as_its_area(made):
    latitude, longitude = made["places"].base.T
    assert np.abs(latitude).max() <= 90
    assert np.abs(longitude).max() <= 180
    assert (np.abs(latitude) < 30).mean() == pytest.approx(0.5, abs=0.05)


def test_bits_and_energies_are_what_they_claim(made):
    assert set(np.unique(made["binary"].base)) == {0, 1}
    assert made["binary"].base.mean() == pytest.approx(0.5, abs=0.05)
    gist = made["gist-like"].base
    assert gist.shape[1] == 960
    assert gist.min() >= 0
    spread = np.linalg.svd(gist - gist.mean(axis=0), compute_uv=False) ** 2
    assert spread[:60].sum() > 0.6 * spread.sum()


def test_an_unknown_family_is_refused():
    with pytest.raises(InputError, match="--family nonsense: expected one of gaussian-32, "):
        make_family("nonsense", 10, 10)
