"""``assocmem duplicates``: groups of near copies, and what of one place is in another."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    clock,
    count,
    emit_json,
    emit_table,
    guarded,
    open_collection,
    say,
)
from assocmem.cli.sheet import Section, check_place, write_sheet
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.index.collection import Collection
    from assocmem.index.results import Copies

_MOST = 100
"""Copies of one file that are told at most."""
ITSELF = 1.4
"""Likeness of a picture to itself."""


@guarded
def duplicates(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Look only among these files and folders.", show_default=False),
    ] = None,
    collection: CollectionOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Tell what has a copy in this folder or file; may be repeated."),
    ] = None,
    other: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Tell what has a copy in another collection.", show_default=False),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Tell what this picture or video is a copy of.", show_default=False),
    ] = None,
    similar: Annotated[bool, typer.Option("--similar", help="Similar pictures too, not only copies.")] = False,
    least: Annotated[
        float | None,
        typer.Option(
            metavar="LIKENESS",
            help="Likeness from which two belong together, 0.5 to 1.4. Default: 1.0, with --similar 0.85.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a contact sheet with thumbnails.", show_default=False),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Find pictures and video shots that are near copies of each other.

    Copies that were scaled, compressed, blurred, mirrored or coloured are found, and most that were cropped, turned or
    captioned a little. Each group is printed with the item first that most of the others are like, and the likeness of
    each to it. With --against or --other, each group is an item and its copies there; both places have to be indexed.
    Nothing is removed. Through a pipe each member is a line: group, likeness, path, start, end.

    Example: assocmem duplicates ~/Pictures/2024 --against ~/Backup
    """
    from assocmem.index.results import COPY, SIMILAR

    if sum((bool(against), other is not None, of is not None)) > 1 or (of is not None and paths):
        raise InputError("expected one of --against, --other and --of, and no PATH with --of; ask twice")
    if html is not None:
        check_place(html)
    started = time.perf_counter()
    with open_collection(collection) as photos:
        wanted = least if least is not None else SIMILAR if similar else COPY
        if of is not None:
            found = _copies_of(photos, of, wanted)
        elif other is None:
            found = photos.duplicates(paths or (), against=against or None, least=wanted)
        else:
            with open_collection(other) as others:
                found = photos.duplicates(paths or (), against=others, least=wanted)
    elapsed_s = time.perf_counter() - started
    if json_:
        groups = [dataclasses.asdict(copies) for copies in found]
        emit_json({"least": wanted, "elapsed_s": round(elapsed_s, 3), "groups": groups})
    elif found:
        emit_table(("group", "likeness", "path", "from", "to"), _rows(found))
    copied = sum(len(copies.copies) for copies in found)
    say(f"{count(len(found), 'group')}, {count(copied, 'copy', 'copies')}" if found else "no near copies found")
    if html is not None:
        write_sheet(html, [_section(number, copies) for number, copies in enumerate(found, 1)] or [Section("", [])])
        say(f"contact sheet: {os.fspath(html)}")


def _copies_of(photos: Collection, file: str, least: float) -> list[Copies]:
    """What is in the collection of one file, as a group of which the file is the first."""
    from assocmem.index.results import Copies, Hit

    path = os.path.abspath(file)
    found = [hit for hit in photos.originals(file, k=_MOST) if hit.score >= least and hit.path != path]
    return [Copies(Hit(1, -1, path, "query", None, None, ITSELF), found)] if found else []


def _rows(found: list[Copies]) -> Any:
    for number, copies in enumerate(found, 1):
        for hit in (copies.original, *copies.copies):
            yield str(number), f"{hit.score:.3f}", hit.path, clock(hit.start), clock(hit.end)


def _section(number: int, copies: Copies) -> Section:
    return Section("", [copies.original, *copies.copies], f"Group {number}: {Path(copies.original.path).name}")
