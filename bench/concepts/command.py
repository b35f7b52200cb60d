"""``assocmem bench concepts``: concepts learned one example at a time, beside others that learn so, and the bound."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.common import DEFAULT_OUT, OutOption, installed, keep, load_average
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.bench.concepts.dataset import Data
    from assocmem.bench.concepts.experiments import Plan
    from assocmem.bench.concepts.results import Figures

SETS = ("digits", "letters", "stamps")


@guarded
def concepts(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Pictures, a folder per class: DIR/cat/1.jpg; deeper ones are of the same class.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    stamps: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where Tux Paint's stamps are. Default: where Debian's tuxpaint-stamps-default has "
            "them, if it is installed.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Only these sets of packages: {', '.join(SETS)}; `--only none`: only DIR. May be repeated.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Splits, each with all methods. Default: 10; with --quick, 2."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Digits, two seeds, fewer points: half a minute.")] = False,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure concepts learned one example at a time: accuracy, forgetting, bits, few examples, labels, doubts.

    Classes come in groups that never come again. Beside ours, on the same features and splits: nearest class mean,
    streaming LDA, RanPAC's ridge regression, nearest neighbours of FAISS, and as the bound logistic regression on
    everything at once. Sets: the pictures of DIR, scikit-learn's digits, letters as the fonts of this machine draw
    them, Tux Paint's stamps by kind and by folder.

    The verdict is printed, and how each set ended. In the folder of --out, concepts.json keeps every figure,
    concepts.md has all tables, concepts-*.png are the pictures.

    Example: assocmem bench concepts ~/Pictures/by-animal --only digits --seeds 5
    """
    from assocmem.bench.concepts.experiments import QUICK, Plan

    started, load = time.perf_counter(), load_average()
    installed("sklearn", "there are neither digits nor the bound")
    installed("faiss", "nearest neighbours are left out")
    plan = QUICK if quick else Plan()
    plan = plan if seeds is None else replace(plan, seeds=seeds)
    sets = [_measure(data, plan) for data in _sets(folder, stamps, only or (("digits",) if quick else SETS))]
    if not sets:
        raise InputError("expected something to learn, found none; name a DIR of pictures, or install scikit-learn")
    from assocmem.bench.concepts import many_concepts as concepts_scale

    say("many concepts ...")
    scale = concepts_scale.measure(quick)
    about = {"plan": asdict(plan), "load": load, "scale": scale, "seconds": time.perf_counter() - started}
    _report(sets, about, out)


def _report(sets: list[Figures], about: dict[str, Any], out: Path) -> None:
    from assocmem.bench.concepts import many_concepts as concepts_scale
    from assocmem.bench.concepts import report

    figures = {figure.name: {"about": figure.about, **figure.tables} for figure in sets}
    paths = [keep(out, "concepts", {**about, "sets": figures})]
    sections = [*report.sections(sets), concepts_scale.section(about["scale"])]
    paths.append(report.write_markdown(out / "concepts.md", sets, sections, about["load"]))
    for section in sections:
        if section.title in ("Verdict", "Many concepts") or section.title.endswith("at the end"):
            section.show()
    if installed("matplotlib", "no pictures are drawn"):
        from assocmem.bench.concepts import plots as concepts_plots

        paths += concepts_plots.draw(out / "concepts", sets)
    emit(f"\nraw figures, all tables, pictures: {', '.join(map(str, paths))}")


def _sets(folder: Path | None, stamps: Path | None, wanted: Any) -> list[Data]:
    from assocmem.bench.concepts import dataset as data

    if unknown := set(wanted) - {*SETS, "none"}:
        raise InputError(f"--only: expected {', '.join(SETS)} or none, found {', '.join(sorted(unknown))}")
    found: list[Data | None] = []
    if folder is not None:
        found += data.from_folder(folder, say)
    if "digits" in wanted:
        found.append(data.digits())
    if "letters" in wanted:
        found.append(data.letters())
    if "stamps" in wanted or stamps is not None:
        place = stamps or data.STAMPS
        if place.is_dir():
            found += data.from_stamps(place, say)
        else:
            say(f"{place} is not there, so stamps are left out; `apt install tuxpaint-stamps-default`, or --stamps DIR")
    return [one for one in found if one is not None]


def _measure(data: Data, plan: Plan) -> Figures:
    from assocmem.bench.concepts import experiments as runs
    from assocmem.bench.concepts import timing
    from assocmem.bench.concepts.dataset import split
    from assocmem.bench.concepts.results import Figures

    tables: runs.Tables = {}
    for seed in range(plan.seeds):
        say(f"{data.name}: {len(data.y):,} of {len(data.classes)} classes, seed {seed + 1} of {plan.seeds} ...")
        for name, rows in runs.run(data, seed, plan).items():
            tables.setdefault(name, []).extend(rows)
    data, makers = (data if plan.most is None else runs.thinned(data, plan.most)), runs.methods(plan)
    tables["times"] = []
    for name, make in makers.items():
        say(f"{data.name}: timing {name} ...")
        tables["times"].append({"set": data.name, "method": name, **timing.measure(data, split(data.y, 0), make)})
    return Figures(data.name, data.about, tables)
