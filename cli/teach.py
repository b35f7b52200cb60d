"""``assocmem teach``, ``correct``, ``forget``, ``rename``, ``merge``, ``history`` and ``undo``: concepts by example."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.output import clock, count, emit, emit_json, emit_table, one_line, say

if TYPE_CHECKING:
    from assocmem.index.results import TeachReport

FilesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Pictures, videos, or folders of them.", show_default=False),
]
ConceptArgument = Annotated[
    str, typer.Argument(metavar="CONCEPT", help="Name of a concept that was taught.", show_default=False)
]


@guarded
def teach(
    concept: Annotated[
        str | None, typer.Argument(metavar="CONCEPT", help="What the files show: any name.", show_default=False)
    ] = None,
    files: FilesArgument = None,
    parent: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A concept above this one: a search for it finds this one too.",
            show_default=False,
        ),
    ] = None,
    folders: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Teach a concept for each folder in DIR, by its name.", show_default=False),
    ] = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Teach a concept by examples: a name and pictures that show it.

    Two or three examples are enough to begin with. Nothing is trained, and nothing else is forgotten. Each file shows
    one concept: a new teaching replaces the earlier one. Files that are not in the collection are indexed first.

    Example: assocmem teach lighthouse a.jpg b.jpg

    Example: assocmem teach Bello ~/Pictures/Bello --parent dog

    Example: assocmem teach --folders ~/Pictures/sorted
    """
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
                say(
                    f"nothing else is called {parent!r}: a search for it finds only {concept}; "
                    f"`assocmem teach {concept} --parent NAME` changes it"
                )
            if not files:
                return
        counts = photos.teacher.example_counts()
    _print_report(report, json_, counts)


@guarded
def correct(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Pictures or videos.", show_default=False)],
    wrong: Annotated[
        str | None, typer.Option("--not", metavar="NAME", help="What they do not show.", show_default=False)
    ] = None,
    right: Annotated[
        str | None, typer.Option("--is", metavar="NAME", help="What they show.", show_default=False)
    ] = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Correct what the memory says about files.

    Name what the files do not show, what they show, or both. The answers for these files and for near copies of them
    change at once and stay. The memory learns from the correction.

    Example: assocmem correct tower.jpg --not lighthouse --is "water tower"
    """
    if wrong is None and right is None:
        raise typer.BadParameter("expected --not NAME, --is NAME, or both")
    with open_collection(collection) as photos:
        report = photos.correct(files, wrong=wrong, right=right)
        counts = photos.teacher.example_counts()
    _print_report(report, json_, counts)


@guarded
def forget(
    concept: ConceptArgument,
    files: FilesArgument = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Take back what was taught of a concept.

    Without FILE, for all its files. Afterwards the answers are the same as if it had never been taught. The pictures
    stay in the collection, and the history keeps the teachings.

    Example: assocmem forget lighthouse b.jpg
    """
    with open_collection(collection) as photos:
        undone = photos.forget(concept, files or None)
    if json_:
        emit_json({"undone": undone})
    else:
        emit(f"{count(undone, 'teaching')} of {concept} taken back")


@guarded
def rename(
    concept: ConceptArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.", show_default=False)],
    collection: CollectionOption = None,
) -> None:
    """Give a taught concept another name.

    Its examples stay. The new name must not be that of another taught concept; `assocmem merge` joins two.

    Example: assocmem rename tower "water tower"
    """
    with open_collection(collection) as photos:
        new = photos.rename(concept, name)
    emit(f"{concept} is called {new} now")


@guarded
def merge(
    concept: ConceptArgument,
    into: Annotated[
        str, typer.Argument(metavar="INTO", help="The concept that it becomes a part of.", show_default=False)
    ],
    collection: CollectionOption = None,
) -> None:
    """Merge two taught concepts into one.

    It has the name of the second concept and the examples of both.

    Example: assocmem merge "light house" lighthouse
    """
    with open_collection(collection) as photos:
        new = photos.merge(concept, into)
        examples = next((one.examples for one in photos.taught_concepts() if one.concept == new), 0)
    emit(f"{concept} is {new} now: {count(examples, 'example')}")


@guarded
def history(
    concept: Annotated[
        str | None, typer.Argument(metavar="CONCEPT", help="List only this concept.", show_default=False)
    ] = None,
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """List all teachings with their numbers.

    Each teaching is a line: number, time, user, what was said ("is" or "is not" a concept), path, start of the shot in
    a video, and the time when it was undone. `assocmem undo` takes the numbers.

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
    """Undo teachings by their numbers.

    What was taught of their files before counts again.

    Example: assocmem undo 17 20-31
    """
    chosen = [number for text in numbers for number in _number_range(text)]
    with open_collection(collection) as photos:
        undone = photos.undo(chosen)
    already = len(set(chosen)) - undone
    emit(f"{count(undone, 'teaching')} taken back" + (f", {already} had been already" if already else ""))


def _number_range(text: str) -> range:
    """Parse ``17`` or ``20-31``."""
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
        raise typer.BadParameter(f"expected a number, or two as in 5-9, found {text!r}; `assocmem history` lists them")
    return range(int(first), int(last if dash else first) + 1)


def _print_report(report: TeachReport, json_: bool, counts: dict[str, int]) -> None:
    if report.indexed:
        say(f"{count(report.indexed, 'picture or shot', 'pictures and shots')} indexed first")
    for failure in report.failed:
        say(f"{one_line(failure.path)}: {failure.reason}; skipped")
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
        say("this is the only concept so far; teach a second one, so that the two can be distinguished")
