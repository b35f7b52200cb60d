"""Sketches: what they are by definition, what a mirror does to them, what survives."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from assocmem.codes.dct_sketches import LENGTH, SIDE, mirrored, scales_of, sketch, sketch_cosines
from assocmem.errors import InputError
from assocmem.extractors.image import grey_square
from tests import naive_duplicates
from tests.media import photo


def small(seed):
    return grey_square(photo(seed), SIDE)


def test_a_sketch_is_what_its_definition_says():
    pictures = np.stack([small(seed) for seed in range(5)])
    made = sketch(pictures)
    assert made.dtype == np.int8
    assert made.shape == (5, LENGTH)
    for picture, found in zip(pictures, made, strict=True):
        np.testing.assert_allclose(found, naive_duplicates.sketch(picture), atol=1)  # float32 may round the other way
    assert (np.abs(made).max(axis=1) == 127).all()


def test_a_mirrored_picture_has_the_mirrored_sketch():
    pictures = np.stack([small(seed) for seed in range(20)])
    np.testing.assert_allclose(sketch(pictures[:, :, ::-1]), mirrored(sketch(pictures)), atol=1)
    assert (mirrored(mirrored(sketch(pictures))) == sketch(pictures)).all()


@pytest.mark.parametrize("grey", [0, 7, 128, 255])
def test_a_picture_of_one_colour_is_like_nothing(grey):
    flat = sketch(np.full((1, SIDE, SIDE), grey, np.uint8))
    assert not flat.any()
    assert scales_of(flat) == 0
    assert (sketch_cosines(flat, sketch(small(0)[None])) == 0).all()


def test_brightness_and_contrast_change_little():
    picture = small(3)[None]
    darker = sketch((picture * 0.6 + 20).astype(np.uint8))
    assert sketch_cosines(sketch(picture), darker)[0, 0] > 0.98


def test_blurred_and_shrunk_copies_stay_alike_and_others_do_not():
    originals = sketch(np.stack([small(seed) for seed in range(12)]))
    copies = []
    for seed in range(12):
        picture = Image.fromarray(photo(seed)).filter(ImageFilter.GaussianBlur(4)).resize((40, 40))
        copies.append(grey_square(np.asarray(picture), SIDE))
    cosines = sketch_cosines(sketch(np.stack(copies)), originals)
    assert np.diag(cosines).min() > 0.9
    assert (cosines - np.eye(12) * 2).max() < 0.85


def test_cosines_are_those_of_plain_loops():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-127, 128, (4, LENGTH)).astype(np.int8) for _ in range(2))
    a[1] = 0
    expected = [[naive_duplicates.sketch_cosine(x.tolist(), y.tolist()) for y in b] for x in a]
    np.testing.assert_allclose(sketch_cosines(a, b), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (1, SIDE, SIDE - 1), (1, SIDE, SIDE, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="expected uint8"):
        sketch(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="float32"):
        sketch(np.zeros((1, SIDE, SIDE), np.float32))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 700), (32, 32), (1000, 31), (333, 517)])
def test_any_picture_becomes_a_grey_square(height, width):
    picture = photo(1, height, width)
    square = grey_square(picture, SIDE)
    assert square.shape == (SIDE, SIDE)
    assert square.dtype == np.uint8
    grey = picture.astype(float) @ [0.299, 0.587, 0.114]
    assert abs(square.mean() - grey.mean()) < 3
