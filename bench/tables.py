"""Tables of a benchmark: printed on the terminal, and written as a page of Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assocmem._storage.hdf5 import replacing
from assocmem.cli.output import emit, emit_table


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its title and notes."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def print(self) -> None:
        """Print the table and the notes."""
        emit(f"\n{self.title}\n")
        emit_table(self.headers, self.rows, wide=True)
        for note in self.notes:
            emit(note)


def write_page(path: Path, title: str, heading: Sequence[str], sections: Sequence[Section], picture: str = "") -> Path:
    """Write tables as a page of Markdown.

    Parameters
    ----------
    path : Path
    title : str
    heading : sequence of str
        Lines below the title.
    sections : sequence of Section
    picture : str
        Name of a picture in the same folder, shown before the tables.
    """
    lines = [f"# {title}", "", *heading]
    if picture:
        lines += ["", f"![{title}]({picture})"]
    for section in sections:
        lines += ["", f"## {section.title}", ""]
        if section.headers:
            lines += [_table_line(section.headers), _table_line(["---"] * len(section.headers))]
        lines += [_table_line([*row, *[""] * (len(section.headers) - len(row))]) for row in section.rows]
        lines += [text for note in section.notes for text in ("", note)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _table_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Format a median with its extremes: ``0.62 (0.60 to 0.71)``."""
    return f"{statistics.median(values):.{digits}g} ({min(values):.{digits}g} to {max(values):.{digits}g})"


def percent(share: float | None) -> str:
    """Format a share as per cent, with two decimals; empty if unknown."""
    return "" if share is None else f"{share:.2%}"
