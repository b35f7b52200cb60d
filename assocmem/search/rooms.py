"""Room for the numbers of queries, kept between searches of an index that has not changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from assocmem.search.probing import Goal, Model, Scratch, Stored, make_scratch, reaches_of


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
            reaches = reaches_of(model, goal, float(room.scratch.sizes.sum()))
            return room._replace(scratch=room.scratch._replace(reaches=reaches), model=model, goal=goal)
        return room
