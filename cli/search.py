"""``assocmem search``: nearest items of a picture, a video or words."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    clock,
    emit_json,
    emit_table,
    guarded,
    kernels_meanwhile,
    open_collection,
    say,
)
from assocmem.cli.sheet import Section, check_place, write_sheet
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.index.collection import Collection
    from assocmem.index.query.searcher import Query, Searcher
    from assocmem.index.results import Hit


Box = tuple[float, float, float, float]


@guarded
def search(
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="A picture, a video, or words for a concept.", show_default=False),
    ],
    collection: CollectionOption = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many hits.")] = 10,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a contact sheet with thumbnails.", show_default=False),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the contact sheet in the browser.")] = False,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="A part of the picture that does not count: left, top, right and bottom, as shares of its width and "
            "height; may be repeated.",
            show_default=False,
        ),
    ] = None,
    effort: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="About the share of the collection that is looked at, above 0 and at most 1. By default all, and from "
            "500,000 items on less the more there are.",
            show_default=False,
        ),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Look at all of it: --effort 1.")] = False,
    json_: JsonOption = False,
) -> None:
    """Find the nearest pictures and video shots.

    A video is asked about shot by shot, and each item counts by its best. Words find items by the name of an
    ImageNet concept or of a kind of them, such as bird; quote them or not. Through a pipe each hit is a line: score,
    path, start, end.

    Example: assocmem search cat.jpg -k 20 --html hits.html --open

    What covers the upper left quarter does not count: assocmem search cat.jpg --mask 0,0,0.5,0.5
    """
    text = query[0] if len(query) == 1 else " ".join(query)
    if len(query) > 1 and any(map(os.path.isfile, query)):
        raise typer.BadParameter(f"expected one picture or video at a time, or words; found {len(query)} arguments")
    if html is not None:
        check_place(html)
    if exact and effort not in (None, 1.0):
        raise typer.BadParameter(f"expected --exact or --effort, found both, and --effort {effort:g}")
    effort = 1.0 if exact else effort
    boxes = [_box(words) for words in mask] if mask else None
    with open_collection(collection) as photos:
        searcher = photos.searcher
        with kernels_meanwhile(lambda: searcher.warm(effort)):
            asked = _ask(searcher, text, boxes)
        started = time.perf_counter()
        hits = searcher.answer(asked, k, effort=effort)
        elapsed_ms = (time.perf_counter() - started) * 1000
        meant = None if asked.words is None else searcher.meant(asked.words).names
        note = _understood(text, meant) if hits else _nothing(photos, text, meant)
    if json_:
        emit_json({
            "query": text,
            **({} if meant is None else {"meant": meant}),
            "elapsed_ms": round(elapsed_ms, 2),
            "hits": [dataclasses.asdict(hit) for hit in hits],
        })  # fmt: skip
    else:
        _print(hits)
    if note:
        say(note)
    if html is not None or open_:
        _sheet(text, hits, html, open_)


def _ask(searcher: Searcher, text: str, boxes: list[Box] | None) -> Query:
    """Turn the question into features; a folder, and words with a mask, are told from what they are taken for."""
    from assocmem.errors import UnknownConceptError

    if boxes and not os.path.lexists(text):
        raise InputError(f"--mask: expected a picture or video to leave a part of out, found no file {text!r}")
    try:
        asked = searcher.ask(text, mask=boxes)
        if asked.words is not None:
            searcher.meant(asked.words)
    except UnknownConceptError as error:
        if os.path.isdir(text):
            raise InputError(
                f"{text}: expected a picture, a video or words for a concept, found a folder; name a picture in it"
            ) from error
        raise
    return asked


def _box(words: str) -> Box:
    try:
        left, top, right, bottom = map(float, words.split(","))
    except ValueError:
        raise typer.BadParameter(f"--mask: expected four numbers as in 0,0,0.5,0.5, found {words!r}") from None
    return left, top, right, bottom


def _print(hits: list[Hit]) -> None:
    rows = [(f"{hit.score:.3f}", hit.path, clock(hit.start), clock(hit.end)) for hit in hits]
    if rows:
        emit_table(("score", "path", "from", "to"), rows)


def _understood(words: str, meant: list[str] | None) -> str:
    """What words were taken to mean, unless that is what they say."""
    if meant is None or meant == [" ".join(words.split())]:
        return ""
    return f"taken to mean: {_some(words, meant)}"


def _some(words: str, meant: list[str]) -> str:
    from assocmem.data.label_names import kind_named

    more = f" and {len(meant) - 5} more" if len(meant) > 5 else ""
    names = ", ".join(meant[:5]) + more
    kind = kind_named(words)
    return f"{kind} ({names})" if kind else names


def _nothing(photos: Collection, words: str, meant: list[str] | None) -> str:
    """Why there is no hit, and what there is instead."""
    if not len(photos):
        return "nothing found: the collection is empty, or its first pictures are just being indexed"
    if meant is None:
        return "nothing found"
    return (
        f"nothing in the collection looks like {words!r}, taken to mean: {_some(words, meant)}\n"
        f"what the collection holds most: {', '.join(photos.searcher.common_concepts())}"
    )


def _sheet(text: str, hits: list[Hit], html: Path | None, show: bool) -> None:
    if html is None:
        import tempfile

        html = Path(tempfile.mkdtemp(prefix="assocmem-")) / "hits.html"
    write_sheet(html, [Section(text, hits)])
    say(f"contact sheet: {os.fspath(html)}")
    if show:
        import webbrowser

        if not webbrowser.open(html.absolute().as_uri()):
            say("found no browser to show it with")
