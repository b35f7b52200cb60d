"""``assocmem duplicates``: groups of near copies, and which files of one place have copies in another."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.cli.common import CollectionOption, JsonOption, SheetOption, guarded, open_collection
from assocmem.cli.output import clock, count, emit_json, emit_table, say
from assocmem.cli.sheet import Section, check_sheet_path, write_sheet
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.index.results import Copies

_KINDS = {"identical": "same bytes", "same": "same picture", "unchecked": "unchecked", "similar": "similar"}
"""What is printed of a copy's kind."""


@guarded
def duplicates(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Look only at these files and folders.", show_default=False),
    ] = None,
    collection: CollectionOption = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="List what has a copy in this file or folder; may be repeated."),
    ] = None,
    other: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="List what has a copy in another collection.", show_default=False),
    ] = None,
    of: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="List what this picture or video is a copy of.", show_default=False),
    ] = None,
    similar: Annotated[bool, typer.Option("--similar", help="Find what shares a part too, as a crop does.")] = False,
    least: Annotated[
        float | None,
        typer.Option(
            metavar="SIMILARITY",
            help="Similarity from which two items belong together, 0.5 to 1.4. Default: 1.0, with --similar 0.85.",
            show_default=False,
        ),
    ] = None,
    not_copies: Annotated[
        bool, typer.Option("--not-copies", help="Remember that the files PATH are no copies of each other.")
    ] = False,
    undo: Annotated[bool, typer.Option("--undo", help="With --not-copies: take it back.")] = False,
    html: SheetOption = None,
    json_: JsonOption = False,
) -> None:
    """Find copies among pictures and video shots.

    Found are files of the same bytes, and one picture saved again: scaled, compressed, blurred, recoloured. Likeness
    proposes them, and a second look at their detail decides, so two receipts are no copies. With --similar also what
    shares a part: cropped, turned, captioned, mirrored, or another view of the scene. The first item of a group is the
    one that is similar to most of the others; every member is printed with its similarity to it and its kind. With
    --against or --other, a group is an item and its copies in the other place; both places must be indexed. Hard and
    symbolic links are no copies of what they lead to, and are left out. Nothing is removed. In a pipe, each member is a
    line: group, similarity, path, start, end, kind.

    Example: assocmem duplicates ~/Pictures/2024 --against ~/Backup

    Example: assocmem duplicates --of ~/Downloads/photo.jpg

    Example: assocmem duplicates --not-copies monday.jpg tuesday.jpg
    """
    from assocmem.index.results import COPY, SIMILAR

    if not_copies or undo:
        _tell_apart(collection, paths or [], undo=undo, alone=not_copies and not (against or other or of))
        return
    if sum((bool(against), other is not None, of is not None)) > 1 or (of is not None and paths):
        raise InputError("expected one of --against, --other and --of, and no PATH with --of; ask twice")
    if html is not None:
        check_sheet_path(html)
    started = time.perf_counter()
    with open_collection(collection) as photos:
        wanted = least if least is not None else SIMILAR if similar else COPY
        if of is not None:
            group = photos.copies_of(of, least=wanted)
            found = [] if group is None else [group]
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
        emit_table(("group", "similarity", "path", "from", "to", "kind"), _rows(found))
    _say_what_was_found(found, all_kinds=similar or least is not None)
    if html is not None:
        write_sheet(html, [_section(number, copies) for number, copies in enumerate(found, 1)] or [Section("", [])])
        say(f"contact sheet: {os.fspath(html)}")


def _tell_apart(collection: str | None, paths: list[str], *, undo: bool, alone: bool) -> None:
    if not alone:
        raise InputError("expected --not-copies with two files or more and nothing else; --undo takes it back")
    with open_collection(collection) as photos:
        changed = photos.not_copies(paths, undo=undo)
    say(f"{count(changed, 'pair')} {'may be copies again' if undo else 'noted: no copies'}")


def _say_what_was_found(found: list[Copies], *, all_kinds: bool) -> None:
    copied = sum(len(copies.copies) for copies in found)
    if links := sum(len(copies.links) for copies in found):
        say(f"{count(links, 'link')} to these files left out: removing what a link leads to would lose it")
    if stacked := sum(len(copies.stacked) for copies in found):
        say(f"{count(stacked, 'file')} of one shot with these left out: raw photographs beside their JPEG, live photos")
    if unchecked := sum(copies.kinds.count("unchecked") for copies in found):
        say(
            f"{count(unchecked, 'copy', 'copies')} unchecked, only alike: of items that an earlier version indexed; "
            "index the folders into a new collection to have them checked"
        )
    if found:
        similar = sum(copies.kinds.count("similar") for copies in found)
        and_similar = f", {similar} similar" if similar else ""
        say(f"{count(len(found), 'group')}, {count(copied - similar, 'copy', 'copies')}{and_similar}")
    else:
        say("no copies found" + ("" if all_kinds else "; --similar finds what shares a part too"))


def _rows(found: list[Copies]) -> Any:
    for number, copies in enumerate(found, 1):
        kinds = ("first", *(_KINDS[kind] for kind in copies.kinds))
        for hit, kind in zip((copies.original, *copies.copies), kinds, strict=True):
            yield str(number), f"{hit.score:.3f}", hit.path, clock(hit.start), clock(hit.end), kind


def _section(number: int, copies: Copies) -> Section:
    return Section("", [copies.original, *copies.copies], f"Group {number}: {Path(copies.original.path).name}")
