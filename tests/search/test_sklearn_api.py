"""CliqueNeighbors and CliqueTransformer, compared with a plain computation; most of it needs no scikit-learn."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import assocmem
from assocmem.errors import InputError, NotFittedError
from assocmem.search.sklearn_api import CliqueNeighbors, CliqueTransformer

HOME = Path(assocmem.__file__).parent.parent


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
    assert other.get_params() == {
        "n_neighbors": 7,
        "radius": 1.0,
        "metric": "cosine",
        "p": 2,
        "metric_params": None,
        "recall": None,
        "effort": 0.5,
        "n_jobs": 2,
    }


@pytest.mark.parametrize("metric", ["l2", "minkowski"])
def test_euclidean_has_other_names(metric):
    x = matrix(60)
    one, other = (CliqueNeighbors(4, metric=name, effort=1.0).fit(x).kneighbors(x) for name in (metric, "euclidean"))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_repr_shows_the_parameters_that_are_not_the_default():
    assert repr(CliqueNeighbors(7, recall=1)) == "CliqueNeighbors(n_neighbors=7, recall=1)"


def test_a_promise_of_recall_of_1_is_exact():
    x, q = matrix(6000, dim=12), matrix(20, seed=1, dim=12)
    rows = CliqueNeighbors(5, recall=1).fit(x).kneighbors(q, return_distance=False)
    np.testing.assert_array_equal(rows, np.argsort(distances(q, x, "euclidean"), axis=1)[:, :5])
    looked_at = CliqueNeighbors(5, recall=0.5).fit(x).index_.search(q, 5, recall=0.5, report=True)[2].compared
    assert looked_at.mean() < 6000
    with pytest.raises(InputError, match="found both"):
        CliqueNeighbors(5, recall=0.9, effort=0.9).fit(x).kneighbors(q)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("own", [False, True])
def test_the_rows_within_a_radius_are_those_of_brute_force(metric, own):
    x = matrix(300)
    q, radius = (x if own else matrix(7, seed=1)), {"euclidean": 5.0, "cosine": 0.7}[metric]
    estimator = CliqueNeighbors(radius=radius, metric=metric, recall=1).fit(x)
    found, rows = estimator.radius_neighbors(None if own else q)
    wanted = distances(q, x, metric) + (np.diag(np.full(300, np.inf)) if own else 0)
    assert found.shape == rows.shape == (len(q),)
    for i, truth in enumerate(wanted):
        order = np.argsort(truth)[: (truth <= radius).sum()]
        np.testing.assert_array_equal(rows[i], order)
        np.testing.assert_allclose(found[i], truth[order], atol=1e-5)
    only_rows = estimator.radius_neighbors(None if own else q, return_distance=False)
    assert all((one == other).all() for one, other in zip(rows, only_rows, strict=True))
    assert 0 < sum(map(len, rows)) < wanted.size


def test_a_radius_includes_what_is_exactly_that_far():
    x = np.zeros((3, 10))
    x[1, 0], x[2, 0] = 0.3, 2.0
    estimator = CliqueNeighbors().fit(x)
    for radius, count in ((0, 1), (0.3, 2), (1.999, 2), (2.0, 3), (np.inf, 3)):
        assert len(estimator.radius_neighbors(x[:1], radius, return_distance=False)[0]) == count
    with pytest.raises(InputError, match="radius: expected at least 0, found -1"):
        estimator.radius_neighbors(x, -1)


def test_graphs_hold_the_neighbours():
    pytest.importorskip("scipy")
    x, q = matrix(50), matrix(7, seed=1)
    estimator = CliqueNeighbors(4, radius=5.0).fit(x)
    truth = distances(q, x, "euclidean")
    graphs = {"neighbours": estimator.kneighbors_graph, "radius": estimator.radius_neighbors_graph}
    near = {"neighbours": truth <= np.sort(truth, axis=1)[:, 3:4], "radius": truth <= 5.0}
    for name, graph in graphs.items():
        np.testing.assert_array_equal(graph(q).toarray(), near[name])
        np.testing.assert_allclose(graph(q, mode="distance").toarray(), np.where(near[name], truth, 0), atol=1e-5)
        assert graph().diagonal().sum() == 0  # no row is its own neighbour
        with pytest.raises(InputError, match="mode: expected connectivity or distance, found 'similarity'"):
            graph(q, mode="similarity")


def test_rows_that_are_added_to_the_index_are_found_and_fit_in_the_graph():
    pytest.importorskip("scipy")
    estimator = CliqueNeighbors(1).fit(matrix(50))
    estimator.index_.add(matrix(3, seed=1))
    assert estimator.kneighbors(matrix(3, seed=1), return_distance=False).ravel().tolist() == [50, 51, 52]
    assert estimator.kneighbors_graph(matrix(3, seed=1)).shape == (3, 53)


def test_the_rows_are_the_estimators_own():
    x, q = matrix(50).astype(np.float32), matrix(7, seed=1)
    estimator = CliqueNeighbors(3).fit(x)
    before, own = estimator.kneighbors(q), estimator.kneighbors()
    x[:] = 0
    for other in (estimator, copy.deepcopy(estimator), pickle.loads(pickle.dumps(estimator))):
        for one, another in zip((*before, *own), (*other.kneighbors(q), *other.kneighbors()), strict=True):
            np.testing.assert_array_equal(one, another)


def test_a_transformer_returns_the_graph_of_its_neighbours():
    pytest.importorskip("scipy")
    x = matrix(50)
    for mode, extra in (("distance", 1), ("connectivity", 0)):
        transformer = CliqueTransformer(mode=mode, n_neighbors=4)
        graph = transformer.fit_transform(x)
        assert graph.shape == (50, 50)
        assert (np.diff(graph.indptr) == 4 + extra).all()
        np.testing.assert_array_equal(graph.indices[graph.indptr[:-1]], np.arange(50))  # each is the first of its own
        np.testing.assert_array_equal(transformer.transform(x[:3]).toarray(), graph[:3].toarray())
    assert transformer.get_feature_names_out()[[0, 49]].tolist() == ["cliquetransformer0", "cliquetransformer49"]
    with pytest.raises(InputError, match="mode: expected"):
        CliqueTransformer(mode="x").fit(x)
    with pytest.raises(NotFittedError, match="transform: expected a fitted CliqueTransformer"):
        CliqueTransformer().transform(x)


WITHOUT = """
import sys
sys.modules["sklearn"] = sys.modules["scipy"] = None
import numpy as np, pickle
import assocmem
from assocmem.errors import AssocmemError, InputError, NotFittedError
x = np.random.default_rng(0).standard_normal((50, 10))
y = np.where(x[:, 0] > 0, "right", "left")

