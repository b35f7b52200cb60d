"""The duplicates benchmark: its copies, its metrics compared with plain loops, and a small run from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from assocmem.bench.duplicates import look_alikes, methods, report
from assocmem.bench.duplicates.alterations import alterations, make_copy
from assocmem.bench.duplicates.documents import FAMILIES
from assocmem.bench.duplicates.grouping import judge_pairs
from assocmem.bench.duplicates.methods import DEPTH, AssocmemMethod, HashMethod
from assocmem.bench.duplicates.photographs import find_pictures, read_picture, without_copies
from assocmem.bench.duplicates.retrieval import judge_ranks
from assocmem.codes.dct_sketches import inverse_norms
from assocmem.copies.similarity import Vectors, score_pairs
from assocmem.errors import InputError
from tests.fakes import ColourExtractor
from tests.media import photo


def test_copies_are_pictures_and_the_same_each_time():
    original = Image.fromarray(photo(0, 240, 320))
    names = [alteration.name for alteration in alterations()]
    assert len(set(names)) == len(names) > 30
    for alteration in alterations():
        one, other = (np.asarray(make_copy(original, alteration, 5)) for _ in range(2))
        assert one.dtype == np.uint8
        assert one.shape[2:] == (3,)
        assert np.array_equal(one, other), alteration.name
        assert one.shape != (240, 320, 3) or not np.array_equal(one, np.asarray(original)), alteration.name


@pytest.mark.parametrize("size", [(64, 64), (64, 512), (512, 65)])
def test_pictures_of_any_shape_can_be_altered(size):
    original = Image.fromarray(photo(0, *size))
    for alteration in alterations():
        assert min(make_copy(original, alteration, 1).size) >= 8, alteration.name


@pytest.mark.parametrize(("name", "share"), [("crop 5%", 0.95), ("crop 50%", 0.5)])
def test_a_crop_leaves_its_share_of_the_area(name, share):
    alteration = next(alteration for alteration in alterations() if alteration.name == name)
    cropped = make_copy(Image.fromarray(photo(0, 300, 400)), alteration, 3)
    assert cropped.width * cropped.height == pytest.approx(share * 300 * 400, rel=0.01)


def test_the_occlusion_covers_its_share():
    original = Image.fromarray(np.full((200, 200, 3), 255, np.uint8))
    alteration = next(alteration for alteration in alterations() if alteration.kind == "occlusion")
    covered = (np.asarray(make_copy(original, alteration, 0)) != 255).any(axis=2).mean()
    assert covered == pytest.approx(0.3, abs=0.01)


def _naive_quality(scores, original):
    """Return recall@1 and average precision over every order of equals, by enumerating the original's place."""
    own = scores[original]
    if own == -np.inf:
        return 0.0, 0.0
    better, equal = sum(s > own for s in scores), sum(s == own for s in scores)
    places = [better + place for place in range(1, equal + 1)]
    first = sum(place == 1 for place in places) / equal
    return first, sum(1 / place if place <= DEPTH else 0 for place in places) / equal


def test_rank_quality_is_that_of_plain_loops():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (50, 30)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    originals = rng.integers(0, 30, 50)
    found = judge_ranks(scores, originals)
    naive = [_naive_quality(row.tolist(), original) for row, original in zip(scores, originals, strict=True)]
    assert (found.recall, found.precision) == pytest.approx(tuple(np.mean(naive, axis=0)))


@pytest.mark.filterwarnings("ignore")  # ranx's own
def test_precision_is_that_of_ranx():
    ranx = pytest.importorskip("ranx")
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((40, 300)).astype(np.float32)
    originals = rng.integers(0, 300, 40)
    scores[np.arange(40), originals] += rng.uniform(0, 4, 40)
    wanted = ranx.Qrels({f"q{i}": {f"d{original}": 1} for i, original in enumerate(originals)})
    run = ranx.Run({f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)})
    theirs = ranx.evaluate(wanted, run, [f"map@{DEPTH}", "recall@1"])
    found = judge_ranks(scores, originals)
    assert found.precision == pytest.approx(theirs[f"map@{DEPTH}"], abs=1e-6)
    assert found.recall == pytest.approx(theirs["recall@1"], abs=1e-6)


def test_hashes_are_compared_bit_by_bit():
    class Hashes:
        def __init__(self, values):
            self.hashes = {"phash": np.array(values, np.uint8)}

    method = HashMethod("phash", 2)
    method.fit(Hashes([[0, 0], [255, 1], [3, 0]]))
    assert method.scores(Hashes([[0, 0], [255, 0]])).tolist() == [[0, -9, -2], [-8, -1, -6]]


