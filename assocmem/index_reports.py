"""What an index says about itself and its searches."""

from __future__ import annotations

from typing import NamedTuple


class Stages(NamedTuple):
    """What a search looked at, mean per query."""

    groups: float
    """Groups of pools whose codes were scored; 0 where all pools are looked at."""
    pools: float
    """Pools whose codes were scored."""
    items: float
    """Items whose codes were scored."""
    refined: float
    """Items that were compared by their vectors."""


class Stats(NamedTuple):
    """What an index holds and takes."""

    items: int
    pools: int
    groups: int
    fill: float
    """Mean share of a pool that is in use."""
    code_bytes: int
    """Bytes of an item's code."""
    memory: dict[str, int]
    """Bytes in memory, by what they are for; counted, arrays' spare room included."""
    mapped_bytes: int
    """Bytes of vectors in a mapped file."""
