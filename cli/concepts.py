"""``assocmem concepts``: what a file shows."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, emit_json, emit_table, guarded, open_collection


@guarded
def concepts(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A picture or a video.", show_default=False)],
    collection: CollectionOption = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many concepts.")] = 5,
    json_: JsonOption = False,
) -> None:
    """Name what a picture or video shows.

    Works at once, without a collection: the 1,000 ImageNet concepts are always there.

    Example: assocmem concepts cat.jpg
    """
    with open_collection(collection) as photos:
        found = photos.concepts(file, k)
    if json_:
        emit_json({"query": file, "concepts": [dataclasses.asdict(hit) for hit in found]})
    else:
        emit_table(("score", "concept", "source"), [(f"{hit.score:.3f}", hit.concept, hit.source) for hit in found])
