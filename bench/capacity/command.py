"""``assocmem bench capacity``: the experiments behind the claims about the clique memory, with theory and FAISS."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.processes import installed, load_average
from assocmem.bench.records import DEFAULT_OUT, OutOption, write_hdf5
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.bench.capacity.error_rates import Experiment
    from assocmem.bench.capacity.speed import SpeedPlan

NOISY = (2_500, 5_000, 10_000, 15_000, 20_000)
DENSE = (5_000, 10_000, 15_000, 20_000, 25_000, 30_000)
SPARSE = (90_009, 143_341, 196_673, 250_005)
HEADLINE = 15_000
FIXED = (1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000)
LARGE = (15_000, 60_000, 250_000)
"""Numbers of messages for 256 units; for other numbers of units they are scaled to the same densities."""
TIMING, QUICK = (5, 0.2), (2, 0.05)
"""Rounds, and seconds per function in each round."""


@guarded
def capacity(
    clusters: Annotated[int, typer.Option(min=3, metavar="N", help="Clusters of the dense network.")] = 8,
    units: Annotated[int, typer.Option(min=16, metavar="N", help="Units of each of its clusters.")] = 256,
    erased: Annotated[int, typer.Option(min=1, metavar="N", help="Symbols that are erased in a cue.")] = 4,
    messages: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Messages stored in the dense network, for errors by erasure and for times; may be repeated. "
            "Default: 5,000 to 30,000 and 1,000 to 60,000 for 256 units, as dense for others.",
        ),
    ] = None,
    networks: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Networks, each of a seed, per error. Default: 5; with --quick, 2."),
    ] = None,
    cues: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Cues per network and error. Default: 10,000; with --quick, 2,000."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Real vectors too, in ann-benchmarks' HDF5 layout.", exists=True, dir_okay=False
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer points and shorter times: about a minute.")] = False,
    no_faiss: Annotated[bool, typer.Option("--no-faiss", help="Leave FAISS out.")] = False,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure the clique memory: errors compared with theory, speed and bytes compared with FAISS.

    Errors of erased cues in a dense network, of sparse cliques guided and blind, and of wrong symbols, each over
    several networks. Times on one core, every function in a process of its own, in turns; FAISS is given the same
    messages and cues. The baseline is a plain memory in a few loops, timed in the same run.

    The speeds are printed. In the folder of --out, capacity.h5 keeps every single measurement, capacity.md has all
    tables, capacity-error.png and capacity-time.png are the pictures; those of the documentation are copies of them.

    Example: assocmem bench capacity --quick
    """
    if erased >= clusters:
        raise InputError(f"--erased: expected fewer than the {clusters} clusters, found {erased}; a cue needs a symbol")
    faiss = not no_faiss and installed("faiss", "the comparison with FAISS is left out")
    chosen = tuple(sorted(set(messages or ())))
    experiments = plan_experiments(clusters, units, erased, chosen, quick=quick)
    speed = plan_speed(clusters, units, erased, chosen, quick=quick, faiss=faiss)
    networks, cues = networks or (2 if quick else 5), cues or (2_000 if quick else 10_000)
    options = {"clusters": clusters, "units": units, "erased": erased, "networks": networks, "cues": cues}
    _measure(experiments, speed, {**options, "quick": quick, "faiss": faiss}, out, features)


def _scaled(messages: tuple[int, ...], units: int) -> tuple[int, ...]:
    """Scale numbers of messages for 256 units to the same densities."""
    return tuple(max(1, round(count * (units / 256) ** 2)) for count in messages)


def plan_experiments(
    clusters: int, units: int, erased: int, messages: tuple[int, ...] = (), *, quick: bool
) -> list[Experiment]:
    """List the experiments on errors; the sparse one is that of the literature, whatever the dense network is."""
    from assocmem.bench.capacity import error_rates

    step = 2 if quick else 1
    return [
        error_rates.dense_experiment(clusters, units, erased, messages or _scaled(DENSE[::step], units)),
        error_rates.noisy_experiment(clusters, units, _scaled(NOISY[::step], units)),
        error_rates.sparse_experiment(SPARSE[:2] if quick else SPARSE),
    ]


def plan_speed(
    clusters: int, units: int, erased: int, messages: tuple[int, ...] = (), *, quick: bool, faiss: bool
) -> SpeedPlan:
    """Plan what is timed, and for how long."""
    from assocmem.bench.capacity.speed import SpeedPlan

    (headline,) = _scaled((HEADLINE,), units)
    fixed = messages or _scaled((FIXED[0], *FIXED[-3:-1]) if quick else FIXED, units)
    large = _scaled(LARGE[:1] if quick else LARGE, units)
    rounds, seconds = QUICK if quick else TIMING
    return SpeedPlan(clusters, units, erased, headline, fixed, large, rounds, seconds, faiss)


def _measure(
    experiments: list[Experiment], speed: SpeedPlan, options: dict[str, Any], out: Path, features: Path | None
) -> None:
    from assocmem.bench.capacity import error_rates, real_features, report
    from assocmem.bench.capacity.speed import SpeedRun
    from assocmem.bench.inputs import read_vectors

    started, load = time.perf_counter(), load_average()
    vectors = None if features is None else read_vectors(features)
    errors: list[dict[str, Any]] = []
    for experiment in experiments:
        for seed in range(options["networks"]):
            say(f"errors: {experiment.name}, network {seed + 1} of {options['networks']} ...")
            errors += error_rates.run(experiment, seed, options["cues"])
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        run = SpeedRun(speed, Path(scratch))
        run.run()
    out.mkdir(parents=True, exist_ok=True)
    real_rows = [] if vectors is None else real_features.measure_features(vectors)
    tables = {"errors": errors, "features": real_rows, "timings": run.timings, "points": run.points}
    taken = {"seconds": time.perf_counter() - started, "load": load}
    paths = [write_hdf5(out / "capacity.h5", tables, {**options, **taken})]
    summaries = error_rates.summarize(errors)
    sections = report.sections(speed, run.timings, run.points, summaries)
    if real_rows:
        sections.insert(-len(experiments), real_features.section(real_rows))
    paths.append(report.write_markdown(out / "capacity.md", sections, load))
    for section in sections[: -len(experiments)]:
        section.print()
    if installed("matplotlib", "no pictures are drawn"):
        from assocmem.bench.capacity import plots

        paths.append(plots.draw_errors(out / "capacity-error.png", experiments, summaries))
        paths.append(plots.draw_times(out / "capacity-time.png", speed, run.timings, run.points))
    emit(f"\nraw figures, tables with all errors, pictures: {', '.join(map(str, paths))}")