def found(call, kind):
    try:
        call()
    except kind as error:
        return str(error)
    raise AssertionError("no error")

one = assocmem.CliqueNeighbors(3).fit(x)
assert one.kneighbors(x)[1][:, 0].tolist() == list(range(50))
assert pickle.loads(pickle.dumps(one)).kneighbors(x[:4])[1].shape == (4, 3)
assert repr(one) == "CliqueNeighbors(n_neighbors=3)"
assert assocmem.CliqueNeighbors().set_params(**one.get_params()).n_neighbors == 3
assert "pip install scikit-learn" in found(lambda: one.kneighbors_graph(), AssocmemError)
assert "call fit first" in found(lambda: assocmem.CliqueNeighbors().kneighbors(x), NotFittedError)
assert "10 columns as for fit" in found(lambda: one.kneighbors(x[:, :4]), InputError)
assert "expected shape (n, columns)" in found(lambda: one.fit(x[0]), InputError)
sparse = type("Sparse", (), {"toarray": None})()
assert "expected a dense array" in found(lambda: one.fit(sparse), TypeError)

transformer = assocmem.CliqueTransformer()
assert "pip install scikit-learn" in found(lambda: transformer.fit_transform(x), AssocmemError)
assert len(transformer.get_feature_names_out()) == 50

concepts = assocmem.CliqueConcepts().fit(x, y)
assert concepts.classes_.tolist() == ["left", "right"]
assert concepts.score(x, y) > 0.8
assert "a label for each of 50 rows" in found(lambda: concepts.fit(x, y[:4]), InputError)
"""


def test_the_estimators_work_without_scikit_learn():
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], env=environment, check=True)


def test_importing_assocmem_does_not_import_scikit_learn():
    code = (
        "import sys, assocmem, assocmem.search.clique_index, assocmem.concepts.memory\n"
        "assert 'sklearn' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_invalid_arguments_are_refused():
    for method in ("kneighbors", "radius_neighbors", "kneighbors_graph", "radius_neighbors_graph"):
        with pytest.raises(NotFittedError, match="call fit first"):
            getattr(CliqueNeighbors(), method)(matrix(1))
    with pytest.raises(InputError, match="p, metric_params: expected 2 and None, found 1 and None"):
        CliqueNeighbors(p=1).fit(matrix(3))
    with pytest.raises(InputError, match="expected minkowski, euclidean, l2 or cosine, found 'l1'"):
        CliqueNeighbors(metric="l1").fit(matrix(3))
    with pytest.raises(InputError, match="expected n_neighbors <= 3 rows, found 4"):
        CliqueNeighbors(4).fit(matrix(3)).kneighbors(matrix(1))
    with pytest.raises(InputError, match="found 'k'"):
        CliqueNeighbors().set_params(k=3)
    with pytest.raises(InputError, match=r"Expected 2D array|expected shape \(n, columns\)"):
        CliqueNeighbors().fit(matrix(3)[0])
