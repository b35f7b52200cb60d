"""Nearest groups against a plain loop over all vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.errors import InputError
from assocmem.search.clique_index import CliqueIndex
from tests.strategies import law, seeds


def some(seed, n, groups, metric="l2", dim=12):
    rng = np.random.default_rng(seed)
    x, q = (rng.standard_normal((count, dim)).astype(np.float32) for count in (n, 9))
    index = CliqueIndex(dim, metric)
    index.add(x)
    return index, x, q, rng.integers(0, groups, n)


def plain(x, q, group, metric):
    """Groups in the order of their nearest vector, and its distance, for each query."""
    out = []
    for query in q.astype(np.float64):
        costs = ((x - query) ** 2).sum(axis=1)
        if metric == "cosine":
            costs = -(x @ query) / np.linalg.norm(x, axis=1) / np.linalg.norm(query)
        best = {}
        for cost, name in sorted(zip(costs.tolist(), group.tolist(), strict=True)):
            best.setdefault(name, cost)
        out.append(best)
    return out


@law
@given(seed=seeds, groups=st.sampled_from([1, 3, 40, 200]), metric=st.sampled_from(["l2", "cosine"]))
def test_each_group_is_found_once_by_its_nearest_vector(seed, groups, metric):
    index, x, q, group = some(seed, 230, groups, metric)
    values, found = index.search_grouped(q, 5, group_of=lambda ids: group[ids], recall=1)
    for row, best in enumerate(plain(x, q, group, metric)):
        expected = list(best.items())[:5]
        assert found[row, : len(expected)].tolist() == [name for name, _ in expected]
        shown = values[row, : len(expected)] * (1 if metric == "l2" else -1)
        np.testing.assert_allclose(shown, [cost for _, cost in expected], rtol=1e-4, atol=1e-5)
        assert (found[row, len(expected) :] == -1).all()
        assert np.isnan(values[row, len(expected) :]).all()


def test_a_filter_leaves_groups_out():
    index, _, q, group = some(1, 300, 30)
    allowed = np.flatnonzero(group % 2 == 0)
    _, found = index.search_grouped(q, 20, group_of=lambda ids: group[ids], allow=allowed, recall=1)
    assert set(found[found >= 0].tolist()) == set(group[allowed].tolist())


@pytest.mark.parametrize(
    "group_of", [lambda ids: ids[:-1], lambda ids: ids / 2, lambda ids: ids - 10**6, lambda ids: ["a"] * len(ids)]
)
def test_groups_that_are_no_numbers_of_the_ids_are_refused(group_of):
    index, _, q, _ = some(1, 50, 5)
    with pytest.raises(InputError, match="group_of: expected whole numbers from 0"):
        index.search_grouped(q, 3, group_of=group_of)
