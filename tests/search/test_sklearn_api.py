"""CliqueNeighbors has the interface of scikit-learn; its results are compared with a plain computation."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.errors import InputError
from assocmem.search.sklearn_api import CliqueNeighbors


def matrix(n, seed=0, dim=20):
    return np.random.default_rng(seed).standard_normal((n, dim))


def distances(q, x, metric):
    if metric == "euclidean":
        return np.sqrt(((q[:, None] - x[None]) ** 2).sum(axis=2))
    return 1 - (q @ x.T) / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(x, axis=1)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_full_effort_equals_brute_force(metric):
    x, q = matrix(300), matrix(7, seed=1)
    found, rows = CliqueNeighbors(4, metric=metric, effort=1.0).fit(x).kneighbors(q)
    wanted = distances(q, x, metric)
    np.testing.assert_array_equal(rows, np.argsort(wanted, axis=1)[:, :4])
    np.testing.assert_allclose(found, np.sort(wanted, axis=1)[:, :4], atol=1e-5)


def test_without_queries_no_row_is_its_own_neighbour():
    x = matrix(200)
    rows = CliqueNeighbors(3, effort=1.0).fit(x).kneighbors(return_distance=False)
    wanted = distances(x, x, "euclidean") + np.diag(np.full(200, np.inf))
    np.testing.assert_array_equal(rows, np.argsort(wanted, axis=1)[:, :3])


def test_equal_rows_have_the_wanted_number_of_neighbours():
    rows = CliqueNeighbors(2, effort=1.0).fit(np.ones((9, 20))).kneighbors(return_distance=False)
    assert rows.shape == (9, 2)


def test_below_full_effort_most_are_found():
    x, q = matrix(3000, dim=6), matrix(50, seed=1, dim=6)
    rows = CliqueNeighbors(5).fit(x).kneighbors(q, return_distance=False)
    wanted = np.argsort(distances(q, x, "euclidean"), axis=1)[:, :5]
    assert np.mean([np.isin(w, r).mean() for w, r in zip(wanted, rows, strict=True)]) > 0.9


def test_parameters_can_be_read_and_set():
    one = CliqueNeighbors(7, metric="cosine", effort=0.5, n_jobs=2)
    other = CliqueNeighbors().set_params(**one.get_params())
    assert other.get_params() == {"n_neighbors": 7, "metric": "cosine", "effort": 0.5, "n_jobs": 2}


def test_l2_is_another_name_of_euclidean():
    x = matrix(60)
    one, other = (CliqueNeighbors(4, metric=metric, effort=1.0).fit(x).kneighbors(x) for metric in ("l2", "euclidean"))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_repr_shows_the_parameters():
    assert repr(CliqueNeighbors(7)) == "CliqueNeighbors(n_neighbors=7, metric='euclidean', effort=None, n_jobs=1)"


def test_scikit_learn_can_clone_it():
    base = pytest.importorskip("sklearn.base")
    assert base.clone(CliqueNeighbors(7)).n_neighbors == 7


def test_invalid_arguments_are_refused():
    with pytest.raises(InputError, match="call fit first"):
        CliqueNeighbors().kneighbors(matrix(1))
    with pytest.raises(InputError, match="expected cosine or euclidean, found 'l1'"):
        CliqueNeighbors(metric="l1").fit(matrix(3))
    with pytest.raises(InputError, match="expected at most 3, found 4"):
        CliqueNeighbors(4).fit(matrix(3)).kneighbors(matrix(1))
    with pytest.raises(InputError, match="found 'k'"):
        CliqueNeighbors().set_params(k=3)
    with pytest.raises(InputError, match=r"expected shape \(n, dim\)"):
        CliqueNeighbors().fit(matrix(3)[0])
