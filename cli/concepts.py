"""``assocmem concepts``: what a file shows, and which concepts were taught."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

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
    from assocmem.index.results import ConceptHit


@guarded
def concepts(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Pictures or videos.", show_default=False)
    ] = None,
    collection: CollectionOption = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many concepts.")] = 5,
    json_: JsonOption = False,
) -> None:
    """Name what pictures or videos show; or list the concepts that were taught.

    Works at once, without a collection: the 1,000 ImageNet concepts are always there. Of the concepts that were taught
    (see `assocmem teach`) those come first that it may show, up to N, or none; then N of ImageNet's. Without FILE, each
    taught concept is a line: its examples, and how surely they would be taken for it had each not been taught.

    Example: assocmem concepts cat.jpg
    """
    with open_collection(collection) as photos:
        if not files:
            _list(photos, json_)
            return
        found = [photos.concepts(file, k) for file in files]
        taught = len(photos.teacher.example_counts())
    answers = [_answer(file, hits, taught) for file, hits in zip(files, found, strict=True)]
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


def _answer(file: str, hits: list[ConceptHit], taught: int) -> dict[str, Any]:
    """Answer for one file, for programs."""
    answer: dict[str, Any] = {"query": file, "concepts": [dataclasses.asdict(hit) for hit in hits]}
    if taught:
        answer["none_of_taught"] = not any(hit.source == "taught" for hit in hits)
    return answer


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
