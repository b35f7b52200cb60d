"""Contact sheets: one self-contained HTML page with the query, the hits and their thumbnails, without scripts."""

from __future__ import annotations

import base64
import html
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assocmem.cli.output import clock
from assocmem.errors import InputError, MediaError

if TYPE_CHECKING:
    from assocmem.index.results import Hit

SIDE = 320
"""Longest side of a thumbnail, in pixels."""

_HEAD = "<!doctype html><!-- assocmem contact sheet -->"
_STYLE = """
:root { color-scheme: light dark; --back: #f6f6f4; --card: #fff; --text: #222; --soft: #6b6b6b; --line: #e2e2de;
  --bar: #3a7d5c; }
@media (prefers-color-scheme: dark) { :root { --back: #181a1b; --card: #232628; --text: #e8e6e3; --soft: #a09c96;
  --line: #35393b; --bar: #6fbf95; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 24px; background: var(--back); color: var(--text);
  font: 15px/1.4 system-ui, sans-serif; }
h1 { font-size: 20px; font-weight: 600; margin: 32px 0 12px; overflow-wrap: anywhere; }
h1:first-child { margin-top: 0; }
.query { margin: 0 0 16px; }
.query img { display: block; max-height: 180px; max-width: 100%; border-radius: 6px; }
ol { list-style: none; margin: 0; padding: 0; display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); }
li { background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.frame { display: flex; align-items: center; justify-content: center; height: 170px; background: var(--line);
  color: var(--soft); overflow: hidden; padding: 0; }
.frame img { width: 100%; height: 170px; object-fit: contain; display: block; }
.frame span { padding: 12px; text-align: center; }
.bar { height: 3px; background: var(--bar); }
.text { padding: 8px 12px 12px; }
a { color: inherit; text-decoration: none; font-weight: 600; overflow-wrap: anywhere; min-width: 0; }
a:hover { text-decoration: underline; }
p { margin: 2px 0 0; color: var(--soft); font-size: 13px; overflow-wrap: break-word; }
.name { display: flex; gap: 10px; justify-content: space-between; }
.score { font-variant-numeric: tabular-nums; color: var(--soft); }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A query and its hits."""

    query: str
    """a path or words"""
    hits: Sequence[Hit]
    title: str = ""
    """by default it names the query"""


def check_sheet_path(path: Path) -> None:
    """Raise InputError unless a sheet may be written to this path: a new file, or an earlier sheet."""
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: expected a file name in a folder that exists, found no folder {path.parent}")
    if path.exists() and not (path.is_file() and path.read_bytes()[: len(_HEAD)] == _HEAD.encode()):
        raise InputError(f"{path}: expected a new file or an earlier contact sheet, found something else; left alone")


def write_sheet(path: Path, sections: Sequence[Section]) -> None:
    """Write a contact sheet; the file is replaced atomically.

    Raises
    ------
    InputError
        The path is neither new nor an earlier sheet.
    """
    check_sheet_path(path)
    body = "".join(_section(section) for section in sections)
    page = (
        f'{_HEAD}<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(sections[0].title or sections[0].query)} - assocmem</title>"
        f"<style>{_STYLE}</style><body>{body}</body></html>\n"
    )
    descriptor, temporary = tempfile.mkstemp(dir=path.absolute().parent, prefix=".assocmem-", suffix=".html")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(page)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _section(section: Section) -> str:
    picture = ""
    if os.path.isfile(section.query):
        picture = f'<p class="query">{_image(section.query, None, section.query)}</p>'
    title = section.title or f"Most similar to {Path(section.query).name if picture else repr(section.query)}"
    cards = "".join(_card(hit) for hit in section.hits)
    return f"<h1>{_text(title)}</h1>{picture}" + (f"<ol>{cards}</ol>" if cards else "<p>nothing found</p>")


def _card(hit: Hit) -> str:
    name = Path(hit.path)
    times = f"{clock(hit.start)} to {clock(hit.end)}, " if hit.start is not None else ""
    middle = None if hit.start is None or hit.end is None else (hit.start + hit.end) / 2
    width = max(0.0, min(1.0, hit.score)) * 100
    return (
        f'<li><div class="frame">{_image(hit.path, middle, name.name)}</div>'
        f'<div class="bar" style="width:{width:.0f}%"></div>'
        f'<div class="text"><div class="name"><a href="{_text(_link(name, hit.start))}">{_breakable(name.name)}</a>'
        f'<span class="score">{hit.score:.3f}</span></div>'
        f"<p>{times}{_breakable(str(name.parent))}</p></div></li>"
    )


def _link(path: Path, start: float | None) -> str:
    return path.as_uri() + ("" if start is None else f"#t={start:.1f}")


def _image(path: str, seconds: float | None, name: str) -> str:
    """Return a thumbnail as a data URI; if the file cannot be read, the reason as text."""
    try:
        jpeg = _thumbnail(path, seconds)
    except MediaError as error:
        return f"<span>{_text(error.reason)}</span>"
    data = base64.b64encode(jpeg).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{_text(name)}">'


def _thumbnail(path: str, seconds: float | None) -> bytes:
    from assocmem.extractors.image import read_image, thumbnail_jpeg
    from assocmem.extractors.sniff import sniff
    from assocmem.extractors.video import frame_at

    kind = sniff(path)
    if kind == "video":
        return thumbnail_jpeg(frame_at(path, seconds or 0.0, min_side=SIDE), SIDE)
    return thumbnail_jpeg(read_image(path, min_side=SIDE // 2), SIDE)


def _breakable(path: str) -> str:
    """Escape a path, with possible line breaks after its separators rather than within its words."""
    return re.sub(r"([/_.-])(?=\w)", r"\1<wbr>", _text(path))


def _text(text: str) -> str:
    return html.escape(text.encode(errors="backslashreplace").decode())
