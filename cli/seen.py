"""``assocmem seen``: whether pictures, or near copies of them, are in the collection."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.kernels import kernels_in_background
from assocmem.cli.output import emit_json, emit_table, say
from assocmem.errors import MediaError

if TYPE_CHECKING:
    from assocmem.index.results import Seen

NOT_SEEN = 3
"""Exit code if a file was not seen; 1 means that a file could not be read."""


@guarded
def seen(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Pictures and videos.", show_default=False)],
    collection: CollectionOption = None,
    json_: JsonOption = False,
) -> None:
    """Check whether pictures and videos are in the collection.

    Near copies count as well. A memory of bits says whether something like it is there, another which items these are,
    and a look at their detail decides; all take the same time for a collection of any size. The memory misses some
    copies: `assocmem info` shows how many. A video counts as seen if at least half of its shots were seen. In a pipe,
    each file is a line: yes or no, the evidence in bits, the path, and the path of what it is a copy of.

    Exit codes: 0 all files were seen, 3 one or more were not, 1 a file could not be read.

    Example: assocmem seen ~/Downloads/*.jpg
    """
    answers: list[Seen] = []
    failed: list[dict[str, str]] = []
    with open_collection(collection) as photos:
        with kernels_in_background():
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
        rows = [("yes" if a else "no", f"{a.evidence:.1f}", a.path, a.hit.path if a.hit else "") for a in answers]
        emit_table(("seen", "bits", "path", "copy of"), rows)
    if failed:
        raise typer.Exit(1)
    if not all(answers):
        raise typer.Exit(NOT_SEEN)
