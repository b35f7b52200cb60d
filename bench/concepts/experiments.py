"""The course of the concepts benchmark: every experiment on one set with one seed, as rows of plain figures.

All methods of a seed see the same rows in the same order.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from assocmem._numerics.types import I64
from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.assocmem_learner import CHOOSERS, Ours
from assocmem.bench.concepts.dataset import Data, Split, first_of_each, groups, split
from assocmem.bench.concepts.learner import Learner
from assocmem.bench.concepts.offline_learner import Logistic, choose
from assocmem.bench.concepts.streaming_learners import NearestMean, RandomProjections, StreamingLDA

Row = dict[str, Any]
Make = Callable[[Data, int], Learner]
Tables = dict[str, list[Row]]
OURS, CODES, COUNTS = "assocmem", "assocmem, 64-byte codes", "assocmem, counts"
OFFLINE = "logistic regression, offline"
WHOLE, ON_AXES = "all axes", "128 axes"
FLOAT = 0
"""Stands for float features where bits are counted."""
ALARMS = 0.05
"""Share of known pictures that may be doubted where a threshold is set in hindsight."""
EVERYTHING = "everything"
PROJECTED = (2_000, 10_000)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seeds: int = 10
    shots: tuple[int, ...] = (1, 3, 5, 10)
    code_bytes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    labels: int = 300
    """Examples labelled at most where they are chosen."""
    most: int | None = None
    """Examples of a class at most."""
    widths: tuple[int, ...] = PROJECTED
    """Random projections of RanPAC."""


QUICK = Plan(seeds=2, shots=(1, 5), code_bytes=(1, 4, 16, 64), labels=30, most=24, widths=PROJECTED[:1])


def methods(plan: Plan) -> dict[str, Make]:
    """Name who is measured; FAISS and scikit-learn where they are installed."""
    found: dict[str, Make] = {
        OURS: Ours,
        CODES: partial(Ours, code_bytes=64, on_axes=True),
        COUNTS: partial(Ours, reader="counts"),
        "nearest class mean": NearestMean,
        "streaming LDA": StreamingLDA,
        "streaming LDA, OAS": partial(StreamingLDA, shrinkage=None),
    }
    for width in plan.widths:
        found[f"RanPAC, M = {width:,}"] = partial(RandomProjections, width=width)
    if importlib.util.find_spec("faiss") is not None:
        from assocmem.bench.concepts.faiss_learner import Neighbours

        found["k-NN, FAISS"] = Neighbours
    if importlib.util.find_spec("sklearn") is not None:
        found[OFFLINE] = Logistic
    return found


def run(data: Data, seed: int, plan: Plan) -> Tables:
    """Measure everything on one set with one seed; returns rows by experiment."""
    if plan.most is not None:
        data = thinned(data, plan.most)
    parts = split(data.y, seed)
    makers = methods(plan)
    if OFFLINE in makers:  # it chooses once, by all there is to learn from: of few examples little can be held out
        choice = choose(data.x[parts.train].astype(np.float64), data.y[parts.train])
        makers[OFFLINE] = partial(Logistic, choice=choice)
    doubts, bins = doubt(data, parts, seed, makers)
    found = {
        "classes": [row for name, make in makers.items() for row in class_by_class(data, parts, seed, name, make)],
        "orders": orders(data, parts, seed),
        "shots": shots(data, parts, seed, makers, plan.shots),
        "bits": bits(data, parts, seed, plan.code_bytes),
        "active": active(data, parts, seed, plan.labels),
        "doubt": doubts,
        "reliability": bins,
    }
    return {name: [{"set": data.name, "seed": seed, **row} for row in rows] for name, rows in found.items()}


def thinned(data: Data, most: int) -> Data:
    """Keep the first examples of every class."""
    rows = np.sort(first_of_each(data.y, np.arange(len(data.y)), most))
    return replace(data, x=data.x[rows], y=data.y[rows])


def teach(learner: Learner, data: Data, rows: I64) -> None:
    """Teach rows of the set, in their order."""
    learner.teach(data.x[rows], data.y[rows], rows)


def accuracy(learner: Learner, data: Data, rows: I64) -> float:
    """Share of rows answered rightly."""
    return float(metrics.right(learner.scores(data.x[rows]), data.y[rows]).mean())


def class_by_class(data: Data, parts: Split, seed: int, name: str, make: Make) -> list[Row]:
    """Teach groups of classes one after another, each once; ask for all classes so far after each."""
    learner, rows = make(data, seed), []
    known: list[int] = []
    after: dict[int, float] = {}
    steps = groups(len(data.classes), seed)
    for step, group in enumerate(steps):
        known += group.tolist()
        teach(learner, data, parts.train[np.isin(data.y[parts.train], group)])
        learner.ready()
        asked = parts.test[np.isin(data.y[parts.test], known)]
        correct = metrics.right(learner.scores(data.x[asked]), data.y[asked])
        now, last = metrics.by_class(correct, data.y[asked]), step == len(steps) - 1
        forgotten = metrics.forgetting(after, now) if last else math.nan
        after |= {label: now[label] for label in group.tolist() if label in now}
        about = {"method": name, "step": step + 1, "classes": len(known), "bytes": learner.nbytes()}
        rows.append({**about, "accuracy": float(correct.mean()), "forgetting": forgotten})
    learner.close()
    return rows


def orders(data: Data, parts: Split, seed: int) -> list[Row]:
    """Compare ours taught group by group, one by one in another order, and all at once: bit for bit."""
    asked = data.x[parts.test]
    together = Ours(data, seed)
    teach(together, data, parts.train)
    wanted = together.scores(asked)
    rows = []
    mixed = np.random.default_rng([seed, 2]).permutation(parts.train)
    grouped = [parts.train[np.isin(data.y[parts.train], group)] for group in groups(len(data.classes), seed)]
    for order, portions in (("class by class", grouped), ("shuffled, one by one", np.split(mixed, len(mixed)))):
        learner = Ours(data, seed)
        for portion in portions:
            teach(learner, data, portion)
        found = learner.scores(asked)
        rows.append({"order": order, "same": wanted.tobytes() == found.tobytes(), "apart": _apart(wanted, found)})
    return rows


def _apart(one: Any, other: Any) -> float:
    return float(np.abs(np.where(one == other, 0.0, one - other)).max(initial=0.0))


def shots(data: Data, parts: Split, seed: int, makers: dict[str, Make], counts: Sequence[int]) -> list[Row]:
    """Teach a few examples of each class."""
    rows = []
    for count in counts:
        few = first_of_each(data.y, parts.train, count)
        for name, make in makers.items():
            rows.append({"method": name, "shots": count, "accuracy": _taught(data, parts, seed, make, few)})
    return rows


def _taught(data: Data, parts: Split, seed: int, make: Make, rows: I64) -> float:
    learner = make(data, seed)
    teach(learner, data, rows)
    learner.ready()
    found = accuracy(learner, data, parts.test)
    learner.close()
    return found


def bits(data: Data, parts: Split, seed: int, code_bytes: Sequence[int]) -> list[Row]:
    """Keep examples as codes of 8 to 4,096 bits, and as floats; on all axes, and on the network's own."""
    rows = []
    for variant in (WHOLE, ON_AXES) if data.axes is not None else (WHOLE,):
        for count in (None, *code_bytes):
            make = partial(Ours, code_bytes=count, on_axes=variant == ON_AXES)
            reached = _taught(data, parts, seed, make, parts.train)
            rows.append({"variant": variant, "bits": FLOAT if count is None else 8 * count, "accuracy": reached})
    return rows


