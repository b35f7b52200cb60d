"""``assocmem search``: the most similar items to a picture, a video or words."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, SheetOption, guarded, open_collection
from assocmem.cli.kernels import kernels_in_background
from assocmem.cli.output import clock, emit_json, emit_table, say
from assocmem.cli.sheet import Section, check_sheet_path, write_sheet
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.extractors.masked import Box
    from assocmem.index.collection import Collection
    from assocmem.index.query.searcher import Query, Searcher
    from assocmem.index.results import Hit


@guarded
def search(
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="A picture, a video, or words for a concept.", show_default=False),
    ],
    collection: CollectionOption = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Number of hits.")] = 10,
    html: SheetOption = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the contact sheet in the browser.")] = False,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X0,Y0,X1,Y1",
            help="A rectangle of the picture that is ignored: left, top, right and bottom as shares of the width and "
            "height; may be repeated.",
            show_default=False,
        ),
    ] = None,
    effort: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the collection that is compared, approximately, above 0 and at most 1. Default: all of it; "
            "from 500,000 items on, less the more items there are.",
            show_default=False,
        ),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare the whole collection: --effort 1.")] = False,
    json_: JsonOption = False,
) -> None:
    """Find the most similar pictures and video shots.

    A video is searched shot by shot, and each item counts by its best match. Words find items by the name of a
    concept: one that was taught, one of ImageNet's, or a group of these such as bird. Quotes are optional. In a pipe,
    each hit is a line: score, path, start, end.

    Example: assocmem search cat.jpg -k 20 --html hits.html --open

    Example: assocmem search golden retriever

    To ignore the upper left quarter of a picture:

    Example: assocmem search cat.jpg --mask 0,0,0.5,0.5
    """
    text = query[0] if len(query) == 1 else " ".join(query)
    if len(query) > 1 and any(map(os.path.isfile, query)):
        raise typer.BadParameter(
            f"expected one picture or video at a time, or words; found {len(query)} arguments; search for one alone"
        )
    if html is not None:
        check_sheet_path(html)
    if exact and effort not in (None, 1.0):
        raise typer.BadParameter(f"expected --exact or --effort, found both, and --effort {effort:g}; leave one out")
    effort = 1.0 if exact else effort
    boxes = [_parse_box(words) for words in mask] if mask else None
    with open_collection(collection) as photos:
        searcher = photos.searcher
        with kernels_in_background(lambda: searcher.warm(effort)):
            asked = _ask(searcher, text, boxes)
        started = time.perf_counter()
        hits = searcher.answer(asked, k, effort=effort)
        elapsed_ms = (time.perf_counter() - started) * 1000
        meant = None if asked.words is None else searcher.meant(asked.words).names
        note = _meaning_note(text, meant) if hits else _nothing_found(photos, text, meant)
    if json_:
        answer = {"query": text, **({} if meant is None else {"meant": meant}), "elapsed_ms": round(elapsed_ms, 2)}
        emit_json({**answer, "hits": [dataclasses.asdict(hit) for hit in hits]})
    elif hits:
        emit_table(
            ("score", "path", "from", "to"),
            [(f"{hit.score:.3f}", hit.path, clock(hit.start), clock(hit.end)) for hit in hits],
        )
    if note:
        say(note)
    if html is not None or open_:
        _write_sheet(text, hits, html, open_)


def _ask(searcher: Searcher, text: str, boxes: list[Box] | None) -> Query:
    """Turn the question into features; a folder, and words with a mask, get errors of their own."""
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


def _parse_box(words: str) -> Box:
    try:
        left, top, right, bottom = map(float, words.split(","))
    except ValueError:
        raise typer.BadParameter(f"--mask: expected four numbers as in 0,0,0.5,0.5, found {words!r}") from None
    return left, top, right, bottom


def _meaning_note(words: str, meant: list[str] | None) -> str:
    """Return the concepts that the words stand for, as a message; empty if the words are the name of just one."""
    if meant is None or meant == [" ".join(words.split())]:
        return ""
    return f"taken to mean: {_join_names(words, meant)}"


def _join_names(words: str, meant: list[str]) -> str:
    """Join the first five names; for the name of a group, put it before them."""
    from assocmem.data.label_names import kind_named

    more = f" and {len(meant) - 5} more" if len(meant) > 5 else ""
    names = ", ".join(meant[:5]) + more
    kind = kind_named(words)
    return f"{kind} ({names})" if kind else names


def _nothing_found(photos: Collection, words: str, meant: list[str] | None) -> str:
    """Return a message: why there is no hit, and what to search for instead."""
    if not len(photos):
        return (
            "nothing found: the collection is empty, or its first pictures are being indexed now; "
            "add pictures with `assocmem index FOLDER`"
        )
    if meant is None:
        return "nothing found"
    return (
        f"nothing in the collection looks like {words!r}, taken to mean: {_join_names(words, meant)}\n"
        f"the most frequent concepts in the collection: {', '.join(photos.searcher.common_concepts())}"
    )


def _write_sheet(text: str, hits: list[Hit], html: Path | None, show: bool) -> None:
    if html is None:
        import tempfile

        html = Path(tempfile.mkdtemp(prefix="assocmem-")) / "hits.html"
    write_sheet(html, [Section(text, hits)])
    say(f"contact sheet: {os.fspath(html)}")
    if show:
        import webbrowser

        if not webbrowser.open(html.absolute().as_uri()):
            say("found no browser; open the file in one yourself")
