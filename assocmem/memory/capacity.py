"""The capacity of clique and Willshaw memories in closed form, and plans for the shape of a memory.

A clique memory has ``clusters`` X clusters of ``units`` l units. A message picks one unit in each of ``active`` c
clusters (None: in all, the dense network of Gripon & Berrou 2011; fewer: the sparse cliques of Aliabadi et al. 2014)
and sets the c (c - 1) / 2 connections between them. A cue lacks ``erased`` e of the c symbols. Messages are assumed
random, and connections independent. An error is the share of cues whose message is not recalled completely. A Willshaw
memory (Willshaw, Buneman & Longuet-Higgins 1969) associates a of m rows, the cue, with b of n columns, the answer.

Every function raises ``InputError`` for arguments that no memory can have. This module computes with numbers only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from assocmem.errors import InputError

WILLSHAW_LIMIT = math.log(2)
"""Bits per synapse that no Willshaw memory exceeds (Willshaw et al. 1969); only very large ones come near. Block codes,
such as cliques, store more patterns, not more bits per synapse (Knoblauch & Palm 2020)."""

_MAX_SIZE = 2**40  # of clusters, units, rows, columns: beyond any machine, and small enough for every formula


def _check(name: str, value: float, low: float, high: float, *, whole: bool = False) -> None:
    if not (low <= value <= high and (not whole or value == int(value))):
        limits = f"{low} to {high}" if high < _MAX_SIZE or value > high else f"at least {low}"
        raise InputError(f"{name}: expected a {'whole ' * whole}number, {limits}, found {value}")


def _check_shape(clusters: int, units: int, active: int | None, erased: int = 0) -> int:
    """Check a shape and return its c, the number of clusters that a message uses."""
    _check("clusters", clusters, 2, _MAX_SIZE, whole=True)
    _check("units", units, 2, _MAX_SIZE, whole=True)
    c = clusters if active is None else active
    _check("active", c, 2, clusters, whole=True)
    _check("erased", erased, 0, c - 1, whole=True)
    return c


def _connection_chance(clusters: int, units: int, active: int | None) -> float:
    """Return the probability that one message sets a given connection."""
    c = _check_shape(clusters, units, active)
    return c * (c - 1) / (clusters * (clusters - 1) * units**2)


def _hazard(density: float, known: int, rivals: int) -> float:
    """Return -log of the probability that none of ``rivals`` units is connected to all ``known`` ones.

    The logarithm stays exact where the error itself would round to 1.
    """
    connected = density**known
    if rivals == 0 or connected == 0:
        return 0.0
    return math.inf if connected == 1 else -rivals * math.log1p(-connected)


def _critical_density(error: float, known: int, rivals: int) -> float:
    """Return the density at which ``_hazard`` gives ``error``."""
    if error == 1 or rivals == 0:
        return 1.0
    return float((-math.expm1(math.log1p(-error) / rivals)) ** (1 / known))


def _log2_choose(n: int, k: int) -> float:
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def density(messages: float, clusters: int, units: int, active: int | None = None) -> float:
    """Return the share of connections that are set: d = 1 - (1 - c (c-1) / (X (X-1) l^2))^M (Gripon & Berrou 2011)."""
    _check("messages", messages, 0, math.inf)
    return -math.expm1(messages * math.log1p(-_connection_chance(clusters, units, active)))


def messages_at_density(density: float, clusters: int, units: int, active: int | None = None) -> float:
    """Return how many random messages bring the network to ``density``, the inverse of ``density``; infinity at 1."""
    _check("density", density, 0, 1)
    chance = _connection_chance(clusters, units, active)
    return math.inf if density == 1 else math.log1p(-density) / math.log1p(-chance)


def one_step_error(
    density: float, clusters: int, units: int, erased: int, active: int | None = None, *, guided: bool = True
) -> float:
    """Return the error of recall in one step, 1 - (1 - d^(c-e))^n, with n units that may be confused with right ones.

    In guided recall, where it is known which clusters are erased, n = e (l-1); in blind recall n = e (l-1) + (X-c) l.
    In a dense network both are the same. Gripon & Berrou 2011; Aliabadi et al. 2014.
    """
    _check("density", density, 0, 1)
    c = _check_shape(clusters, units, active, erased)
    rivals = erased * (units - 1) + (0 if guided else (clusters - c) * units)
    return -math.expm1(-_hazard(density, c - erased, rivals))


def density_at_error(
    error: float, clusters: int, units: int, erased: int, active: int | None = None, *, guided: bool = True
) -> float:
    """Return the density at which ``one_step_error`` reaches ``error``; 1 if no error is possible."""
    _check("error", error, 0, 1)
    c = _check_shape(clusters, units, active, erased)
    return _critical_density(error, c - erased, erased * (units - 1) + (0 if guided else (clusters - c) * units))


def messages_at_error(
    error: float, clusters: int, units: int, erased: int, active: int | None = None, *, guided: bool = True
) -> float:
    """Return how many random messages bring ``one_step_error`` to ``error``; infinity if no error is possible."""
    critical = density_at_error(error, clusters, units, erased, active, guided=guided)
    return messages_at_density(critical, clusters, units, active)


def converged_error(density: float, clusters: int, units: int, erased: int, active: int | None = None) -> float:
    """Return an estimate of the error of guided recall that runs until nothing changes: 1 - exp(-E).

    E = sum over j = 1..e of C(e,j) (l-1)^j d^(j(c-j) + j(j-1)/2) is the expected number of other cliques that agree
    with the cue. The result is never above ``one_step_error``, which applies where E is large.

    Notes
    -----
    This first-moment estimate is our own. It is too low rather than too high, because connections are not independent.
    Measured at c = 8, l = 256, e = 4: 0.0197 to 0.0225 for 15,000 messages (estimate 0.016), 0.1145 for 20,000
    (estimate 0.098).
    """
    bound = one_step_error(density, clusters, units, erased, active)
    c = clusters if active is None else active
    expected = 0.0
    for j in range(1, erased + 1 if density else 1):
        ways = math.lgamma(erased + 1) - math.lgamma(j + 1) - math.lgamma(erased - j + 1) + j * math.log(units - 1)
        expected += math.exp(min(700.0, ways + (j * (c - j) + j * (j - 1) / 2) * math.log(density)))
    return min(bound, -math.expm1(-expected))


def chance_familiarity(density: float, active: int) -> float:
    """Return the probability d^(c (c-1) / 2) that a random message looks stored (Gripon & Berrou 2011)."""
    _check("density", density, 0, 1)
    _check("active", active, 2, _MAX_SIZE, whole=True)
    return float(density ** (active * (active - 1) // 2))


def efficiency(messages: float, clusters: int, units: int, active: int | None = None) -> float:
    """Return bits stored per bit of memory: M (c log2 l + log2 C(X,c)) / (X (X-1) l^2 / 2).

    This is B/Q of Gripon & Berrou 2011, with the binomial term of Aliabadi et al. 2014; each connection counts once.
    The messages count as a sequence; as a set they carry log2 M! bits less.
    """
    _check("messages", messages, 0, math.inf)
    c = _check_shape(clusters, units, active)
    return messages * (c * math.log2(units) + _log2_choose(clusters, c)) / (clusters * (clusters - 1) * units**2 / 2)


def memory_bytes(clusters: int, units: int) -> int:
    """Return the bytes of a network: a row per unit, packed into 64-bit words; both halves of the matrix are kept."""
    _check_shape(clusters, units, None)
    n = clusters * units
    return n * -(-n // 64) * 8


def room(
    density: float, clusters: int, units: int, erased: int, active: int | None = None, *, error: float = 0.01
) -> int:
    """Return how many more random messages fit before guided ``one_step_error`` passes ``error``, below 1."""
    _check("density", density, 0, 1)
    most = messages_at_error(error, clusters, units, erased, active)
    if most == math.inf:
        raise InputError(f"room: expected erased of at least 1 and error below 1, found {erased} and {error}")
    return int(max(0.0, most - messages_at_density(density, clusters, units, active)))


def _synapse(rows: int, columns: int, active_rows: int, active_columns: int) -> float:
    """Check the shape of a Willshaw memory and return the probability that one pair sets a given synapse."""
    _check("rows", rows, 1, _MAX_SIZE, whole=True)
    _check("columns", columns, 2, _MAX_SIZE, whole=True)
    _check("active_rows", active_rows, 1, rows, whole=True)
    _check("active_columns", active_columns, 1, columns - 1, whole=True)
    return active_rows * active_columns / (rows * columns)


def willshaw_density(pairs: float, rows: int, columns: int, active_rows: int, active_columns: int = 1) -> float:
    """Return the share of synapses that M ``pairs`` of random patterns set: 1 - (1 - a b / (m n))^M."""
    _check("pairs", pairs, 0, math.inf)
    return -math.expm1(pairs * math.log1p(-_synapse(rows, columns, active_rows, active_columns)))


def willshaw_error(density: float, columns: int, active_rows: int, active_columns: int = 1) -> float:
    """Return the probability that a wrong column has the score of right ones, for a whole cue: 1 - (1 - d^a)^(n-b)."""
    _check("density", density, 0, 1)
    _synapse(active_rows, columns, active_rows, active_columns)
    return -math.expm1(-_hazard(density, active_rows, columns - active_columns))


def willshaw_pairs(error: float, rows: int, columns: int, active_rows: int, active_columns: int = 1) -> float:
    """Return how many random pairs bring ``willshaw_error`` to ``error``; infinity at 1."""
    _check("error", error, 0, 1)
    chance = _synapse(rows, columns, active_rows, active_columns)
    density = _critical_density(error, active_rows, columns - active_columns)
    return math.inf if density == 1 else math.log1p(-density) / math.log1p(-chance)


def willshaw_efficiency(pairs: float, rows: int, columns: int, active_rows: int, active_columns: int = 1) -> float:
    """Return the bits of all answers per synapse, M log2 C(n,b) / (m n); see ``WILLSHAW_LIMIT``."""
    _check("pairs", pairs, 0, math.inf)
    _synapse(rows, columns, active_rows, active_columns)
    return pairs * _log2_choose(columns, active_columns) / (rows * columns)


@dataclass(frozen=True, slots=True)
class Plan:
    """A shape of clique memory for a number of items, and its predicted properties."""

    items: int
    clusters: int
    units: int
    active: int
    """symbols of a message; all clusters in a dense network"""
    erased: int
    """symbols that a cue lacks"""
    bytes: int
    density: float
    """with all items stored"""
    error: float
    """predicted for guided recall in one step, with all items stored"""
    chance: float
    """probability that a random message looks stored"""
    holds: int
    """messages at the wanted error"""
    fits: bool
    """whether the memory keeps to the wanted error"""
    needed_bytes: int | None
    """the smallest memory found that keeps to the wanted error; None if this one does"""


def _shapes(share: float, sparse: bool) -> Iterator[tuple[int, int, int]]:
    """Yield the clusters, active clusters and erased symbols of all shapes that a plan considers."""
    several = [(x, c) for x in range(8, 257, 4) for c in range(6, min(x, 25))] if sparse else []
    for clusters, c in [(c, c) for c in range(4, 65)] + several:
        erased = max(1, math.ceil(share * c - 1e-9))
        if erased < c:
            yield clusters, c, erased


def _strain(items: int, clusters: int, units: int, c: int, erased: int) -> float:
    """Return a number that grows with the predicted error and still differs between shapes whose error rounds to 1."""
    return _hazard(density(items, clusters, units, c), c - erased, erased * (units - 1))


def _width(step: int) -> int:
    """Return units per cluster: 16, 32, then multiples of 64."""
    return 64 * (step - 1) if step > 1 else 16 << step


def _steps(clusters: int, memory: int) -> int:
    """Return how many widths fit into ``memory`` bytes.

    From 64 units per cluster on, a row has whole words, so that n units take n^2 / 8 bytes.
    """
    wide = math.isqrt(8 * memory) // clusters // 64
    return wide + 2 if wide else sum(memory_bytes(clusters, _width(step)) <= memory for step in (0, 1))


def _smallest(items: int, error: float, share: float, sparse: bool) -> tuple[int, ...]:
    """Return the shape of the smallest memory that keeps to ``error``; () if there is none.

    For a number of clusters the error falls as units are added, so the number of units is found by bisection.
    """
    best: tuple[int, int, float, tuple[int, ...]] = (_MAX_SIZE**2, 0, 0.0, ())
    for clusters, c, erased in _shapes(share, sparse):

        def meets(step: int, x: int = clusters, c: int = c, e: int = erased) -> bool:
            return _strain(items, x, _width(step), c, e) <= -math.log1p(-error)

        steps = _steps(clusters, best[0])  # larger memories than the best so far are skipped
        if steps and meets(steps - 1):
            shape = (clusters, _width(bisect_left(range(steps - 1), True, key=meets)), c, erased)
            best = min(best, (memory_bytes(*shape[:2]), clusters, _strain(items, *shape), shape))
    return best[3]


def plan(
    items: int, *, memory: int | None = None, error: float = 0.01, erased: float = 0.25, sparse: bool = False
) -> Plan:
    """Propose the smallest clique memory that recalls ``items`` random messages in one guided step.

    Parameters
    ----------
    items : int
        Messages to store, 1 to 10**18.
    memory : int, optional
        Bytes that the network may take, at least 512. If no network within them keeps to ``error``, the plan does not
        fit: it is then the one with the lowest predicted error within ``memory``, and of equal ones the one with fewer
        clusters.
    error : float
        Share of cues that may fail, 1e-12 to 0.99.
    erased : float
        Share of its symbols that a cue lacks, at most 0.95; rounded up to whole symbols, at least one.
    sparse : bool
        Consider 6 to 24 active clusters of up to 256 as well, not only dense networks of 4 to 64.

    Raises
    ------
    InputError
        Arguments out of range, or no memory meets the task.
    """
    _check("items", items, 1, 10**18, whole=True)
    _check("error", error, 1e-12, 0.99)
    _check("erased", erased, 0, 0.95)
    least = min(memory_bytes(x, 16) for x, _, _ in _shapes(erased, sparse))
    _check("memory", least if memory is None else memory, least, _MAX_SIZE**2, whole=True)
    shape = _smallest(items, error, erased, sparse)
    if not shape:
        raise InputError(f"plan: expected a task that some memory meets, found {items} items with {erased} erased")
    needed = None
    if memory is not None and memory_bytes(*shape[:2]) > memory:
        needed = memory_bytes(*shape[:2])
        widest = [(x, _width(_steps(x, memory) - 1), c, e) for x, c, e in _shapes(erased, sparse) if _steps(x, memory)]
        shape = min(widest, key=lambda each: (_strain(items, *each), each))
    clusters, units, c, e = shape
    full = density(items, clusters, units, c)
    wrong, chance = one_step_error(full, clusters, units, e, c), chance_familiarity(full, c)
    size, holds = memory_bytes(clusters, units), int(messages_at_error(error, clusters, units, e, c))
    return Plan(items, clusters, units, c, e, size, full, wrong, chance, holds, needed is None, needed)