def test_groups_are_judged_by_pairs():
    truth = np.array([0, 0, 0, 1, 1, 2])
    perfect = judge_pairs(np.array([0, 1, 3]), np.array([1, 2, 4]), truth)
    assert perfect == {"groups": 2, "precision": 1.0, "recall": 1.0}
    half = judge_pairs(np.array([0, 4]), np.array([1, 5]), truth)
    assert half == {"groups": 2, "precision": 0.5, "recall": 0.25}
    assert judge_pairs(np.empty(0, np.int64), np.empty(0, np.int64), truth)["recall"] == 0


def test_copies_among_the_distractors_are_left_out():
    features = np.eye(4, dtype=np.float32)
    features[2] = features[0] * 3
    hashes = np.arange(4, dtype=np.uint8)[:, None] * np.full((1, 8), 85, np.uint8)
    hashes[3] = hashes[1]
    assert without_copies(features, hashes).tolist() == [0, 1]


def test_folders_without_pictures_are_refused_and_unreadable_ones_skipped(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="expected at least 10 photographs, found 1"):
        find_pictures(tmp_path)
    assert read_picture(tmp_path / "a.png") is None
    Image.fromarray(photo(0, 30, 30)).save(tmp_path / "icon.png")
    assert read_picture(tmp_path / "icon.png") is None


def test_a_small_run_writes_its_figures(tmp_path, monkeypatch, colour_extractor, run_bench):
    monkeypatch.setattr("assocmem.bench.duplicates.methods.available_methods", _quick_methods)
    (tmp_path / "in").mkdir()
    for seed in range(14):
        Image.fromarray(photo(seed)).save(tmp_path / "in" / f"{seed}.jpg", quality=90)
    run_bench(
        "duplicates", tmp_path / "in", "--originals", 3, "--no-grouping", "--documents", 2, "--out", tmp_path / "out"
    )
    figures = json.loads((tmp_path / "out" / "duplicates.json").read_text())
    assert {row["method"] for row in figures["copies"]} == {"assocmem", "assocmem, features alone", "random"}
    text = (tmp_path / "out" / "duplicates.md").read_text()
    assert "3 originals among" in text
    assert "jpeg 30" in text
    assert report.figure(figures["copies"], "assocmem", "jpeg 90", "recall") == 1


class _RandomMethod:
    name, whose, item_bytes = "random", "nobody", 0

    def fit(self, base):
        self._count = len(base.features)

    def scores(self, queries):
        return np.random.default_rng(0).random((len(queries.features), self._count)).astype(np.float32)


def _quick_methods(dim, mean, pictures):
    yield from (AssocmemMethod(None), AssocmemMethod(None, sketches=False), _RandomMethod())


def test_likeness_is_that_of_pairs_in_a_collection():
    """The benchmark's plain formula against the kernel."""
    pictures = [Image.fromarray(photo(seed)) for seed in range(5)]
    described = methods.describe_pictures(pictures, ColourExtractor())
    vectors = Vectors(
        described.features,
        np.arange(5),
        (1 / np.linalg.norm(described.features, axis=1)).astype(np.float32),
        described.sketches,
        inverse_norms(described.sketches),
    )
    first, second = np.array([0, 1, 3]), np.array([4, 2, 3])
    expected = np.empty(3, np.float32)
    score_pairs(vectors, first, second, expected)
    np.testing.assert_allclose(look_alikes.likeness(described, described)[first, second], expected, atol=1e-5)


def test_false_and_true_copies_are_counted():
    extractor = ColourExtractor()
    rows = list(look_alikes.documents(extractor, 2, lambda _: None))
    assert [row["pairs"] for row in rows] == [1] * len(FAMILIES)
    assert all(row["false"][look_alikes.COPIES] == 0 for row in rows)
    same = [a for a in alterations() if a.name in ("jpeg 90", "mirror")]
    originals = {seed: Image.fromarray(photo(seed, 384, 512)) for seed in range(3)}
    jpeg, mirror = look_alikes.true_copies(originals, same, extractor, lambda _: None)
    assert jpeg["found"][look_alikes.COPIES] == 1
    assert mirror["found"][look_alikes.COPIES] == 0
    false, true = look_alikes.sections(rows, [jpeg, mirror])
    assert false.rows[0][0] == "all"
    assert true.rows[0][1:] != true.rows[1][1:]
