"""``assocmem rename``, ``merge``, ``history`` and ``undo``: looking after what was taught."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    clock,
    count,
    emit,
    emit_json,
    emit_table,
    guarded,
    open_collection,
    say,
)


@guarded
def rename(
    concept: Annotated[str, typer.Argument(metavar="CONCEPT", help="One that was taught.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is to be called.", show_default=False)],
    collection: CollectionOption = None,
) -> None:
    """Give a taught concept another name.

    Example: assocmem rename tower "water tower"
    """
    with open_collection(collection) as photos:
        new = photos.rename(concept, name)
    emit(f"{concept} is called {new} now")


@guarded
def merge(
    concept: Annotated[str, typer.Argument(metavar="CONCEPT", help="One that was taught.", show_default=False)],
    into: Annotated[str, typer.Argument(metavar="INTO", help="The concept it becomes part of.", show_default=False)],
    collection: CollectionOption = None,
) -> None:
    """Make two taught concepts one, under the name of the second.

    Example: assocmem merge "light house" lighthouse
    """
    with open_collection(collection) as photos:
        new = photos.merge(concept, into)
        examples = next((one.examples for one in photos.taught_concepts() if one.concept == new), 0)
    emit(f"{concept} is {new} now: {count(examples, 'example')}")


@guarded
def history(
    concept: Annotated[
        str | None, typer.Argument(metavar="CONCEPT", help="Of this concept only.", show_default=False)
    ] = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """List every teaching: its number, when, who, what was said of which file, and whether it was undone.

    Example: assocmem history lighthouse
    """
    with open_collection(collection) as photos:
        found = photos.teachings(concept)
    if json_:
        emit_json({"teachings": [dataclasses.asdict(teaching) for teaching in found]})
        return
    if not found:
        say("nothing has been taught yet; begin with `assocmem teach NAME FILE...`")
        return
    emit_table(
        ("number", "when", "who", "said", "path", "from", "undone"),
        [
            (
                str(one.id),
                one.at,
                one.who,
                f"{'is' if one.is_one else 'is not'} {one.concept}",
                one.path,
                clock(one.start),
                one.undone or "",
            )
            for one in found
        ],
    )


@guarded
def undo(
    numbers: Annotated[
        list[str],
        typer.Argument(metavar="NUMBER", help="As `assocmem history` lists them; 5-9 for 5 to 9.", show_default=False),
    ],
    collection: CollectionOption = None,
) -> None:
    """Take teachings back by their numbers; what was said before them stands again.

    Example: assocmem undo 17 20-31
    """
    chosen = [number for text in numbers for number in _range(text)]
    with open_collection(collection) as photos:
        undone = photos.undo(chosen)
    already = len(set(chosen)) - undone
    emit(f"{count(undone, 'teaching')} taken back" + (f", {already} had been already" if already else ""))


def _range(text: str) -> range:
    """Numbers of one argument."""
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
        raise typer.BadParameter(f"expected a number, or two as in 5-9, found {text!r}")
    return range(int(first), int(last if dash else first) + 1)
