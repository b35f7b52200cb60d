"""Draw the terminal output of the demo, which it runs: ``python -m tests.picture docs/demo.svg``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile

from rich.console import Console
from rich.text import Text


def main(path):
    """Run the demo and draw its output into an SVG file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "assocmem", "demo", "--keep", folder]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace(
            folder, "/tmp/demo"
        )
    console = Console(record=True, width=88, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(Text("$ assocmem demo", style="bold green"))
    for line in printed.rstrip().splitlines():
        console.print(Text(line, style="bold" if line.endswith(":") else ""))
    svg = console.export_svg(title="assocmem demo")
    # The number differs in each run, which would make every redrawing look like a change.
    number = re.search(r"terminal-(\d+)-", svg)
    assert number is not None
    with open(path, "w", encoding="utf-8") as file:
        file.write(_without_web_fonts(svg.replace(number[1], "demo")))


def _without_web_fonts(svg):
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main(sys.argv[1])
