"""Pictures of every kind come out upright, RGB and small; everything else gives one clear line."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngImageFile

from assocmem.errors import InputError, MediaError
from assocmem.extractors import image
from assocmem.extractors.image import ByteBudget, jpeg_length, read_as_far_as_it_goes, read_image, thumbnail_jpeg
from assocmem.extractors.sniff import image_format, sniff
from tests import media
from tests.extractors.helpers import difference, photograph, photograph_path

Write = Callable[[bytes], Path]

PHOTO = media.photo(1)
GREY = np.asarray(Pillow.fromarray(PHOTO).convert("L"))
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}
LOSSY = {"JPEG": {"quality": 95}, "WEBP": {"quality": 95}, "AVIF": {"quality": 95}, "GIF": {}}
STORED_AS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_90,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_270,
}
"""How a picture with an EXIF orientation is stored."""


def shrunk(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Pillow.fromarray(picture).resize(size, Pillow.Resampling.BOX))


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_come_back_exactly(write_file: Write, kind: str) -> None:
    got = read_image(write_file(media.encoded(PHOTO, kind, **LOSSLESS[kind])))
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert got.flags.writeable
    np.testing.assert_array_equal(got, PHOTO)


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_come_back_nearly(write_file: Write, kind: str) -> None:
    got = read_image(write_file(media.encoded(PHOTO, kind, **LOSSY[kind])))
    assert got.shape == PHOTO.shape
    assert difference(got, PHOTO) < 8


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_modes_come_out_as_rgb(write_file: Write, mode: str) -> None:
    picture = Pillow.fromarray(PHOTO).convert(mode)
    kind, options = ("JPEG", {"quality": 95}) if mode in ("CMYK", "YCbCr") else ("PNG", {})
    got = read_image(write_file(media.encoded(picture, kind, **options)))
    assert got.shape == PHOTO.shape
    assert difference(got, np.asarray(picture.convert("RGB"))) < 3


def test_a_cmyk_jpeg_is_shrunk_by_its_decoder_too(write_file: Write) -> None:
    large = media.photo(2, 1200, 1600)
    path = write_file(media.encoded(Pillow.fromarray(large).convert("CMYK"), "JPEG", quality=95))
    got = read_image(path, min_side=100)
    assert got.shape == (300, 400, 3)
    assert difference(got, shrunk(large, (400, 300))) < 3


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_taken_at_full_range(write_file: Write, kind: str) -> None:
    got = read_image(write_file(media.encoded(Pillow.fromarray(GREY.astype(np.uint16) * 257), kind)))
    np.testing.assert_array_equal(got, np.dstack([GREY] * 3))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_other_wide_values_are_stretched(write_file: Write, dtype: type) -> None:
    values = (GREY.astype(np.float64) - 100).astype(dtype) * 12
    got = read_image(write_file(media.encoded(Pillow.fromarray(values), "TIFF")))
    low, high = float(GREY.min()), float(GREY.max())
    assert difference(got[..., 1], (GREY - low) * 255 / (high - low)) < 0.5


def test_values_that_are_not_finite_are_black(write_file: Write) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 3.0, 5.0]], np.float32)
    got = read_image(write_file(media.encoded(Pillow.fromarray(values), "TIFF")))
    assert got[0, :, 0].tolist() == [0, 0, 0, 0, 255]


@pytest.mark.parametrize("values", [[[np.nan, np.inf]], [[7.0, 7.0]]])
def test_values_without_a_range_are_black(write_file: Write, values: list[list[float]]) -> None:
    picture = Pillow.fromarray(np.array(values, np.float32))
    assert not read_image(write_file(media.encoded(picture, "TIFF"))).any()


@pytest.mark.parametrize(
    "values",
    [np.array([[-3.4e38, 0, 3.4e38]], np.float32), np.array([[-(2**31), 0, 2**31 - 1]], np.int32)],
    ids=["float32", "int32"],
)
def test_the_widest_values_do_not_overflow(write_file: Write, values: np.ndarray) -> None:
    got = read_image(write_file(media.encoded(Pillow.fromarray(values), "TIFF")))
    assert got[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_pixels_become_white(write_file: Write, mode: str) -> None:
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
    got = read_image(write_file(data))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[1, 1].tolist() == [100, 100, 100]


@pytest.mark.parametrize("ink", [(255, 255, 255), (244, 240, 238)])
def test_a_white_drawing_on_transparent_ground_is_seen(write_file: Write, ink: tuple[int, int, int]) -> None:
    drawing = np.zeros((60, 80, 4), np.uint8)
    drawing[..., :3] = 255
    drawing[20:40, 30:50] = (*ink, 255)
    got = read_image(write_file(media.encoded(drawing, "PNG")))
    assert (got[20:40, 30:50] == ink).all()
    assert (got[:20] == 0).all()


def test_of_a_drawing_with_a_dark_line_the_ground_stays_white(write_file: Write) -> None:
    drawing = np.zeros((60, 80, 4), np.uint8)
    drawing[20:40, 30:50] = 255
    drawing[30, 30:50] = (40, 0, 0, 255)
    assert (read_image(write_file(media.encoded(drawing, "PNG")))[:20] == 255).all()


def test_half_transparent_black_is_mid_grey(write_file: Write) -> None:
    data = media.encoded(Pillow.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG")
    assert read_image(write_file(data))[0, 0].tolist() == [127, 127, 127]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_eight_orientations_of_one_picture_read_the_same(write_file: Write, kind: str, orientation: int) -> None:
    stored = Pillow.fromarray(PHOTO)
    if orientation in STORED_AS:
        stored = stored.transpose(STORED_AS[orientation])
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    got = read_image(write_file(media.encoded(stored, kind, exif=exif)), min_side=60)
    assert got.shape == (120, 160, 3)
    assert difference(got, shrunk(PHOTO, (160, 120))) < 4


def test_a_picture_with_a_damaged_exif_block_is_read(write_file: Write) -> None:
    data = media.encoded(PHOTO, "PNG", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_image(write_file(data)), PHOTO)


def test_heic_with_its_extra_is_read(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Pillow.Exif()
    exif[0x0112] = 6
    stored = Pillow.fromarray(PHOTO).transpose(Pillow.Transpose.ROTATE_90)
    heif.from_pillow(stored).save(tmp_path / "file", quality=95, exif=exif.tobytes())
    assert difference(read_image(tmp_path / "file"), PHOTO) < 4


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_of_several_frames_the_first_is_read(write_file: Write, kind: str) -> None:
    first, second = (Pillow.new("RGB", (40, 30), colour) for colour in ("red", "blue"))
    data = media.encoded(first, kind, save_all=True, append_images=[second])
    assert difference(read_image(write_file(data)), np.full((30, 40, 3), (255, 0, 0))) < 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("min_side", [20, 30, 50, 119, 120, 224, 5000])
def test_shrinking_keeps_twice_the_wanted_side(write_file: Write, kind: str, min_side: int) -> None:
    got = read_image(write_file(media.encoded(PHOTO, kind, quality=95)), min_side=min_side)
    side = min(got.shape[:2])
    assert min(240, 2 * min_side) <= side <= 4 * min_side
    assert abs(got.shape[1] / got.shape[0] - 4 / 3) < 0.05
    assert difference(got, shrunk(PHOTO, (got.shape[1], got.shape[0]))) < 6


@pytest.mark.parametrize("name", ["astronaut.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg", "camera.png"])
def test_real_photographs_keep_their_mean_colour(name: str) -> None:
    got = read_image(photograph_path(name), min_side=64)
    assert 128 <= min(got.shape[:2]) < 256
    np.testing.assert_allclose(got.reshape(-1, 3).mean(0), photograph(name).reshape(-1, 3).mean(0), atol=1.5)


@pytest.mark.parametrize(("shape", "size"), [((240, 320), (80, 60)), ((20, 10), (10, 20)), ((1, 500), (80, 1))])
def test_a_thumbnail_fits_its_side(shape: tuple[int, int], size: tuple[int, int]) -> None:
    source = media.photo(5, *shape)
    data = thumbnail_jpeg(source, 80)
    with Pillow.open(io.BytesIO(data)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", size)
        assert difference(np.asarray(thumbnail), shrunk(source, size)) < 12


def test_a_thumbnail_of_lower_quality_is_smaller() -> None:
    assert len(thumbnail_jpeg(PHOTO, 200, quality=30)) < len(thumbnail_jpeg(PHOTO, 200, quality=90))


@pytest.mark.parametrize("wrong", [GREY, PHOTO.astype(np.float32), PHOTO[..., :2]])
def test_a_thumbnail_needs_a_picture(wrong: np.ndarray) -> None:
    with pytest.raises(InputError, match="uint8"):
        thumbnail_jpeg(wrong, 80)


@pytest.mark.parametrize("arguments", [{"min_side": 0}, {"max_pixels": 0}])
def test_limits_below_one_are_an_error_of_the_caller(write_file: Write, arguments: dict[str, int]) -> None:
    with pytest.raises(InputError, match="at least 1"):
        read_image(write_file(media.encoded(PHOTO, "PNG")), **arguments)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_truncated_files_fail_with_one_line(tmp_path: Path, write_file: Write, kind: str, keep: float) -> None:
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    path = write_file(media.encoded(PHOTO, kind, **options))
    media.cut_off(path, keep)
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert caught.value.lasting
    assert "\n" not in caught.value.reason
    assert str(tmp_path) not in caught.value.reason
    if kind != "AVIF":  # its decoder has no word for it
        assert caught.value.reason.startswith("truncated: ")


JPEGS = {
    "baseline": {"quality": 90},
    "progressive": {"quality": 90, "progressive": True},
    "restarts": {"quality": 90, "restart_marker_rows": 1},
    "thumbnail": {"quality": 90, "exif": b"Exif\0\0" + media.encoded(PHOTO[::8, ::8], "JPEG")},
    "one scan of all": {"quality": 30, "subsampling": 0, "optimize": True},
}
TRAILERS = {
    "none": b"",
    "words": b"\0\0\1\n\x0e\0\0\0Image_UTC_Data1654435974000SEFT",
    "noise": np.random.default_rng(5).bytes(5000),
    "markers": b"\xff\xe5\xff\xf0" * 9,
    "filling": b"\xff" * 40,
}


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_marker_is_read_whole(write_file: Write, kind: str, trailer: str) -> None:
    data = media.encoded(PHOTO, "JPEG", **JPEGS[kind])
    got, missing = read_as_far_as_it_goes(write_file(data[:-2] + TRAILERS[trailer]))
    np.testing.assert_array_equal(got, read_image(write_file(data)))
    assert (missing is None) == (kind != "progressive")  # of a progressive one, a whole scan may be missing


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99])
def test_a_jpeg_cut_short_is_read_as_far_as_it_goes(write_file: Write, mode: str, keep: float) -> None:
    data = media.encoded(Pillow.fromarray(PHOTO).convert(mode), "JPEG", quality=90, subsampling=0)
    got, missing = read_as_far_as_it_goes(write_file(data[: int(keep * len(data))]))
    assert missing == "cut short: the rest of the picture is missing"
    whole = read_image(write_file(data))
    rows = int(PHOTO.shape[0] * (keep - 0.25))
    np.testing.assert_array_equal(got[:rows], whole[:rows])
    assert not np.array_equal(got, whole)


def test_a_jpeg_cut_short_is_upright_and_shrunk_like_a_whole_one(write_file: Write) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = media.encoded(media.photo(2, 600, 800), "JPEG", quality=90, exif=exif)
    got, missing = read_as_far_as_it_goes(write_file(data[: len(data) * 3 // 4]), min_side=100)
    assert missing is not None
    assert got.shape == read_image(write_file(data), min_side=100).shape == (400, 300, 3)


def test_a_jpeg_damaged_within_is_read_up_to_the_damage(write_file: Write) -> None:
    data = bytearray(media.encoded(PHOTO, "JPEG", quality=90))
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    data[middle : middle + 2] = b"\xff\xc4"  # a table of symbols where none can be
    got, missing = read_as_far_as_it_goes(write_file(bytes(data)))
    assert missing is not None
    assert difference(got[:60], PHOTO[:60]) < 8


def test_a_jpeg_with_broken_tables_and_an_end_is_refused(write_file: Write) -> None:
    data = bytearray(media.encoded(PHOTO, "JPEG", quality=90))
    table = data.index(b"\xff\xc4")
    data[table + 5 : table + 20] = b"\xff" * 15
    with pytest.raises(MediaError, match="cannot be decoded"):
        read_image(write_file(bytes(data)))


def test_where_a_jpeg_ends() -> None:
    data = media.encoded(PHOTO, "JPEG")
    assert jpeg_length(data) == jpeg_length(data + data) == len(data) - 2
    assert jpeg_length(data[:-2]) == len(data) - 2
    assert jpeg_length(data[:3]) == 2
    assert jpeg_length(b"\xff\xd8\xff\xe0\xff\xff") == 2


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_cut_anywhere_it_fails_or_reads_whole(write_file: Write, kind: str) -> None:
    data = media.encoded(media.photo(3, 20, 24), kind)
    for length in range(0, len(data), 7):
        with suppress(MediaError):
            assert read_image(write_file(data[:length])).shape == (20, 24, 3)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_cut_anywhere_fails_or_is_read_as_far_as_it_goes(write_file: Write, progressive: bool) -> None:
    data = media.encoded(media.photo(3, 20, 24), "JPEG", progressive=progressive)
    read = 0
    for length in range(0, len(data) - 2, 7):
        with suppress(MediaError):
            got, missing = read_as_far_as_it_goes(write_file(data[:length]))
            assert got.shape == (20, 24, 3)
            assert missing is not None or length > len(data) - 12
            read += 1
    assert read > 5


def test_an_empty_file_says_so(write_file: Write) -> None:
    with pytest.raises(MediaError, match=r"^empty file$") as caught:
        read_image(write_file(b""))
    assert caught.value.lasting


def test_a_text_says_so(write_file: Write) -> None:
    with pytest.raises(MediaError, match="not a picture"):
        read_image(write_file(b"not a picture at all"))


@pytest.mark.parametrize("claims", [(100_000, 100_000), (20_000, 10_000)])
def test_an_enormous_picture_is_refused_by_its_header(write_file: Write, claims: tuple[int, int]) -> None:
    with pytest.raises(MediaError, match=rf"^too large: {claims[0]} x {claims[1]} pixels"):
        read_image(write_file(media.png_header(*claims)))


def test_a_jpeg_counts_with_its_decoded_size_and_a_progressive_one_with_all(write_file: Write) -> None:
    large = media.photo(4, 800, 1000)
    baseline = write_file(media.encoded(large, "JPEG"))
    assert read_image(baseline, min_side=50, max_pixels=100_000).shape == (100, 125, 3)
    with pytest.raises(MediaError, match="too large"):
        read_image(baseline, min_side=500, max_pixels=100_000)
    with pytest.raises(MediaError, match="too large: 1000 x 800 pixels"):
        read_image(write_file(media.encoded(large, "JPEG", progressive=True)), min_side=50, max_pixels=100_000)


def test_the_host_applications_limit_is_neither_used_nor_changed(
    write_file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    for kind in ("JPEG", "PNG", "BMP", "GIF"):
        assert read_image(write_file(media.encoded(PHOTO, kind))).shape == PHOTO.shape
    assert Pillow.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(("name", "reason"), [("missing", "no such file"), (".", "is a directory")])
def test_what_cannot_be_opened_is_not_lasting(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(MediaError, match=reason) as caught:
        read_image(tmp_path / name)
    assert not caught.value.lasting


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error", "/mnt/stick/a.png"), r"^input/output error$"),
        (MemoryError(), "^not enough memory"),
    ],
)
def test_a_vanished_disk_and_lack_of_memory_are_not_lasting(
    write_file: Write, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def fail(self: PngImageFile) -> None:
        raise error

    monkeypatch.setattr(PngImageFile, "load", fail)
    with pytest.raises(MediaError, match=reason) as caught:
        read_image(write_file(media.encoded(PHOTO, "PNG")))
    assert not caught.value.lasting


def test_heic_without_its_extra_says_what_to_install(write_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = write_file(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(MediaError, match=r'pip install "assocmem\[heif\]"') as caught:
        read_image(path)
    assert not caught.value.lasting


def test_decoding_holds_the_memory_that_it_needs(write_file: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Recorder:
        @contextmanager
        def hold(self, amount: int):
            asked.append(amount)
            yield

    monkeypatch.setattr(image, "decode_budget", Recorder())
    large = media.photo(4, 800, 1000)
    read_image(write_file(media.encoded(large, "PNG")), min_side=50)
    read_image(write_file(media.encoded(large, "JPEG")), min_side=50)
    assert asked == [8 * 800 * 1000, 8 * 100 * 125]


def test_pictures_within_the_budget_are_decoded_together() -> None:
    budget, meeting = ByteBudget(100), threading.Barrier(2, timeout=30)

    def work() -> None:
        with budget.hold(50):
            meeting.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not meeting.broken


def test_threads_never_exceed_the_budget_and_a_larger_picture_is_decoded_alone() -> None:
    budget, held, worst = ByteBudget(100), [], []

    def work(amount: int) -> None:
        for _ in range(50):
            with budget.hold(amount):
                held.append(amount)
                worst.append(tuple(held))
                held.remove(amount)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(amount,)) for amount in (30, 40, 60, 100, 250)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert len(worst) == 250
    assert all(sum(together) <= 100 or together == (250,) for together in worst)


def test_a_failed_decode_returns_its_memory() -> None:
    budget = ByteBudget(100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), budget.hold(80):
            raise ZeroDivisionError
    with budget.hold(100):
        pass


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")
def test_files_are_closed_whatever_happens(write_file: Write) -> None:
    good = media.encoded(PHOTO, "PNG")
    before = len(os.listdir("/proc/self/fd"))
    for data in (good, good[:500], b"", b"text"):
        try:
            read_image(write_file(data))
        except MediaError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("kind", ["png", "bmp"])
def test_an_icon_is_read_by_its_largest_picture(tmp_path, kind):
    path = tmp_path / "logo.ico"
    Pillow.new("RGB", (64, 64), (200, 30, 30)).save(path, sizes=[(16, 16), (64, 64)], bitmap_format=kind)
    image = read_image(path)
    assert image.shape == (64, 64, 3)
    assert np.abs(image.astype(int) - (200, 30, 30)).max() <= 1
    assert sniff(path) == "image"


@pytest.mark.parametrize("more", [b"\0", b"\0\0\0" + bytes(40), b"\0\1\0" + bytes(40), b"\xba" + bytes(40)])
def test_what_begins_like_an_icon_is_none(more):
    assert image_format(b"\0\0\1" + more) is None
