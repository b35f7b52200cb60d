"""``assocmem bench growth``: search, add and memory against the number of items, up to millions."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.processes import installed, load_average, run_function
from assocmem.bench.records import DEFAULT_OUT, OutOption, RoundsOption, machine_lines, write_json
from assocmem.bench.tables import write_page
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say, size
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.bench.growth.generator import RealVectors, VectorGenerator
    from assocmem.bench.growth.workload import Workload

ITEMS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
QUICK_ITEMS = (1_000, 2_000, 4_000)
PEERS_TO = 300_000
QUERIES, QUICK_QUERIES = 1_000, 100
CHANGES, QUICK_CHANGES = 200, 20
"""Items that are added, and removed, one at a time."""
RECALL = 0.9
"""The recall at which searches are timed."""


@guarded
def growth(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Real vectors in ann-benchmarks' HDF5 layout (euclidean, angular), for vectors that follow them.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    items: Annotated[
        list[int] | None,
        typer.Option(min=1000, metavar="N", help="Items; may be repeated. Default: 10,000 to 1 million in five steps."),
    ] = None,
    dim: Annotated[int, typer.Option(min=8, metavar="N", help="Longer vectors are reduced to N numbers.")] = 128,
    peers_to: Annotated[
        int, typer.Option(min=0, metavar="N", help="FAISS is measured up to N items; 0 leaves it out.")
    ] = PEERS_TO,
    rounds: RoundsOption = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, few queries, one round.")] = False,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure how search, adding, removing and memory grow with the number of items, and fit power laws.

    Vectors are drawn to follow those of FILE, as many as wanted; how well they do is measured and printed. One index of
    ours grows through all sizes and is measured at each, at recall@10 of 0.9 against exact neighbours; so are an
    HNSW and an inverted file of FAISS, each in a process of its own. What a billion items would take is extrapolated.

    The folder of --out gets growth.md, growth.json with the raw figures, and growth.png; during the run also the
    vectors: 1.3 GB for 10 million.

    Example: assocmem bench growth photos-euclidean.hdf5 --items 100000 --items 1000000 --items 10000000
    """
    from assocmem.bench.growth import fidelity, generator, report

    load = load_average()
    real = generator.made_up(dim) if file is None else generator.read(file, dim)
    real, held_out = real.hold_out(generator.HELD_OUT)
    say(f"finding how to follow {len(real.x):,} {real.name} vectors ...")
    source, _ = generator.fit_generator(real, held_out)
    compared = fidelity.compare(real, held_out, source, say) if file is not None and not quick else []
    rows = _grow(source, tuple(sorted(set(items or (QUICK_ITEMS if quick else ITEMS)))), peers_to, rounds, out, quick)
    claims = report.judge_claims(rows, generator.TRUSTED * len(source.real.x))
    sections = report.sections(claims, rows, RECALL, extrapolate=not quick)
    sections += [fidelity.section(compared)] if compared else []
    about = {"load": load, "source": real.name, "dim": real.x.shape[1], "seeds": len(source.real.x)}
    about |= {"neighbours": source.neighbours.shape[1], "reach": source.reach, "rounds": rounds, "quick": quick}
    figures = {**about, "rows": rows, "followed": compared, "claims": report.claim_records(claims)}
    path = write_json(out, "growth", figures)
    picture = ""
    if installed("matplotlib", "no picture is drawn"):
        from assocmem.bench.growth.plots import draw

        picture = draw(out / "growth.png", rows, RECALL).name
    heading = [_describe(real, source), *machine_lines(load)]
    page = write_page(out / "growth.md", "Growth", heading, sections, picture)
    for section in sections:
        section.print()
    emit(f"\ntables: {page}; raw figures: {path}" + (f"; picture: {out / picture}" if picture else ""))


def _grow(
    source: VectorGenerator, sizes: tuple[int, ...], peers_to: int, rounds: int, out: Path, quick: bool
) -> list[dict[str, Any]]:
    """Draw all vectors, and let each index grow in a process of its own."""
    from assocmem.bench.growth.worker import ASSOCMEM, GRAPH, LISTS, MODULE
    from assocmem.bench.growth.workload import Workload, prepare

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="growth-", dir=out) as folder:
        changes, queries = (QUICK_CHANGES, QUICK_QUERIES) if quick else (CHANGES, QUERIES)
        rounds = 1 if quick else rounds
        workload = Workload(Path(folder), sizes, changes, source.real.angular, source.real.fits_uint8, RECALL, rounds)
        _check_room(workload, source)
        prepare(workload, source, queries, say)
        engines = [(ASSOCMEM, len(sizes))]
        common = sum(size <= peers_to for size in sizes)
        if common and installed("faiss", "FAISS is left out"):
            engines += [(GRAPH, common), (LISTS, common)]
        rows: list[dict[str, Any]] = []
        for name, count in engines:
            say(f"{name} grows to {sizes[count - 1]:,} ...")
            rows += run_function(MODULE, "grow", folder, name, count, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    return rows


def _check_room(workload: Workload, source: VectorGenerator) -> None:
    needed = workload.stages[-1].temporary.stop * source.real.x.shape[1] * source.dtype.itemsize
    free = shutil.disk_usage(workload.folder).free
    if needed > free:
        raise InputError(f"--out: expected {size(needed)} of room for the vectors, found {size(free)}; name another")


def _describe(real: RealVectors, source: VectorGenerator) -> str:
    kind = "angular" if real.angular else "euclidean"
    return (
        f"`assocmem bench growth`: vectors of {real.x.shape[1]} numbers, {kind}, drawn from {len(source.real.x):,} "
        f"({real.name}). Each is one of those, moved by a random mixture of the differences to its "
        f"{source.neighbours.shape[1]} nearest neighbours, {source.reach:g} times their root mean squared distance, "
        "and brought back to its length; number and reach are those whose vectors are spread most like the real ones."
    )
