"""``assocmem verify``: whether the collection is whole."""

from __future__ import annotations

import typer

from assocmem.cli.common import CollectionOption, JsonOption, count, emit, emit_json, guarded, open_collection


@guarded
def verify(collection: CollectionOption = None, json_: JsonOption = False) -> None:
    """Check the collection for damage.

    Every checksum, every code and every entry of the catalog is checked, and nothing changed. Exit code 1 on damage.

    Example: assocmem verify
    """
    with open_collection(collection) as photos:
        problems = photos.verify()
        items = len(photos)
    if json_:
        emit_json({"items": items, "problems": problems})
    else:
        for problem in problems:
            emit(problem)
        emit(count(len(problems), "problem") if problems else f"{count(items, 'item')}, all is well")
    if problems:
        raise typer.Exit(1)
