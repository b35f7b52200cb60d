"""What an index says about itself and its searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from assocmem._storage.hdf5 import is_mapped
from assocmem.search.blocks import POOL_ITEMS

if TYPE_CHECKING:
    from assocmem.search._vector_store import StoredVectors


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


def take_stock(index: StoredVectors) -> Stats:
    """Count what an index holds and takes, while nobody writes to it."""
    tree, features = index._tree, index._features
    mapped = features.head.nbytes if is_mapped(features.head) else 0
    memory = {
        "codes and pools": tree.items.nbytes,
        "routing": tree.pools.nbytes + tree.groups.nbytes,
        "ids": index._ids.nbytes + 8 * len(index._vacant),
        "vectors": features.head.nbytes - mapped + features.tail.nbytes,
    }
    used = tree.items.pools - len(tree.items.vacant)
    fill = len(index) / (POOL_ITEMS * used) if used else 0.0
    return Stats(len(index), used, tree.pools.pools, fill, index.clusters // 2, memory, mapped)
