"""``assocmem concepts``: what a file shows, and which concepts were taught."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    count,
    emit_json,
    emit_table,
    guarded,
    open_collection,
    say,
)

if TYPE_CHECKING:
    from assocmem.index.collection import Collection


@guarded
def concepts(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A picture or a video.", show_default=False)
    ] = None,
    collection: CollectionOption = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many concepts.")] = 5,
    json_: JsonOption = False,
) -> None:
    """Name what a picture or video shows; or list the concepts that were taught.

    Works at once, without a collection: the 1,000 ImageNet concepts are always there. Of the concepts that were taught
    (see `assocmem teach`) those come first that it may show, or none. Without FILE, each taught concept is a line: its
    examples, and how surely they would be taken for it had each not been taught.

    Example: assocmem concepts cat.jpg
    """
    with open_collection(collection) as photos:
        if file is None:
            _list(photos, json_)
            return
        found = photos.concepts(file, k)
        taught = len(photos.taught().concepts) if photos.has_taught else 0
    none = bool(taught) and not any(hit.source == "taught" for hit in found)
    if json_:
        answer = {"query": file, "concepts": [dataclasses.asdict(hit) for hit in found]}
        emit_json({**answer, "none_of_taught": none} if taught else answer)
        return
    emit_table(("score", "concept", "source"), [(f"{hit.score:.3f}", hit.concept, hit.source) for hit in found])
    if none:
        say(f"none of the {count(taught, 'taught concept')}" if taught > 1 else "not the taught concept")


def _list(photos: Collection, json_: bool) -> None:
    found = photos.taught_concepts()
    if json_:
        emit_json({"concepts": [dataclasses.asdict(one) for one in found]})
        return
    if not found:
        say("no concept has been taught yet; begin with `assocmem teach NAME FILE...`")
        return
    emit_table(
        ("concept", "examples", "confidence", "below"),
        [
            (
                one.concept,
                str(one.examples),
                "" if one.confidence is None else f"{one.confidence:.2f}",
                one.parent or "",
            )
            for one in found
        ],
    )
