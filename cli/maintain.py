"""``assocmem remove`` and ``verify``: keeping a collection in order."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.output import count, emit, emit_json, say
from assocmem.index.results import Gone


@guarded
def remove(
    # Not Paths, which would turn an empty string into the current folder.
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Files or folders, as they were indexed.", show_default=False),
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Remove the items of files that no longer exist.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --missing: list these files, and remove nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --missing: also of folders that are missing or empty as a whole.")
    ] = False,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Remove files and folders from the collection.

    The files themselves are never touched. With --missing, files of a folder that is missing as a whole, empty or
    unreadable are kept, because a disk that is not mounted looks like that; a line says so, and --yes removes them too.

    Example: assocmem remove ~/Pictures/private

    Example: assocmem remove --missing
    """
    if ((dry_run or yes) and not missing) or (dry_run and paths):
        raise typer.BadParameter("--dry-run and --yes go with --missing, and --dry-run without paths")
    if not paths and not missing:
        raise typer.BadParameter("name files or folders, or use --missing")
    with open_collection(collection) as photos:
        gone = photos.gone() if missing else Gone([], [])
        removed = 0 if dry_run else photos.remove(paths or [], missing=missing, insist=yes)
        items = len(photos)
    if json_:
        more = {"missing": gone.files} if dry_run else {}
        places = [dataclasses.asdict(place) for place in gone.out_of_reach]
        emit_json({"removed": removed, "items": items, **more, **({"out_of_reach": places} if missing else {})})
    elif dry_run:
        for path in gone.files:
            emit(path)
    else:
        emit(f"{count(removed, 'item')} removed; {count(items, 'item')} in the collection")
    for place in () if yes else gone.out_of_reach:
        kept = f"{count(place.files, 'file')} kept, is a disk missing? --yes removes them"
        say(f"{place.folder}: {place.reason}; {kept}")


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
