"""What every command uses: the options that they share, the collection they open, and how an error ends them.

No module of this package imports numpy or a part of the engine at its top, so that the help of every command is printed
at once.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from assocmem.cli.output import say
from assocmem.errors import AssocmemError

if TYPE_CHECKING:
    from assocmem.index.collection import Collection

P = ParamSpec("P")
R = TypeVar("R")

# Not a Path, which would turn an empty string into the current folder.
CollectionOption = Annotated[
    str | None,
    typer.Option(
        "--collection",
        "-c",
        metavar="DIR",
        help="Directory of the collection. Default: $ASSOCMEM_COLLECTION, else one place per user.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
SheetOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a contact sheet with thumbnails.", show_default=False),
]


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: an expected error becomes one line on stderr and exit code 1, Ctrl-C becomes exit code 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except AssocmemError as error:
            say(f"error: {error}")
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # The reader (`| head`) has ended. Without this, Python reports the error again when it flushes at exit.
            sys.stdout = None
            raise typer.Exit(0) from None
        except OSError as error:  # for example a full disk below stdout
            say(f"error: {error}")
            raise typer.Exit(1) from error

    return run


def open_collection(path: str | Path | None, **arguments: Any) -> Collection:
    """Open the collection that ``--collection`` names; the arguments are those of ``assocmem.open``."""
    from assocmem.index.collection import Collection, default_folder

    return Collection(default_folder() if path is None else path, once=True, **arguments)
