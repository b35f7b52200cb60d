"""TIFFs of scanners, microscopes and maps come out as a viewer shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from assocmem.errors import MediaError
from assocmem.extractors.image import read_image
from assocmem.extractors.wide_tiff import eight_bits
from tests import media
from tests.extractors.helpers import difference

PHOTO = media.photo(1)
WIDE = PHOTO.astype(np.uint16) * 257
GREY = PHOTO[..., 1]
PLANES = {"photometric": "rgb", "planarconfig": "separate"}

COLOUR: dict[str, tuple[np.ndarray, dict[str, object]]] = {
    "planes": (np.moveaxis(PHOTO, -1, 0), PLANES),
    "wide planes": (np.moveaxis(WIDE, -1, 0), PLANES),
    "16 bits": (WIDE, {"photometric": "rgb"}),
    "32 bits": (PHOTO.astype(np.uint32) * 16843009, {"photometric": "rgb"}),
    "half": ((PHOTO / 255).astype(np.float16), {"photometric": "rgb"}),
    "float": ((PHOTO / 255).astype(np.float32), {"photometric": "rgb"}),
    "double": (PHOTO / 255, {"photometric": "rgb"}),
    "five channels": (np.dstack([PHOTO, PHOTO[..., :2]]), {"photometric": "minisblack", "planarconfig": "contig"}),
    "deflated floats": ((PHOTO / 255).astype(np.float32), {"photometric": "rgb", "compression": "zlib"}),
}
GREYS: dict[str, tuple[np.ndarray, dict[str, object]]] = {
    "12 bits in 16": (GREY.astype(np.uint16) * 16 + 8, {}),
    "white is zero": (65535 - GREY.astype(np.uint16) * 257, {"photometric": "miniswhite"}),
    "float": ((GREY / 255).astype(np.float32), {}),
    "double": (GREY / 255, {}),
    "hot pixel": (np.where(np.arange(GREY.size).reshape(GREY.shape) == 7, 1e6, GREY).astype(np.float32), {}),
    "signed bytes": ((GREY // 2).astype(np.int8), {}),
    "64 bits": (GREY.astype(np.uint64) * 1000, {}),
}


@pytest.fixture
def write_tiff(tmp_path: Path) -> Callable[..., Path]:
    def write(values: np.ndarray, options: dict[str, object]) -> Path:
        tifffile.imwrite(tmp_path / "file.tif", values, **options)
        return tmp_path / "file.tif"

    return write


@pytest.mark.parametrize("kind", COLOUR)
def test_colours_of_any_kind_come_back(write_tiff: Callable[..., Path], kind: str) -> None:
    got = read_image(write_tiff(*COLOUR[kind]))
    assert got.shape == PHOTO.shape
    stretched = (PHOTO - float(PHOTO.min())) * (255 / (float(PHOTO.max()) - float(PHOTO.min())))
    assert difference(got, stretched if kind == "32 bits" else PHOTO) < 1


@pytest.mark.parametrize("kind", GREYS)
def test_greys_of_any_kind_come_back(write_tiff: Callable[..., Path], kind: str) -> None:
    got = read_image(write_tiff(*GREYS[kind]))[..., 1]
    stretched = (GREY - float(GREY.min())) * (255 / (float(GREY.max()) - float(GREY.min())))
    assert difference(got, stretched if kind in ("hot pixel", "signed bytes", "64 bits") else GREY) < 6


def test_a_wide_tiff_is_upright_and_has_a_limit(write_tiff: Callable[..., Path]) -> None:
    path = write_tiff(np.moveaxis(WIDE, -1, 0), {**PLANES, "extratags": [(274, "H", 1, 6, True)]})
    np.testing.assert_array_equal(read_image(path), np.rot90(PHOTO, -1))
    with pytest.raises(MediaError, match="too large: 320 x 240 pixels"):
        read_image(path, max_pixels=1000)


def test_a_wide_tiff_cut_short_fails_with_one_line(write_tiff: Callable[..., Path]) -> None:
    path = write_tiff(np.moveaxis(WIDE, -1, 0), PLANES)
    media.cut_off(path, 0.5)
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int16, np.uint16, np.uint32])
def test_any_numbers_become_values_of_a_screen(dtype: type) -> None:
    for values in (np.zeros((3, 4)), np.full((3, 4), 77), np.arange(12).reshape(3, 4) * 300):
        got = eight_bits(values.astype(dtype))
        assert (got.dtype, got.shape) == (np.uint8, (3, 4))
        assert (np.diff(got.ravel().astype(int)) >= 0).all()
    assert (eight_bits(np.array([[np.nan, np.inf, -np.inf]])) == 0).all()
    assert eight_bits(np.array([[np.nan, 0.0, 5.0, 10.0]])).tolist() == [[0, 0, 128, 255]]
