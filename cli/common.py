"""What the commands share: options, errors and exit codes, output for people and for programs.

Nothing heavy is imported at the top of any module of this package: ``assocmem --help`` must stay instant.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from assocmem.errors import AssocmemError

if TYPE_CHECKING:
    from assocmem.index.collection import Collection

P = ParamSpec("P")
R = TypeVar("R")

# Not Path, which would make the current folder of an empty string.
CollectionOption = Annotated[
    str | None,
    typer.Option(
        "--collection",
        "-c",
        metavar="DIR",
        help="The collection's directory. Default: $ASSOCMEM_COLLECTION, else one place per user.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the project's errors into one line on stderr and exit code 1, Ctrl-C into 130."""

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
            # The reader (`| head`) has gone; without this Python complains again while it flushes at exit.
            sys.stdout = None
            raise typer.Exit(0) from None
        except OSError as error:  # a full disk under the output, say
            say(f"error: {error}")
            raise typer.Exit(1) from error

    return run


def open_collection(path: str | Path | None, **arguments: Any) -> Collection:
    """Open the collection that the options name."""
    from assocmem.index.collection import Collection, default_folder

    return Collection(default_folder() if path is None else path, once=True, **arguments)


def say(line: str) -> None:
    """A message for people, on stderr."""
    print(line, file=sys.stderr)


def emit(line: str) -> None:
    """A line of data on stdout; bytes of a file name that are no UTF-8 go out as they are."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")
    print(line)


def emit_json(value: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    emit(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def one_line(text: str) -> str:
    """Write the line breaks and tabs that a file name may hold as escapes: a line of fields stays a line."""
    return "".join(character if character.isprintable() or "\ud800" <= character <= "\udfff" else _escaped(character)
                   for character in text)  # fmt: skip


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def emit_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, wide: bool = False) -> None:
    """A table for people at a terminal; lines of tab-separated fields for pipes.

    ``wide``: many columns, whose cells are not to be folded where the terminal is narrow, and named in a pipe too.
    """
    if not sys.stdout.isatty():
        if wide:
            emit("\t".join(map(one_line, headers)))
        for row in rows:
            emit("\t".join(map(one_line, row)).rstrip("\t"))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headers, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(one_line(field).encode(errors="backslashreplace").decode()) for field in row))
    console = Console()
    if wide:
        console.width = max(console.width, console.measure(table, options=console.options.update(width=1000)).maximum)
    console.print(table)


def clock(seconds: float | None) -> str:
    """Seconds as people write them: 0:05.2, 1:02:03.4."""
    if seconds is None:
        return ""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest / 10:04.1f}"


def count(number: int, what: str, several: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def size(count: float) -> str:
    """Bytes as people write them."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def prepare_kernels(*, storing: bool = False) -> None:
    """Load the compiled kernels; the very first time on a machine they are compiled, which takes some seconds.

    With ``storing``, those of the clique memory too.
    """
    import numpy as np

    from assocmem.codes.winner_codes import CliqueCoder, kernels_cached
    from assocmem.search.exhaustive import Block, ExhaustiveEngine

    if not kernels_cached():
        say("preparing the search kernels (once on this machine, a few seconds) ...")
    coder = CliqueCoder(8, clusters=8)
    feature = np.ones((1, 8), np.float32)
    ExhaustiveEngine(coder, [Block(np.zeros(1, np.int64), coder.encode(feature), feature)]).search(feature, 1)
    if storing:
        from assocmem.index.derived import clique_memory as cliques
        from assocmem.index.derived import familiarity as seen

        cliques.prepare()
        seen.prepare()


@contextlib.contextmanager
def kernels_meanwhile(then: Callable[[], object] | None = None) -> Iterator[None]:
    """Load the kernels, then do what else there is, in a thread while the body waits for decoder and network.

    All is done afterwards.
    """
    trouble: list[BaseException] = []

    def load() -> None:
        try:
            prepare_kernels()
            if then is not None:
                then()
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=load, name="kernels")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if trouble:
        raise trouble[0]