def active(data: Data, parts: Split, seed: int, most: int) -> list[Row]:
    """Label one example after another, as they are chosen; all ways begin with the same one."""
    full = _taught(data, parts, seed, Ours, parts.train)
    rows: list[Row] = [{"choice": EVERYTHING, "labels": len(parts.train), "accuracy": full}]
    stops = checkpoints(min(most, len(parts.train)))
    for name, choose_next in CHOOSERS.items():
        learner, rng = Ours(data, seed), np.random.default_rng([seed, 3])
        taught = np.zeros(len(parts.train), bool)
        for count in range(1, stops[-1] + 1):
            place = choose_next(learner.memory, learner.turn(data.x[parts.train]), taught, rng) if count > 1 else 0
            taught[place] = True
            teach(learner, data, parts.train[place : place + 1])
            if count in stops:
                rows.append({"choice": name, "labels": count, "accuracy": accuracy(learner, data, parts.test)})
    return rows


def checkpoints(most: int) -> list[int]:
    """Numbers of labels at which accuracy is measured: every one to 10, then about a tenth further each time."""
    stops = [1]
    while stops[-1] < most:
        stops.append(min(most, max(stops[-1] + 1, round(1.1 * stops[-1]))))
    return stops


def doubt(data: Data, parts: Split, seed: int, makers: dict[str, Make]) -> tuple[list[Row], list[Row]]:
    """Compare probabilities with what is right; of three classes or more, leave a third out and ask for them."""
    rows, bins = [], []
    hidden = np.concatenate(groups(len(data.classes), seed))[: len(data.classes) // 3]
    new = np.isin(data.y, hidden)
    some = Split(parts.train[~new[parts.train]], parts.test[~new[parts.test]])
    unknown = parts.test[new[parts.test]]
    for name, make in makers.items():
        row: Row = {"method": name, **dict.fromkeys(("ece", "alarms", "found", "hindsight"), math.nan)}
        learner = make(data, seed)
        teach(learner, data, parts.train)
        learner.ready()
        if learner.sure:
            scores = learner.scores(data.x[parts.test])
            top, correct = scores.max(axis=1), metrics.right(scores, data.y[parts.test])
            row["ece"] = metrics.calibration_error(top, correct)
            found = metrics.reliability(top, correct)
            bins += [{"method": name, "count": b.count, "probability": b.probability, "right": b.right} for b in found]
        learner.close()
        rows.append(row)
        if not len(unknown):
            continue
        learner = make(data, seed)
        teach(learner, data, some.train)
        learner.ready()
        if isinstance(learner, Ours):
            row["alarms"] = float(learner.none(data.x[some.test]).mean())
            row["found"] = float(learner.none(data.x[unknown]).mean())
        doubts = learner.doubt(data.x[some.test]), learner.doubt(data.x[unknown])
        row["hindsight"] = metrics.doubted(*doubts, ALARMS)
        learner.close()
    return rows, bins
