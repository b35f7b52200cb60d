"""Pictures of every kind come out upright, RGB and small; everything else comes out as one clear line."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from assocmem.errors import InputError
from assocmem.extractors import image
from assocmem.extractors.image import read_image, thumbnail_jpeg
from tests import media

PHOTO = media.photo(1)
GREY = np.asarray(Pillow.fromarray(PHOTO).convert("L"))
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}
LOSSY = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}, "AVIF": {"quality": 95}, "GIF": {}}


def save(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two pictures, in grey levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Pillow.fromarray(picture).resize(size, Pillow.Resampling.BOX))


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_come_back_exactly(tmp_path: Path, kind: str) -> None:
    got = read_image(save(tmp_path, media.encoded(PHOTO, kind, **LOSSLESS[kind])))
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert got.flags.writeable
    np.testing.assert_array_equal(got, PHOTO)


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_come_back_nearly(tmp_path: Path, kind: str) -> None:
    got = read_image(save(tmp_path, media.encoded(PHOTO, kind, **LOSSY[kind])))
    assert got.shape == PHOTO.shape
    assert difference(got, PHOTO) < 8


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_modes_come_out_as_rgb(tmp_path: Path, mode: str) -> None:
    picture = Pillow.fromarray(PHOTO).convert(mode)
    kind, options = ("JPEG", {"quality": 95}) if mode in ("CMYK", "YCbCr") else ("PNG", {})
    got = read_image(save(tmp_path, media.encoded(picture, kind, **options)))
    assert got.shape == PHOTO.shape
    assert difference(got, np.asarray(picture.convert("RGB"))) < 3


def test_a_cmyk_jpeg_is_shrunk_by_its_decoder_too(tmp_path: Path) -> None:
    large = media.photo(2, 1200, 1600)
    path = save(tmp_path, media.encoded(Pillow.fromarray(large).convert("CMYK"), "JPEG", quality=95))
    got = read_image(path, min_side=100)
    assert got.shape == (300, 400, 3)
    assert difference(got, shrunk(large, (400, 300))) < 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_taken_at_full_range(tmp_path: Path, kind: str) -> None:
    got = read_image(save(tmp_path, media.encoded(Pillow.fromarray(GREY.astype(np.uint16) * 257), kind)))
    np.testing.assert_array_equal(got, np.dstack([GREY] * 3))


def test_32_bit_grey_of_a_png_is_16_bit_grey() -> None:
    wide = Pillow.fromarray(GREY.astype(np.int32) * 257)
    wide.format = "PNG"  # as older versions of Pillow hand it out
    np.testing.assert_array_equal(np.asarray(image._small_rgb(wide, 10_000)), np.dstack([GREY] * 3))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_other_wide_values_are_stretched(tmp_path: Path, dtype: type) -> None:
    values = (GREY.astype(np.float64) - 100).astype(dtype) * 12
    got = read_image(save(tmp_path, media.encoded(Pillow.fromarray(values), "TIFF")))
    low, high = float(GREY.min()), float(GREY.max())
    assert difference(got[..., 1], (GREY - low) * 255 / (high - low)) < 0.5


def test_values_that_are_not_finite_are_black(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 3.0, 5.0]], np.float32)
    got = read_image(save(tmp_path, media.encoded(Pillow.fromarray(values), "TIFF")))
    assert got[0, :, 0].tolist() == [0, 0, 0, 0, 255]


@pytest.mark.parametrize("values", [[[np.nan, np.inf]], [[7.0, 7.0]]])
def test_values_without_a_range_are_black(tmp_path: Path, values: list[list[float]]) -> None:
    picture = Pillow.fromarray(np.array(values, np.float32))
    assert not read_image(save(tmp_path, media.encoded(picture, "TIFF"))).any()


def test_the_widest_doubles_do_not_overflow() -> None:
    extreme = np.array([[-1.7e308, 0.0, 1.7e308]])
    assert image._grey8(extreme, full_range_16=False).tolist() == [[0, 128, 255]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    if mode in ("P", "PA"):
        picture = Pillow.new("P", (4, 4), 1)
        picture.putpalette([200, 0, 0, 100, 100, 100])
        picture.putpixel((0, 0), 0)
    else:
        picture = Pillow.new("RGBA", (4, 4), (100, 100, 100, 255)).convert(mode)
    if mode == "P":
        data = media.encoded(picture, "PNG", transparency=0)
    else:
        alpha = Pillow.new("L", (4, 4), 255)
        alpha.putpixel((0, 0), 0)
        picture.putalpha(alpha)
        data = media.encoded(picture, "TIFF" if mode == "PA" else "PNG")
    got = read_image(save(tmp_path, data))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[1, 1].tolist() == [100, 100, 100]


def test_half_transparent_black_is_mid_grey(tmp_path: Path) -> None:
    data = media.encoded(Pillow.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG")
    assert read_image(save(tmp_path, data))[0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_eight_orientations_of_one_picture_read_the_same(tmp_path: Path, kind: str, orientation: int) -> None:
    stored = Pillow.fromarray(PHOTO)
    undo = {6: Pillow.Transpose.ROTATE_90, 8: Pillow.Transpose.ROTATE_270}
    if orientation in image._TRANSPOSE:
        stored = stored.transpose(undo.get(orientation, image._TRANSPOSE[orientation]))
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    got = read_image(save(tmp_path, media.encoded(stored, kind, exif=exif)), min_side=60)
    assert got.shape == (120, 160, 3)
    assert difference(got, shrunk(PHOTO, (160, 120))) < 4


def test_a_damaged_exif_block_does_not_cost_the_picture(tmp_path: Path) -> None:
    data = media.encoded(PHOTO, "PNG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_image(save(tmp_path, data)), PHOTO)


def test_heic_with_its_extra_is_read(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    stored = Pillow.fromarray(PHOTO).transpose(Pillow.Transpose.ROTATE_90)
    heif.from_pillow(stored).save(tmp_path / "file", quality=95, exif=exif.tobytes())
    assert difference(read_image(tmp_path / "file"), PHOTO) < 4


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_frames_the_first_is_read(tmp_path: Path, kind: str) -> None:
    first, second = (Pillow.new("RGB", (40, 30), colour) for colour in ("red", "blue"))
    data = media.encoded(first, kind, save_all=True, append_images=[second])
    assert difference(read_image(save(tmp_path, data)), np.full((30, 40, 3), (255, 0, 0))) < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("min_side", [20, 30, 50, 119, 120, 224, 5000])
def test_shrinking_keeps_twice_the_wanted_side(tmp_path: Path, kind: str, min_side: int) -> None:
    got = read_image(save(tmp_path, media.encoded(PHOTO, kind, quality=95)), min_side=min_side)
    side = min(got.shape[:2])
    assert min(240, 2 * min_side) <= side <= 4 * min_side
    assert abs(got.shape[1] / got.shape[0] - 4 / 3) < 0.05
    assert difference(got, shrunk(PHOTO, (got.shape[1], got.shape[0]))) < 6


def test_real_photographs_keep_their_mean_colour() -> None:
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the extra assocmem[demo]")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    for name in ("astronaut.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg", "camera.png"):
        with Pillow.open(folder / name) as whole:
            expected = np.asarray(whole.convert("RGB")).reshape(-1, 3).mean(0)
        got = read_image(folder / name, min_side=64)
        assert 128 <= min(got.shape[:2]) < 256
        np.testing.assert_allclose(got.reshape(-1, 3).mean(0), expected, atol=1.5)


@pytest.mark.parametrize(("shape", "size"), [((240, 320), (80, 60)), ((20, 10), (10, 20)), ((1, 500), (80, 1))])
def test_a_thumbnail_fits_its_side(shape: tuple[int, int], size: tuple[int, int]) -> None:
    source = media.photo(5, *shape)
    data = thumbnail_jpeg(source, 80)
    with Pillow.open(image.io.BytesIO(data)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", size)
        assert difference(np.asarray(thumbnail), shrunk(source, size)) < 12


def test_a_thumbnail_of_lower_quality_is_smaller() -> None:
    assert len(thumbnail_jpeg(PHOTO, 200, quality=30)) < len(thumbnail_jpeg(PHOTO, 200, quality=90))


@pytest.mark.parametrize("wrong", [GREY, PHOTO.astype(np.float32), PHOTO[..., :2]])
def test_a_thumbnail_needs_a_picture(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8"):
        thumbnail_jpeg(wrong, 80)


@pytest.mark.parametrize("arguments", [{"min_side": 0}, {"max_pixels": 0}])
def test_limits_below_one_are_an_error_of_the_caller(tmp_path: Path, arguments: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        read_image(save(tmp_path, media.encoded(PHOTO, "PNG")), **arguments)
