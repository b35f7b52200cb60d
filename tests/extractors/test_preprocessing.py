"""Pictures become a network's input as plain loops would make it, and invalid options are named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem._numerics.types import F64
from assocmem.errors import ExtractorError, InputError
from assocmem.extractors.base import Image
from assocmem.extractors.preprocessing import Preprocessing
from tests.extractors.helpers import noise


def triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def cubic(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def naive_resample(line: F64, size: int, low: float, high: float, kernel: Callable[[float], float]) -> F64:
    """Resample the stretch low..high of axis 0 to size rows; the kernel widens when it shrinks."""
    scale = (high - low) / size
    wide = max(scale, 1.0)
    rows = []
    for i in range(size):
        centre = low + (i + 0.5) * scale
        weights = [kernel((j + 0.5 - centre) / wide) for j in range(len(line))]
        rows.append(sum(w * row for w, row in zip(weights, line, strict=True)) / sum(weights))
    return np.array(rows)


def naive_prepare(image: Image, how: Preprocessing) -> F64:
    kernel = {"bilinear": triangle, "bicubic": cubic}[how.interpolation]
    height, width = image.shape[:2]
    boxes, sizes = [(0.0, height), (0.0, width)], [how.size, how.size]
    if how.resize == "crop":
        side = min(height, width) * how.crop
        boxes = [((length - side) / 2, (length + side) / 2) for length in (height, width)]
    if how.resize == "pad":
        sizes = [max(1, round(length * how.size / max(height, width))) for length in (height, width)]
    # Pillow goes along the rows first and rounds in between.
    values = naive_resample(image.astype(float).swapaxes(0, 1), sizes[1], *boxes[1], kernel).swapaxes(0, 1)
    values = naive_resample(np.clip(np.floor(values + 0.5), 0, 255), sizes[0], *boxes[0], kernel)
    canvas = np.full((how.size, how.size, 3), float(how.fill))
    top, left = ((how.size - size) // 2 for size in sizes)
    canvas[top : top + sizes[0], left : left + sizes[1]] = np.clip(values, 0, 255)
    return canvas


@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 30), (21, 47), (9, 10), (1, 30)])
def test_prepare_equals_plain_loops(resize: str, interpolation: str, height: int, width: int) -> None:
    how = Preprocessing(size=16, resize=resize, interpolation=interpolation, fill=31)
    image = noise(height, width)
    assert np.abs(how.prepare(image) - naive_prepare(image, how)).max() <= 1.0


@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    resize=st.sampled_from(["pad", "crop", "squash"]),
    size=st.integers(8, 64),
)
def test_prepare_gives_one_size_and_keeps_an_even_colour(height: int, width: int, resize: str, size: int) -> None:
    how = Preprocessing(size=size, resize=resize, fill=200)
    prepared = how.prepare(np.full((height, width, 3), 200, np.uint8))
    assert prepared.dtype == np.uint8
    assert prepared.flags.c_contiguous
    np.testing.assert_array_equal(prepared, np.full((size, size, 3), 200))


def test_a_large_picture_is_shrunk_as_the_full_filter_would() -> None:
    image = np.repeat(np.repeat(noise(20, 20), 40, 0), 40, 1)
    how = Preprocessing(size=16, resize="squash")
    assert np.abs(how.prepare(image) - naive_prepare(image, how)).mean() < 2.0


def test_prepare_takes_views_and_refuses_other_arrays() -> None:
    how = Preprocessing(size=16)
    image = noise(30, 40)
    np.testing.assert_array_equal(how.prepare(image[:, ::-1]), how.prepare(image[:, ::-1].copy()))
    for wrong in (image.astype(np.float32), image[..., 0], image[..., :2], image[:0]):
        with pytest.raises(InputError, match="expected a picture"):
            how.prepare(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("size", "7"), ("size", "4097"), ("size", "big"), ("resize", "stretch"), ("crop", "0"), ("crop", "1.5"),
        ("crop", "nan"), ("fill", "256"), ("fill", "-1"), ("mean", "1,2"), ("mean", "inf"), ("mean", "a,b,c"),
        ("std", "0"), ("std", "1,1,-1"), ("std", "nan"), ("order", "rbg"), ("layout", "chw"), ("tokens", "last"),
    ],
)  # fmt: skip
def test_a_bad_option_is_named_with_what_was_expected(key: str, text: str) -> None:
    with pytest.raises(ExtractorError, match=rf"option {key}: expected .*found"):
        Preprocessing().with_options({key: text})


def test_an_unknown_option_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ExtractorError, match=r"'sise'; there are size, resize, .*logits"):
        Preprocessing().with_options({"sise": "224"})
    assert Preprocessing().with_options({"mean": "0.1,0.2,0.3", "size": "32"}).mean == (0.1, 0.2, 0.3)
