"""``assocmem index``: files and folders into the collection."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import (
    CollectionOption,
    JsonOption,
    emit,
    emit_json,
    guarded,
    open_collection,
    prepare_kernels,
    say,
)

if TYPE_CHECKING:
    from assocmem.index.reports import AddReport, Progress


@guarded
def index(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Pictures, videos, or folders of them.", show_default=False)
    ],
    collection: CollectionOption = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Network for a new collection: efficientnet-lite0 (default), onnx:PATH, torchvision:NAME.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights file, for torchvision:NAME.", show_default=False),
    ] = None,
    extractor_option: Annotated[
        list[str] | None,
        typer.Option("--extractor-option", "-o", metavar="KEY=VALUE", help="Preprocessing, for onnx:PATH."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Decoding threads. Default: one per core.", show_default=False),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Index files and folders.

    Run again later, only what is new or changed is read.
    Interrupt it whenever you like: it goes on where it was when run again. Files that cannot be read are listed at
    the end with their reason and stop nothing. Exit code 1 when nothing could be indexed.

    Example: assocmem index ~/Pictures ~/Videos
    """
    options = _options(extractor_option or [])
    with open_collection(collection, extractor=extractor, weights=weights, options=options) as photos:
        prepare_kernels()
        with _shown() as progress:
            report = photos.add(paths, progress=progress, threads=threads)
    _print(report, json_)
    if report.interrupted:
        say("interrupted: what was finished is stored; run the same command again to go on")
        raise typer.Exit(130)
    if not (report.indexed or report.moved or report.unchanged):
        if not report.failed:
            say("found no pictures or videos there")
        raise typer.Exit(1)


def _options(pairs: list[str]) -> dict[str, str]:
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"expected KEY=VALUE, found {pair!r}", param_hint="--extractor-option")
        options[key] = value
    return options


@contextlib.contextmanager
def _shown() -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on stderr with rate and time left; nothing when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("indexing", total=None, rate="")

        def show(step: Progress) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            rate = f"{speed:.1f}/s" if speed else ""
            bar.update(task, completed=step.done, total=step.total, rate=rate)

        yield show


def _print(report: AddReport, json_: bool) -> None:
    failed = [{"path": failure.path, "reason": failure.reason} for failure in report.failed]
    if json_:
        emit_json({
            "indexed": report.indexed,
            "unchanged": report.unchanged,
            "failed": failed,
            "items": report.items,
            "elapsed_s": round(report.elapsed_s, 3),
        })  # fmt: skip
        return
    parts = [f"{report.indexed} indexed", f"{report.unchanged} files unchanged"]
    if report.moved:
        parts.append(f"{report.moved} recognised (moved, copied or touched)")
    if failed:
        parts.append(f"{len(failed)} failed")
    emit(f"{', '.join(parts)}; {report.items} items in the collection, {report.elapsed_s:.1f} s")
    for failure in failed:
        say(f"could not read {failure['path']}: {failure['reason']}")
