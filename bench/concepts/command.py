"""``assocmem bench concepts``: concepts learned one example at a time, compared with other learners and a bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.processes import installed, load_average
from assocmem.bench.records import DEFAULT_OUT, OutOption, write_json
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say
from assocmem.errors import InputError

if TYPE_CHECKING:
    from assocmem.bench.concepts.dataset import LabelledData
    from assocmem.bench.concepts.experiments import ConceptsPlan
    from assocmem.bench.concepts.results import SetResults

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
    """Measure concepts learned one example at a time: accuracy, forgetting, bits, few examples, labels, calibration.

    Classes come in groups that never come again. Also measured, on the same features and splits: nearest class mean,
    streaming LDA, RanPAC's ridge regression, nearest neighbours of FAISS, and as the bound logistic regression on
    everything at once. Sets: the pictures of DIR, scikit-learn's digits, letters in the fonts of this machine, Tux
    Paint's stamps by kind and by folder.

    The verdict and the end of each set are printed. In the folder of --out, concepts.json keeps every figure,
    concepts.md has all tables, concepts-*.png are the pictures.

    Example: assocmem bench concepts ~/Pictures/by-animal --only digits --seeds 5
    """
    from assocmem.bench.concepts import many_concepts
    from assocmem.bench.concepts.experiments import QUICK, ConceptsPlan

    started, load = time.perf_counter(), load_average()
    installed("sklearn", "there are neither digits nor the bound")
    installed("faiss", "nearest neighbours are left out")
    plan = QUICK if quick else ConceptsPlan()
    plan = plan if seeds is None else replace(plan, seeds=seeds)
    sets = [_measure(data, plan) for data in _load_sets(folder, stamps, only or (("digits",) if quick else SETS))]
    say("many concepts ...")
    scale = many_concepts.measure(quick)
    _report(sets, {"plan": asdict(plan), "load": load, "scale": scale, "seconds": time.perf_counter() - started}, out)


def _load_sets(folder: Path | None, stamps: Path | None, names: Sequence[str]) -> list[LabelledData]:
    from assocmem.bench.concepts import dataset

    if unknown := set(names) - {*SETS, "none"}:
        raise InputError(f"--only: expected {', '.join(SETS)} or none, found {', '.join(sorted(unknown))}")
    found: list[LabelledData | None] = []
    if folder is not None:
        found.append(dataset.from_folder(folder, say))
    if "digits" in names:
        found.append(dataset.digits())
    if "letters" in names:
        found.append(dataset.letters())
    if "stamps" in names or stamps is not None:
        place = stamps or dataset.STAMPS
        if place.is_dir():
            found += dataset.from_stamps(place, say)
        else:
            say(f"{place} is missing, so stamps are left out: `apt install tuxpaint-stamps-default`, or --stamps DIR")
    sets = [data for data in found if data is not None]
    if not sets:
        raise InputError("expected something to learn, found none; name a DIR of pictures, or install scikit-learn")
    return sets


def _measure(data: LabelledData, plan: ConceptsPlan) -> SetResults:
    from assocmem.bench.concepts import experiments, timing
    from assocmem.bench.concepts.dataset import split_classes
    from assocmem.bench.concepts.results import SetResults

    tables: experiments.Tables = {}
    for seed in range(plan.seeds):
        say(f"{data.name}: {len(data.y):,} of {len(data.classes)} classes, seed {seed + 1} of {plan.seeds} ...")
        for name, rows in experiments.run(data, seed, plan).items():
            tables.setdefault(name, []).extend(rows)
    data = data if plan.most is None else data.first_examples(plan.most)
    tables["times"] = []
    for name, make in experiments.plan_learners(plan).items():
        say(f"{data.name}: timing {name} ...")
        times = timing.measure(data, split_classes(data.y, 0), make)
        tables["times"].append({"set": data.name, "method": name, **times})
    return SetResults(data.name, data.about, tables)


def _report(sets: list[SetResults], about: dict[str, Any], out: Path) -> None:
    from assocmem.bench.concepts import many_concepts, report

    figures = {results.name: {"about": results.about, **results.tables} for results in sets}
    paths = [write_json(out, "concepts", {**about, "sets": figures})]
    sections = [*report.sections(sets), many_concepts.section(about["scale"])]
    paths.append(report.write_markdown(out / "concepts.md", sets, sections, about["load"]))
    for section in sections:
        if section.title in ("Verdict", "Many concepts") or section.title.endswith("at the end"):
            section.print()
    if installed("matplotlib", "no pictures are drawn"):
        from assocmem.bench.concepts import plots

        paths += plots.draw(out / "concepts", sets)
    emit(f"\nraw figures, all tables, pictures: {', '.join(map(str, paths))}")
