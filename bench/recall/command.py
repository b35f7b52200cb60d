"""``assocmem bench recall``: engines compared with FAISS and other indexes, in one run, on real vectors."""

from __future__ import annotations

import fnmatch
import importlib.util
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.processes import available_cores, installed, load_average
from assocmem.bench.records import DEFAULT_OUT, OutOption, RoundsOption, machine_lines, write_hdf5
from assocmem.bench.tables import write_page
from assocmem.cli.common import guarded
from assocmem.cli.output import count, emit, say
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.bench.recall.adapter import EngineSpec, IndexTask
    from assocmem.bench.recall.dataset import Dataset
    from assocmem.bench.recall.runner import RecallRun

SECONDS, QUICK_SECONDS = 0.2, 0.05
"""For a batch, and again for single queries, of one setting in one round."""
QUERIES = 1000
FAMILY_ITEMS, FAMILY_QUERIES = 50_000, 300
QUICK_ITEMS, QUICK_QUERIES = 6000, 100
"""Of a family with --quick: more items than `assocmem.CliqueIndex` compares without pools."""


@guarded
def recall(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="Vectors in ann-benchmarks' HDF5 layout (euclidean, angular, hamming), or pictures.",
            exists=True,
        ),
    ] = None,
    engines: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only engines of this name, or like `faiss:*HNSW*`; may be repeated."),
    ] = None,
    items: Annotated[
        int | None,
        typer.Option(
            min=10,
            metavar="N",
            help="Only the first N vectors; the truth is computed for these. Of a family, N are made: 50,000 by "
            "default, 6,000 with --quick.",
        ),
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="At most N queries: 1,000 by default; of a family 300, or 100 with --quick."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads, and cores, of every engine.")] = 1,
    rounds: RoundsOption = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A few engines, one round, shorter times.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Print the engines' names and do nothing.")] = False,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE.hdf5", help="Write vectors, queries and truth in the same layout.")
    ] = None,
    families: Annotated[
        bool, typer.Option("--families", help="Measure families of made vectors, and FILE if it is given.")
    ] = False,
    family: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --families, only this family; may be repeated."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", metavar="FILE", help="With --families, vectors to measure too; may be repeated.", exists=True
        ),
    ] = None,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure recall, speed and bytes of our engines, compared with FAISS and other libraries.

    Every engine runs in a process of its own, with the same threads on the same cores. Each setting is tried once;
    those worth it are timed in rounds, in which all engines take turns. An answer counts if it is as near as the true
    tenth. Engines whose package is missing are left out; assocmem[bench] brings FAISS, assocmem[rivals] all others.

    The verdict and a table of engines are printed; the folder of --out gets the raw figures with every answer (.h5),
    all tables (.md) and pictures (.png). Of a folder of pictures, a tenth are held out as queries.

    With --families, the index is tried on made vectors of many kinds: recall by default and by promise, what the index
    itself expected, and the time of FAISS's HNSW at equal recall. --out gets recall-families (.md and .json) and
    recall-certificate.png.

    Example: assocmem bench recall photos-angular.hdf5 --engines clique --engines 'faiss:*PQ*'
    """
    rounds, seconds = (1, QUICK_SECONDS) if quick else (rounds, SECONDS)
    if families or family:
        from assocmem.bench.recall.family_command import FamilyOptions, measure_families

        files = [*([] if source is None else [source]), *(files or [])]
        sizes = (
            items or (QUICK_ITEMS if quick else FAMILY_ITEMS),
            queries or (QUICK_QUERIES if quick else FAMILY_QUERIES),
        )
        measure_families(FamilyOptions(family or (), files, *sizes, rounds, seconds, out))
        return
    if files:
        raise InputError("--data: expected --families beside it, found none; without, give one FILE")
    if source is None:
        raise InputError("expected a file of vectors or a folder of pictures, found neither; or give --families")
    if threads > len(available_cores()):
        raise InputError(f"--threads: expected at most {len(available_cores())}, one per core, found {threads}")
    load = load_average()
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        data = _load(source, Path(scratch), items, queries or QUERIES)
        if write is not None:
            from assocmem.bench.recall import dataset

            say(f"vectors, queries and truth: {dataset.write(write, data)}")
        from assocmem.bench.recall.runner import RecallRun

        run = RecallRun(data, Path(scratch), threads, rounds, seconds, _half_of_memory())
        specs = choose_engines(run.task("plan"), engines or [], quick=quick)
        if listed:
            for spec in specs:
                emit(spec.name)
            return
        run.run(skip_missing(specs, run))
        _report(run, out, load, {"source": source.name, "quick": quick})


def _load(source: Path, scratch: Path, items: int | None, queries: int) -> Dataset:
    from assocmem.bench.recall import dataset

    if source.is_dir():
        return dataset.from_pictures(source, scratch, items, queries, say)
    return dataset.read(source, items, queries, say)


def _half_of_memory() -> float:
    """Return half of the machine's memory, in bytes; infinite if it is unknown."""
    from assocmem.memory.base import physical_memory

    memory = physical_memory()
    return math.inf if memory is None else memory / 2


