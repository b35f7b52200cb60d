"""``assocmem remove``: items out of the collection."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, emit, emit_json, guarded, open_collection


@guarded
def remove(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Files or folders, as they were indexed.", show_default=False),
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Take out items whose files are gone.")] = False,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Take files and folders out of the collection.

    The files themselves are never touched.

    Example: assocmem remove ~/Pictures/private
    """
    if not paths and not missing:
        raise typer.BadParameter("name files or folders, or say --missing")
    with open_collection(collection) as photos:
        count = photos.remove(paths or [], missing=missing)
        items = len(photos)
    if json_:
        emit_json({"removed": count, "items": items})
    else:
        emit(f"{count} items removed; {items} items in the collection")
