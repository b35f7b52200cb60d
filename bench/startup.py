"""``assocmem bench startup``: how long a cold process takes, also as a ratio to its bare imports."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from assocmem.bench.processes import run_process
from assocmem.bench.records import DEFAULT_OUT, OutOption, RoundsOption, write_json
from assocmem.bench.tables import spread
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, emit_table, say

PROGRAM = [sys.executable, "-m", "assocmem"]
EMPTY_CACHES = 3
"""How often a search is timed with an empty cache of kernels."""


@guarded
def startup(
    items: Annotated[int, typer.Option(min=1, metavar="N", help="Items in the synthetic collection.")] = 100_000,
    rounds: RoundsOption = 7,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure cold processes: help, and a search among many items.

    Every figure is a process of its own, and the four take turns. Features are random; the searched picture is real
    and goes through decoder and network. The very first search on a machine, which compiles the kernels, is measured
    with an empty cache of its own.

    Example: assocmem bench startup --rounds 11
    """
    from assocmem.bench.inputs import make_collection

    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        folder, photo = Path(scratch) / "big.amem", Path(scratch) / "photo.jpg"
        say(f"making a collection of {items} items ...")
        make_collection(folder, photo, items)
        search = [*PROGRAM, "search", str(photo), "-c", str(folder), "--json"]
        commands = {
            "import typer": [sys.executable, "-c", "import typer"],
            "assocmem --help": [*PROGRAM, "--help"],
            "import numba, onnxruntime, h5py": [sys.executable, "-c", "import numba, onnxruntime, h5py"],
            "assocmem search photo.jpg": search,
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        answer_ms: list[float] = []
        cache = f"{scratch}/warm"
        cold = [run_process(search, NUMBA_CACHE_DIR=f"{scratch}/cold{n}")[0] for n in range(EMPTY_CACHES)]
        run_process(search, NUMBA_CACHE_DIR=cache)
        for number in range(rounds):
            say(f"round {number + 1} of {rounds} ...")
            for name, command in commands.items():
                wall, printed = run_process(command, NUMBA_CACHE_DIR=cache)
                seconds[name].append(wall)
                if command is search:
                    answer_ms.append(json.loads(printed)["elapsed_ms"])
    _report(items, seconds, answer_ms, cold, out)


def _report(items: int, seconds: dict[str, list[float]], answer_ms: list[float], cold: list[float], out: Path) -> None:
    import_typer, show_help, imports, search = map(median, seconds.values())
    ratios = {
        "help_to_typer": show_help / import_typer,
        "search_to_imports": search / imports,
        "cold_cache_extra_s": median(cold) - search,
    }
    figures = {"items": items, "seconds": seconds, "answer_ms": answer_ms, "cold_s": cold, "ratios": ratios}
    path = write_json(out, "startup", figures)
    emit_table(("cold process", "seconds"), [(name, spread(values)) for name, values in seconds.items()])
    emit(f"assocmem --help / import typer: {ratios['help_to_typer']:.2f}")
    emit(f"assocmem search / import numba, onnxruntime, h5py: {ratios['search_to_imports']:.2f}")
    emit(f"of it the search proper, in ms: {spread(answer_ms)}")
    emit(f"an empty kernel cache costs, in s: {ratios['cold_cache_extra_s']:.1f} more")
    emit(f"raw figures: {path}")
