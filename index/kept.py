"""All memories that are derived from the segments, brought up to date; the writer does so in the end."""

from __future__ import annotations

from pathlib import Path

from assocmem.codes import CliqueCoder
from assocmem.index.cliques import memory_info
from assocmem.index.memories import imagenet_memory
from assocmem.index.pools import keep_pools
from assocmem.index.seen import familiar
from assocmem.index.snapshot import Snapshot
from assocmem.message_codes import MessageCoder


def keep_memories(snapshot: Snapshot, folder: Path, coder: CliqueCoder, messenger: MessageCoder) -> None:
    """Replace the files of memories that are not of this generation."""
    imagenet_memory(snapshot, folder, coder.clusters, keep=True)
    memory_info(snapshot, folder, coder, keep=True)
    familiar(snapshot, folder, messenger, keep=True)
    keep_pools(snapshot, folder, coder)
