"""``assocmem bench engines``: the number of items from which a search by pools is faster than a scan of all codes."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.processes import run_process
from assocmem.bench.records import DEFAULT_OUT, OutOption, RoundsOption, write_json
from assocmem.bench.tables import spread
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, emit_table, say

if TYPE_CHECKING:
    from assocmem.index.collection import Collection

ENGINES = ("scan", "pools")
NEVER = 2**62
"""A number of items that no collection has: pools are never used."""
QUERIES = 20
ONE_SHOT = """if 1:
    import sys
    from assocmem.index.query import searcher
    from assocmem.index.store import snapshot
    snapshot.POOLED_FROM = searcher.ONCE_FROM = int(sys.argv.pop(1))
    from assocmem.cli.main import app
    app()
"""
"""The program, with pools used from as many items as its first argument says."""


@guarded
def engines(
    items: Annotated[
        str, typer.Option(metavar="N,N,...", help="Sizes of the synthetic collections.")
    ] = "2500,5000,10000,20000,40000,80000",
    rounds: RoundsOption = 7,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure both engines of a search at several sizes, within a process and as a process.

    Features are random, which does not change the time; the two take turns with every query. Collections are searched
    by pools from about the size at which both take the same time.

    Example: assocmem bench engines --items 10000,100000
    """
    from assocmem.index.store import snapshot

    sizes = parse_sizes(items)
    threshold, rows = snapshot.POOLED_FROM, []
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        for size in sizes:
            say(f"{size} items ...")
            try:
                snapshot.POOLED_FROM = 1
                rows.append({"items": size, **_measure(Path(scratch) / f"{size}.amem", size, rounds)})
            finally:
                snapshot.POOLED_FROM = threshold
    path = write_json(out, "engines", {"threshold": threshold, "rows": rows})
    _report(rows)
    emit(f"raw figures: {path}")


def parse_sizes(text: str) -> list[int]:
    """Return the numbers of ``--items``, ascending."""
    sizes = [int(word) if word.strip().isdecimal() else 0 for word in text.split(",")]
    if min(sizes) < 1:
        raise typer.BadParameter(f"--items: expected numbers as in 10000,100000, found {text!r}")
    return sorted(sizes)


def _measure(folder: Path, size: int, rounds: int) -> dict[str, Any]:
    """Return milliseconds of answers within a process, and seconds of whole processes, by engine."""
    import assocmem
    from assocmem.bench.inputs import make_collection

    photo = folder.with_suffix(".jpg")
    make_collection(folder, photo, size)
    with assocmem.open(folder) as photos:
        answers = _time_answers(photos, rounds)
    program = [sys.executable, "-c", ONE_SHOT]
    processes: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for number in range(rounds + 1):
        for engine, threshold in zip(ENGINES, (NEVER, 1), strict=True):
            command = [*program, str(threshold), "search", str(photo), "-c", str(folder), "--json"]
            wall, _ = run_process(command)
            if number:  # the first round reads the files and the kernels
                processes[engine].append(wall)
    return {"answer_ms": answers, "process_s": processes}


def _time_answers(photos: Collection, rounds: int) -> dict[str, list[float]]:
    import numpy as np

    queries = np.abs(np.random.default_rng(2).standard_normal((QUERIES, photos.info().dim), dtype=np.float32))
    made = dict(zip(ENGINES, (photos.searcher.engine(1.0), photos.searcher.engine()), strict=True))
    answers: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for number in range(rounds + 1):
        for query in queries:
            for name, engine in made.items():
                started = time.perf_counter()
                engine.search(query, 10)
                if number:  # the first round loads the kernels
                    answers[name].append((time.perf_counter() - started) * 1000)
    return answers


def _report(rows: list[dict[str, Any]]) -> None:
    table = [
        (
            f"{row['items']}",
            *(spread(row["answer_ms"][engine]) for engine in ENGINES),
            *(spread(row["process_s"][engine]) for engine in ENGINES),
        )
        for row in rows
    ]
    emit_table(("items", "scan, ms", "pools, ms", "scan, process, s", "pools, process, s"), table)
    for what, unit in (("an answer", "answer_ms"), ("a process", "process_s")):
        emit(f"{what} is as quick by pools from {crossing(rows, unit)}")


def crossing(rows: list[dict[str, Any]], unit: str) -> str:
    """Describe the least size from which pools are faster at every greater one; linear between two sizes."""
    gains = [(row["items"], median(row[unit]["scan"]) - median(row[unit]["pools"])) for row in rows]
    if gains[-1][1] <= 0:
        return f"more than {gains[-1][0]} items on"
    last_loss = next((i for i in reversed(range(len(gains))) if gains[i][1] <= 0), None)
    if last_loss is None:
        return f"{gains[0][0]} items on, or fewer"
    (few, loss), (many, gain) = gains[last_loss], gains[last_loss + 1]
    return f"about {round(few + (many - few) * -loss / (gain - loss), -2):.0f} items on"
