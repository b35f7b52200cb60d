"""The experiments on error: how often a clique memory gives a message back whole, beside what theory says.

Arrays and numbers in, rows out; no files and no clocks. Every network is grown: messages are added from one number to
the next, so the points of one seed are not independent of each other, those of different seeds are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from assocmem.bench.capacity.messages import make_cues, random_messages
from assocmem.memory import capacity
from assocmem.memory.clique import CliqueMemory, RuleName

Row = dict[str, Any]
Z = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Way:
    """How cues are completed."""

    rule: RuleName = "sum-of-max"
    iterations: int = 0  # 0: until nothing changes
    guided: bool = True

    def __str__(self) -> str:
        rounds = {0: "converged", 1: "1 iteration"}.get(self.iterations, f"{self.iterations} iterations")
        return f"{self.rule}, {rounds}"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One shape of memory, and what is asked of it."""

    name: str
    clusters: int
    units: int
    active: int
    erased: int
    messages: tuple[int, ...]
    ways: tuple[Way, ...]
    wrong: tuple[int, ...] = (0,)


RULES: tuple[RuleName, ...] = ("sum-of-max", "sum-of-sum", "gwsta")


def dense(clusters: int, units: int, erased: int, messages: Iterable[int]) -> Experiment:
    """Erased symbols in a dense network: every rule, after one round, four, and all."""
    ways = tuple(Way(rule, iterations) for rule in RULES for iterations in (1, 4, 0))
    return Experiment("dense", clusters, units, clusters, erased, tuple(sorted(messages)), ways)


def noisy(clusters: int, units: int, messages: Iterable[int]) -> Experiment:
    """Wrong symbols, none erased, in a dense network; "gwsta", which may never come to rest, for four rounds."""
    ways = (Way(iterations=1), Way(), Way("sum-of-sum"), Way("gwsta", 4))
    wrong = tuple(count for count in (1, 2, 3) if 2 * count < clusters)
    return Experiment("noisy", clusters, units, clusters, 0, tuple(sorted(messages)), ways, wrong)


def sparse(messages: Iterable[int]) -> Experiment:
    """The sparse cliques of Aliabadi et al. 2014 and Aboudib et al. 2014: where the message is, known and unknown."""
    ways = (Way(iterations=4), Way(iterations=1, guided=False), Way("gwsta", 4, guided=False))
    return Experiment("sparse", 100, 64, 12, 3, tuple(sorted(messages)), ways)


def _binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def one_step_noisy_error(density: float, clusters: int, units: int, wrong: int) -> float:
    """Return the error of one round when ``wrong`` symbols of a dense cue are wrong and none is erased.

    A unit counts the active units it is tied to, itself included. In the c - w clusters with a right symbol, the right
    unit has c - w + B(w, d) against B(c-1, d) of each other one; in the others it has c - w + B(w-1, d) against
    1 + B(c-1, d) of the wrong symbol. It has to beat them all. Connections are taken to be independent.
    """
    rivals = _binomial(clusters - 1, density)

    def below(score: int) -> float:
        return sum(rivals[: max(0, score)])

    sure = clusters - wrong
    kept = sum(p * below(sure + k) ** (units - 1) for k, p in enumerate(_binomial(wrong, density)))
    mended = sum(
        p * below(sure + k - 1) * below(sure + k) ** (units - 2)
        for k, p in enumerate(_binomial(max(0, wrong - 1), density))
    )
    return 1 - kept**sure * mended**wrong


def predict(experiment: Experiment, way: Way, wrong: int, messages: float) -> float:
    """Return the theory's error: of one round, or of guided recall that has converged; nan where there is none."""
    clusters, units, erased, active = experiment.clusters, experiment.units, experiment.erased, experiment.active
    density = capacity.density(messages, clusters, units, active)
    if wrong:
        return one_step_noisy_error(density, clusters, units, wrong) if way.iterations == 1 else math.nan
    if way.iterations == 1:
        return capacity.one_step_error(density, clusters, units, erased, active, guided=way.guided)
    return capacity.converged_error(density, clusters, units, erased, active) if way.guided else math.nan


def run(experiment: Experiment, seed: int, cues: int) -> Iterator[Row]:
    """Grow one network and ask it ``cues`` times, in every way, at every number of messages.

    An error is an answer that is not the message, or one with units left over: a tie counts as an error.
    """
    clusters, units, active = experiment.clusters, experiment.units, experiment.active
    rng = np.random.default_rng([seed, clusters, units, active])
    messages = random_messages(rng, max(experiment.messages), clusters, units, active)
    memory = CliqueMemory(clusters, units, active=active)
    done = 0
    for count in experiment.messages:
        memory.store(messages[done:count])
        done, density = count, memory.density
        for wrong in experiment.wrong:
            for guided in sorted({way.guided for way in experiment.ways}):
                options = {"erased": experiment.erased, "wrong": wrong}
                asked, rows = make_cues(rng, messages[:count], cues, units, guided=guided, **options)
                for way in (way for way in experiment.ways if way.guided == guided):
                    answer = memory.recall(asked, rule=way.rule, iterations=way.iterations or None, guided=guided)
                    right = answer.exact & (answer.messages == messages[rows]).all(axis=1)
                    yield {
                        "experiment": experiment.name,
                        **memory.shape,
                        **options,
                        "messages": count,
                        "rule": way.rule,
                        "iterations": way.iterations,
                        "guided": way.guided,
                        "seed": seed,
                        "density": density,
                        "theory": predict(experiment, way, wrong, count),
                        "cues": cues,
                        "errors": int(cues - right.sum()),
                    }


@dataclass(frozen=True, slots=True)
class Summary:
    """One point of a curve: several networks asked the same."""

    experiment: str
    messages: int
    wrong: int
    way: Way
    theory: float
    networks: int
    cues: int  # of all networks
    mean: float  # share of errors
    low: float  # of the network with the fewest errors
    high: float
    bar: tuple[float, float]
    """Ends of the 95 % interval of Wilson for the mean, widened by the spread between networks where that is more than
    chance makes it. Without an error, the upper end is 3 / cues."""


def summarize(rows: Iterable[Row]) -> list[Summary]:
    """Put the networks together, in the order of the rows."""
    groups: dict[tuple[str, int, Way, int], list[Row]] = {}
    for row in rows:
        way = Way(row["rule"], row["iterations"], row["guided"])
        groups.setdefault((row["experiment"], row["wrong"], way, row["messages"]), []).append(row)
    return [_summary(key, group) for key, group in groups.items()]


def _summary(key: tuple[str, int, Way, int], group: list[Row]) -> Summary:
    name, wrong, way, messages = key
    shares = np.array([row["errors"] / row["cues"] for row in group])
    cues = sum(row["cues"] for row in group)
    mean = sum(row["errors"] for row in group) / cues
    chance = mean * (1 - mean) * len(group) / cues
    excess = max(1.0, float(shares.var(ddof=1)) / chance) if len(group) > 1 and chance else 1.0
    bar = _wilson(mean, cues / excess) if mean else (0.0, min(1.0, 3 / cues))
    low, high = float(shares.min()), float(shares.max())
    return Summary(name, messages, wrong, way, group[0]["theory"], len(group), cues, mean, low, high, bar)


def _wilson(share: float, n: float) -> tuple[float, float]:
    """Interval for a share counted in n trials; never below 0 or above 1, so that it can stand on a log axis."""
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    return min(share, middle - half), max(share, middle + half)
