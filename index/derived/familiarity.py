"""Has the collection this, or a near copy of it? Its memory of what was seen, kept in two files, and what it answers.

``memory-messages.h5`` holds every living item's message, and what the memory is worth; ``memory-seen.h5`` the bits,
which a question reads where they lie. New items are stored beside the old; when a tenth has been added, or something
was removed, the memory is built anew, of the size that the number of items asks for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from assocmem._numerics.types import U16
from assocmem.codes.hash_codes import MessageCoder
from assocmem.errors import AssocmemError
from assocmem.index.derived.clique_memory import Messages, living_messages
from assocmem.index.derived.files import add_dataset, keep_file
from assocmem.index.results import Seen
from assocmem.index.store.snapshot import Snapshot
from assocmem.memory.familiarity import SeenMemory
from assocmem.memory.familiarity_eval import Judgement, build

MESSAGES, BITS = "memory-messages.h5", "memory-seen.h5"
GROWN = 1.1
"""A memory that holds so many times the items it was judged with is built and judged anew."""


@dataclass(frozen=True, slots=True)
class Familiar:
    """A memory, and how it answers."""

    memory: SeenMemory
    judgement: Judgement

    def answer(self, path: str, messages: U16) -> Seen:
        """Say whether something was seen, by the messages of its picture or shots: at least half of them must be."""
        seen = self.memory.seen(messages, self.judgement.threshold)
        evidence = self.memory.evidence(messages)
        return Seen(
            path=path,
            seen=bool(2 * seen.sum() >= len(seen)),
            evidence=float(np.median(evidence)),
            threshold=self.judgement.threshold,
            parts=len(seen),
            parts_seen=int(seen.sum()),
        )


def familiar(snapshot: Snapshot, folder: Path, coder: MessageCoder, *, keep: bool = False) -> Familiar:
    """Return the memory of all living items: that of its files when they belong to this generation, else a new one.

    With ``keep`` the files are replaced then.
    """
    found = kept_familiar(folder, snapshot.generation)
    if found is not None:
        return found
    known = read_seen_messages(folder, coder)
    messages = living_messages(snapshot, coder, known)
    made = _extended(folder, known, messages) or Familiar(*build(messages.symbols))
    if keep:
        with contextlib.suppress(OSError, RuntimeError, AssocmemError):  # a full disk: it can be built at any time
            made.memory.save(folder / BITS)
            keep_file(folder / MESSAGES, snapshot.generation, lambda file: _fill(file, messages, made))
    return made


def _extended(folder: Path, known: Messages, messages: Messages) -> Familiar | None:
    """Store what is new beside what is kept; None when items were removed, too many are new, or there are no files."""
    fresh = ~np.isin(messages.ids, known.ids)
    kept = _read(folder, mmap=False)
    if kept is None or len(messages.ids) - fresh.sum() != len(known.ids):
        return None
    if not kept.judgement.items <= len(messages.ids) < GROWN * kept.judgement.items:
        return None
    kept.memory.store(messages.symbols[fresh])
    return kept


def _fill(file: h5py.File, messages: Messages, made: Familiar) -> None:
    about = json.dumps(dataclasses.asdict(made.judgement))
    file.attrs.update({"judgement": np.bytes_(about), "bits": zlib.crc32(made.memory.bits.data)})
    add_dataset(file, "ids", messages.ids, 65536)
    add_dataset(file, "symbols", messages.symbols, 65536)


def kept_familiar(folder: Path, generation: int) -> Familiar | None:
    """Return the memory in the files, its bits mapped; None when they are of another generation, missing or damaged."""
    return _read(folder, generation)


def kept_judgement(folder: Path, generation: int) -> Judgement | None:
    """Return what was found when the memory was built; None as for ``kept_familiar``. The bits are not looked at."""
    with contextlib.suppress(Exception), h5py.File(folder / MESSAGES, "r") as file:  # h5py raises nearly everything
        if file.attrs["generation"] == generation:
            return _judgement(file)
    return None


def _judgement(file: h5py.File) -> Judgement:
    about: dict[str, Any] = json.loads(file.attrs["judgement"].decode())
    about |= {name: tuple(about[name]) for name in ("theory_miss", "measured_miss")}
    return Judgement(**about)


def _read(folder: Path, generation: int | None = None, *, mmap: bool = True) -> Familiar | None:
    with contextlib.suppress(Exception), h5py.File(folder / MESSAGES, "r") as file:
        if generation in (None, file.attrs["generation"]):
            memory = SeenMemory.load(folder / BITS, mmap=mmap)
            if zlib.crc32(memory.bits.data) == file.attrs["bits"]:  # the two were written together
                return Familiar(memory, _judgement(file))
    return None


def read_seen_messages(folder: Path, coder: MessageCoder) -> Messages:
    """Messages in the file, of whatever generation: an item's never change. None when it is missing or damaged."""
    with contextlib.suppress(Exception), h5py.File(folder / MESSAGES, "r") as file:
        messages = Messages(file["ids"][:], file["symbols"][:])
        if messages.symbols.shape == (len(messages.ids), coder.clusters):
            return messages
    return Messages(np.empty(0, np.int64), np.empty((0, coder.clusters), np.uint16))


def prepare() -> None:
    """Compile, or load, the kernels that storing and asking take."""
    messages = MessageCoder(8).messages(np.eye(8))
    memory, judgement = build(np.repeat(messages, 2, axis=0))
    memory.seen(messages, judgement.threshold)
