"""``assocmem bench seen``: time, bytes, false alarms and misses of the memory of seen pictures, and its theory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.processes import load_average, run_function
from assocmem.bench.records import DEFAULT_OUT, OutOption, machine_lines, write_json
from assocmem.bench.tables import write_page
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say

if TYPE_CHECKING:
    from assocmem._numerics.types import U16

ITEMS = (10_000, 100_000, 1_000_000, 10_000_000)
PICTURES = 400


@guarded
def seen(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Photographs, to measure near copies of.", exists=True, file_okay=False),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Real vectors in ann-benchmarks' HDF5 layout, for messages that follow them.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    items: Annotated[
        list[int] | None,
        typer.Option(min=1000, metavar="N", help="Messages stored; may be repeated. Default: 10,000 to 10 million."),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=20, metavar="N", help="At most N photographs of FOLDER are used.")
    ] = PICTURES,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure `seen`: microseconds, bytes, false alarms, misses and items named, predicted and measured.

    Messages are random, and drawn to follow those of real vectors, up to 10 million; each memory is built in a process
    of its own, and so are a plain hash table and an index of FAISS, which say which item it is too. Of photographs,
    every other one is stored; the rest must not be seen, and near copies of those stored, by distortion, must be. The
    folder of --out gets seen.md and the raw figures.

    Example: assocmem bench seen ~/Pictures --features photos-angular.hdf5 --items 100000
    """
    from assocmem.bench.seen import growth, near_copies, which

    load = load_average()
    real = None if features is None else growth.real_messages(features)
    runs, named = _grow(sorted(set(items or ITEMS)), real)
    sections = [growth.section(runs), which.section(named)]
    figures: dict[str, Any] = {"growth": runs, "which": named}
    if folder is not None:
        figures["copies"] = _measure_copies(folder, pictures, features)
        sections.append(near_copies.section(figures["copies"]))
    path = write_json(out, "seen", {"load": load, **figures})
    heading = ["`assocmem bench seen`.", *machine_lines(load)]
    page = write_page(out / "seen.md", "Have I seen this?", heading, sections)
    for section in sections:
        section.print()
    emit(f"\ntables: {page}; raw figures: {path}")


def _grow(counts: list[int], real: U16 | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measure the memories of each size and kind of messages, and other ways, each in a process of its own."""
    import numpy as np

    from assocmem.bench.seen import which
    from assocmem.bench.seen.growth import LIKE_REAL, MODULE, RANDOM

    runs, named = [], []
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        kinds = {RANDOM: ""}
        if real is not None:
            kinds[LIKE_REAL] = f"{scratch}/real.npy"
            np.save(kinds[LIKE_REAL], real)
        for count in counts:
            for kind, file in kinds.items():
                say(f"{count:,} messages, {kind} ...")
                runs.append(run_function(MODULE, "grow", count, kind, file))
                named += [run_function(which.MODULE, "measure", count, kind, file, way) for way in which.ways(count)]
    return runs, named


def _measure_copies(folder: Path, limit: int, features: Path | None) -> dict[str, Any]:
    from assocmem.bench.inputs import read_photographs, read_vectors
    from assocmem.bench.seen import near_copies
    from assocmem.extractors.registry import open_extractor

    say("near copies of photographs ...")
    others = None if features is None else read_vectors(features)
    return near_copies.measure(read_photographs(folder, limit), open_extractor(), others)
