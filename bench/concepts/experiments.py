"""The experiments of the concepts benchmark on one set with one seed: rows of plain figures.

All methods of a seed see the same rows in the same order.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from assocmem._numerics.types import F64, I64
from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.assocmem_learner import CHOOSERS, AssocmemLearner
from assocmem.bench.concepts.dataset import LabelledData, Split, class_groups, first_of_each, split_classes
from assocmem.bench.concepts.learner import MakeLearner, accuracy, teach
from assocmem.bench.concepts.offline_learner import OfflineLogisticLearner, cross_validate
from assocmem.bench.concepts.streaming_learners import (
    NearestMeanLearner,
    RandomProjectionsLearner,
    StreamingLDALearner,
)

Row = dict[str, Any]
Tables = dict[str, list[Row]]
ASSOCMEM, CODES, COUNTS = "assocmem", "assocmem, 64-byte codes", "assocmem, counts"
OFFLINE = "logistic regression, offline"
ALL_AXES, OWN_AXES = "all axes", "128 axes"
FLOAT = 0
"""Number of bits that stands for float features."""
FALSE_ALARMS = 0.05
"""Share of known pictures beyond the threshold of novelty that is set in hindsight."""
EVERYTHING = "everything"
"""Choice of the next example: all are labelled."""
PROJECTIONS = (2_000, 10_000)


@dataclass(frozen=True, slots=True)
class ConceptsPlan:
    """How much is measured."""

    seeds: int = 10
    shots: tuple[int, ...] = (1, 3, 5, 10)
    code_bytes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    labels: int = 300
    """Examples that are labelled at most if they are chosen one by one."""
    most: int | None = None
    """Examples of a class at most."""
    widths: tuple[int, ...] = PROJECTIONS
    """Random projections of RanPAC."""


QUICK = ConceptsPlan(seeds=2, shots=(1, 5), code_bytes=(1, 4, 16, 64), labels=30, most=24, widths=PROJECTIONS[:1])


def plan_learners(plan: ConceptsPlan) -> dict[str, MakeLearner]:
    """Return the learners by name; those of FAISS and scikit-learn if they are installed."""
    found: dict[str, MakeLearner] = {
        ASSOCMEM: AssocmemLearner,
        CODES: partial(AssocmemLearner, code_bytes=64, on_axes=True),
        COUNTS: partial(AssocmemLearner, reader="counts"),
        "nearest class mean": NearestMeanLearner,
        "streaming LDA": StreamingLDALearner,
        "streaming LDA, OAS": partial(StreamingLDALearner, shrinkage=None),
    }
    for width in plan.widths:
        found[f"RanPAC, M = {width:,}"] = partial(RandomProjectionsLearner, width=width)
    if importlib.util.find_spec("faiss") is not None:
        from assocmem.bench.concepts.faiss_learner import FaissNeighboursLearner

        found["k-NN, FAISS"] = FaissNeighboursLearner
    if importlib.util.find_spec("sklearn") is not None:
        found[OFFLINE] = OfflineLogisticLearner
    return found


def run(data: LabelledData, seed: int, plan: ConceptsPlan) -> Tables:
    """Run all experiments on one set with one seed; returns rows by experiment."""
    if plan.most is not None:
        data = data.first_examples(plan.most)
    split = split_classes(data.y, seed)
    learners = plan_learners(plan)
    if OFFLINE in learners:  # its options are chosen once, with all training rows: of few, little can be held out
        options = cross_validate(data.x[split.train].astype(np.float64), data.y[split.train])
        learners[OFFLINE] = partial(OfflineLogisticLearner, options=options)
    doubts, bins = calibration_and_novelty(data, split, seed, learners)
    found = {
        "classes": [row for name, make in learners.items() for row in class_by_class(data, split, seed, name, make)],
        "orders": orders(data, split, seed),
        "shots": shots(data, split, seed, learners, plan.shots),
        "bits": bits(data, split, seed, plan.code_bytes),
        "active": active(data, split, seed, plan.labels),
        "doubt": doubts,
        "reliability": bins,
    }
    return {name: [{"set": data.name, "seed": seed, **row} for row in rows] for name, rows in found.items()}


def class_by_class(data: LabelledData, split: Split, seed: int, name: str, make: MakeLearner) -> list[Row]:
    """Teach the groups of classes one after another, each once; test all classes so far after each."""
    learner, rows = make(data, seed), []
    known: list[int] = []
    after: dict[int, float] = {}
    groups = class_groups(len(data.classes), seed)
    for step, group in enumerate(groups):
        known += group.tolist()
        teach(learner, data, split.train[np.isin(data.y[split.train], group)])
        learner.ready()
        tested = split.test[np.isin(data.y[split.test], known)]
        correct = metrics.is_correct(learner.scores(data.x[tested]), data.y[tested])
        now, is_last = metrics.accuracy_by_class(correct, data.y[tested]), step == len(groups) - 1
        forgotten = metrics.forgetting(after, now) if is_last else math.nan
        after |= {label: now[label] for label in group.tolist() if label in now}
        about = {"method": name, "step": step + 1, "classes": len(known), "bytes": learner.nbytes()}
        rows.append({**about, "accuracy": float(correct.mean()), "forgetting": forgotten})
    learner.close()
    return rows


def orders(data: LabelledData, split: Split, seed: int) -> list[Row]:
    """Compare assocmem taught by groups, taught one by one in another order, and taught all at once: bit for bit."""
    tested = data.x[split.test]
    together = AssocmemLearner(data, seed)
    teach(together, data, split.train)
    expected = together.scores(tested)
    rows = []
    shuffled = np.random.default_rng([seed, 2]).permutation(split.train)
    groups = [split.train[np.isin(data.y[split.train], group)] for group in class_groups(len(data.classes), seed)]
    for order, portions in (("class by class", groups), ("shuffled, one by one", np.split(shuffled, len(shuffled)))):
        learner = AssocmemLearner(data, seed)
        for portion in portions:
            teach(learner, data, portion)
        found = learner.scores(tested)
        same = expected.tobytes() == found.tobytes()
        rows.append({"order": order, "same": same, "apart": _max_difference(expected, found)})
    return rows


def _max_difference(one: F64, other: F64) -> float:
    return float(np.abs(np.where(one == other, 0.0, one - other)).max(initial=0.0))


def shots(
    data: LabelledData, split: Split, seed: int, learners: dict[str, MakeLearner], counts: Sequence[int]
) -> list[Row]:
    """Teach a few examples of each class."""
    rows = []
    for count in counts:
        few = first_of_each(data.y, split.train, count)
        for name, make in learners.items():
            rows.append({"method": name, "shots": count, "accuracy": _teach_and_test(data, split, seed, make, few)})
    return rows


def _teach_and_test(data: LabelledData, split: Split, seed: int, make: MakeLearner, rows: I64) -> float:
    learner = make(data, seed)
    teach(learner, data, rows)
    learner.ready()
    found = accuracy(learner, data, split.test)
    learner.close()
    return found


def bits(data: LabelledData, split: Split, seed: int, code_bytes: Sequence[int]) -> list[Row]:
    """Store examples as codes of 8 to 4,096 bits, and as floats; on all axes, and on the network's own."""
    rows = []
    for variant in (ALL_AXES, OWN_AXES) if data.axes is not None else (ALL_AXES,):
        for count in (None, *code_bytes):
            make = partial(AssocmemLearner, code_bytes=count, on_axes=variant == OWN_AXES)
            reached = _teach_and_test(data, split, seed, make, split.train)
            rows.append({"variant": variant, "bits": FLOAT if count is None else 8 * count, "accuracy": reached})
    return rows


