"""Random messages and cues of them: the task that the clique memory and FAISS are both given.

Imports no numba, so that FAISS's processes can use it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import I32, I64
from assocmem._numerics.validation import ERASED, UNUSED

_PART = 1 << 15


def random_messages(rng: np.random.Generator, count: int, clusters: int, units: int, active: int) -> I32:
    """Return messages of ``active`` random symbols in random clusters, int32 (count, clusters); -1 = not used."""
    messages = rng.integers(0, units, (count, clusters), dtype=np.int32)
    if active < clusters:
        for start in range(0, count, _PART):
            part = messages[start : start + _PART]
            unused = np.argpartition(rng.random(part.shape, np.float32), active, axis=1)[:, active:]
            np.put_along_axis(part, unused, np.int32(-1), axis=1)
    return messages


def make_cues(
    rng: np.random.Generator, messages: I32, count: int, units: int, *, erased: int, wrong: int = 0, guided: bool = True
) -> tuple[I32, I64]:
    """Draw messages and make cues of them: some symbols erased, some replaced by wrong ones, at random places.

    Parameters
    ----------
    rng : Generator
    messages : int32 (m, clusters)
    count : int
        Number of cues.
    units : int
        Units of each cluster.
    erased, wrong : int
        Symbols of each cue.
    guided : bool
        Whether the recall will know which clusters a message uses.

    Returns
    -------
    cues : int32 (count, clusters)
        -1 where erased; where the message uses no cluster, -2 if guided, else -1.
    rows : int64 (count,)
        The messages drawn.
    """
    rows = rng.integers(0, len(messages), count)
    cues = messages[rows]
    order = rng.random(cues.shape)
    order[cues < 0] = 2  # after all clusters that are used
    places = np.argsort(order, axis=1)
    cues[cues < 0] = UNUSED if guided else ERASED
    np.put_along_axis(cues, places[:, :erased], np.int32(ERASED), axis=1)
    replaced = places[:, erased : erased + wrong]
    offsets = rng.integers(1, units, replaced.shape, dtype=np.int32) if wrong else np.zeros(replaced.shape, np.int32)
    np.put_along_axis(cues, replaced, (np.take_along_axis(cues, replaced, axis=1) + offsets) % units, axis=1)
    return cues, rows


class CueTask(NamedTuple):
    """Messages, cues and the rows drawn, as three .npy files of a folder; it is passed between processes."""

    clusters: int
    units: int
    messages: int
    folder: str

    @property
    def files(self) -> tuple[str, str, str]:
        """Paths of the messages, the cues and the rows."""
        messages, cues, rows = (f"{self.folder}/{name}.npy" for name in ("messages", "cues", "rows"))
        return messages, cues, rows


def write_task(
    folder: Path, clusters: int, units: int, messages: int, erased: int, cues: int, seed: int = 0
) -> CueTask:
    """Make the task of a dense network, in which every message uses every cluster, and write its files."""
    rng = np.random.default_rng([seed, clusters, units, messages])
    stored = random_messages(rng, messages, clusters, units, clusters)
    home = folder / f"{clusters}-{units}-{messages}"
    home.mkdir(parents=True, exist_ok=True)
    task = CueTask(clusters, units, messages, str(home))
    asked, rows = make_cues(rng, stored, cues, units, erased=erased)
    files = task.files
    np.save(files[0], stored)
    np.save(files[1], asked)
    np.save(files[2], rows)
    return task
