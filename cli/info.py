"""``assocmem info``: what the collection holds."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    count,
    emit,
    emit_json,
    emit_table,
    guarded,
    one_line,
    open_collection,
    size,
)


@guarded
def info(
    collection: CollectionOption = None,
    failures: Annotated[bool, typer.Option("--failures", help="List the files that could not be read.")] = False,
    json_: JsonOption = False,
) -> None:
    """Show what the collection holds.

    Example: assocmem info --failures
    """
    with open_collection(collection) as photos:
        about = photos.info()
        failed = photos.failures() if failures else []
    if json_:
        listed = {"failed": [{"path": f.path, "reason": f.reason} for f in failed]} if failures else {}
        emit_json(dataclasses.asdict(about) | listed)
        return
    hint = " (--failures lists them)" if about.failures and not failures else ""
    kinds = f"{count(about.images, 'picture')}, {count(about.shots, 'shot')}"
    rows = [
        ("collection", about.path),
        ("items", f"{about.items} ({kinds}) of {count(about.files, 'file')}"),
        ("not readable", f"{count(about.failures, 'file')}{hint}"),
        ("extractor", about.extractor),
        ("per item", f"{about.code_bytes} bytes of code, {size(about.feature_bytes)} of features"),
        ("on disk", f"{size(about.disk_bytes)} in {count(about.segments, 'segment')}, generation {about.generation}"),
    ]
    emit_table(("", ""), rows)
    for failure in failed:
        emit(f"{one_line(failure.path)}\t{failure.reason}")
