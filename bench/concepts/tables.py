"""The tables of the concepts benchmark for one set: ends, steps, shots, bits, labels, doubts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.experiments import ALARMS, FLOAT
from assocmem.bench.concepts.results import SHARE, Figures
from assocmem.bench.tables import Section
from assocmem.cli.output import size


def ends(figures: Figures) -> Section:
    """After the last group of classes: accuracy, forgetting, bytes and times."""
    last = figures.last_step
    rows = []
    for name in figures.methods:
        found = {what: figures.values("classes", what, method=name, step=last) for what in ("accuracy", "forgetting")}
        (time,) = figures.rows("times", method=name)
        rows.append((
            name,
            metrics.told(found["accuracy"]),
            metrics.told(found["forgetting"]),
            size(figures.mean("classes", "bytes", method=name, step=last)),
            f"{time['teach_us']:.3g}",
            f"{time['ready_ms']:.3g}",
            f"{time['answer_us']:.3g}",
            f"{time['batch_us']:.3g}",
        ))  # fmt: skip
    notes = [
        "Each example is shown once, classes come in groups that never come again. Forgetting: what a class's accuracy "
        "loses from just after its group to the end, others having joined. Bytes: what must be kept to go on learning.",
        "Times on one core, once: an example taught singly, from there to the first answer (what is solved anew), an "
        "answer asked singly, one of a batch. The bound keeps all examples and learns them anew; its C was chosen by "
        "cross-validation over everything beforehand.",
    ]
    headers = ("method", "accuracy", "forgetting", "state", "us per example", "ms until ready", "us per answer",
               "us in a batch")  # fmt: skip
    return Section(f"{figures.name}: class by class, at the end", headers, rows, notes)


def steps(figures: Figures) -> Section:
    """Accuracy over the classes so far, after each group."""
    numbers = figures.distinct("classes", "step")
    classes = [figures.values("classes", "classes", step=step)[0] for step in numbers]
    rows = [
        (name, *(metrics.told(figures.values("classes", "accuracy", method=name, step=step)) for step in numbers))
        for name in figures.methods
    ]
    title = f"{figures.name}: accuracy over the classes so far"
    return Section(title, ("method", *(f"{count} classes" for count in classes)), rows)


def shots(figures: Figures) -> Section:
    """Accuracy with a few examples of each class."""
    counts = figures.distinct("shots", "shots")
    rows = [
        (name, *(metrics.told(figures.values("shots", "accuracy", method=name, shots=count)) for count in counts))
        for name in figures.methods
    ]
    title = f"{figures.name}: accuracy with few examples of each class"
    notes = ["A class with fewer examples to learn from gives all it has."]
    return Section(title, ("method", *map(str, counts)), rows, notes)


def bits(figures: Figures) -> Section:
    """Accuracy by bits of code."""
    variants = figures.distinct("bits", "variant")
    counts = [*sorted(count for count in figures.distinct("bits", "bits") if count != FLOAT), FLOAT]
    rows = [
        (
            "float" if count == FLOAT else f"{count:,}",
            *(metrics.told(figures.values("bits", "accuracy", variant=variant, bits=count)) for variant in variants),
        )
        for count in counts
    ]
    note = "The axes are those along which the network's own classifier looks; float: float16 vectors."
    notes = [note] if len(variants) > 1 else []
    return Section(f"{figures.name}: accuracy by bits per example", ("bits", *variants), rows, notes)


def told_labels(needed: Sequence[float]) -> str:
    """Tell labels needed, and how often they did not suffice."""
    reached = [value for value in needed if not math.isnan(value)]
    missed = len(needed) - len(reached)
    text = metrics.told(reached, 0)
    return f"{text} (not in {missed} of {len(needed)})".strip() if missed else text


def active(figures: Figures) -> Section:
    """Labels needed, and accuracy on the way."""
    stops = figures.distinct("active", "labels")
    shown = [min(stops, key=lambda stop: abs(stop - wanted)) for wanted in (3, 10, 30, 100, 300)]
    shown = [stop for stop in dict.fromkeys(shown) if all(figures.values("active", "accuracy", labels=stop, choice=name)
                                                          for name in figures.choices())]  # fmt: skip
    rows = []
    for name in figures.choices():
        told = (metrics.told(figures.values("active", "accuracy", labels=stop, choice=name)) for stop in shown)
        rows.append((name, told_labels(figures.labels_needed(name)), *told))
    headers = ("choice", f"labels to {SHARE:.0%} of the final accuracy", *(f"accuracy at {stop}" for stop in shown))
    return Section(f"{figures.name}: which example is labelled next", headers, rows)


def doubt(figures: Figures) -> Section:
    """Calibration, and classes that were never seen."""
    rows = [
        (name, *(metrics.told(figures.values("doubt", what, method=name))
                 for what in ("ece", "found", "alarms", "hindsight")))
        for name in figures.methods
    ]  # fmt: skip
    notes = [
        "Calibration error: of the top probability, ten bins. A third of the classes is left out and asked for too. In "
        "hindsight: the share of them beyond a threshold on each method's own score that the test itself set, so that "
        f"{ALARMS:.0%} of the known are doubted.",
    ]
    headers = ("method", "calibration error", "unseen answered with none", "false alarms", "unseen found in hindsight")
    return Section(f"{figures.name}: calibration and classes unseen", headers, rows, notes)