def choose_engines(task: IndexTask, patterns: Sequence[str], *, quick: bool) -> list[EngineSpec]:
    """Return the engines of these names or patterns; InputError for a pattern that matches none."""
    from assocmem.bench.recall.specs import plan_engines

    specs = plan_engines(task)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(spec.name, pattern) for spec in specs):
            names = ", ".join(spec.name for spec in specs)
            raise InputError(f"--engines {pattern}: expected a name or pattern of these: {names}")
    if patterns:
        return [spec for spec in specs if any(fnmatch.fnmatchcase(spec.name, pattern) for pattern in patterns)]
    return [spec for spec in specs if spec.quick or not quick]


def skip_missing(specs: Sequence[EngineSpec], run: RecallRun) -> list[EngineSpec]:
    """Return the engines whose package is installed; the run records the others, with how to install them."""
    from assocmem.bench.recall.adapter import ADAPTERS, INSTALL_COMMANDS

    kept = []
    for spec in specs:
        package = ADAPTERS[spec.adapter].package
        if importlib.util.find_spec(package) is None:
            command = INSTALL_COMMANDS.get(package, f"pip install {package}")
            run.skipped.append((spec.name, f"{package} is not installed; `{command}` brings it"))
        else:
            kept.append(spec)
    for reason in dict.fromkeys(reason for _, reason in run.skipped):
        say(f"{count(sum(r == reason for _, r in run.skipped), 'engine')} left out: {reason}")
    return kept


def _report(run: RecallRun, out: Path, load: float, options: dict[str, Any]) -> None:
    from assocmem.bench.recall import report

    if not run.results:
        raise InputError("no engine is left to be measured")
    data, name = run.data, f"recall-{run.data.name}"
    about = {**options, "items": len(data.base), "queries": len(data.queries), "dim": data.base.shape[1]}
    about |= {"distance": data.metric, "threads": run.threads, "rounds": run.rounds, "load": load}
    out.mkdir(parents=True, exist_ok=True)
    paths = [write_hdf5(out / f"{name}.h5", report.raw_tables(run), about)]
    report.add_answers(paths[0], run)
    sections = report.sections(run)
    line = f"`assocmem bench recall`: {len(data.base):,} vectors of {data.base.shape[1]} numbers, {data.metric}, "
    line += f"{len(data.queries):,} queries, {run.rounds} rounds; medians with extremes in brackets."
    paths.append(write_page(out / f"{name}.md", f"Recall: {data.name}", [line, *machine_lines(load)], sections))
    for section in sections:
        if section.title.startswith(("Verdict", "Engines")):
            section.print()
    if installed("matplotlib", "no pictures are drawn"):
        from assocmem.bench.recall import plots

        paths += plots.draw(out / name, run)
    emit(f"\nraw figures, tables with all settings, pictures: {', '.join(map(str, paths))}")
