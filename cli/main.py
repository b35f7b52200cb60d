"""The ``assocmem`` program: its commands, put together."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import warnings
from typing import Annotated

import typer

from assocmem import __version__
from assocmem.bench.commands import app as bench_app
from assocmem.cli import (
    concepts,
    curate,
    demo,
    duplicates,
    index,
    info,
    plan,
    remove,
    review,
    search,
    seen,
    teach,
    verify,
)

app = typer.Typer(
    name="assocmem",
    help="Find photos and video shots by likeness and by concept, offline, without training.",
    epilog="Start with `assocmem index ~/Pictures`, then `assocmem search photo.jpg`.",
    no_args_is_help=True,
    # Plain help: drawing it with rich would triple the time of `assocmem --help`.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"assocmem {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


app.command()(index.index)
app.command()(search.search)
app.command()(seen.seen)
app.command()(concepts.concepts)
app.command()(teach.teach)
app.command()(teach.correct)
app.command()(teach.forget)
app.command()(review.review)
app.command()(curate.rename)
app.command()(curate.merge)
app.command()(curate.history)
app.command()(curate.undo)
app.command()(duplicates.duplicates)
app.command()(remove.remove)
app.command()(info.info)
app.command()(plan.plan)
app.command()(verify.verify)
app.command()(demo.demo)
app.add_typer(bench_app, name="bench")


def main() -> None:
    """Entry point."""
    # Pillow's remarks on damaged metadata; what matters of them becomes a line in the report.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Importing makes hundreds of thousands of objects that stay; walking over them every 700 is a tenth of a search.
    gc.set_threshold(100_000)
    try:
        app(prog_name="assocmem")
    finally:
        _leave(sys.exc_info()[1])


def _leave(how: BaseException | None) -> None:
    """End without taking the libraries apart: that costs a cold search a fifth of its time and frees nothing.

    Everything on disk is closed by then. Anything but a plain exit takes the ordinary way.
    """
    if not isinstance(how, SystemExit) or not isinstance(how.code, int | None):
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(how.code or 0)