def active(data: LabelledData, split: Split, seed: int, most: int) -> list[Row]:
    """Label one example after another, as they are chosen; all choices begin with the same example."""
    full = _teach_and_test(data, split, seed, AssocmemLearner, split.train)
    rows: list[Row] = [{"choice": EVERYTHING, "labels": len(split.train), "accuracy": full}]
    stops = checkpoints(min(most, len(split.train)))
    for name, choose_next in CHOOSERS.items():
        learner, rng = AssocmemLearner(data, seed), np.random.default_rng([seed, 3])
        pool = learner.transform(data.x[split.train])
        taught = np.zeros(len(split.train), bool)
        for count in range(1, stops[-1] + 1):
            place = choose_next(learner.memory, pool, taught, rng) if count > 1 else 0
            taught[place] = True
            teach(learner, data, split.train[place : place + 1])
            if count in stops:
                rows.append({"choice": name, "labels": count, "accuracy": accuracy(learner, data, split.test)})
    return rows


def checkpoints(most: int) -> list[int]:
    """Return the numbers of labels at which accuracy is measured: each to 10, then about a tenth more each time."""
    stops = [1]
    while stops[-1] < most:
        stops.append(min(most, max(stops[-1] + 1, round(1.1 * stops[-1]))))
    return stops


def calibration_and_novelty(
    data: LabelledData, split: Split, seed: int, learners: dict[str, MakeLearner]
) -> tuple[list[Row], list[Row]]:
    """Compare probabilities with accuracy; with three classes or more, leave a third out and test with them too."""
    rows, bins = [], []
    hidden = np.concatenate(class_groups(len(data.classes), seed))[: len(data.classes) // 3]
    is_novel = np.isin(data.y, hidden)
    known = Split(split.train[~is_novel[split.train]], split.test[~is_novel[split.test]])
    novel = split.test[is_novel[split.test]]
    for name, make in learners.items():
        row: Row = {"method": name, **dict.fromkeys(("ece", "alarms", "found", "hindsight"), math.nan)}
        learner = make(data, seed)
        teach(learner, data, split.train)
        learner.ready()
        if learner.gives_probabilities:
            scores = learner.scores(data.x[split.test])
            top, correct = scores.max(axis=1), metrics.is_correct(scores, data.y[split.test])
            row["ece"] = metrics.calibration_error(top, correct)
            found = metrics.reliability_bins(top, correct)
            bins += [{"method": name, "count": b.count, "probability": b.probability, "right": b.right} for b in found]
        learner.close()
        rows.append(row)
        if not len(novel):
            continue
        learner = make(data, seed)
        teach(learner, data, known.train)
        learner.ready()
        if isinstance(learner, AssocmemLearner):
            row["alarms"] = float(learner.is_unknown(data.x[known.test]).mean())
            row["found"] = float(learner.is_unknown(data.x[novel]).mean())
        scores_of = learner.novelty(data.x[known.test]), learner.novelty(data.x[novel])
        row["hindsight"] = metrics.novel_share(*scores_of, FALSE_ALARMS)
        learner.close()
    return rows, bins
