"""``assocmem bench growth``: search, add and memory against the number of items, up to millions."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.common import (
    DEFAULT_OUT,
    OutOption,
    RoundsOption,
    installed,
    keep,
    load_average,
    run_process,
)
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say, size
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.bench.growth.generator import Real, Source
    from assocmem.bench.growth.workload import Plan
    from assocmem.bench.tables import Section

ITEMS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
QUICK_ITEMS = (1_000, 2_000, 4_000)
PEERS_TO = 300_000
QUERIES, QUICK_QUERIES = 1_000, 100
CHANGES, QUICK_CHANGES = 200, 20
RECALL = 0.9


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
    dim: Annotated[int, typer.Option(min=8, metavar="N", help="Longer vectors are reduced to so many numbers.")] = 128,
    peers_to: Annotated[
        int, typer.Option(min=0, metavar="N", help="FAISS is measured up to so many items; 0 leaves it out.")
    ] = PEERS_TO,
    rounds: RoundsOption = 5,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, few queries, one round.")] = False,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure how search, adding, removing and memory grow with the number of items, and fit powers of it.

    Vectors are drawn to follow those of FILE, as many as wanted; how well they do is measured and printed. One index of
    ours grows through all sizes and is measured at each, at recall@10 of 0.9 against exact neighbours; beside it an
    HNSW and an inverted file of FAISS, each in a process of its own. What a billion items would take is extrapolated.

    The folder of --out gets growth.md, growth.json with the raw figures, and growth.png; while it runs, the vectors:
    1.3 GB for 10 million.

    Example: assocmem bench growth photos-euclidean.hdf5 --items 100000 --items 1000000 --items 10000000
    """
    from assocmem.bench.growth import fidelity as following
    from assocmem.bench.growth import generator as data
    from assocmem.bench.growth import report
    from assocmem.bench.tables import machine_lines, write_sections

    load = load_average()
    real = data.made_up(dim) if file is None else data.read(file, dim)
    real, held = real.split(data.HELD)
    say(f"finding how to follow {len(real.x):,} {real.name} vectors ...")
    source, _ = data.follow(real, held)
    followed = following.compare(real, held, source, say) if file is not None and not quick else []
    rows = _grow(source, tuple(sorted(set(items or (QUICK_ITEMS if quick else ITEMS)))), peers_to, rounds, out, quick)
    found = report.claims(rows, data.TRUSTED * len(source.real.x))
    stages = [table for table in [report.stages(rows)] if table is not None]
    tables = [report.judged(found), report.measured(rows, RECALL), report.exponents(rows), *stages]
    tables += [] if quick else [report.on_paper(rows, RECALL)]
    tables += [_followed(followed)] if followed else []
    about = {"load": load, "source": real.name, "dim": real.x.shape[1], "seeds": len(source.real.x)}
    about |= {"neighbours": source.neighbours.shape[1], "reach": source.reach, "rounds": rounds, "quick": quick}
    path = keep(out, "growth", {**about, "rows": rows, "followed": followed, "claims": report.facts(found)})
    picture = ""
    if installed("matplotlib", "no picture is drawn"):
        from assocmem.bench.growth.plots import draw

        picture = draw(out / "growth.png", rows, RECALL).name
    heading = [_described(real, source), *machine_lines(load)]
    page = write_sections(out / "growth.md", "Growth", heading, tables, picture)
    for table in tables:
        table.show()
    emit(f"\ntables: {page}; raw figures: {path}" + (f"; picture: {out / picture}" if picture else ""))


def _grow(
    source: Source, sizes: tuple[int, ...], peers_to: int, rounds: int, out: Path, quick: bool
) -> list[dict[str, Any]]:
    """Draw everything, and let each index grow in a process of its own."""
    from assocmem.bench.growth.worker import GRAPH, LISTS, OURS
    from assocmem.bench.growth.workload import Plan, prepare

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="growth-", dir=out) as folder:
        changes, queries = (QUICK_CHANGES, QUICK_QUERIES) if quick else (CHANGES, QUERIES)
        plan = Plan(
            Path(folder), sizes, changes, source.real.angular, source.real.whole, RECALL, 1 if quick else rounds
        )
        _check_room(plan, source)
        prepare(plan, source, queries, say)
        engines = [(OURS, len(sizes))]
        common = sum(size <= peers_to for size in sizes)
        if common and installed("faiss", "FAISS is left out"):
            engines += [(GRAPH, common), (LISTS, common)]
        rows: list[dict[str, Any]] = []
        for name, count in engines:
            say(f"{name} grows to {sizes[count - 1]:,} ...")
            rows += _worker(plan, name, count)
    return rows


def _check_room(plan: Plan, source: Source) -> None:
    needed = plan.steps[-1].guests.stop * source.real.x.shape[1] * source.dtype.itemsize
    free = shutil.disk_usage(plan.folder).free
    if needed > free:
        raise InputError(f"--out: expected {size(needed)} of room for the vectors, found {size(free)}; name another")


def _worker(plan: Plan, name: str, count: int) -> list[dict[str, Any]]:
    from assocmem.bench.growth.worker import HOME

    code = f"import json; from {HOME} import grow; print(json.dumps(grow({str(plan.folder)!r}, {name!r}, {count})))"
    _, printed = run_process([sys.executable, "-c", code], OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    rows: list[dict[str, Any]] = json.loads(printed.splitlines()[-1])
    return rows


def _described(real: Real, source: Source) -> str:
    kind = "angular" if real.angular else "euclidean"
    return (
        f"`assocmem bench growth`: vectors of {real.x.shape[1]} numbers, {kind}, drawn from {len(source.real.x):,} "
        f"({real.name}). Each is one of those, moved by a random mixture of the differences to its "
        f"{source.neighbours.shape[1]} nearest neighbours, {source.reach:g} times their root mean squared distance, "
        "and brought back to its length; number and reach are those whose vectors are spread most like the real ones."
    )


def _followed(rows: list[dict[str, Any]]) -> Section:
    from assocmem.bench.growth import fidelity as following
    from assocmem.bench.tables import Section

    worst = ", ".join(f"{ratio:.2f} ({kind})" for kind, ratio in following.furthest(rows).items())
    notes = [
        "Medians with the tenth and the ninetieth percentile. Drawn from a tenth, from a hundredth: at the largest "
        "size ten and a hundred times as many are drawn as there were real ones to draw from. The medians differ by a "
        f"factor of at most {worst}. On SIFT descriptors, ten drawn of each real one were as hard to find as "
        "real ones, and a hundred easier: what is measured beyond ten times the real ones flatters."
    ]
    return Section("Do the drawn vectors follow the real ones?", following.HEADERS, following.tell(rows), notes)
