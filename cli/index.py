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
    count,
    emit,
    emit_json,
    guarded,
    one_line,
    open_collection,
    prepare_kernels,
    say,
)
from assocmem.errors import ExtractorError

if TYPE_CHECKING:
    from assocmem.index.results import AddReport, Progress


@guarded
def index(
    # Not Path, which would make the current folder of an empty string.
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Pictures, videos, or folders of them.", show_default=False),
    ],
    collection: CollectionOption = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Network for a new collection: efficientnet-lite0 (default), onnx:PATH (a file that stays), "
            "torchvision:NAME.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights file, for torchvision:NAME.", show_default=False),
    ] = None,
    extractor_option: Annotated[
        list[str] | None,
        typer.Option(
            "--extractor-option",
            "-o",
            metavar="KEY=VALUE",
            help="Preprocessing for onnx:PATH: size=384, resize=pad|crop|squash, mean=0.5,0.5,0.5, std=..., "
            "order=rgb|bgr, output=NAME, ...; may be repeated. ImageNet's by default.",
        ),
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
        prepare_kernels(storing=True)
        with _shown() as progress:
            report = photos.add(paths, progress=progress, threads=threads)
        missing = 0 if json_ or not report.items else len(photos.missing())
    if json_:
        _print_json(report)
    else:
        _print(report, missing)
    if report.interrupted:
        say("interrupted: what was finished is stored; run the same command again to go on")
        raise typer.Exit(130)
    if not (report.indexed or report.moved or report.unchanged):
        if not report.failed:
            say("found no pictures or videos there")
        raise typer.Exit(1)


def _options(pairs: list[str]) -> dict[str, str]:
    from assocmem.extractors.registry import parse_options

    try:
        return parse_options(pairs)
    except ExtractorError as error:
        raise typer.BadParameter(str(error), param_hint="--extractor-option") from error


@contextlib.contextmanager
def _shown() -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on stderr with rate and time left; nothing when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("indexing"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    bar = Bar(*columns, console=console, transient=True)
    looking = console.status("looking for new and changed files ...")

    def show(step: Progress) -> None:
        if not bar.tasks:
            looking.stop()
            bar.start()
            bar.add_task("indexing", total=step.total, rate="")
        speed = bar.tasks[0].speed
        bar.update(bar.tasks[0].id, completed=step.done, rate=f"{speed:.1f}/s" if speed else "")

    looking.start()
    try:
        yield show
    finally:
        looking.stop()
        bar.stop()


def _print_json(report: AddReport) -> None:
    emit_json({
        "indexed": report.indexed,
        "unchanged": report.unchanged,
        "failed": [{"path": failure.path, "reason": failure.reason} for failure in report.failed],
        "items": report.items,
        "elapsed_s": round(report.elapsed_s, 3),
    })  # fmt: skip


def _print(report: AddReport, missing: int) -> None:
    """Troubles first, so that the summary stays in sight; those known from before as a number."""
    fresh = [failure for failure in report.failed if failure.path not in report.known_failures]
    if fresh:
        say("not read, or not to the end:")
    for failure in fresh:
        say(f"  {one_line(failure.path)}: {failure.reason}")
    if len(fresh) < len(report.failed):
        old = count(len(report.failed) - len(fresh), "file")
        say(f"as before, {old} could not be read (`assocmem info --failures` lists them)")
    if missing:
        say(f"{count(missing, 'indexed file')} no longer there (`assocmem remove --missing` takes them out)")
    parts = [f"{count(report.indexed, 'picture or shot', 'pictures and shots')} indexed"]
    parts.append(f"{count(report.unchanged, 'file')} unchanged")
    if report.moved:
        parts.append(f"{count(report.moved, 'file')} recognised (moved, copied or touched)")
    if report.failed:
        parts.append(f"{count(len(report.failed), 'file')} with trouble")
    emit(f"{', '.join(parts)}; {count(report.items, 'item')} in the collection, {report.elapsed_s:.1f} s")
