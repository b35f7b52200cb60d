"""Tables of a benchmark: on the terminal, and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assocmem.cli.bench.common import machine
from assocmem.cli.common import emit, emit_table
from assocmem.files import replacing


@dataclass(frozen=True, slots=True)
class Table:
    """A table and what is to be said about it."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def show(self) -> None:
        """Print it."""
        emit(f"\n{self.title}\n")
        emit_table(self.headers, self.rows)
        for note in self.notes:
            emit(note)


def write_page(path: Path, title: str, about: str, tables: Sequence[Table], load: float, picture: str = "") -> Path:
    """Write the tables, and the machine they were measured on with its load average before."""
    here = machine()
    lines = [f"# {title}", "", about]
    lines.append(f"{here['cpu']}, {here['cores']} cores, Python {here['python']}, assocmem {here['assocmem']};")
    lines.append(f"load average before the run {load:.1f}.")
    if picture:
        lines += ["", f"![{title}]({picture})"]
    for table in tables:
        lines += ["", f"## {table.title}", "", _line(table.headers), _line(["---"] * len(table.headers))]
        lines += [_line(row) for row in table.rows]
        lines += [text for note in table.notes for text in ("", note)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
