"""When the files of derived memories are brought up to date: after enough changes, not after every commit.

Until then a question builds from the segments what the files do not have yet. So adding one picture costs one segment
and one transaction, and indexing a folder costs one refresh at its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from assocmem.index.derived.files import CLIQUES, FAMILIARITY, LABEL_COUNTS, MESSAGES, NAMES, POOLS, read_kept
from assocmem.index.store.snapshot import Snapshot

if TYPE_CHECKING:
    from assocmem.codes.hash_codes import MessageCoder
    from assocmem.codes.winner_codes import CliqueCoder

REFRESH_AT = 256
"""New items from which on the files are replaced.

Catching up with fewer costs a question milliseconds; replacing the files costs seconds where there are a million items.
"""
REBUILT_UP_TO = 4096
"""Items up to which a question may rebuild a memory from which something was removed; it takes a tenth of a second."""


def refresh_if_due(snapshot: Snapshot, folder: Path, coder: CliqueCoder, message_coder: MessageCoder) -> None:
    """Replace the files of all derived memories if enough has changed or some are missing; for the writer."""
    added, removed = changes_since_refresh(snapshot, folder)
    if added >= REFRESH_AT or (removed and len(snapshot) > REBUILT_UP_TO) or not _complete(snapshot, folder):
        refresh(snapshot, folder, coder, message_coder)


def _complete(snapshot: Snapshot, folder: Path) -> bool:
    """Return whether all files are of one generation, or all are missing.

    Otherwise a writer was killed while it replaced them, or somebody removed one: it would be missing for long.
    """
    names = [LABEL_COUNTS, CLIQUES, MESSAGES, *([POOLS] if snapshot.large else [])]
    generations = {read_kept(folder / name, lambda file: int(file.attrs["generation"])) for name in names}
    together = {(folder / name).exists() for name in (FAMILIARITY, NAMES, MESSAGES)}
    return len(generations) == 1 and len(together) == 1


def changes_since_refresh(snapshot: Snapshot, folder: Path) -> tuple[int, int]:
    """Return how many items were added and removed since the files were written.

    Ids grow with time, so items above the greatest id in the file of messages are new.
    """
    stored, last = read_kept(folder / MESSAGES, _stored_items) or (0, -1)
    added = sum(int((segment.ids[rows] > last).sum()) for segment, rows in snapshot.living())
    return added, stored + added - len(snapshot)


def _stored_items(file: h5py.File) -> tuple[int, int]:
    """Return the number of items in the file of messages, and the greatest id."""
    ids = file["ids"]
    return len(ids), int(ids[-1]) if len(ids) else -1


def refresh(snapshot: Snapshot, folder: Path, coder: CliqueCoder, message_coder: MessageCoder) -> None:
    """Replace the files that are not of this generation."""
    # Not imported at the top: a search does not wait for these kernels.
    from assocmem.index.derived.clique_memory import memory_info
    from assocmem.index.derived.familiarity import familiarity
    from assocmem.index.derived.label_counts import label_counts
    from assocmem.index.derived.pools import keep_pools

    label_counts(snapshot, folder, coder.clusters, keep=True)
    memory_info(snapshot, folder, coder, keep=True)
    familiarity(snapshot, folder, message_coder, keep=True)
    keep_pools(snapshot, folder, coder)
