"""Experiments on errors: how often a clique memory does not return the whole message, and what theory predicts.

Arrays and numbers in, rows out; no files and no clocks. Every network grows: messages are added from one number to the
next, so points of the same seed are not independent of each other, but those of different seeds are.
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
"""Half the width of a 95 % interval, in standard errors."""


@dataclass(frozen=True, slots=True)
class Completion:
    """How cues are completed."""

    rule: RuleName = "sum-of-max"
    iterations: int = 0
    """0: until nothing changes"""
    guided: bool = True
    """Whether it is known which clusters a message uses."""

    def __str__(self) -> str:
        rounds = {0: "converged", 1: "1 iteration"}.get(self.iterations, f"{self.iterations} iterations")
        return f"{self.rule}, {rounds}"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One shape of memory, and the cues that it gets."""

    name: str
    clusters: int
    units: int
    active: int
    erased: int
    messages: tuple[int, ...]
    completions: tuple[Completion, ...]
    wrong: tuple[int, ...] = (0,)


RULES: tuple[RuleName, ...] = ("sum-of-max", "sum-of-sum", "gwsta")


def dense_experiment(clusters: int, units: int, erased: int, messages: Iterable[int]) -> Experiment:
    """Return the experiment on erased symbols in a dense network: every rule, for one round, four, and all rounds."""
    completions = tuple(Completion(rule, iterations) for rule in RULES for iterations in (1, 4, 0))
    return Experiment("dense", clusters, units, clusters, erased, tuple(sorted(messages)), completions)


def noisy_experiment(clusters: int, units: int, messages: Iterable[int]) -> Experiment:
    """Return the experiment on wrong symbols, none erased; "gwsta", which may never converge, for four rounds."""
    completions = (Completion(iterations=1), Completion(), Completion("sum-of-sum"), Completion("gwsta", 4))
    wrong = tuple(count for count in (1, 2, 3) if 2 * count < clusters)
    return Experiment("noisy", clusters, units, clusters, 0, tuple(sorted(messages)), completions, wrong)


def sparse_experiment(messages: Iterable[int]) -> Experiment:
    """Return the experiment on sparse cliques of Aliabadi et al. 2014 and Aboudib et al. 2014, guided and blind."""
    completions = (
        Completion(iterations=4),
        Completion(iterations=1, guided=False),
        Completion("gwsta", 4, guided=False),
    )
    return Experiment("sparse", 100, 64, 12, 3, tuple(sorted(messages)), completions)


def _binomial(n: int, p: float) -> list[float]:
    return [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


def one_step_noisy_error(density: float, clusters: int, units: int, wrong: int) -> float:
    """Return the error of one round when ``wrong`` symbols of a dense cue are wrong and none is erased.

    The score of a unit is the number of active units it is connected to, itself included. In the c - w clusters with a
    right symbol, the right unit scores c - w + B(w, d), each other one B(c-1, d); in the w other clusters it scores
    c - w + B(w-1, d), the wrong symbol 1 + B(c-1, d). It must score higher than all others. Connections are assumed to
    be independent.
    """
    others = _binomial(clusters - 1, density)

    def below(score: int) -> float:
        return sum(others[: max(0, score)])

    right = clusters - wrong
    kept = sum(p * below(right + k) ** (units - 1) for k, p in enumerate(_binomial(wrong, density)))
    corrected = sum(
        p * below(right + k - 1) * below(right + k) ** (units - 2)
        for k, p in enumerate(_binomial(max(0, wrong - 1), density))
    )
    return 1 - kept**right * corrected**wrong


def predict(experiment: Experiment, completion: Completion, wrong: int, messages: float) -> float:
    """Return the error by theory, of one round or of guided recall that has converged; nan if there is no theory."""
    clusters, units, erased, active = experiment.clusters, experiment.units, experiment.erased, experiment.active
    density = capacity.density(messages, clusters, units, active)
    if wrong:
        return one_step_noisy_error(density, clusters, units, wrong) if completion.iterations == 1 else math.nan
    if completion.iterations == 1:
        return capacity.one_step_error(density, clusters, units, erased, active, guided=completion.guided)
    return capacity.converged_error(density, clusters, units, erased, active) if completion.guided else math.nan


def run(experiment: Experiment, seed: int, cues: int) -> Iterator[Row]:
    """Grow one network, and recall ``cues`` cues by every completion at every number of messages.

    An answer is an error if it is not the message, or if more than one unit is left in a cluster: a tie is an error.
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
            for guided in sorted({completion.guided for completion in experiment.completions}):
                options = {"erased": experiment.erased, "wrong": wrong}
                asked, rows = make_cues(rng, messages[:count], cues, units, guided=guided, **options)
                for completion in (one for one in experiment.completions if one.guided == guided):
                    iterations = completion.iterations or None
                    answer = memory.recall(asked, rule=completion.rule, iterations=iterations, guided=guided)
                    right = answer.exact & (answer.messages == messages[rows]).all(axis=1)
                    yield {
                        "experiment": experiment.name,
                        **memory.shape,
                        **options,
                        "messages": count,
                        "rule": completion.rule,
                        "iterations": completion.iterations,
                        "guided": completion.guided,
                        "seed": seed,
                        "density": density,
                        "theory": predict(experiment, completion, wrong, count),
                        "cues": cues,
                        "errors": int(cues - right.sum()),
                    }


@dataclass(frozen=True, slots=True)
class Summary:
    """One point of a curve: several networks with the same settings."""

    experiment: str
    messages: int
    wrong: int
    completion: Completion
    theory: float
    networks: int
    cues: int
    """of all networks"""
    mean: float
    """share of errors"""
    low: float
    """of the network with the fewest errors"""
    high: float
    """of the network with the most errors"""
    bar: tuple[float, float]
    """Wilson's 95 % interval of the mean, widened if networks differ by more than chance explains. Without an error,
    the upper end is 3 / cues."""


def summarize(rows: Iterable[Row]) -> list[Summary]:
    """Summarize the networks of each point, in the order of the rows."""
    groups: dict[tuple[str, int, Completion, int], list[Row]] = {}
    for row in rows:
        completion = Completion(row["rule"], row["iterations"], row["guided"])
        groups.setdefault((row["experiment"], row["wrong"], completion, row["messages"]), []).append(row)
    return [_summarize_group(key, group) for key, group in groups.items()]


def _summarize_group(key: tuple[str, int, Completion, int], group: list[Row]) -> Summary:
    name, wrong, completion, messages = key
    shares = np.array([row["errors"] / row["cues"] for row in group])
    cues = sum(row["cues"] for row in group)
    mean = sum(row["errors"] for row in group) / cues
    expected_variance = mean * (1 - mean) * len(group) / cues
    excess = max(1.0, float(shares.var(ddof=1)) / expected_variance) if len(group) > 1 and expected_variance else 1.0
    bar = _wilson_interval(mean, cues / excess) if mean else (0.0, min(1.0, 3 / cues))
    low, high = float(shares.min()), float(shares.max())
    return Summary(name, messages, wrong, completion, group[0]["theory"], len(group), cues, mean, low, high, bar)


def _wilson_interval(share: float, n: float) -> tuple[float, float]:
    """Return the interval of a share counted in n trials; within 0 and 1, so that a logarithmic axis can show it."""
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    return min(share, middle - half), max(share, middle + half)
