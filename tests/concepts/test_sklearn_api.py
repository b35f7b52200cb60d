"""CliqueConcepts: labels of any kind, row by row or all at once, and what scikit-learn expects of a classifier."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from assocmem import CliqueConcepts
from assocmem.errors import AssocmemError, InputError, NotFittedError, ZeroVectorError

try:
    from sklearn.utils.estimator_checks import parametrize_with_checks
except ImportError:
    checks = pytest.mark.skip(reason="scikit-learn is not installed")
else:
    checks = parametrize_with_checks([CliqueConcepts()])


def blobs(n=120, seed=0, dim=6, count=3):
    """Rows around a few centres, and which centre each is around."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(99).standard_normal((count, dim))
    labels = rng.integers(0, count, n)
    return centres[labels] + rng.standard_normal((n, dim)), labels


@checks
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


LABELS = {
    "numbers": [7, -3, 20],
    "names": ["tower", "crane", "lighthouse"],
    "no names": ["", "--", " a  b "],
    "names that stand for others": ["label 1", "", "label 2"],
    "booleans": [True, False],
    "objects": np.array(["crane", "tower"], dtype=object),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_kind_come_back(kind):
    labels = np.asarray(LABELS[kind])
    x, numbers = blobs(count=len(labels))
    model = CliqueConcepts().fit(x, labels[numbers])
    np.testing.assert_array_equal(model.classes_, np.unique(labels))
    assert model.classes_.dtype == labels.dtype
    assert (model.predict(x) == labels[numbers]).mean() > 0.95
    np.testing.assert_array_equal(model.classes_[model.predict_proba(x).argmax(axis=1)], model.predict(x))


def test_concepts_have_the_names_of_labels():
    x, numbers = blobs()
    assert CliqueConcepts().fit(x, np.array(["b", "a", "c"])[numbers]).memory_.concepts == ("a", "b", "c")
    assert CliqueConcepts().fit(x, np.array([1, 20, 3])[numbers]).memory_.counts.keys() == {"1", "20", "3"}


def test_batches_after_the_first_may_come_in_any_order():
    x, labels = blobs()
    first = slice(0, 40)
    one, other = (CliqueConcepts().partial_fit(x[first], labels[first]) for _ in range(2))
    one.partial_fit(x[40:], labels[40:])
    for part in (slice(80, 120), slice(40, 80)):
        other.partial_fit(x[part], labels[part])
    q, _ = blobs(50, seed=1)
    np.testing.assert_allclose(one.predict_proba(q), other.predict_proba(q), atol=1e-5)
    whole = CliqueConcepts().fit(x, labels)
    np.testing.assert_allclose(one.predict_proba(q), whole.predict_proba(q), atol=0.02)
    np.testing.assert_array_equal(one.predict(q), whole.predict(q))


def test_labels_may_be_new_at_any_time():
    x, labels = blobs()
    order = np.argsort(labels, kind="stable")[::-1]
    model = CliqueConcepts()
    for row in order:
        model.partial_fit(x[row : row + 1], labels[row : row + 1])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict(x).tolist() == labels.tolist()
    with pytest.raises(InputError, match="expected labels of one kind"):
        model.partial_fit(x[:1], ["tower"])
    assert len(model.memory_) == 120


def test_a_label_without_examples_is_improbable():
    x, labels = blobs()
    model = CliqueConcepts().partial_fit(x[labels < 2], labels[labels < 2], classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]
    assert (model.predict_proba(x)[:, 2] == 0).all()
    scores = model.decision_function(x)
    assert (scores[:, 2] < scores[:, :2].min(axis=1)).all()


def test_equal_rows_are_different_examples():
    x, labels = np.ones((10, 4)), np.array([0] * 7 + [1] * 3)
    model = CliqueConcepts().fit(x, labels)
    assert model.memory_.counts == {"0": 7, "1": 3}
    assert model.predict(x).tolist() == [0] * 10
    model.partial_fit(x, np.ones(10, int))
    assert model.predict(x).tolist() == [1] * 10


def test_probabilities_add_up_and_do_not_depend_on_the_other_rows():
    x, labels = blobs()
    model = CliqueConcepts().fit(x, labels)
    whole = model.predict_proba(x)
    np.testing.assert_allclose(whole.sum(axis=1), 1)
    np.testing.assert_array_equal(whole, np.concatenate([model.predict_proba(row[None]) for row in x]))
    np.testing.assert_array_equal(model.decision_function(x).argmax(axis=1), whole.argmax(axis=1))


def test_batches_in_any_order_are_one_fit():
    x, labels = blobs()
    whole, parts = CliqueConcepts().fit(x, labels), CliqueConcepts()
    for part in np.array_split(np.random.default_rng(0).permutation(len(x)), 5):
        parts.partial_fit(x[part], labels[part])
        parts.predict(x[:2])
    np.testing.assert_allclose(parts.predict_proba(x), whole.predict_proba(x), atol=0.02)


def test_one_label_is_always_predicted():
    x, _ = blobs()
    model = CliqueConcepts().fit(x, ["only"] * len(x))
    assert set(model.predict(10 * x)) == {"only"}
    assert (model.predict_proba(x) == 1).all()


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_scale_and_offset_do_not_matter(factor, offset):
    x, labels = blobs()
    q, truth = blobs(100, seed=1)
    model = CliqueConcepts().fit((x + offset) * factor, labels)
    assert (model.predict((q + offset) * factor) == truth).mean() > 0.95
    model.predict(np.full((1, 6), 1e14))  # far away, but a row like any other


@pytest.mark.parametrize("settings", [{"metric": "cosine"}, {"code_bytes": 32}, {"metric": "cosine", "code_bytes": 16}])
def test_settings_reach_the_memory(settings):
    x, labels = blobs(dim=32)
    model = CliqueConcepts(**settings).fit(x, labels)
    assert model.memory_.code_bytes == settings.get("code_bytes")
    assert model.memory_.metric == settings.get("metric", "l2")
    assert (model.predict(x) == labels).mean() > 0.95
    counted = CliqueConcepts(reader="counts", **settings).fit(x, labels)
    assert (counted.predict(x) == labels).mean() > 0.9


def test_a_pickle_predicts_the_same_and_learns_on():
    x, labels = blobs()
    model = CliqueConcepts().fit(x, labels)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict_proba(x), model.predict_proba(x))
    other.partial_fit(x[:5], [9] * 5)
    assert other.classes_.tolist() == [0, 1, 2, 9]
    assert model.classes_.tolist() == [0, 1, 2]


def test_invalid_arguments_are_refused():
    x, labels = blobs()
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError, match=f"{method}: expected a fitted CliqueConcepts"):
            getattr(CliqueConcepts(), method)(x)
    with pytest.raises(InputError, match="metric: expected euclidean, l2 or cosine, found 'l1'"):
        CliqueConcepts(metric="l1").fit(x, labels)
    with pytest.raises(AssocmemError, match="code_bytes: expected 1 to 512, found 513"):
        CliqueConcepts(code_bytes=513).fit(x, labels)
    with pytest.raises(ZeroVectorError):
        CliqueConcepts(metric="cosine").fit(0 * x, labels)
    with pytest.raises(InputError, match="reader: expected"):
        CliqueConcepts(reader="x").fit(x, labels).predict(x)
    with pytest.raises(InputError):
        CliqueConcepts().fit(x, labels[:4])
