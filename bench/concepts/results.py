"""Picks figures out of the rows that the concepts benchmark measured; what tables and pictures have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.experiments import EVERYTHING, FLOAT, OFFLINE, OURS, Row, Tables

SHARE = 0.95
"""Of the accuracy with everything labelled, at which labels are counted."""


@dataclass(frozen=True, slots=True)
class Figures:
    """All rows of one set."""

    name: str
    about: str
    """What the set is."""
    tables: Tables

    def rows(self, table: str, **wanted: Any) -> list[Row]:
        """Return the rows that have these values."""
        return [row for row in self.tables[table] if all(row[key] == value for key, value in wanted.items())]

    def values(self, table: str, column: str, **wanted: Any) -> list[float]:
        """Return one column of them: a figure per seed, in the order of the seeds."""
        return [row[column] for row in self.rows(table, **wanted)]

    def mean(self, table: str, column: str, **wanted: Any) -> float:
        """Return their mean; nan of none."""
        found = [value for value in self.values(table, column, **wanted) if not math.isnan(value)]
        return sum(found) / len(found) if found else math.nan

    def distinct(self, table: str, column: str) -> list[Any]:
        """Return what occurs in a column, in order of appearance."""
        return list(dict.fromkeys(row[column] for row in self.tables[table]))

    @property
    def methods(self) -> list[str]:
        """Names of all learners."""
        return self.distinct("classes", "method")

    @property
    def others(self) -> list[str]:
        """Names of all that are not ours, and learn in one pass."""
        return [name for name in self.methods if not name.startswith(OURS) and name != OFFLINE]

    @property
    def last_step(self) -> int:
        """Number of the last group of classes."""
        return int(max(self.distinct("classes", "step")))

    def best(self, table: str, column: str, names: Sequence[str], **wanted: Any) -> str:
        """Return which of the methods has the highest mean."""
        means = {name: self.mean(table, column, method=name, **wanted) for name in names}
        return max((name for name in names if not math.isnan(means[name])), key=lambda name: means[name])

    def curve(self, variant: str) -> tuple[list[int], list[float], float]:
        """Return bits, mean accuracies, and the mean accuracy with floats."""
        counts = sorted(count for count in self.distinct("bits", "bits") if count != FLOAT)
        means = [self.mean("bits", "accuracy", variant=variant, bits=count) for count in counts]
        return counts, means, self.mean("bits", "accuracy", variant=variant, bits=FLOAT)

    def choices(self) -> list[str]:
        """Return the ways to choose what is labelled."""
        return [name for name in self.distinct("active", "choice") if name != EVERYTHING]

    def labels_needed(self, choice: str) -> list[float]:
        """Return, per seed, the labels at which `SHARE` of the final accuracy is reached; nan where it is not."""
        needed = []
        for seed in self.distinct("active", "seed"):
            (full,) = self.values("active", "accuracy", seed=seed, choice=EVERYTHING)
            rows = self.rows("active", seed=seed, choice=choice)
            reached = [row["accuracy"] for row in rows]
            needed.append(metrics.labels_needed([row["labels"] for row in rows], reached, SHARE * full))
        return needed


def difference(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Tell the differences seed by seed: mean and deviation, and in how many of them ours is ahead."""
    apart = [one - other for one, other in zip(ours, theirs, strict=True)]
    ahead = sum(value > 0 for value in apart)
    text = metrics.told(apart)
    return f"{'' if text.startswith('-') else '+'}{text}, ahead in {ahead} of {len(apart)}"
