"""``assocmem bench ingest``: how fast files are indexed, compared with the bare stages, and in how much memory."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from assocmem.bench.processes import run_function
from assocmem.bench.records import DEFAULT_OUT, OutOption, RoundsOption, write_json
from assocmem.bench.tables import spread
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, emit_table, say

MODULE = "assocmem.bench.ingest"
"""This module, for processes that call its functions."""


@guarded
def ingest(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Pictures to measure with. Default: variants of the demo's photographs."),
    ] = None,
    files: Annotated[
        int, typer.Option(min=10, metavar="N", help="How many files to make when no folder is named.")
    ] = 500,
    rounds: RoundsOption = 3,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure indexing against bare decoding and the bare network.

    Each figure comes from a process of its own: decoding and preparing all files in a plain loop, running the network
    over all of them in a plain loop, and indexing them into a new collection. The three take turns.

    Example: assocmem bench ingest ~/Pictures/2024 --rounds 5
    """
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        if folder is None:
            from assocmem.bench.inputs import make_photographs

            folder = Path(scratch) / "pictures"
            say(f"making {files} pictures ...")
            make_photographs(folder, files)
        stages: dict[str, list[dict[str, Any]]] = {"decode": [], "network": [], "index": []}
        for number in range(rounds):
            say(f"round {number + 1} of {rounds} ...")
            stages["decode"].append(run_function(MODULE, "decode_all", str(folder)))
            stages["network"].append(run_function(MODULE, "describe_all", str(folder)))
            collection = f"{scratch}/{number}.amem"
            stages["index"].append(run_function(MODULE, "index_all", str(folder), collection))
    ratios = [
        index["rate"] / min(decode["rate"], network["rate"])
        for decode, network, index in zip(*stages.values(), strict=True)
    ]
    figures = {"stages": stages, "ratio_to_slower_stage": ratios}
    path = write_json(out, f"ingest-{stages['index'][0]['items']}", figures)
    rows = [
        (name, f"{runs[0]['items']}", spread([run["rate"] for run in runs]), f"{max(r['peak_mb'] for r in runs):.0f}")
        for name, runs in stages.items()
    ]
    emit_table(("stage", "items", "items per second", "peak memory, MB"), rows)
    emit(f"indexing / slower bare stage: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    emit(f"raw figures: {path}")


# Called in processes of their own


def decode_all(folder: str) -> dict[str, Any]:
    """Decode and prepare every file, in one thread."""
    from assocmem.index.ingest.pipeline import read_parts

    extractor, jobs = _open_extractor(), _plan_jobs(folder)
    started = time.perf_counter()
    items = sum(1 for job in jobs for _ in read_parts(job.found.path, job.kind, extractor))
    return _figures(items, time.perf_counter() - started)


def describe_all(folder: str) -> dict[str, Any]:
    """Run the network over every item; the time to read them is not counted."""
    from assocmem.index.ingest.pipeline import describe_parts, read_parts

    extractor, jobs = _open_extractor(), _plan_jobs(folder)
    seconds, items = 0.0, 0
    for job in jobs:
        for part in read_parts(job.found.path, job.kind, extractor):
            started = time.perf_counter()
            describe_parts([part], extractor)
            seconds += time.perf_counter() - started
            items += 1
    return _figures(items, seconds)


def index_all(folder: str, collection: str) -> dict[str, Any]:
    """Index every file into a new collection."""
    import assocmem

    with assocmem.open(collection, extractor=_open_extractor()) as photos:
        started = time.perf_counter()
        report = photos.add([folder])
        return _figures(report.indexed, time.perf_counter() - started)


def _plan_jobs(folder: str) -> list[Any]:
    from assocmem.index.ingest.pipeline import Job, plan
    from assocmem.index.ingest.walk import walk

    return [step for step in plan(walk([folder]), lambda found: False) if isinstance(step, Job)]


def _open_extractor() -> Any:
    from assocmem.cli.kernels import prepare_kernels
    from assocmem.extractors.registry import open_extractor

    prepare_kernels(storing=True)
    return open_extractor()


def _figures(items: int, seconds: float) -> dict[str, Any]:
    return {"items": items, "seconds": seconds, "rate": items / seconds, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Return the peak memory of this process in MB; nan on Windows, where Python cannot read it."""
    if sys.platform == "win32":
        peak = math.nan
    else:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return peak
