"""``assocmem concepts``: what a file shows, and which concepts were taught."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.output import count, emit_json, emit_table, say

if TYPE_CHECKING:
    from assocmem.index.collection import Collection
    from assocmem.index.results import ConceptHit


@guarded
def concepts(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Pictures or videos.", show_default=False)
    ] = None,
    collection: CollectionOption = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="Number of concepts.")] = 5,
    json_: JsonOption = False,
) -> None:
    """Name what files show, or list the taught concepts.

    Works without a collection: the 1,000 ImageNet concepts are always available. Taught concepts (see `assocmem
    teach`) come first: at most N, and only those that the file may show. N of ImageNet's follow. Without FILE, each
    taught concept is a line: its name, the number of its examples, how confidently an example would be recognised if
    it had not been taught, and the concept above it.

    Example: assocmem concepts cat.jpg
    """
    with open_collection(collection) as photos:
        if not files:
            _print_taught(photos, json_)
            return
        found = [photos.concepts(file, k) for file in files]
        taught = len(photos.teacher.example_counts())
    answers = [_as_json(file, hits, taught) for file, hits in zip(files, found, strict=True)]
    if json_:
        emit_json(answers[0] if len(answers) == 1 else {"answers": answers})
        return
    several = len(files) > 1
    rows = [
        (*((file,) if several else ()), f"{hit.score:.3f}", hit.concept, hit.source)
        for file, hits in zip(files, found, strict=True)
        for hit in hits
    ]
    emit_table((*(("file",) if several else ()), "score", "concept", "source"), rows)
    for answer in answers:
        if answer.get("none_of_taught"):
            where = f"{answer['query']}: " if several else ""
            say(
                f"{where}none of the {count(taught, 'taught concept')}"
                if taught > 1
                else f"{where}not the taught concept"
            )


def _as_json(file: str, hits: list[ConceptHit], taught: int) -> dict[str, Any]:
    """Return the answer for one file, for JSON."""
    answer: dict[str, Any] = {"query": file, "concepts": [dataclasses.asdict(hit) for hit in hits]}
    if taught:
        answer["none_of_taught"] = not any(hit.source == "taught" for hit in hits)
    return answer


def _print_taught(photos: Collection, json_: bool) -> None:
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
