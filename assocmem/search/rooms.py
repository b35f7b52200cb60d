"""Room for the numbers of queries, kept between searches of an index that has not changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import F32, LANES
from assocmem.search.pool_kernels import EMPTY_BIAS, POOL_BLOCKS, POOL_ITEMS
from assocmem.search.probing import BUCKETS, RATE_ENTRIES, RATE_LOWEST, RATE_STEP, STAGE, Goal, Model, Scratch, Stored


def reaches_of(model: Model, goal: Goal) -> F32:
    """Return ``Scratch.reaches`` of a search."""
    reaches = np.empty((len(model.router_rates), 2), np.float32)
    least = goal.least / POOL_ITEMS
    for kind in range(len(reaches)):
        reaches[kind] = _reach(model.router_rates[kind], least), _reach(model.item_rates[kind], goal.item_yield)
    return reaches


def make_scratch(stored: Stored, model: Model, goal: Goal) -> tuple[int, Scratch]:
    """Return the number of places of pools, and room for the numbers of one query."""
    sizes = stored.pools.sizes[: int(stored.pools.pool_count[0])]
    used = np.arange(POOL_BLOCKS) < -(-sizes[:, None] // LANES)
    blocks = np.flatnonzero(used.reshape(-1)).astype(np.int32)
    lanes, room = LANES * len(blocks), len(stored.items.members)
    slots = (LANES * blocks[:, None] + np.arange(LANES)).reshape(-1)
    filled = stored.pool_biases[blocks].reshape(-1) != EMPTY_BIAS
    pools = np.where(filled, stored.pools.members[slots], 0)
    items = np.where(filled, stored.items.sizes[pools], 0).astype(np.float32)
    reaches = reaches_of(model, goal)
    floats, places = np.empty((5, lanes), np.float32), np.empty((2, lanes), np.int32)
    found, numbers = np.empty((5, room), np.float32), np.empty((2, room), np.int32)
    return lanes, Scratch(
        blocks=blocks,
        spreads=np.where(filled, stored.spreads[pools], 0).astype(np.float32),
        sizes=items,
        scores=floats[0],
        middles=floats[1],
        widths=floats[2],
        heights=floats[3],
        keys=floats[4],
        places=places[0],
        order=places[1],
        starts=np.empty(BUCKETS + 1, np.int32),
        first_scores=found[4],
        first_blocks=np.empty(room // LANES, np.int32),
        first_errors=np.empty(room // LANES, np.float32),
        found_scores=found[0],
        found_slots=numbers[0],
        found_errors=found[1],
        sorted_scores=found[2],
        sorted_slots=numbers[1],
        sorted_errors=found[3],
        counts=np.zeros(STAGE + 1, np.int64),
        stages=np.zeros(len(stored.items.sizes), np.int32),
        sums=np.empty(LANES, np.uint16),
        lanes=np.empty(LANES, np.float32),
        reaches=reaches,
    )


def _reach(rates: F32, least: float) -> float:
    """Return the standard deviations from which a rate, of which there is one per entry, exceeds ``least``."""
    above = np.flatnonzero(rates > least)
    return RATE_LOWEST + RATE_STEP * (int(above[0]) if len(above) else RATE_ENTRIES - 1)


class _Room(NamedTuple):
    version: int
    lanes: int
    scratch: Scratch
    model: Model
    goal: Goal
    """what ``scratch.reaches`` are for"""


class Rooms:
    """Keeps one room: making one takes longer than a query. Threads that search at the same time make their own."""

    def __init__(self) -> None:
        self._spare: deque[_Room] = deque(maxlen=1)

    @contextmanager
    def taken(self, version: int, stored: Stored, model: Model, goal: Goal) -> Iterator[tuple[int, Scratch]]:
        """Lend a room for a search; ``version``: number of the state of the index, which ``stored`` shows."""
        room = self._room(version, stored, model, goal)
        yield room.lanes, room.scratch
        self._spare.append(room)

    def _room(self, version: int, stored: Stored, model: Model, goal: Goal) -> _Room:
        try:
            room = self._spare.pop()  # another thread may have been quicker
        except IndexError:
            room = None
        if room is None or room.version != version:
            return _Room(version, *make_scratch(stored, model, goal), model, goal)
        if room.model is not model or room.goal != goal:
            reaches = reaches_of(model, goal)
            return room._replace(scratch=room.scratch._replace(reaches=reaches), model=model, goal=goal)
        return room
