"""The course of `assocmem bench recall --families`: families and files one by one, then tables, picture and JSON."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assocmem.bench.processes import installed, load_average
from assocmem.bench.recall import dataset
from assocmem.bench.recall.adapter import UnsupportedError
from assocmem.bench.recall.dataset import Dataset
from assocmem.bench.recall.families import FAMILIES, make_family
from assocmem.bench.recall.family_report import family_sections
from assocmem.bench.recall.family_run import FamilyResult, FamilyRun
from assocmem.bench.records import machine_lines, write_json
from assocmem.bench.tables import write_page
from assocmem.cli.output import emit, say
from assocmem.errors import InputError

PICTURE = "recall-certificate.png"


@dataclass(frozen=True, slots=True)
class FamilyOptions:
    """What was asked for."""

    names: Sequence[str]
    """Families; without any, all of them."""
    files: Sequence[Path]
    """In ann-benchmarks' layout, euclidean or angular; measured like families."""
    items: int
    queries: int
    rounds: int
    seconds: float
    out: Path
    seed: int = 0


def measure_families(options: FamilyOptions) -> list[FamilyResult]:
    """Measure all families, print and write everything; returns the results. InputError for unknown families."""
    if unknown := [name for name in options.names if name not in FAMILIES]:
        raise InputError(f"--family {unknown[0]}: expected one of {', '.join(FAMILIES)}")
    load = load_average()
    faiss = installed("faiss", "its HNSW and Flat are left out")
    results = []
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        run = FamilyRun(Path(scratch), options.rounds, options.seconds, faiss)
        for data in _datasets(options):
            try:
                results.append(run.measure(data))
            except UnsupportedError as error:
                say(f"  left out: {error}")
    if not results:
        raise InputError("no family is left to be measured")
    _report(results, options, load)
    return results


def _datasets(options: FamilyOptions) -> Iterator[Dataset]:
    for name in options.names or FAMILIES:
        say(f"{name} ...")
        yield make_family(name, options.items, options.queries, options.seed)
    for path in options.files:
        say(f"{path.name} ...")
        data = dataset.read(path, options.items, options.queries, say)
        if data.metric == "hamming":
            raise InputError(f"{path}: expected euclidean or angular vectors with --families, found bits")
        yield data


def _report(results: Sequence[FamilyResult], options: FamilyOptions, load: float) -> None:
    about = {"items": options.items, "queries": options.queries, "rounds": options.rounds, "seed": options.seed}
    figures = {"load": load, **about, "families": [result.as_json() for result in results]}
    paths = [write_json(options.out, "recall-families", figures)]
    sections = family_sections(results)
    for section in sections:
        section.print()
    picture = ""
    if installed("matplotlib", "no picture is drawn"):
        from assocmem.bench.recall.plots import draw_certificate

        paths.append(draw_certificate(options.out / PICTURE, results))
        picture = PICTURE
    line = f"`assocmem bench recall --families`: up to {options.items:,} items and {options.queries:,} queries a "
    line += f"family, {options.rounds} rounds; medians with extremes in brackets."
    page = options.out / "recall-families.md"
    paths.append(write_page(page, "Recall by families of data", [line, *machine_lines(load)], sections, picture))
    emit(f"\nraw figures, tables, picture: {', '.join(map(str, paths))}")
