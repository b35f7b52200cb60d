"""All memories that are derived from the segments, brought up to date; the writer does so in the end."""

from __future__ import annotations

from pathlib import Path

from assocmem.codes.hash_codes import MessageCoder
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.index.derived.clique_memory import memory_info
from assocmem.index.derived.familiarity import familiar
from assocmem.index.derived.files import imagenet_memory
from assocmem.index.derived.pools import keep_pools
from assocmem.index.store.snapshot import Snapshot


def keep_memories(snapshot: Snapshot, folder: Path, coder: CliqueCoder, messenger: MessageCoder) -> None:
    """Replace the files of memories that are not of this generation."""
    imagenet_memory(snapshot, folder, coder.clusters, keep=True)
    memory_info(snapshot, folder, coder, keep=True)
    familiar(snapshot, folder, messenger, keep=True)
    keep_pools(snapshot, folder, coder)
