"""The duplicates benchmark: its copies, its measures against plain loops, and a small run from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from assocmem.bench.duplicates import report
from assocmem.bench.duplicates.alterations import copies, make_copy
from assocmem.bench.duplicates.grouping import judge
from assocmem.bench.duplicates.methods import DEEP, Hash, standing
from assocmem.bench.duplicates.photographs import picture_paths, read_picture, unlike
from assocmem.cli.main import app
from assocmem.errors import InputError
from tests.fakes import ColourExtractor
from tests.media import photo


def test_copies_are_pictures_and_the_same_each_time():
    original = Image.fromarray(photo(0, 240, 320))
    names = [way.name for way in copies()]
    assert len(set(names)) == len(names) > 30
    for way in copies():
        one, other = (np.asarray(make_copy(original, way, 5)) for _ in range(2))
        assert one.dtype == np.uint8
        assert one.shape[2:] == (3,)
        assert np.array_equal(one, other), way.name
        assert one.shape != (240, 320, 3) or not np.array_equal(one, np.asarray(original)), way.name


@pytest.mark.parametrize("size", [(64, 64), (64, 512), (512, 65)])
def test_pictures_of_any_shape_can_be_altered(size):
    original = Image.fromarray(photo(0, *size))
    for way in copies():
        assert min(make_copy(original, way, 1).size) >= 8, way.name


@pytest.mark.parametrize(("name", "share"), [("crop 5%", 0.95), ("crop 50%", 0.5)])
def test_a_crop_leaves_its_share_of_the_area(name, share):
    way = next(way for way in copies() if way.name == name)
    cropped = make_copy(Image.fromarray(photo(0, 300, 400)), way, 3)
    assert cropped.width * cropped.height == pytest.approx(share * 300 * 400, rel=0.01)


def test_the_occlusion_covers_its_share():
    original = Image.fromarray(np.full((200, 200, 3), 255, np.uint8))
    way = next(way for way in copies() if way.kind == "occlusion")
    covered = (np.asarray(make_copy(original, way, 0)) != 255).any(axis=2).mean()
    assert covered == pytest.approx(0.3, abs=0.01)


def expected_standing(scores, original):
    """Recall@1 and average precision over every order of equals, by enumeration of the original's place among them."""
    own = scores[original]
    if own == -np.inf:
        return 0.0, 0.0
    better, equal = sum(s > own for s in scores), sum(s == own for s in scores)
    places = [better + place for place in range(1, equal + 1)]
    first = sum(place == 1 for place in places) / equal
    return first, sum(1 / place if place <= DEEP else 0 for place in places) / equal


def test_standings_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (50, 30)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    originals = rng.integers(0, 30, 50)
    found = standing(scores, originals)
    plain = [expected_standing(row.tolist(), original) for row, original in zip(scores, originals, strict=True)]
    assert (found.recall, found.precision) == pytest.approx(tuple(np.mean(plain, axis=0)))


@pytest.mark.filterwarnings("ignore")  # ranx's own
def test_precision_is_that_of_ranx():
    ranx = pytest.importorskip("ranx")
    rng = np.random.default_rng(1)
    scores = rng.standard_normal((40, 300)).astype(np.float32)
    originals = rng.integers(0, 300, 40)
    scores[np.arange(40), originals] += rng.uniform(0, 4, 40)
    wanted = ranx.Qrels({f"q{i}": {f"d{original}": 1} for i, original in enumerate(originals)})
    run = ranx.Run({f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)})
    theirs = ranx.evaluate(wanted, run, [f"map@{DEEP}", "recall@1"])
    found = standing(scores, originals)
    assert found.precision == pytest.approx(theirs[f"map@{DEEP}"], abs=1e-6)
    assert found.recall == pytest.approx(theirs["recall@1"], abs=1e-6)


def test_hashes_are_compared_bit_by_bit():
    class Few:
        def __init__(self, values):
            self.hashes = {"phash": np.array(values, np.uint8)}

    method = Hash("phash", 2)
    method.fit(Few([[0, 0], [255, 1], [3, 0]]))
    assert method.scores(Few([[0, 0], [255, 0]])).tolist() == [[0, -9, -2], [-8, -1, -6]]


def test_groups_are_judged_by_pairs():
    truth = np.array([0, 0, 0, 1, 1, 2])
    perfect = judge(np.array([0, 1, 3]), np.array([1, 2, 4]), truth)
    assert perfect == {"groups": 2, "precision": 1.0, "recall": 1.0}
    half = judge(np.array([0, 4]), np.array([1, 5]), truth)
    assert half == {"groups": 2, "precision": 0.5, "recall": 0.25}
    assert judge(np.empty(0, np.int64), np.empty(0, np.int64), truth)["recall"] == 0


def test_copies_among_the_distractors_are_left_out():
    features = np.eye(4, dtype=np.float32)
    features[2] = features[0] * 3
    hashes = np.arange(4, dtype=np.uint8)[:, None] * np.full((1, 8), 85, np.uint8)
    hashes[3] = hashes[1]
    assert unlike(features, hashes).tolist() == [0, 1]


def test_folders_without_pictures_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="expected at least 10 photographs, found 1"):
        picture_paths(tmp_path)
    assert read_picture(tmp_path / "a.png") is None
    Image.fromarray(photo(0, 30, 30)).save(tmp_path / "icon.png")
    assert read_picture(tmp_path / "icon.png") is None


def test_a_small_run_writes_its_figures(tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.extractors.registry.open_extractor", lambda *_, **__: ColourExtractor())
    monkeypatch.setattr("assocmem.bench.duplicates.methods.methods", _quick_methods)
    (tmp_path / "in").mkdir()
    for seed in range(14):
        Image.fromarray(photo(seed)).save(tmp_path / "in" / f"{seed}.jpg", quality=90)
    words = ["bench", "duplicates", tmp_path / "in", "--originals", 3, "--no-grouping", "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "out" / "duplicates.json").read_text())
    assert {row["method"] for row in kept["copies"]} == {"assocmem", "assocmem, features alone", "random"}
    text = (tmp_path / "out" / "duplicates.md").read_text()
    assert "3 originals among" in text
    assert "jpeg 30" in text
    assert report.figure(kept["copies"], "assocmem", "jpeg 90", "recall") == 1


class _Random:
    name, whose, item_bytes = "random", "nobody", 0

    def fit(self, base):
        self._count = len(base.features)

    def scores(self, queries):
        return np.random.default_rng(0).random((len(queries.features), self._count)).astype(np.float32)


def _quick_methods(dim, mean, pictures):
    from assocmem.bench.duplicates.methods import Associative

    yield from (Associative(None), Associative(None, sketches=False), _Random())
