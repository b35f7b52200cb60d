"""DCT sketches: their definition, mirrored pictures, and what they survive."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from assocmem.codes.dct_sketches import (
    SKETCH_LENGTH,
    SKETCH_SIDE,
    SKETCH_THRESHOLD,
    inverse_norms,
    sketch,
    sketch_cosines,
)
from assocmem.errors import InputError
from assocmem.extractors.image import grey_square
from tests import naive_copies
from tests.media import photo


def small(seed):
    return grey_square(photo(seed), SKETCH_SIDE)


def test_a_sketch_equals_its_definition():
    pictures = np.stack([small(seed) for seed in range(5)])
    made = sketch(pictures)
    assert made.dtype == np.int8
    assert made.shape == (5, SKETCH_LENGTH)
    for picture, found in zip(pictures, made, strict=True):
        np.testing.assert_allclose(found, naive_copies.sketch(picture), atol=1)  # float32 may round differently
    assert (np.abs(made).max(axis=1) == 127).all()


def test_a_mirrored_picture_has_the_mirrored_sketch():
    pictures = np.stack([small(seed) for seed in range(20)])
    np.testing.assert_allclose(sketch(pictures[:, :, ::-1]), naive_copies.mirrored(sketch(pictures)), atol=1)


@pytest.mark.parametrize("grey", [0, 7, 128, 255])
def test_a_picture_of_one_colour_is_similar_to_nothing(grey):
    flat = sketch(np.full((1, SKETCH_SIDE, SKETCH_SIDE), grey, np.uint8))
    assert not flat.any()
    assert inverse_norms(flat) == 0
    assert (sketch_cosines(flat, sketch(small(0)[None])) == 0).all()


def test_a_picture_is_flat_up_to_a_fixed_contrast():
    """The greatest value of a spectrum decides, on its own scale."""
    for step in range(1, 25):
        picture = np.zeros((1, SKETCH_SIDE, SKETCH_SIDE), np.uint8)
        picture[0, 10, 12] = step
        assert sketch(picture).any() == any(naive_copies.sketch(picture[0]))
    assert not sketch(picture // 24).any()


def test_sketches_are_the_same_on_every_machine_and_version():
    """These bytes are stored in collections: another result is another format."""
    picture = (np.arange(1024, dtype=np.int64) ** 2 % 251).astype(np.uint8).reshape(1, 32, 32)
    np.testing.assert_allclose(sketch(picture)[0, :9], [0, 25, -18, -22, -18, 23, -44, 20, 25], atol=1)


def test_the_shortest_sketch_has_length_1():
    one = np.zeros((1, SKETCH_LENGTH), np.int8)
    one[0, 7] = -1
    assert inverse_norms(one) == 1


def test_brightness_and_contrast_hardly_change_a_sketch():
    picture = small(3)[None]
    darker = sketch((picture * 0.6 + 20).astype(np.uint8))
    assert sketch_cosines(sketch(picture), darker)[0, 0] > 0.98


def test_blurred_and_shrunk_copies_stay_similar_and_others_do_not():
    originals = sketch(np.stack([small(seed) for seed in range(12)]))
    copies = []
    for seed in range(12):
        picture = Image.fromarray(photo(seed)).filter(ImageFilter.GaussianBlur(4)).resize((40, 40))
        copies.append(grey_square(np.asarray(picture), SKETCH_SIDE))
    cosines = sketch_cosines(sketch(np.stack(copies)), originals)
    assert np.diag(cosines).min() > 0.9
    assert (cosines - np.eye(12) * 2).max() < 0.85
    unrelated = cosines[~np.eye(12, dtype=bool)]
    assert (unrelated < SKETCH_THRESHOLD).mean() > 0.8
    assert unrelated.max() > SKETCH_THRESHOLD - 0.3


def test_cosines_equal_plain_loops():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-127, 128, (4, SKETCH_LENGTH)).astype(np.int8) for _ in range(2))
    a[1] = 0
    expected = [[naive_copies.sketch_cosine(x.tolist(), y.tolist()) for y in b] for x in a]
    np.testing.assert_allclose(sketch_cosines(a, b), expected, atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (SKETCH_SIDE, SKETCH_SIDE),
        (1, SKETCH_SIDE, SKETCH_SIDE - 1),
        (1, SKETCH_SIDE + 1, SKETCH_SIDE + 1),
        (1, SKETCH_SIDE, SKETCH_SIDE, 3),
    ],
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(InputError, match="expected uint8"):
        sketch(np.zeros(shape, np.uint8))
    with pytest.raises(InputError, match="float32"):
        sketch(np.zeros((1, SKETCH_SIDE, SKETCH_SIDE), np.float32))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 700), (32, 32), (1000, 31), (333, 517)])
def test_any_picture_becomes_a_grey_square(height, width):
    picture = photo(1, height, width)
    square = grey_square(picture, SKETCH_SIDE)
    assert square.shape == (SKETCH_SIDE, SKETCH_SIDE)
    assert square.dtype == np.uint8
    grey = picture.astype(float) @ [0.299, 0.587, 0.114]
    assert abs(square.mean() - grey.mean()) < 3
