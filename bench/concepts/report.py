"""The report of the concepts benchmark: a verdict over all sets, and tables of each set. No measuring or drawing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.assocmem_learner import RANDOM
from assocmem.bench.concepts.experiments import ASSOCMEM, FALSE_ALARMS, FLOAT, OFFLINE
from assocmem.bench.concepts.results import TARGET_SHARE, SetResults, difference, mean_and_deviation
from assocmem.bench.records import machine_lines
from assocmem.bench.tables import Section, write_page
from assocmem.cli.output import size

Line = tuple[str, ...]
"""Set, what was measured, of assocmem, of another method, which one, difference."""


def sections(sets: Sequence[SetResults]) -> list[Section]:
    """Return all tables: the verdict first, then those of each set."""
    parts = [verdict_section(sets)]
    for results in sets:
        parts += [
            end_section(results),
            steps_section(results),
            shots_section(results),
            bits_section(results),
            active_section(results),
            novelty_section(results),
        ]
    return parts


def write_markdown(path: Path, sets: Sequence[SetResults], parts: Sequence[Section], load: float) -> Path:
    """Write the tables, the machine, and its load average before the run."""
    about = ", ".join(f"{results.name}: {results.about}" for results in sets)
    heading = [f"`assocmem bench concepts`. {about}.", *machine_lines(load)]
    return write_page(path, "Learning concepts", heading, parts)


# The verdict


def verdict_section(sets: Sequence[SetResults]) -> Section:
    """Compare assocmem with the best other learner of one pass, and with the upper bound."""
    rows: list[Line] = []
    behind: list[str] = []
    for results in sets:
        lines = [*_accuracy_lines(results), *_shots_lines(results), *_label_lines(results), *_novelty_lines(results)]
        behind += [
            f"{line[0]}, {line[1]} ({line[5].split(' ')[0].rstrip(',')})" for line in lines if line[5].startswith("-")
        ]
        rows += [*lines, *_bits_lines(results), *_order_lines(results)]
    seeds = len(sets[0].distinct("classes", "seed"))
    notes = [
        f"Means and deviations over {seeds} seeds, each with splits of its own, the same for all; the difference is "
        "taken seed by seed. The best of others is the one with the highest mean, chosen by these very figures, in "
        "its favour.",
        f"Ours is behind on: {'; '.join(behind)}." if behind else "Ours is nowhere behind in the mean.",
    ]
    return Section("Verdict", ("set", "what", "ours", "compared with", "which", "difference"), rows, notes)


def _compare(results: SetResults, what: str, table: str, column: str, other: str, **wanted: int) -> Line:
    own = results.values(table, column, method=ASSOCMEM, **wanted)
    others = results.values(table, column, method=other, **wanted)
    return results.name, what, mean_and_deviation(own), mean_and_deviation(others), other, difference(own, others)


def _accuracy_lines(results: SetResults) -> list[Line]:
    last = results.last_step
    best = results.best("classes", "accuracy", results.rivals, step=last)
    lines: list[Line] = [_compare(results, "accuracy, class by class", "classes", "accuracy", best, step=last)]
    if OFFLINE in results.methods:
        lines.append(_compare(results, "accuracy compared with the bound", "classes", "accuracy", OFFLINE, step=last))
    pair = [results.values("classes", "forgetting", method=method, step=last) for method in (ASSOCMEM, best)]
    lines.append((results.name, "forgetting", *map(mean_and_deviation, pair), best, ""))
    return lines


def _shots_lines(results: SetResults) -> list[Line]:
    lines = []
    for count in results.distinct("shots", "shots"):
        best = results.best("shots", "accuracy", results.rivals, shots=count)
        what = f"accuracy, {count} {'example' if count == 1 else 'examples'} of each"
        lines.append(_compare(results, what, "shots", "accuracy", best, shots=count))
    return lines


def _bits_lines(results: SetResults) -> list[Line]:
    lines: list[Line] = []
    for variant in results.distinct("bits", "variant"):
        counts, means, bound = results.bits_curve(variant)
        fewest = metrics.bits_within(counts, means, bound)
        found = f"none up to {counts[-1]:,}" if fewest is None else f"{fewest:,}"
        lines.append((
            results.name, f"bits within {100 * metrics.TOLERANCE:.0f} points of float, {variant}", found,
            f"{bound:.3f}", "the same with floats", f"the curve bends at {metrics.knee(counts, means):,}",
        ))  # fmt: skip
    return lines


def _label_lines(results: SetResults) -> list[Line]:
    baseline = results.labels_needed(RANDOM)
    most = max(row["labels"] for row in results.rows("active", choice=RANDOM))
    lines: list[Line] = []
    for name in results.choices():
        if name == RANDOM:
            continue
        needed = results.labels_needed(name)
        cells = format_labels(needed), format_labels(baseline)
        what = f"labels to {TARGET_SHARE:.0%} of the final accuracy, {name}"
        lines.append((results.name, what, *cells, RANDOM, _label_ratio(needed, baseline)))
        pair = [results.values("active", "accuracy", choice=choice, labels=most) for choice in (name, RANDOM)]
        what = f"accuracy with {most} labels, {name}"
        lines.append((results.name, what, *map(mean_and_deviation, pair), RANDOM, difference(*pair)))
    return lines


def _label_ratio(needed: Sequence[float], baseline: Sequence[float]) -> str:
    shares = [a / b for a, b in zip(needed, baseline, strict=True) if not math.isnan(a + b)]
    return f"{mean_and_deviation(shares, 2)} of the labels" if shares else ""


def format_labels(needed: Sequence[float]) -> str:
    """Format the labels needed, and in how many seeds the target was not reached."""
    reached = [value for value in needed if not math.isnan(value)]
    missed = len(needed) - len(reached)
    text = mean_and_deviation(reached, 0)
    return f"{text} (not in {missed} of {len(needed)})".strip() if missed else text


def _novelty_lines(results: SetResults) -> list[Line]:
    calibrated = [name for name in results.rivals if not math.isnan(results.mean("doubt", "ece", method=name))]
    best_calibrated = min(calibrated, key=lambda name: results.mean("doubt", "ece", method=name))
    own = {
        name: mean_and_deviation(results.values("doubt", name, method=ASSOCMEM)) for name in ("ece", "found", "alarms")
    }
    other = mean_and_deviation(results.values("doubt", "ece", method=best_calibrated))
    lines: list[Line] = [(results.name, "calibration error", own["ece"], other, best_calibrated, "")]
    if not own["found"]:  # of two classes none can be left out
        return lines
    best = results.best("doubt", "hindsight", results.rivals)
    what = f"unseen found at {FALSE_ALARMS:.0%} false alarms, in hindsight"
    return [
        *lines,
        (results.name, "unseen classes answered with none", own["found"], own["alarms"], "false alarms", ""),
        _compare(results, what, "doubt", "hindsight", best),
    ]


def _order_lines(results: SetResults) -> list[Line]:
    lines: list[Line] = []
    for order in results.distinct("orders", "order"):
        rows = results.rows("orders", order=order)
        same, apart = sum(row["same"] for row in rows), max(row["apart"] for row in rows)
        cell = f"bit for bit in {same} of {len(rows)}"
        lines.append((results.name, f"taught {order}", cell, "", "all at once", f"furthest apart {apart:.2g}"))
    return lines


# Tables of one set


def end_section(results: SetResults) -> Section:
    """Tabulate accuracy, forgetting, bytes and times after the last group of classes."""
    last = results.last_step
    rows = []
    for name in results.methods:
        found = {what: results.values("classes", what, method=name, step=last) for what in ("accuracy", "forgetting")}
        (time,) = results.rows("times", method=name)
        rows.append((
            name,
            mean_and_deviation(found["accuracy"]),
            mean_and_deviation(found["forgetting"]),
            size(results.mean("classes", "bytes", method=name, step=last)),
            f"{time['teach_us']:.3g}",
            f"{time['ready_ms']:.3g}",
            f"{time['answer_us']:.3g}",
            f"{time['batch_us']:.3g}",
        ))  # fmt: skip
    notes = [
        "Each example is shown once, classes come in groups that never come again. Forgetting: what a class's accuracy "
        "loses from just after its group to the end, others having joined. Bytes: what must be kept to go on learning.",
        "Times on one core, once: an example taught singly, from there to the first answer (what is solved again), an "
        "answer asked singly, one of a batch. The bound keeps all examples and learns them from the beginning; its C "
        "was chosen by cross-validation over everything beforehand.",
    ]
    headers = ("method", "accuracy", "forgetting", "state", "us per example", "ms until ready", "us per answer",
               "us in a batch")  # fmt: skip
    return Section(f"{results.name}: class by class, at the end", headers, rows, notes)


def steps_section(results: SetResults) -> Section:
    """Tabulate accuracy over the classes so far, after each group."""
    steps = results.distinct("classes", "step")
    classes = [results.values("classes", "classes", step=step)[0] for step in steps]
    rows = [
        (name, *(mean_and_deviation(results.values("classes", "accuracy", method=name, step=step)) for step in steps))
        for name in results.methods
    ]
    title = f"{results.name}: accuracy over the classes so far"
    return Section(title, ("method", *(f"{count} classes" for count in classes)), rows)


def shots_section(results: SetResults) -> Section:
    """Tabulate accuracy with a few examples of each class."""
    counts = results.distinct("shots", "shots")
    rows = [
        (name, *(mean_and_deviation(results.values("shots", "accuracy", method=name, shots=n)) for n in counts))
        for name in results.methods
    ]
    title = f"{results.name}: accuracy with few examples of each class"
    notes = ["A class with fewer examples to learn from gives all it has."]
    return Section(title, ("method", *map(str, counts)), rows, notes)


def bits_section(results: SetResults) -> Section:
    """Tabulate accuracy by the bits of codes."""
    variants = results.distinct("bits", "variant")
    counts = [*sorted(count for count in results.distinct("bits", "bits") if count != FLOAT), FLOAT]
    rows = [
        (
            "float" if count == FLOAT else f"{count:,}",
            *(mean_and_deviation(results.values("bits", "accuracy", variant=name, bits=count)) for name in variants),
        )
        for count in counts
    ]
    note = "The axes are those along which the network's own classifier looks; float: float16 vectors."
    notes = [note] if len(variants) > 1 else []
    return Section(f"{results.name}: accuracy by bits per example", ("bits", *variants), rows, notes)


def active_section(results: SetResults) -> Section:
    """Tabulate labels needed, and accuracy on the way, by the choice of the next example."""
    stops = results.distinct("active", "labels")
    shown = [min(stops, key=lambda stop: abs(stop - wanted)) for wanted in (3, 10, 30, 100, 300)]
    shown = [stop for stop in dict.fromkeys(shown) if all(results.values("active", "accuracy", labels=stop, choice=name)
                                                          for name in results.choices())]  # fmt: skip
    rows = []
    for name in results.choices():
        cells = (mean_and_deviation(results.values("active", "accuracy", labels=s, choice=name)) for s in shown)
        rows.append((name, format_labels(results.labels_needed(name)), *cells))
    headers = ("choice", f"labels to {TARGET_SHARE:.0%} of the final accuracy", *(f"accuracy at {s}" for s in shown))
    return Section(f"{results.name}: which example is labelled next", headers, rows)


def novelty_section(results: SetResults) -> Section:
    """Tabulate calibration, and what was found of classes that were never taught."""
    columns = ("ece", "found", "alarms", "hindsight")
    rows = [
        (name, *(mean_and_deviation(results.values("doubt", column, method=name)) for column in columns))
        for name in results.methods
    ]
    notes = [
        "Calibration error: of the top probability, ten bins. A third of the classes is left out and asked for too. In "
        "hindsight: the share of them beyond a threshold on each method's own score that the test itself set, so that "
        f"{FALSE_ALARMS:.0%} of the known are beyond it too.",
    ]
    headers = ("method", "calibration error", "unseen answered with none", "false alarms", "unseen found in hindsight")
    return Section(f"{results.name}: calibration and classes unseen", headers, rows, notes)
