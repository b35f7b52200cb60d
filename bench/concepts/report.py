"""What the concepts benchmark says first: ours beside the best of others, set by set. No measuring, no drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from assocmem.bench.concepts import metrics, tables
from assocmem.bench.concepts.assocmem_learner import RANDOM
from assocmem.bench.concepts.experiments import ALARMS, OFFLINE, OURS
from assocmem.bench.concepts.results import SHARE, Figures, difference
from assocmem.bench.tables import Section, machine_lines, write_sections

HEADERS = ("set", "what", "ours", "beside it", "which", "difference")
Line = tuple[str, ...]


def verdict(sets: Sequence[Figures]) -> Section:
    """Tabulate ours beside the best of the others that learn in one pass, and beside the bound."""
    rows: list[Line] = []
    behind: list[str] = []
    for figures in sets:
        lines = [*_accuracies(figures), *_shots(figures), *_labels(figures), *_doubts(figures)]
        behind += [
            f"{line[0]}, {line[1]} ({line[5].split(' ')[0].rstrip(',')})" for line in lines if line[5].startswith("-")
        ]
        rows += [*lines, *_codes(figures), *_orders(figures)]
    seeds = len(sets[0].distinct("classes", "seed"))
    notes = [
        f"Means and deviations over {seeds} seeds, each with splits of its own, the same for all; the difference is "
        "taken seed by seed. The best of others is the one with the highest mean, chosen by these very figures, in "
        "its favour.",
        f"Ours is behind on: {'; '.join(behind)}." if behind else "Ours is nowhere behind in the mean.",
    ]
    return Section("Verdict", HEADERS, rows, notes)


def _beside(figures: Figures, what: str, table: str, column: str, other: str, **wanted: int) -> Line:
    ours = figures.values(table, column, method=OURS, **wanted)
    theirs = figures.values(table, column, method=other, **wanted)
    return figures.name, what, metrics.told(ours), metrics.told(theirs), other, difference(ours, theirs)


def _accuracies(figures: Figures) -> list[Line]:
    last = figures.last_step
    best = figures.best("classes", "accuracy", figures.others, step=last)
    lines: list[Line] = [_beside(figures, "accuracy, class by class", "classes", "accuracy", best, step=last)]
    if OFFLINE in figures.methods:
        lines.append(_beside(figures, "accuracy beside the bound", "classes", "accuracy", OFFLINE, step=last))
    lines.append((
        figures.name, "forgetting", metrics.told(figures.values("classes", "forgetting", method=OURS, step=last)),
        metrics.told(figures.values("classes", "forgetting", method=best, step=last)), best, "",
    ))  # fmt: skip
    return lines


def _shots(figures: Figures) -> list[Line]:
    lines = []
    for count in figures.distinct("shots", "shots"):
        best = figures.best("shots", "accuracy", figures.others, shots=count)
        what = f"accuracy, {count} {'example' if count == 1 else 'examples'} of each"
        lines.append(_beside(figures, what, "shots", "accuracy", best, shots=count))
    return lines


def _codes(figures: Figures) -> list[Line]:
    lines: list[Line] = []
    for variant in figures.distinct("bits", "variant"):
        counts, means, bound = figures.curve(variant)
        knee = metrics.knee(counts, means, bound)
        found = f"none up to {counts[-1]:,}" if knee is None else f"{knee:,}"
        lines.append((
            figures.name, f"bits within {100 * metrics.WITHIN:.0f} points of float, {variant}", found, f"{bound:.3f}",
            "the same with floats", f"the curve bends at {metrics.bend(counts, means):,}",
        ))  # fmt: skip
    return lines


def _labels(figures: Figures) -> list[Line]:
    yardstick, most = figures.labels_needed(RANDOM), max(row["labels"] for row in figures.rows("active", choice=RANDOM))
    lines: list[Line] = []
    for name in figures.choices():
        if name == RANDOM:
            continue
        needed = figures.labels_needed(name)
        told = tables.told_labels(needed), tables.told_labels(yardstick)
        what = f"labels to {SHARE:.0%} of the final accuracy, {name}"
        lines.append((figures.name, what, *told, RANDOM, _ratio(needed, yardstick)))
        pair = [figures.values("active", "accuracy", choice=choice, labels=most) for choice in (name, RANDOM)]
        what = f"accuracy with {most} labels, {name}"
        lines.append((figures.name, what, *map(metrics.told, pair), RANDOM, difference(*pair)))
    return lines


def _ratio(needed: Sequence[float], yardstick: Sequence[float]) -> str:
    shares = [a / b for a, b in zip(needed, yardstick, strict=True) if not math.isnan(a + b)]
    return f"{metrics.told(shares, 2)} of the labels" if shares else ""


def _doubts(figures: Figures) -> list[Line]:
    sure = [name for name in figures.others if not math.isnan(figures.mean("doubt", "ece", method=name))]
    least = min(sure, key=lambda name: figures.mean("doubt", "ece", method=name))
    told = {name: metrics.told(figures.values("doubt", name, method=OURS)) for name in ("ece", "found", "alarms")}
    theirs = metrics.told(figures.values("doubt", "ece", method=least))
    lines: list[Line] = [(figures.name, "calibration error", told["ece"], theirs, least, "")]
    if not told["found"]:  # of two classes none can be left out
        return lines
    best = figures.best("doubt", "hindsight", figures.others)
    return [
        *lines,
        (figures.name, "unseen classes answered with none", told["found"], told["alarms"], "false alarms", ""),
        _beside(figures, f"unseen found at {ALARMS:.0%} false alarms, in hindsight", "doubt", "hindsight", best),
    ]  # fmt: skip


def _orders(figures: Figures) -> list[Line]:
    lines: list[Line] = []
    for order in figures.distinct("orders", "order"):
        rows = figures.rows("orders", order=order)
        same, apart = sum(row["same"] for row in rows), max(row["apart"] for row in rows)
        told = f"bit for bit in {same} of {len(rows)}"
        lines.append((figures.name, f"taught {order}", told, "", "all at once", f"furthest apart {apart:.2g}"))
    return lines


def sections(sets: Sequence[Figures]) -> list[Section]:
    """Put the report together, the verdict first."""
    parts = [verdict(sets)]
    for figures in sets:
        parts += [
            tables.ends(figures),
            tables.steps(figures),
            tables.shots(figures),
            tables.bits(figures),
            tables.active(figures),
            tables.doubt(figures),
        ]
    return parts


def write_markdown(path: Path, sets: Sequence[Figures], parts: Sequence[Section], load: float) -> Path:
    """Write the tables, and the machine they were measured on."""
    said = [f"`assocmem bench concepts`. {', '.join(f'{f.name}: {f.about}' for f in sets)}.", *machine_lines(load)]
    return write_sections(path, "Learning concepts", said, parts)
