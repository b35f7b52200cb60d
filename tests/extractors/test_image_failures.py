"""Pictures that cannot be read come out as one clear line, and no picture takes more memory than it may."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image as Pillow

from assocmem.errors import MediaError
from assocmem.extractors import image
from assocmem.extractors.image import read_image
from tests import media

PHOTO = media.photo(1)


def save(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_truncated_files_fail_with_one_line(tmp_path: Path, kind: str, keep: float) -> None:
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    path = save(tmp_path, media.encoded(PHOTO, kind, **options))
    media.cut_off(path, keep)
    with pytest.raises(MediaError) as caught:
        read_image(path)
    assert caught.value.lasting
    assert "\n" not in caught.value.reason
    assert str(tmp_path) not in caught.value.reason
    if kind != "AVIF":  # its decoder has no word for it
        assert caught.value.reason.startswith("truncated: ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_cut_anywhere_it_fails_or_reads_whole(tmp_path: Path, kind: str) -> None:
    data = media.encoded(media.photo(3, 20, 24), kind)
    for length in range(0, len(data), 7):
        with suppress(MediaError):
            assert read_image(save(tmp_path, data[:length])).shape == (20, 24, 3)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"^empty file$") as caught:
        read_image(save(tmp_path, b""))
    assert caught.value.lasting


def test_a_text_with_a_picture_name_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("not a picture at all")
    with pytest.raises(MediaError, match="not a picture"):
        read_image(path)


@pytest.mark.parametrize("claims", [(100_000, 100_000), (20_000, 10_000)])
def test_an_enormous_picture_is_refused_by_its_header(tmp_path: Path, claims: tuple[int, int]) -> None:
    with pytest.raises(MediaError, match=rf"^too large: {claims[0]} x {claims[1]} pixels"):
        read_image(save(tmp_path, media.png_header(*claims)))


def test_a_jpeg_counts_with_its_decoded_size_and_a_progressive_one_with_all(tmp_path: Path) -> None:
    large = media.photo(4, 800, 1000)
    baseline = save(tmp_path, media.encoded(large, "JPEG"))
    assert read_image(baseline, min_side=50, max_pixels=100_000).shape == (100, 125, 3)
    with pytest.raises(MediaError, match="too large"):
        read_image(baseline, min_side=500, max_pixels=100_000)
    with pytest.raises(MediaError, match="too large: 1000 x 800 pixels"):
        read_image(save(tmp_path, media.encoded(large, "JPEG", progressive=True)), min_side=50, max_pixels=100_000)


def test_the_host_applications_limit_is_neither_asked_nor_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 10)
    for kind in ("JPEG", "PNG", "BMP", "GIF"):
        assert read_image(save(tmp_path, media.encoded(PHOTO, kind))).shape == PHOTO.shape
    assert Pillow.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(("name", "reason"), [("missing", "no such file"), (".", "is a directory")])
def test_what_cannot_be_opened_is_a_passing_trouble(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(MediaError, match=reason) as caught:
        read_image(tmp_path / name)
    assert not caught.value.lasting


def test_a_disk_that_vanishes_while_reading_is_a_passing_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Vanishing(image.PngImageFile):
        def load(self) -> None:
            raise OSError(5, "Input/output error", "/mnt/stick/a.png")

    monkeypatch.setitem(image._PLUGINS, "png", Vanishing)
    with pytest.raises(MediaError, match=r"^input/output error$") as caught:
        read_image(save(tmp_path, media.encoded(PHOTO, "PNG")))
    assert not caught.value.lasting


def test_no_memory_is_a_passing_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Greedy(image.PngImageFile):
        def load(self) -> None:
            raise MemoryError

    monkeypatch.setitem(image._PLUGINS, "png", Greedy)
    with pytest.raises(MediaError, match="memory") as caught:
        read_image(save(tmp_path, media.encoded(PHOTO, "PNG")))
    assert not caught.value.lasting


def test_heic_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = save(tmp_path, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    with pytest.raises(MediaError, match=r'pip install "assocmem\[heif\]"') as caught:
        read_image(path)
    assert not caught.value.lasting


def test_decoding_asks_the_budget_for_what_it_will_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Recorder:
        @contextmanager
        def hold(self, amount: int):
            asked.append(amount)
            yield

    monkeypatch.setattr(image, "_in_flight", Recorder())
    large = media.photo(4, 800, 1000)
    read_image(save(tmp_path, media.encoded(large, "PNG")), min_side=50)
    read_image(save(tmp_path, media.encoded(large, "JPEG")), min_side=50)
    assert asked == [8 * 800 * 1000, 8 * 100 * 125]


def test_what_fits_the_budget_goes_together() -> None:
    budget, meeting = image._ByteBudget(100), threading.Barrier(2, timeout=30)

    def work() -> None:
        with budget.hold(50):
            meeting.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not meeting.broken


def test_threads_never_exceed_the_budget_and_a_larger_picture_goes_alone() -> None:
    budget, held, worst = image._ByteBudget(100), [], []

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


def test_a_failing_decode_gives_its_share_back() -> None:
    budget = image._ByteBudget(100)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), budget.hold(80):
            raise ZeroDivisionError
    assert budget._used == 0


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")
def test_files_are_closed_whatever_happens(tmp_path: Path) -> None:
    good = media.encoded(PHOTO, "PNG")
    before = len(os.listdir("/proc/self/fd"))
    for data in (good, good[:500], b"", b"text"):
        try:
            read_image(save(tmp_path, data))
        except MediaError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before
