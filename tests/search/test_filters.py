"""Searches that may find some items only."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.errors import InputError, NothingAllowedError, UnknownIdError
from assocmem.search import clique_index
from assocmem.search.clique_index import CliqueIndex

N, DIM = 4000, 24


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, q = (rng.standard_normal((n, DIM)).astype(np.float32) for n in (N, 40))
    index = CliqueIndex(DIM, "l2", features="float32")
    ids = index.add(x, ids=np.arange(N) * 2 + 5)
    return index, x, q, ids


def nearest(x, q, ids, allowed, k=5):
    costs = ((q[:, None] - x[None]) ** 2).sum(axis=2)
    costs[:, ~allowed] = np.inf
    return ids[np.argsort(costs, axis=1)[:, :k]]


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("form", ["ids", "mask", "callable"])
@pytest.mark.parametrize("by_pools", [False, True])
def test_only_allowed_items_are_found_however_few_they_are(data, share, form, by_pools, monkeypatch):
    index, x, q, ids = data
    if by_pools:
        monkeypatch.setattr(clique_index, "ALLOWED_UP_TO", 0)
        monkeypatch.setattr(clique_index, "ALLOWED_SHARE", 0.0)
    allowed = np.random.default_rng(1).random(N) < share
    allowed[7] = True
    mask = np.zeros(2 * N + 5, bool)
    mask[ids[allowed]] = True
    allow = {"ids": ids[allowed], "mask": mask, "callable": lambda block: mask[block]}[form]
    k = min(5, int(allowed.sum()))
    expected = nearest(x, q, ids, allowed, k)
    found = index.search(q, 5, allow=allow, recall=0.99)[1]
    assert np.isin(found[found >= 0], ids[allowed]).all()
    assert np.mean([np.isin(one, other).mean() for one, other in zip(expected, found, strict=True)]) > 0.95
    assert ((found >= 0).sum(axis=1) == k).all()
    exact = index.search(q, 5, allow=allow, effort=1)[1]
    np.testing.assert_array_equal(exact[:, :k], expected)


@pytest.mark.parametrize(
    ("allow", "error", "message"),
    [
        ([], NothingAllowedError, "expected a filter that lets items pass"),
        (np.zeros(3 * N, bool), NothingAllowedError, "found one that lets none pass"),
        (lambda ids: ids < 0, NothingAllowedError, "lets none pass"),
        ([5, 6], UnknownIdError, "expected ids of the index, found 6"),
        (lambda ids: ids, InputError, r"allow: expected a mask of bool, shape .*, found int64"),
        (lambda ids: np.ones(3, bool), InputError, "allow: expected a mask of bool, shape"),
        (np.ones((2, 2), bool), InputError, "allow: expected a mask of bool, one per id, found bool, shape"),
    ],
)
def test_filters_that_cannot_be_meant_are_refused(data, allow, error, message):
    index, _, q, _ = data
    with pytest.raises(error, match=message):
        index.search(q, 5, allow=allow)


def test_a_promise_and_an_effort_contradict_each_other(data):
    with pytest.raises(InputError, match="expected either a promise of recall or an effort, found both"):
        data[0].search(data[2], recall=0.9, effort=0.5)
