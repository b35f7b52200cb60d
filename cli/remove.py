"""``assocmem remove``: items out of the collection."""

from __future__ import annotations

from typing import Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, count, emit, emit_json, guarded, open_collection


@guarded
def remove(
    # Not Path, which would make the current folder of an empty string.
    paths: Annotated[
        list[str] | None,
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
        removed = photos.remove(paths or [], missing=missing)
        items = len(photos)
    if json_:
        emit_json({"removed": removed, "items": items})
    else:
        emit(f"{count(removed, 'item')} removed; {count(items, 'item')} in the collection")
