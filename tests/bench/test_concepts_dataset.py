"""Data of the concepts benchmark: splits and groups of classes, digits, letters, folders of pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assocmem.bench.concepts import dataset
from assocmem.errors import InputError
from tests.bench.conftest import blobs, write_photographs
from tests.media import photo


def test_a_split_halves_every_class():
    y = np.array([0] * 7 + [1] * 2 + [2] + [3] * 40)
    split = dataset.split_classes(y, 3)
    assert np.array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(len(y)))
    assert np.bincount(y[split.train]).tolist() == [3, 1, 1, 20]
    assert not np.array_equal(split.train, dataset.split_classes(y, 4).train)
    assert np.array_equal(split.train, dataset.split_classes(y, 3).train)


@given(st.integers(1, 100), st.integers(0, 5))
def test_every_class_is_in_one_group(classes, seed):
    found = dataset.class_groups(classes, seed)
    assert sorted(np.concatenate(found).tolist()) == list(range(classes))
    assert len(found) <= 10


def test_few_examples_are_the_first():
    y = np.array([0, 1, 0, 1, 0, 2])
    assert dataset.first_of_each(y, np.array([4, 5, 2, 0, 1]), 2).tolist() == [4, 5, 2, 1]


def test_digits_are_read():
    found = dataset.digits()
    if found is None:
        pytest.skip("scikit-learn is not installed")
    assert found.x.shape == (1797, 64)
    assert found.x.dtype == np.float32
    assert (found.x.min(), found.x.max()) == (0, 1)


def test_letters_are_drawn_in_each_font_once():
    found = dataset.letters()
    if found is None:
        pytest.skip("there are not enough fonts")
    assert found.x.shape == (len(found.y), dataset.SIDE**2)
    assert len(np.unique(found.y)) == len(found.classes) == 62
    np.testing.assert_allclose(np.linalg.norm(found.x, axis=1), 1, rtol=1e-5)


def test_machines_without_fonts_have_no_letters(tmp_path):
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    assert dataset.letters([tmp_path]) is None


def test_the_first_folder_is_the_class(tmp_path, colour_extractor):
    write_photographs(tmp_path / "cats", range(3))
    write_photographs(tmp_path / "dogs" / "young", range(3, 5))
    write_photographs(tmp_path / "dogs" / "old", range(5, 7))
    write_photographs(tmp_path / "one", range(7, 8))
    (tmp_path / "cats" / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "cats" / "notes.txt").write_text("no picture")
    Image.fromarray(photo(9)).save(tmp_path / "loose.png")
    lines = []
    found = dataset.from_folder(tmp_path, lines.append)
    assert found.classes == ("cats", "dogs")
    assert found.y.tolist() == [0] * 3 + [1] * 4
    assert np.linalg.norm(found.x, axis=1) == pytest.approx(np.ones(7), rel=1e-5)
    assert found.name == tmp_path.name
    assert any("1 of 10 pictures could not be read" in line for line in lines)
    assert any("2 pictures left out" in line for line in lines)


def test_stamps_are_labelled_by_kind_and_by_folder(tmp_path, colour_extractor):
    write_photographs(tmp_path / "animals" / "birds", range(8))
    write_photographs(tmp_path / "animals" / "fish", range(8, 16))
    write_photographs(tmp_path / "food", range(16, 19))
    kinds, leaves = dataset.from_stamps(tmp_path, lambda _: None)
    assert (kinds.classes, leaves.classes) == (("animals", "food"), ("animals/birds", "animals/fish"))
    assert (len(kinds.y), len(leaves.y)) == (19, 16)


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: write_photographs(folder / "one", range(2))])
def test_folders_without_classes_are_refused(tmp_path, colour_extractor, make):
    make(tmp_path)
    with pytest.raises(InputError, match="expected"):
        dataset.from_folder(tmp_path, lambda _: None)


def test_the_axes_of_the_networks_classifier_are_orthogonal():
    from assocmem.extractors.registry import open_extractor

    identity = open_extractor().identity
    axes = dataset.classifier_axes(identity)
    assert axes.shape == (1280, dataset.AXES)
    products = axes.T @ axes
    assert products == pytest.approx(np.diag(products.diagonal()), abs=1e-4)
    assert (np.diff(products.diagonal()) < 0).all()  # most important first
    assert dataset.classifier_axes("another network") is None
    some = replace(blobs(dim=1280), axes=axes, mean=np.ones(1280, np.float32), metric="cosine")
    assert some.reduced().x == pytest.approx((some.x - 1) @ axes, abs=1e-4)
