"""The pools of a collection and their file: searched from 20,000 items on, brought up to date by the writer.

A search never waits for them. The file is stamped with a generation but serves any: items in it that are no longer
alive are skipped, and items that it does not contain yet are scanned. An item's code never changes, so an update
touches only items that were added or removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from assocmem._numerics.types import Arrays
from assocmem._storage.hdf5 import PAGE, read_array, write_arrays
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import AssocmemError
from assocmem.index.derived.files import POOLS, keep_file, not_of_the_items, read_kept
from assocmem.index.results import EngineInfo
from assocmem.index.store.snapshot import Snapshot
from assocmem.search.pool_level import STORED_ARRAYS
from assocmem.search.pooled import Pools, default_effort

FORMAT = 1
LEAST_FILL = 0.25
"""Share of the room in pools that is used, below which they are built again: many items were removed."""
_ROWS = 2048


def keep_pools(snapshot: Snapshot, folder: Path, coder: CliqueCoder) -> None:
    """Bring the file up to date with the living items, for the writer; a small collection has none.

    A failure (a full disk, a damaged segment) is ignored: a search can do without pools.
    """
    path = folder / POOLS
    with contextlib.suppress(OSError, RuntimeError, AssocmemError):
        if not snapshot.large:
            path.unlink(missing_ok=True)
            return
        found = read_pools(path, coder)
        if found is None or found.generation != snapshot.generation:
            whole = read_pools(path, coder, whole=True)
            pools = updated(Pools(coder) if whole is None else whole.pools, snapshot)
            write_pools(path, snapshot.generation, pools)
            pools.candidates(np.ones(coder.width, np.float32), 1.0, 1)  # compiles now what a search will need


def updated(pools: Pools, snapshot: Snapshot) -> Pools:
    """Remove dead items and add new ones; returns other pools if these would be too empty."""
    living = snapshot.living_ids()
    pools.remove(np.setdiff1d(pools.ids, living))
    if pools.fill < LEAST_FILL:
        pools = Pools(pools.coder)
    known = pools.known()
    for segment, dead in zip(snapshot.segments, snapshot.dead, strict=True):
        rows = np.setdiff1d(np.flatnonzero(np.isin(segment.ids, known, invert=True)), dead)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            pools.add(segment.features[part], segment.ids[part])
    return pools


def write_pools(path: Path, generation: int, pools: Pools) -> None:
    """Replace the file as a whole."""
    about = {"format": FORMAT, "kind": _kind(pools.coder)}
    arrays: Arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8), "ids": pools.ids}
    arrays |= pools.tree.state()
    keep_file(
        path, generation, lambda file: write_arrays(file, arrays), alignment_threshold=PAGE, alignment_interval=PAGE
    )


@dataclass(frozen=True, slots=True)
class StoredPools:
    """Pools, and the generation of the collection they were written for."""

    pools: Pools
    generation: int


def read_pools(path: Path, coder: CliqueCoder, *, whole: bool = False) -> StoredPools | None:
    """Return the pools in the file, of any generation; None if it is missing, damaged, or of another kind.

    Unless ``whole``, the items' codes stay in the file and are not checked: a wrong bit may cost a hit, but a hit is
    always compared by its feature.
    """

    def read(file: h5py.File) -> StoredPools | None:
        about = json.loads(read_array(file, path, "about").tobytes())
        if (about["format"], about["kind"]) != (FORMAT, _kind(coder)):
            return None
        pools = Pools(coder)
        for name, level in pools.tree.named_levels():
            mapped = {"codes"} if name == "items" and not whole else set()
            level.restore({
                part: read_array(file, path, f"{name} {part}", mapped=part in mapped, checked=part not in mapped)
                for part in STORED_ARRAYS
            })  # fmt: skip
        pools.ids = read_array(file, path, "ids")
        return StoredPools(pools, int(file.attrs["generation"]))

    return read_kept(path, read)


def _kind(coder: CliqueCoder) -> list[int]:
    """Return what the codes depend on."""
    return [coder.dim, coder.clusters, coder.seed, zlib.crc32(coder.mean.data)]


class PoolsReader:
    """The pools in the file, read again only after it was replaced."""

    def __init__(self, folder: Path, coder: CliqueCoder) -> None:
        self.path, self.coder = folder / POOLS, coder
        self._state: tuple[int, ...] | None = None
        self._pools: Pools | None = None

    def pools(self) -> Pools | None:
        """Return the pools; None if the file is missing or cannot be used."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if state != self._state:
            stored = read_pools(self.path, self.coder)
            self._pools, self._state = None if stored is None else stored.pools, state
        return self._pools


def engine_info(snapshot: Snapshot, folder: Path, coder: CliqueCoder) -> EngineInfo:
    """Return which engine answers searches, and its size."""
    stored = read_pools(folder / POOLS, coder) if snapshot.large else None
    if stored is None:
        return EngineInfo("exhaustive", len(snapshot) * coder.code_bytes, 0, 0, 1.0)
    waiting = len(np.setdiff1d(snapshot.living_ids(), stored.pools.ids))
    in_use = stored.pools.tree.items.pools_in_use
    return EngineInfo("pools", stored.pools.nbytes, in_use, waiting, default_effort(len(snapshot)))


def pool_problems(snapshot: Snapshot, folder: Path, coder: CliqueCoder) -> list[str]:
    """Return what is wrong with the file: damage, or codes that are not the items'; nothing if it is missing."""
    path = folder / POOLS
    if not path.exists() or not snapshot.large:
        return []
    stored = read_pools(path, coder, whole=True)
    if stored is None:
        return [f"{path}: expected pools of this collection, found damage; remove it, it will be built again"]
    pools = stored.pools
    found = pools.tree.inconsistent_levels()
    ids, codes = snapshot.living_codes()
    if stored.generation == snapshot.generation and not np.array_equal(pools.known(), np.sort(ids)):
        found.append("ids")
    _, theirs, ours = np.intersect1d(pools.ids, ids, return_indices=True)
    if not np.array_equal(pools.tree.items.coded(theirs.astype(np.int32)).codes, codes[ours]):
        found.append("codes")
    return [not_of_the_items(path, ", ".join(found))] if found else []
