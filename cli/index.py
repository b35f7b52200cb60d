"""``assocmem index``: add files and folders to the collection."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.kernels import prepare_kernels
from assocmem.cli.output import count, emit, emit_json, one_line, say
from assocmem.errors import ExtractorError

if TYPE_CHECKING:
    from assocmem.index.results import AddReport, Progress


@guarded
def index(
    # Not Paths, which would turn an empty string into the current folder.
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Pictures, videos, or folders of them.", show_default=False),
    ],
    collection: CollectionOption = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Network for a new collection: efficientnet-lite0 (default), onnx:PATH (a file that must stay there), "
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
            "order=rgb|bgr, output=NAME, ...; may be repeated. Default: that of ImageNet.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Decoding threads. Default: one per core.", show_default=False),
    ] = None,
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Read the contents of all files again, not only of new and changed ones.")
    ] = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Refuse larger pictures. Default: 100,000,000 pixels.", show_default=False
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Index files and folders.

    A later run reads only what is new or has changed, by size and time; --recheck reads the contents of all files, and
    finds those that were replaced or damaged in place. You can interrupt it at any time: the next run continues where
    it stopped. Thumbnails, previews and other companions of pictures are left out, and counted. Files that cannot be
    read are listed at the end with the reason; the others are indexed. The exit code is 1 if nothing could be indexed.

    Example: assocmem index ~/Pictures ~/Videos

    Example: assocmem index ~/Pictures -c new.amem --extractor onnx:model.onnx -o size=384
    """
    options = _parse_options(extractor_option or [])
    with open_collection(collection, extractor=extractor, weights=weights, options=options) as photos:
        prepare_kernels(storing=True)
        with _progress_bar() as progress:
            report = photos.add(paths, progress=progress, threads=threads, recheck=recheck, max_pixels=max_pixels)
        missing = 0 if json_ or not report.items else len(photos.missing())
    if json_:
        _print_json(report)
    else:
        _print_report(report, missing)
    if report.interrupted:
        say("interrupted: what was finished is stored; run the same command again to continue")
        raise typer.Exit(130)
    if not (report.indexed or report.moved or report.unchanged):
        if not report.failed:
            say("found no pictures or videos; name a folder that contains some")
        raise typer.Exit(1)


def _parse_options(pairs: list[str]) -> dict[str, str]:
    from assocmem.extractors.registry import parse_options

    try:
        return parse_options(pairs)
    except ExtractorError as error:
        raise typer.BadParameter(str(error), param_hint="--extractor-option") from error


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """Show a progress bar on stderr, with the rate and the time left; nothing if stderr is not a terminal."""
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
    scanning = console.status("looking for new and changed files ...")

    def show(step: Progress) -> None:
        if not bar.tasks:
            scanning.stop()
            bar.start()
            bar.add_task("indexing", total=step.total, rate="")
        speed = bar.tasks[0].speed
        bar.update(bar.tasks[0].id, completed=step.done, rate=f"{speed:.1f}/s" if speed else "")

    scanning.start()
    try:
        yield show
    finally:
        scanning.stop()
        bar.stop()


def _print_json(report: AddReport) -> None:
    emit_json({
        "indexed": report.indexed,
        "unchanged": report.unchanged,
        "failed": [{"path": failure.path, "reason": failure.reason} for failure in report.failed],
        "left_out": report.left_out,
        "items": report.items,
        "elapsed_s": round(report.elapsed_s, 3),
    })  # fmt: skip


def _print_report(report: AddReport, missing: int) -> None:
    """Print failures first, so that the summary stays visible; of those of earlier runs only the number."""
    fresh = [failure for failure in report.failed if failure.path not in report.known_failures]
    if fresh:
        say("could not be read, or not to the end:")
    for failure in fresh:
        say(f"  {one_line(failure.path)}: {failure.reason}")
    if len(fresh) < len(report.failed):
        old = count(len(report.failed) - len(fresh), "file")
        say(f"as before, {old} could not be read (`assocmem info --failures` lists them)")
    if missing:
        say(f"{count(missing, 'indexed file')} no longer there (`assocmem remove --missing` removes the items)")
    parts = [f"{count(report.indexed, 'picture or shot', 'pictures and shots')} indexed"]
    parts.append(f"{count(report.unchanged, 'file')} unchanged")
    if report.moved:
        parts.append(f"{count(report.moved, 'file')} recognised (moved, copied or touched)")
    if report.left_out:
        say(f"{count(len(report.left_out), 'companion')} left out (thumbnails, previews, backups; --json lists them)")
    if report.failed:
        parts.append(f"{count(len(report.failed), 'file')} with trouble")
    emit(f"{', '.join(parts)}; {count(report.items, 'item')} in the collection, {report.elapsed_s:.1f} s")
