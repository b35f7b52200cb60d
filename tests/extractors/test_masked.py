"""Searching with part of the picture masked: the masked part does not matter."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import assocmem
from assocmem.cli.main import app
from assocmem.errors import InputError, MediaError
from assocmem.extractors.masked import GREY, MaskedExtractor, check_boxes
from tests.fakes import ColourExtractor, picture, pictures

COVERED = (0.0, 0.0, 1.0, 0.5)


@pytest.fixture
def photos(tmp_path):
    with assocmem.open(tmp_path / "photos.amem", extractor=ColourExtractor()) as collection:
        collection.add(pictures(tmp_path / "in", range(20)))
        yield collection


def covered(seed, other):
    """Return a picture whose upper half is that of another."""
    pixels = np.asarray(picture(seed)).copy()
    pixels[:36] = np.asarray(picture(other))[:36]
    return pixels


def test_the_masked_part_does_not_matter(photos):
    found = [photos.search(covered(seed, 50), 1, mask=COVERED)[0].item for seed in range(20)]
    assert found == [photos.search(np.asarray(picture(seed)), 1)[0].item for seed in range(20)]
    one, other = (photos.search(covered(3, hidden), 5, mask=COVERED) for hidden in (50, 51))
    assert one == other


def test_boxes_and_nothing_else_are_painted():
    shown = []

    class Inner(ColourExtractor):
        def prepare(self, image):
            shown.append(image)
            return super().prepare(image)

    extractor = MaskedExtractor(Inner(), check_boxes([(0, 0, 0.5, 0.25), (0.95, 0.9, 1, 1)]))
    image = np.asarray(picture(1).resize((10, 8)))
    before = image.copy()
    extractor.prepare(image)
    expected = before.copy()
    expected[:2, :5] = GREY
    expected[7:, 9:] = GREY
    assert np.array_equal(shown[0], expected)
    assert np.array_equal(image, before)
    assert extractor.extract([extractor.prepare(image)]).features.shape == (1, extractor.dim)


@pytest.mark.parametrize(
    "mask",
    [(0, 0, 1, 1), (0.5, 0, 0.5, 1), (0, 0, 1.5, 1), (0, 0, 1), "middle", (0, float("nan"), 1, 1), [], None, [[]]],
)
def test_invalid_masks_are_refused(mask):
    with pytest.raises(InputError, match="mask: expected"):
        check_boxes(mask)


def test_words_cannot_be_masked(photos):
    with pytest.raises(MediaError, match="no such file"):
        photos.search("tabby cat", mask=COVERED)


def test_the_command_takes_boxes(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.index.session.ExtractorChoice.open", lambda self: ColourExtractor())
    Image.fromarray(covered(3, 50)).save(tmp_path / "covered.png")
    words = ["search", "-c", str(photos.folder), str(tmp_path / "covered.png"), "--json", "-k", "1"]
    result = CliRunner().invoke(app, [*words, "--mask", "0,0,1,0.3", "--mask", "0,0.3,1,0.5"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["hits"][0]["path"] == str(tmp_path / "in" / "0003.png")
    assert CliRunner().invoke(app, [*words, "--mask", "0,0,1"]).exit_code == 2
    refused = CliRunner().invoke(app, [*words, "--mask", "0,0,1,1"])
    assert refused.exit_code == 1
    assert "found all of it masked" in refused.stderr
