"""The concepts benchmark: its sets, its measures and its rivals against plain loops, and a small run end to end."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from assocmem.bench.concepts import dataset as data
from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.results import Figures, difference
from assocmem.bench.concepts.streaming_learners import (
    RIDGES,
    NearestMean,
    RandomProjections,
    StreamingLDA,
    oas,
    ridge_answers,
)
from assocmem.cli.main import app
from assocmem.errors import InputError
from tests.fakes import ColourExtractor
from tests.media import photo


def blobs(classes=4, each=12, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(classes), each)
    x = (2 * rng.standard_normal((classes, dim))[y] + rng.standard_normal((len(y), dim))).astype(np.float32)
    return data.Data("blobs", "blobs", x, y, tuple(f"class {c}" for c in range(classes)), "l2")


def taught(make, some, portions):
    learner = make(some, 0)
    for rows in portions:
        learner.teach(some.x[rows], some.y[rows], rows)
    learner.ready()
    return learner


# what is learned


def test_a_split_halves_every_class():
    y = np.array([0] * 7 + [1] * 2 + [2] + [3] * 40)
    parts = data.split(y, 3)
    assert np.array_equal(np.sort(np.concatenate([parts.train, parts.test])), np.arange(len(y)))
    assert np.bincount(y[parts.train]).tolist() == [3, 1, 1, 20]
    assert not np.array_equal(parts.train, data.split(y, 4).train)
    assert np.array_equal(parts.train, data.split(y, 3).train)


@given(st.integers(1, 100), st.integers(0, 5))
def test_every_class_is_in_one_group(classes, seed):
    found = data.groups(classes, seed)
    assert sorted(np.concatenate(found).tolist()) == list(range(classes))
    assert len(found) <= 10


def test_few_examples_are_the_first():
    y = np.array([0, 1, 0, 1, 0, 2])
    assert data.first_of_each(y, np.array([4, 5, 2, 0, 1]), 2).tolist() == [4, 5, 2, 1]


def test_digits_are_read():
    found = data.digits()
    if found is None:
        pytest.skip("scikit-learn is not installed")
    assert found.x.shape == (1797, 64)
    assert found.x.dtype == np.float32
    assert (found.x.min(), found.x.max()) == (0, 1)


def test_letters_are_drawn_in_each_font_once():
    found = data.letters()
    if found is None:
        pytest.skip("there are not enough fonts")
    assert found.x.shape == (len(found.y), data.SIDE**2)
    assert len(np.unique(found.y)) == len(found.classes) == 62
    np.testing.assert_allclose(np.linalg.norm(found.x, axis=1), 1, rtol=1e-5)


def test_machines_without_fonts_have_no_letters(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert data.letters([tmp_path]) is None


@pytest.fixture
def colours(monkeypatch):
    extractor = ColourExtractor()
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: extractor)
    return extractor


def fill(folder, seeds):
    folder.mkdir(parents=True)
    for seed in seeds:
        Image.fromarray(photo(seed, 60, 80)).save(folder / f"{seed}.jpg")


def test_the_first_folder_is_the_class(tmp_path, colours):
    fill(tmp_path / "cats", range(3))
    fill(tmp_path / "dogs" / "young", range(3, 5))
    fill(tmp_path / "dogs" / "old", range(5, 7))
    fill(tmp_path / "one", range(7, 8))
    (tmp_path / "cats" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "cats" / "notes.txt").write_text("no picture")
    Image.fromarray(photo(9)).save(tmp_path / "loose.png")
    said = []
    (found,) = data.from_folder(tmp_path, said.append)
    assert found.classes == ("cats", "dogs")
    assert found.y.tolist() == [0] * 3 + [1] * 4
    assert np.linalg.norm(found.x, axis=1) == pytest.approx(np.ones(7), rel=1e-5)
    assert found.name == tmp_path.name
    assert any("1 of 10 pictures could not be read" in line for line in said)
    assert any("2 pictures left out" in line for line in said)


def test_stamps_are_told_by_kind_and_by_folder(tmp_path, colours):
    fill(tmp_path / "animals" / "birds", range(8))
    fill(tmp_path / "animals" / "fish", range(8, 16))
    fill(tmp_path / "food", range(16, 19))
    kinds, leaves = data.from_stamps(tmp_path, lambda _: None)
    assert (kinds.classes, leaves.classes) == (("animals", "food"), ("animals/birds", "animals/fish"))
    assert (len(kinds.y), len(leaves.y)) == (19, 16)


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: fill(folder / "one", range(2))])
def test_folders_without_classes_are_named(tmp_path, colours, make):
    make(tmp_path)
    with pytest.raises(InputError, match="expected"):
        data.from_folder(tmp_path, lambda _: None)


def test_the_networks_own_axes_are_at_right_angles():
    from assocmem.extractors.registry import open_extractor

    identity = open_extractor().identity
    axes = data.classifier_axes(identity)
    assert axes.shape == (1280, data.AXES)
    products = axes.T @ axes
    assert products == pytest.approx(np.diag(products.diagonal()), abs=1e-4)
    assert (np.diff(products.diagonal()) < 0).all()  # the most telling first
    assert data.classifier_axes("another network") is None
    some = replace(blobs(dim=1280), axes=axes, mean=np.ones(1280, np.float32), metric="cosine")
    assert some.reduced().x == pytest.approx((some.x - 1) @ axes, abs=1e-4)


# measures


def test_accuracy_counts_the_first_of_equals():
    scores = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, -np.inf], [-np.inf, -np.inf, 0.0]])
    assert metrics.right(scores, np.array([0, 1, 1])).tolist() == [True, True, False]
    assert metrics.by_class(np.array([True, False, True]), np.array([4, 4, 7])) == {4: 0.5, 7: 1.0}


def test_forgetting_is_the_mean_drop():
    assert metrics.forgetting({1: 1.0, 2: 0.5}, {1: 0.6, 2: 0.7, 3: 0.0}) == pytest.approx((0.4 - 0.2) / 2)
    assert math.isnan(metrics.forgetting({}, {1: 1.0}))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_calibration_error_is_that_of_plain_loops(answers):
    wanted = 0.0
    for number in range(10):
        inside = [(p, ok) for p, ok in answers if max(0, math.ceil(round(p * 10, 6)) - 1) == number]
        if inside:
            share, sure = np.mean([ok for _, ok in inside]), np.mean([p for p, _ in inside])
            wanted += len(inside) / len(answers) * abs(share - sure)
    top, correct = (np.array(values) for values in zip(*answers, strict=True))
    assert metrics.calibration_error(top.astype(float), correct.astype(bool)) == pytest.approx(wanted)


def test_a_threshold_in_hindsight_allows_no_more_alarms():
    known, unknown = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 3.5, 5.0])
    assert metrics.doubted(known, unknown, 0.0) == pytest.approx(1 / 3)
    assert metrics.doubted(known, unknown, 0.25) == pytest.approx(2 / 3)
    assert metrics.doubted(known, unknown, 1.0) == 1


def test_the_knee_holds_from_there_on():
    bits = [8, 16, 32, 64, 128]
    assert metrics.knee(bits, [0.1, 0.89, 0.7, 0.885, 0.9], 0.9) == 64
    assert metrics.knee(bits, [0.9] * 5, 0.9) == 8
    assert metrics.knee(bits, [0.1] * 5, 0.9) is None


def test_the_bend_is_furthest_above_the_line():
    assert metrics.bend([8, 16, 32, 64], [0.0, 0.8, 0.85, 0.9]) == 16


def test_labels_are_counted_to_the_first_that_reaches():
    assert metrics.labels_needed([1, 2, 4], [0.2, 0.9, 0.8], 0.85) == 2
    assert math.isnan(metrics.labels_needed([1, 2], [0.2, 0.3], 0.85))


def test_figures_are_told_with_their_deviation():
    assert metrics.told([0.5, 0.7]) == "0.600 ± 0.141"
    assert metrics.told([0.5, math.nan]) == "0.500"
    assert metrics.told([math.nan]) == ""
    assert difference([0.5, 0.7], [0.4, 0.8]) == "+0.000 ± 0.141, ahead in 1 of 2"


def test_labels_needed_are_told_by_seed():
    rows = [{"seed": s, "choice": "random", "labels": n, "accuracy": a} for s, n, a in
            ((0, 1, 0.5), (0, 2, 0.96), (1, 1, 0.2), (1, 2, 0.3))]  # fmt: skip
    rows += [{"seed": s, "choice": "everything", "labels": 9, "accuracy": 1.0} for s in (0, 1)]
    figures = Figures("x", "", {"active": rows})
    needed = figures.labels_needed("random")
    assert needed[0] == 2
    assert math.isnan(needed[1])


# rivals


def test_the_nearest_mean_is_that_of_plain_loops():
    some = blobs()
    learner = taught(NearestMean, replace(some, classes=(*some.classes, "never")), np.array_split(np.arange(40), 3))
    scores = learner.scores(some.x)
    for c in range(4):
        mean = some.x[:40][some.y[:40] == c].mean(axis=0)
        assert scores[:, c] == pytest.approx(-((some.x - mean) ** 2).sum(axis=1), abs=1e-3)
    assert (scores[:, 4] == -np.inf).all()


def test_streaming_lda_is_its_recurrence():
    some = blobs()
    rows = np.random.default_rng(1).permutation(len(some.y))
    learner = taught(StreamingLDA, some, np.array_split(rows, 5))
    means, counts, covariance = np.zeros((4, 6)), np.zeros(4), np.zeros((6, 6))
    for t, row in enumerate(rows):
        c = some.y[row]
        if counts[c]:
            apart = some.x[row] - means[c]
            covariance = (t * covariance + t / (t + 1) * np.outer(apart, apart)) / (t + 1)
        else:
            covariance = t * covariance / (t + 1)
        means[c] = (counts[c] * means[c] + some.x[row]) / (counts[c] + 1)
        counts[c] += 1
    precision = np.linalg.inv((1 - 1e-4) * covariance + 1e-4 * np.eye(6))
    linear = some.x @ precision @ means.T - 0.5 * np.einsum("ci,ij,cj->c", means, precision, means)
    distances = [[(x - mean) @ precision @ (x - mean) for mean in means] for x in some.x]
    assert learner.doubt(some.x) == pytest.approx(np.min(distances, axis=1), rel=1e-3)
    wanted = np.exp(linear - linear.max(axis=1, keepdims=True))
    assert learner.scores(some.x) == pytest.approx(wanted / wanted.sum(axis=1, keepdims=True), abs=1e-4)


def test_oracle_shrinkage_is_that_of_scikit_learn():
    covariance = pytest.importorskip("sklearn.covariance")
    x = np.random.default_rng(0).standard_normal((30, 8)) * np.arange(1, 9)
    _, wanted = covariance.oas(x, assume_centered=True)
    ours, theirs = oas(x.T @ x / len(x), len(x)), wanted
    assert ours == pytest.approx(theirs, rel=0.2)  # scikit-learn leaves out the terms of 2 / d
    assert oas(np.eye(3), 5) == 1


def test_streaming_lda_with_oracle_shrinkage_tells_blobs_apart():
    some = blobs(dim=40)
    learner = taught(partial(StreamingLDA, shrinkage=None), some, [np.arange(len(some.y))])
    assert metrics.right(learner.scores(some.x), some.y).mean() > 0.95


def test_random_projections_are_the_published_regression():
    some = blobs()
    rows = np.random.default_rng(2).permutation(len(some.y))
    portions = np.array_split(rows, 3)
    learner = taught(partial(RandomProjections, width=25), some, portions)
    errors, gram, sums = np.zeros(len(RIDGES)), np.zeros((25, 25)), np.zeros((25, 4))
    for portion in portions:
        h = np.maximum(some.x[portion] @ learner.projection, 0).astype(float)
        y, first = np.eye(4)[some.y[portion]], int(0.8 * len(portion))
        for number, ridge in enumerate(RIDGES):
            w = np.linalg.solve(h[:first].T @ h[:first] + ridge * np.eye(25), h[:first].T @ y[:first])
            errors[number] += ((h[first:] @ w - y[first:]) ** 2).sum()
        gram, sums = gram + h.T @ h, sums + h.T @ y
    weights = np.linalg.solve(gram + RIDGES[errors.argmin()] * np.eye(25), sums)
    wanted = np.maximum(some.x @ learner.projection, 0) @ weights
    assert learner.scores(some.x) == pytest.approx(wanted, abs=1e-3)
    assert learner.nbytes() == 4 * (25 * 25 + 25 * 4)


def test_ridge_answers_are_those_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, t, y = rng.standard_normal((20, 9)), rng.standard_normal((7, 9)), rng.standard_normal((20, 3))
    for ridge, found in list(zip(RIDGES, ridge_answers(x @ x.T, y, t @ x.T), strict=True))[6:]:
        wanted = linear.Ridge(alpha=ridge, fit_intercept=False).fit(x, y).predict(t)
        assert found == pytest.approx(wanted, abs=1e-6)


def test_neighbours_vote_and_the_nearer_break_ties():
    pytest.importorskip("faiss")
    from assocmem.bench.concepts.faiss_learner import NEIGHBOURS, Neighbours, votes

    found = votes(np.array([0, 1, 1, 2]), np.array([[0, 1, 3], [0, 2, 1]]), 4)
    assert found.argmax(axis=1).tolist() == [0, 1]
    assert found.sum(axis=1) == pytest.approx(1)
    some = blobs(each=20)
    learner = taught(Neighbours, some, np.array_split(np.arange(len(some.y)), 3))
    apart = ((some.x[:, None] - some.x) ** 2).sum(axis=2) + np.diag(np.full(len(some.y), np.inf))
    order = np.argsort(apart, axis=1)
    hits = {
        k: sum(np.bincount(some.y[near[:k]], minlength=4).argmax() == y for near, y in zip(order, some.y, strict=True))
        for k in NEIGHBOURS
    }
    assert abs(hits[learner.k] - max(hits.values())) <= 1  # ties are broken differently
    assert metrics.right(learner.scores(some.x), some.y).mean() > 0.8
    assert learner.doubt(some.x) == pytest.approx(np.zeros(len(some.y)), abs=1e-4)
    learner.close()


def test_the_bound_is_scikit_learns():
    linear = pytest.importorskip("sklearn.linear_model")
    from assocmem.bench.concepts.offline_learner import Logistic

    some = blobs(dim=60)  # more numbers than examples are taught: turned into their span
    x, y = some.x[::2].astype(float), some.y[::2]
    for each in (False, True):
        learner = taught(partial(Logistic, choice=(each, 0.1)), some, [np.arange(0, len(some.y), 2)])
        scale = x.std(axis=0) if each else np.sqrt(x.var(axis=0).mean())
        plain = linear.LogisticRegression(C=0.1, max_iter=1000).fit((x - x.mean(axis=0)) / scale, y)
        wanted = plain.predict_proba((some.x - x.mean(axis=0)) / scale)
        assert learner.scores(some.x) == pytest.approx(wanted, abs=5e-3)


def test_the_bound_needs_no_second_example():
    pytest.importorskip("sklearn")
    from assocmem.bench.concepts.offline_learner import UNCHOSEN, choose

    some = blobs()
    assert choose(some.x[::12].astype(float), some.y[::12]) == UNCHOSEN


# all of it


def test_checkpoints_go_up_to_the_most():
    from assocmem.bench.concepts.experiments import checkpoints

    found = checkpoints(300)
    assert found[:10] == list(range(1, 11))
    assert found[-1] == 300
    assert found == sorted(set(found))
    assert checkpoints(1) == [1]


def test_a_quick_run_writes_its_figures(tmp_path):
    pytest.importorskip("sklearn")
    words = ["bench", "concepts", "--quick", "--out", tmp_path]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "concepts.json").read_text())
    figures = kept["sets"]["digits"]
    assert {row["seed"] for row in figures["classes"]} == {0, 1}
    last = [row for row in figures["classes"] if row["classes"] == 10]
    assert {row["method"] for row in last} >= {"assocmem", "nearest class mean", "streaming LDA"}
    assert all(row["accuracy"] > 0.8 for row in last)
    assert all(row["same"] for row in figures["orders"])
    text = (tmp_path / "concepts.md").read_text()
    assert "Verdict" in text
    assert "bit for bit in 2 of 2" in text


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_a_folder_of_pictures_is_learned(tmp_path, colours, monkeypatch, names):
    from assocmem.bench.concepts import experiments as runs

    quick = replace(runs.QUICK, seeds=1, shots=(1,), code_bytes=(2, 8), labels=6, widths=(50,))
    monkeypatch.setattr(runs, "QUICK", quick)
    for number, name in enumerate(names):
        fill(tmp_path / "in" / name, range(8 * number, 8 * number + 8))
    words = ["bench", "concepts", tmp_path / "in", "--only", "none", "--quick", "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "out" / "concepts.json").read_text())
    assert set(kept["sets"]) == {"in"}


def test_unknown_sets_are_named(tmp_path):
    result = CliRunner().invoke(app, ["bench", "concepts", "--only", "cats", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "expected digits, letters, stamps or none, found cats" in result.output
