"""The ``assocmem`` program: its entry point, and the settings and options of the whole program."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import warnings
from typing import Annotated

import typer

from assocmem import __version__
from assocmem.cli.commands import LazyGroup

app = typer.Typer(
    name="assocmem",
    cls=LazyGroup,
    help="Find photos and video shots by similarity and by concept, offline, without training.",
    epilog="Start with `assocmem index ~/Pictures`, then `assocmem search photo.jpg`.",
    no_args_is_help=True,
    # Rich help would triple the time of `assocmem --help`.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"assocmem {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the program; the entry point of the installed script and of ``python -m assocmem``."""
    # Pillow warns of damaged metadata. What matters of it becomes a line of the report.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Imports create hundreds of thousands of objects that stay. By default, the collector would visit them after every
    # 700 new objects, which takes a tenth of the time of a search.
    gc.set_threshold(100_000)
    try:
        app(prog_name="assocmem")
    finally:
        _exit_quickly(sys.exc_info()[1])


def _exit_quickly(error: BaseException | None) -> None:
    """End the process without unloading the libraries, which would take a fifth of the time of a cold search.

    All files are closed by now. An exception other than a plain exit takes the ordinary way.
    """
    if not isinstance(error, SystemExit) or not isinstance(error.code, int | None):
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.code or 0)
