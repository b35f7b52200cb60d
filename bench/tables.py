"""Tables of a benchmark: on the terminal, and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assocmem._storage.hdf5 import replacing
from assocmem.bench.common import machine
from assocmem.cli.output import emit, emit_table


@dataclass(frozen=True, slots=True)
class Section:
    """A table and what is to be said about it."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def show(self) -> None:
        """Print it."""
        emit(f"\n{self.title}\n")
        emit_table(self.headers, self.rows, wide=True)
        for note in self.notes:
            emit(note)


def machine_lines(load: float) -> list[str]:
    """Name the machine that figures were measured on, and its load average before."""
    about = machine()
    return [
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, assocmem {about['assocmem']};",
        f"load average before the run {load:.1f}.",
    ]


def write_sections(path: Path, title: str, heading: Sequence[str], parts: Sequence[Section], picture: str = "") -> Path:
    """Write tables as Markdown; ``picture``: name of a file beside it, shown before them."""
    lines = [f"# {title}", "", *heading]
    if picture:
        lines += ["", f"![{title}]({picture})"]
    for part in parts:
        lines += ["", f"## {part.title}", ""]
        if part.headers:
            lines += [_line(part.headers), _line(["---"] * len(part.headers))]
        lines += [_line([*row, *[""] * (len(part.headers) - len(row))]) for row in part.rows]
        lines += [text for note in part.notes for text in ("", note)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
