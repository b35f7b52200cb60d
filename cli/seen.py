"""``assocmem seen``: whether pictures, or near copies of them, are in the collection."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    emit_json,
    emit_table,
    guarded,
    kernels_meanwhile,
    open_collection,
    say,
)
from assocmem.errors import MediaError

if TYPE_CHECKING:
    from assocmem.index.results import Seen

NOT_SEEN = 3
"""Exit code; 1 is for what could not be answered."""


@guarded
def seen(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Pictures and videos.", show_default=False)],
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Tell whether pictures and videos, or near copies of them, are in the collection.

    Answered by a memory of bits alone, in a time that does not depend on how much there is. Now and then it errs:
    `assocmem info` says how often. A video counts as seen when at least half of its shots are. Through a pipe each file
    is a line: yes or no, the evidence in bits, and the path.

    Exit codes: 0 all were seen, 3 one or more were not, 1 a file could not be read.

    Example: assocmem seen ~/Downloads/*.jpg
    """
    answers: list[Seen] = []
    failed: list[dict[str, str]] = []
    with open_collection(collection) as photos:
        with kernels_meanwhile():
            photos.searcher.familiarity()
        started = time.perf_counter()
        for path in files:
            try:
                answers.append(photos.seen(path))
            except MediaError as error:
                failed.append({"path": path, "reason": error.reason})
                say(f"error: {error}")
        elapsed_ms = (time.perf_counter() - started) * 1000
    if json_:
        listed: list[dict[str, Any]] = [dataclasses.asdict(answer) for answer in answers]
        emit_json({"elapsed_ms": round(elapsed_ms, 2), "files": listed, "failed": failed})
    else:
        rows = [("yes" if answer else "no", f"{answer.evidence:.1f}", answer.path) for answer in answers]
        emit_table(("seen", "bits", "path"), rows)
    if failed:
        raise typer.Exit(1)
    if not all(answers):
        raise typer.Exit(NOT_SEEN)
