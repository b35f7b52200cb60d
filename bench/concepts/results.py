"""Results of the concepts benchmark on one set: access to the measured rows, for tables and pictures alike."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assocmem.bench.concepts import metrics
from assocmem.bench.concepts.experiments import ASSOCMEM, EVERYTHING, FLOAT, OFFLINE, Row, Tables

TARGET_SHARE = 0.95
"""Share of the accuracy with all labels at which the labels needed are counted."""


@dataclass(frozen=True, slots=True)
class SetResults:
    """All rows of one set."""

    name: str
    about: str
    """A description of the set."""
    tables: Tables

    def rows(self, table: str, **wanted: Any) -> list[Row]:
        """Return the rows of a table that have these values."""
        return [row for row in self.tables[table] if all(row[key] == value for key, value in wanted.items())]

    def values(self, table: str, column: str, **wanted: Any) -> list[float]:
        """Return one column of these rows: a value per seed, in the order of the seeds."""
        return [row[column] for row in self.rows(table, **wanted)]

    def mean(self, table: str, column: str, **wanted: Any) -> float:
        """Return the mean of these values that are not nan; nan if there are none."""
        found = [value for value in self.values(table, column, **wanted) if not math.isnan(value)]
        return sum(found) / len(found) if found else math.nan

    def distinct(self, table: str, column: str) -> list[Any]:
        """Return the distinct values of a column, in order of appearance."""
        return list(dict.fromkeys(row[column] for row in self.tables[table]))

    @property
    def methods(self) -> list[str]:
        """Names of all learners."""
        return self.distinct("classes", "method")

    @property
    def rivals(self) -> list[str]:
        """Names of the learners of one pass that are not assocmem's."""
        return [name for name in self.methods if not name.startswith(ASSOCMEM) and name != OFFLINE]

    @property
    def last_step(self) -> int:
        """Number of the last group of classes."""
        return int(max(self.distinct("classes", "step")))

    def best(self, table: str, column: str, names: Sequence[str], **wanted: Any) -> str:
        """Return the method with the highest mean."""
        means = {name: self.mean(table, column, method=name, **wanted) for name in names}
        return max((name for name in names if not math.isnan(means[name])), key=lambda name: means[name])

    def bits_curve(self, variant: str) -> tuple[list[int], list[float], float]:
        """Return numbers of bits, the mean accuracy with each, and the mean accuracy with floats."""
        counts = sorted(count for count in self.distinct("bits", "bits") if count != FLOAT)
        means = [self.mean("bits", "accuracy", variant=variant, bits=count) for count in counts]
        return counts, means, self.mean("bits", "accuracy", variant=variant, bits=FLOAT)

    def choices(self) -> list[str]:
        """Return the ways to choose the next example to label."""
        return [name for name in self.distinct("active", "choice") if name != EVERYTHING]

    def labels_needed(self, choice: str) -> list[float]:
        """Return, per seed, the labels at which `TARGET_SHARE` of the final accuracy is reached; nan if it is not."""
        needed = []
        for seed in self.distinct("active", "seed"):
            (full,) = self.values("active", "accuracy", seed=seed, choice=EVERYTHING)
            rows = self.rows("active", seed=seed, choice=choice)
            reached = [row["accuracy"] for row in rows]
            needed.append(metrics.labels_needed([row["labels"] for row in rows], reached, TARGET_SHARE * full))
        return needed


def mean_and_deviation(values: Sequence[float], digits: int = 3) -> str:
    """Format mean and standard deviation over seeds: ``0.931 ± 0.012``; empty if all values are nan."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    mean = round(sum(known) / len(known), digits) + 0.0  # avoids -0.000
    if len(known) == 1:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {statistics.stdev(known):.{digits}f}"


def difference(values: Sequence[float], others: Sequence[float]) -> str:
    """Format the differences seed by seed: mean and deviation, and in how many of them the first is ahead."""
    differences = [one - other for one, other in zip(values, others, strict=True)]
    ahead = sum(value > 0 for value in differences)
    text = mean_and_deviation(differences)
    return f"{'' if text.startswith('-') else '+'}{text}, ahead in {ahead} of {len(differences)}"
