"""``assocmem remove`` and ``verify``: keeping a collection in order."""

from __future__ import annotations

from typing import Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.output import count, emit, emit_json, say


@guarded
def remove(
    # Not Paths, which would turn an empty string into the current folder.
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Files or folders, as they were indexed.", show_default=False),
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Remove the items of files that no longer exist.")] = False,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Remove files and folders from the collection.

    The files themselves are never touched.

    Example: assocmem remove ~/Pictures/private

    Example: assocmem remove --missing
    """
    if not paths and not missing:
        raise typer.BadParameter("name files or folders, or use --missing")
    with open_collection(collection) as photos:
        removed = photos.remove(paths or [], missing=missing)
        items = len(photos)
    if json_:
        emit_json({"removed": removed, "items": items})
    else:
        emit(f"{count(removed, 'item')} removed; {count(items, 'item')} in the collection")


@guarded
def verify(collection: CollectionOption = None, json_: JsonOption = False) -> None:
    """Check the collection for damage.

    Every checksum, every code and every entry of the catalog is checked; nothing is changed. Each problem is a line.
    The exit code is 1 if there are any.

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
        if problems:
            say(
                "if a problem does not say what to do: restore the collection from a backup, "
                "or index the folders into a new collection"
            )
        emit(count(len(problems), "problem") if problems else f"{count(items, 'item')}, all is well")
    if problems:
        raise typer.Exit(1)
