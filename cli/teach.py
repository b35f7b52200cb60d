"""``assocmem teach``, ``correct`` and ``forget``: what pictures show, said by who knows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    count,
    emit,
    emit_json,
    guarded,
    one_line,
    open_collection,
    say,
)

if TYPE_CHECKING:
    from assocmem.index.results import TeachReport

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Pictures, videos, or folders of them.", show_default=False),
]


@guarded
def teach(
    concept: Annotated[
        str | None, typer.Argument(metavar="CONCEPT", help="What they show: any name.", show_default=False)
    ] = None,
    files: Files = None,
    parent: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A concept above this one: a search for it finds this one too.", show_default=False
        ),
    ] = None,
    folders: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="A concept for each folder in DIR, called like it.", show_default=False),
    ] = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Teach a concept by examples: a name and pictures that show it.

    Two or three examples make a beginning. Nothing is trained, and nothing else is forgotten. Each file shows one
    concept: what was said of it before no longer stands. Files that are not in the collection are indexed first.

    Example: assocmem teach lighthouse a.jpg b.jpg

    Example: assocmem teach Bello ~/Pictures/Bello --parent dog

    Example: assocmem teach --folders ~/Pictures/sorted
    """  # fmt: skip
    if (concept is None) == (folders is None) or (folders is not None and (files or parent)):
        found = "neither" if folders is None else "both"
        raise typer.BadParameter(f"expected a CONCEPT with its files, or --folders DIR alone; found {found}")
    with open_collection(collection) as photos:
        if folders is not None:
            report = photos.teach_folders(folders)
        else:
            assert concept is not None
            if not files and parent is None:
                raise typer.BadParameter(f"expected files that show {concept!r}; name one or more")
            if files:
                report = photos.teach(concept, files, parent=parent)
            else:
                photos.set_parent(concept, parent)
                say(f"{concept} is below {parent} now")
            if parent is not None and not photos.teacher.is_concept(parent):
                say(f"nothing else is called {parent!r}; only a search for it finds {concept} by that name")
            if not files:
                return
        counts = photos.teacher.example_counts()
    _tell(report, json_, counts)


@guarded
def correct(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Pictures or videos.", show_default=False)],
    wrong: Annotated[
        str | None, typer.Option("--not", metavar="NAME", help="What they are not.", show_default=False)
    ] = None,
    right: Annotated[
        str | None, typer.Option("--is", metavar="NAME", help="What they are.", show_default=False)
    ] = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Say what a picture is not, or is instead; it stays said.

    The answer for the file and for near copies of it changes at once, and the memory learns from it.

    Example: assocmem correct tower.jpg --not lighthouse --is "water tower"
    """
    if wrong is None and right is None:
        raise typer.BadParameter("expected --not NAME, --is NAME, or both")
    with open_collection(collection) as photos:
        report = photos.correct(files, wrong=wrong, right=right)
        counts = photos.teacher.example_counts()
    _tell(report, json_, counts)


@guarded
def forget(
    concept: Annotated[str, typer.Argument(metavar="CONCEPT", help="One that was taught.", show_default=False)],
    files: Files = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Take back what was taught of a concept: all of it, or of some files.

    Afterwards answers are as if it had never been taught. The pictures stay; the history keeps what was said.

    Example: assocmem forget lighthouse b.jpg
    """
    with open_collection(collection) as photos:
        undone = photos.forget(concept, files or None)
    if json_:
        emit_json({"undone": undone})
    else:
        emit(f"{count(undone, 'teaching')} of {concept} taken back")


def _tell(report: TeachReport, json_: bool, counts: dict[str, int]) -> None:
    if report.indexed:
        say(f"{count(report.indexed, 'picture or shot', 'pictures and shots')} indexed first")
    for failure in report.failed:
        say(f"{one_line(failure.path)}: {failure.reason}; left out")
    if json_:
        emit_json({
            **dataclasses.asdict(report),
            "failed": [{"path": failure.path, "reason": failure.reason} for failure in report.failed],
            "examples": {name: counts.get(name, 0) for name in report.concepts},
        })  # fmt: skip
        return
    parts = [f"{report.taught} {'taught' if report.concepts else 'corrected'}"]
    if report.changed:
        parts.append(f"{report.changed} of them {'was' if report.changed == 1 else 'were'} something else before")
    if report.known:
        parts.append(f"{report.known} known already")
    emit(", ".join(parts))
    for name in report.concepts:
        emit(f"{name}: {count(counts.get(name, 0), 'example')}")
    if len(report.teachings) > 2:
        say(f"`assocmem undo {report.teachings[0]}-{report.teachings[-1]}` takes it back")
    if len(counts) == 1:
        say("this is the only concept yet; taught another, it can tell them apart")
