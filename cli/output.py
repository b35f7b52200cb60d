"""Output: data on stdout, for people at a terminal and for programs in a pipe; messages for people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def say(line: str) -> None:
    """Print a message for people, on stderr."""
    print(line, file=sys.stderr)


def emit(line: str) -> None:
    """Print a line of data on stdout; the bytes of a file name that is not UTF-8 are printed unchanged."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")
    print(line)


def emit_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    emit(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def emit_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, wide: bool = False) -> None:
    """Print a table at a terminal, and lines of tab-separated fields into a pipe.

    Parameters
    ----------
    headers : sequence of str
        Names of the columns, for the terminal.
    rows : iterable of sequences of str
    wide : bool
        The table has many columns: cells are not folded on a narrow terminal, and the headers go into a pipe too.
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


def one_line(text: str) -> str:
    """Escape line breaks, tabs and other control characters, which a file name may contain.

    Bytes that are not UTF-8 (surrogates) stay, because ``emit`` prints them unchanged.
    """
    return "".join(
        character
        if character.isprintable() or "\ud800" <= character <= "\udfff"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def clock(seconds: float | None) -> str:
    """Format seconds as ``0:05.2`` or ``1:02:03.4``; None as an empty string."""
    if seconds is None:
        return ""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest / 10:04.1f}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Format a number with its noun: ``1 file``, ``2 files``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def size(number: float) -> str:
    """Format a number of bytes: ``999 bytes``, ``1.5 KB``."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
