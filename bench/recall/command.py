"""``assocmem bench recall``: our engines beside FAISS and other indexes, in one run, on real vectors."""

from __future__ import annotations

import fnmatch
import importlib.util
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.common import (
    DEFAULT_OUT,
    OutOption,
    RoundsOption,
    available_cores,
    installed,
    load_average,
    write_raw,
)
from assocmem.bench.tables import machine_lines, write_sections
from assocmem.cli.common import guarded
from assocmem.cli.output import count, emit, say
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.bench.recall.dataset import Data
    from assocmem.bench.recall.engine import Spec, Task
    from assocmem.bench.recall.runner import Course

SECONDS, QUICK_SECONDS = 0.2, 0.05
"""For a batch, and again for single queries, of one setting in one round."""
QUERIES = 1000


@guarded
def recall(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Vectors in ann-benchmarks' HDF5 layout (euclidean, angular, hamming), or pictures.",
            exists=True,
        ),
    ],
    engines: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only engines of this name, or like `faiss:*HNSW*`; may be repeated."),
    ] = None,
    items: Annotated[
        int | None, typer.Option(min=10, metavar="N", help="Only the first so many vectors; the truth is theirs.")
    ] = None,
    queries: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many queries.")] = QUERIES,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads, and cores, of every engine.")] = 1,
    rounds: RoundsOption = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A few engines, one round, shorter times.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Print the engines' names and do nothing.")] = False,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE.hdf5", help="Write vectors, queries and truth in the same layout.")
    ] = None,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure recall, speed and bytes of our engines beside FAISS, hnswlib, usearch and pynndescent.

    Every engine runs in a process of its own, with the same threads on the same cores. Each setting is tried once;
    those worth it are timed in rounds, in which all engines take turns. Recall counts what is as near as the true
    tenth. Engines whose package is missing are left out.

    Tables and the verdict are printed in part; the folder of --out gets the raw figures with every answer (.h5), all
    tables (.md) and pictures (.png). With a folder of pictures, a tenth of them is asked for among the others.

    Example: assocmem bench recall photos-angular.hdf5 --engines clique --engines 'faiss:*PQ*'
    """
    if threads > len(available_cores()):
        raise InputError(f"--threads: expected at most {len(available_cores())}, one per core, found {threads}")
    load = load_average()
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        data = _load(source, Path(scratch), items, queries)
        if write is not None:
            from assocmem.bench.recall import dataset as recall_data

            say(f"vectors, queries and truth: {recall_data.write(write, data)}")
        from assocmem.bench.recall.runner import Course

        rounds, seconds = (1, QUICK_SECONDS) if quick else (rounds, SECONDS)
        course = Course(data, Path(scratch), threads, rounds, seconds, _half_of_memory())
        specs = choose(course.task("plan"), engines or [], quick=quick)
        if listed:
            for spec in specs:
                emit(spec.name)
            return
        course.run(present(specs, course))
        _report(course, out, load, {"source": source.name, "quick": quick})


def _load(source: Path, scratch: Path, items: int | None, queries: int) -> Data:
    from assocmem.bench.recall import dataset as recall_data

    if source.is_dir():
        return recall_data.from_pictures(source, scratch, items, queries, say)
    return recall_data.read(source, items, queries, say)


def _half_of_memory() -> float:
    from assocmem.memory.base import physical_memory

    memory = physical_memory()
    return math.inf if memory is None else memory / 2


def choose(task: Task, wanted: Sequence[str], *, quick: bool) -> list[Spec]:
    """Return the engines of these names or patterns; InputError for one that matches none."""
    from assocmem.bench.recall.specs import plan_engines

    specs = plan_engines(task)
    for pattern in wanted:
        if not any(fnmatch.fnmatchcase(spec.name, pattern) for spec in specs):
            names = ", ".join(spec.name for spec in specs)
            raise InputError(f"--engines {pattern}: expected a name or pattern of these: {names}")
    if wanted:
        return [spec for spec in specs if any(fnmatch.fnmatchcase(spec.name, pattern) for pattern in wanted)]
    return [spec for spec in specs if spec.quick or not quick]


def present(specs: Sequence[Spec], course: Course) -> list[Spec]:
    """Return the engines whose package is installed; the others are noted, with how to install them."""
    from assocmem.bench.recall.engine import INSTALL, KINDS

    there = []
    for spec in specs:
        package = KINDS[spec.kind].package
        if importlib.util.find_spec(package) is None:
            how = INSTALL.get(package, f"pip install {package}")
            course.skipped.append((spec.name, f"{package} is not installed; `{how}` brings it"))
        else:
            there.append(spec)
    for reason in dict.fromkeys(reason for _, reason in course.skipped):
        say(f"{count(sum(r == reason for _, r in course.skipped), 'engine')} left out: {reason}")
    return there


def _report(course: Course, out: Path, load: float, options: dict[str, Any]) -> None:
    from assocmem.bench.recall import report

    if not course.engaged:
        raise InputError("no engine is left to be measured")
    data, name = course.data, f"recall-{course.data.name}"
    about = {**options, "items": len(data.base), "queries": len(data.queries), "dim": data.base.shape[1]}
    about |= {"distance": data.metric, "threads": course.threads, "rounds": course.rounds, "load": load}
    out.mkdir(parents=True, exist_ok=True)
    paths = [write_raw(out / f"{name}.h5", report.tables(course), about)]
    report.keep_answers(paths[0], course)
    sections = report.sections(course)
    said = f"`assocmem bench recall`: {len(data.base):,} vectors of {data.base.shape[1]} numbers, {data.metric}, "
    said += f"{len(data.queries):,} queries, {course.rounds} rounds; medians with extremes in brackets."
    paths.append(write_sections(out / f"{name}.md", f"Recall: {data.name}", [said, *machine_lines(load)], sections))
    for section in sections:
        if section.title.startswith(("Verdict", "Engines")):
            section.show()
    if installed("matplotlib", "no pictures are drawn"):
        from assocmem.bench.recall import plots as recall_plots

        paths += recall_plots.draw(out / name, course)
    emit(f"\nraw figures, tables with all settings, pictures: {', '.join(map(str, paths))}")
