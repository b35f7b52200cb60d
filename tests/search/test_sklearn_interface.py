"""CliqueNeighbors and CliqueTransformer go wherever scikit-learn's own estimators go."""

from __future__ import annotations

import numpy as np
import pytest

import assocmem
from assocmem import CliqueNeighbors, CliqueTransformer

pytest.importorskip("sklearn", minversion="1.6")

from sklearn import neighbors
from sklearn.base import clone
from sklearn.cluster import DBSCAN
from sklearn.exceptions import NotFittedError
from sklearn.manifold import Isomap
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted


def blobs(n=200, seed=0, dim=6, count=4):
    """Rows around a few centres that are far apart, and which centre each is around."""
    rng = np.random.default_rng(seed)
    centres = 8 * np.random.default_rng(99).standard_normal((count, dim))
    labels = rng.integers(0, count, n)
    return centres[labels] + rng.standard_normal((n, dim)), labels


@parametrize_with_checks(
    [
        CliqueNeighbors(),
        CliqueNeighbors(metric="euclidean", recall=1),
        CliqueTransformer(),
        CliqueTransformer(mode="connectivity"),
    ]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("own", [False, True])
def test_an_exact_search_equals_scikit_learns(metric, own):
    x, _ = blobs(6000, dim=12)
    q = None if own else blobs(40, seed=1, dim=12)[0]
    one = CliqueNeighbors(7, metric=metric, recall=1).fit(x)
    other = neighbors.NearestNeighbors(n_neighbors=7, metric=metric, algorithm="brute").fit(x)
    found, rows = one.kneighbors(q)
    wanted, truth = other.kneighbors(q)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    assert (rows == truth).mean() > 0.999  # but for ties, to the precision of float32


@pytest.mark.parametrize("mode", ["connectivity", "distance"])
def test_graphs_equal_scikit_learns(mode):
    x, q = blobs()[0], blobs(20, seed=1)[0]
    one, other = (kind(n_neighbors=3, radius=2.5).fit(x) for kind in (CliqueNeighbors, neighbors.NearestNeighbors))
    for queries in (None, q):
        pairs = [
            (one.kneighbors_graph(queries, mode=mode), other.kneighbors_graph(queries, mode=mode)),
            (one.radius_neighbors_graph(queries, mode=mode), other.radius_neighbors_graph(queries, mode=mode)),
        ]
        for found, wanted in pairs:
            assert (type(found), found.dtype, found.shape) == (type(wanted), wanted.dtype, wanted.shape)
            np.testing.assert_allclose(found.toarray(), wanted.toarray(), rtol=1e-4, atol=1e-6)


def test_functions_that_make_graphs_take_it():
    x, _ = blobs()
    for include_self in (False, True):
        found = neighbors.kneighbors_graph(CliqueNeighbors().fit(x), 5, include_self=include_self)
        wanted = neighbors.kneighbors_graph(x, 5, include_self=include_self)
        np.testing.assert_array_equal(found.toarray(), wanted.toarray())
    found = neighbors.radius_neighbors_graph(CliqueNeighbors().fit(x), 2.0)
    np.testing.assert_array_equal(found.toarray(), neighbors.radius_neighbors_graph(x, 2.0).toarray())


@pytest.mark.parametrize("kind", [CliqueNeighbors, CliqueTransformer])
def test_it_is_an_estimator(kind):
    x, _ = blobs()
    pipeline = make_pipeline(StandardScaler(), kind(n_neighbors=3)).fit(x)
    html = pipeline._repr_html_()
    assert kind.__name__ in html
    assert "text/html" in pipeline[-1]._repr_mimebundle_()
    assert kind.__name__ in pipeline[-1]._repr_html_()
    check_is_fitted(pipeline[-1])
    copy = clone(pipeline[-1])
    assert copy.get_params() == pipeline[-1].get_params()
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)


def test_errors_are_those_of_scikit_learn_and_of_assocmem():
    x, _ = blobs()
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (NotFittedError, assocmem.AssocmemError, ValueError, AttributeError):
        with pytest.raises(kind, match="call fit first"):
            CliqueNeighbors().kneighbors(x)
    for call in (CliqueNeighbors().fit, CliqueNeighbors().fit(x).kneighbors, CliqueTransformer().fit(x).transform):
        with pytest.raises(TypeError, match="Sparse data was passed for X"):
            call(sparse.csr_matrix(x))
        with pytest.raises(assocmem.AssocmemError, match="contains NaN"):
            call(np.full((3, 6), np.nan))


def test_a_graph_equals_that_of_scikit_learns_transformer():
    x, q = blobs()[0], blobs(20, seed=1)[0]
    for mode in ("distance", "connectivity"):
        one, other = (kind(mode=mode, n_neighbors=4) for kind in (CliqueTransformer, neighbors.KNeighborsTransformer))
        for found, wanted in ((one.fit_transform(x), other.fit_transform(x)), (one.transform(q), other.transform(q))):
            np.testing.assert_allclose(found.toarray(), wanted.toarray(), rtol=1e-4, atol=1e-6)
        assert len(one.get_feature_names_out()) == len(other.get_feature_names_out())


def test_dbscan_clusters_a_graph():
    x, labels = blobs()
    found = make_pipeline(CliqueTransformer(n_neighbors=50), DBSCAN(eps=3.0, metric="precomputed")).fit_predict(x)
    plain = DBSCAN(eps=3.0).fit_predict(x)
    np.testing.assert_array_equal(found, plain)
    assert len({*zip(labels[found >= 0].tolist(), found[found >= 0].tolist(), strict=True)}) == 4


def test_isomap_embeds_a_graph():
    x, _ = blobs(150, count=1)
    pipeline = make_pipeline(CliqueTransformer(n_neighbors=8), Isomap(n_neighbors=8, metric="precomputed"))
    found, plain = pipeline.fit_transform(x), Isomap(n_neighbors=8).fit_transform(x)
    np.testing.assert_allclose(np.abs(found), np.abs(plain), rtol=1e-2, atol=1e-3)
    assert pipeline.transform(x[:5]).shape == (5, 2)


def test_a_classifier_takes_a_graph_and_a_grid_chooses_its_parameters():
    x, labels = blobs()
    pipeline = make_pipeline(
        CliqueTransformer(n_neighbors=9, recall=1), neighbors.KNeighborsClassifier(metric="precomputed")
    )
    grid = {"kneighborsclassifier__n_neighbors": [1, 5, 9], "cliquetransformer__metric": ["euclidean", "cosine"]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(x, labels)
    assert search.best_score_ > 0.99
    assert search.predict(x).shape == (200,)
