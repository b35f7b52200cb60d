"""Contact sheets as a browser reads them: every picture is in the page, and nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from assocmem.cli.sheet import Section, write_sheet
from assocmem.index.results import Hit
from tests import media
from tests.fakes import pictures


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.text, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        named = dict(attributes)
        if tag == "img":
            head, data = named["src"].split(",", 1)
            assert head == "data:image/jpeg;base64"
            self.images.append(Image.open(io.BytesIO(base64.b64decode(data))))
        if tag == "a":
            self.links.append(named["href"])

    def handle_data(self, data):
        self.text.append(data)


def _page(path):
    return _Page(path.read_text(encoding="utf-8"))


def test_every_hit_is_shown_with_its_thumbnail(tmp_path):
    paths = pictures(tmp_path / "in", range(3))
    hits = [Hit(i + 1, i, str(path), "image", None, None, 0.9 - i / 10) for i, path in enumerate(paths)]
    write_sheet(tmp_path / "sheet.html", [Section(str(paths[0]), hits)])
    page = _page(tmp_path / "sheet.html")
    assert len(page.images) == 4
    assert {image.format for image in page.images} == {"JPEG"}
    assert page.links == [path.as_uri() for path in paths]
    assert {"0.900", "0.800", "0.700"} <= set(page.text)
    assert "0000.png" in "".join(page.text)
    assert "script" not in page.tags
    assert "http" not in (tmp_path / "sheet.html").read_text().replace("file://", "")


def test_a_shot_shows_its_middle(tmp_path):
    clip = tmp_path / "clip.mp4"
    media.write_video(clip, [np.full((96, 128, 3), grey, np.uint8) for grey in (20, 220) for _ in range(25)], rate=25)
    hits = [
        Hit(1, 1, str(clip), "shot", 0.0, 1.0, 0.9),
        Hit(2, 2, str(clip), "shot", 1.0, 2.0, 0.8),
    ]
    write_sheet(tmp_path / "sheet.html", [Section("tabby", hits)])
    page = _page(tmp_path / "sheet.html")
    dark, light = (np.asarray(image).mean() for image in page.images)
    assert dark < 60 < 180 < light
    assert page.links == [f"{clip.as_uri()}#t=0.0", f"{clip.as_uri()}#t=1.0"]
    assert any("0:01.0 to 0:02.0" in text for text in page.text)


def test_a_missing_file_is_replaced_by_the_reason(tmp_path):
    hit = Hit(1, 1, str(tmp_path / "gone.jpg"), "image", None, None, 0.5)
    write_sheet(tmp_path / "sheet.html", [Section("tabby", [hit])])
    page = _page(tmp_path / "sheet.html")
    assert page.images == []
    assert "no such file or directory" in page.text
    assert "Most similar to 'tabby'" in page.text


def test_names_cannot_break_the_page(tmp_path):
    name = '<script>alert("x")</script>.png'
    hit = Hit(1, 1, str(tmp_path / name.replace("/", "_")), "image", None, None, 0.5)
    odd = Hit(2, 2, str(tmp_path / "caf\udce9.png"), "image", None, None, 0.5)
    write_sheet(tmp_path / "sheet.html", [Section(name, [hit, odd])])
    page = _page(tmp_path / "sheet.html")
    assert "script" not in page.tags
    assert any("<script>" in text for text in page.text)


def test_a_failed_sheet_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "sheet.html"
    write_sheet(path, [Section("tabby", [])])
    old = path.read_text()
    monkeypatch.setattr("assocmem.cli.sheet._section", lambda section: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_sheet(path, [Section("tabby", [])])
    assert path.read_text() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["sheet.html"]
