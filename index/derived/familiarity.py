"""The familiarity memory of a collection: does it contain this picture, or a near copy? Kept in two files.

``memory-messages.h5`` contains every living item's message and the measured errors of the memory; ``memory-seen.h5``
the bits, which a question reads from a memory map. New items are added to the stored bits; when a tenth has been added,
or something was removed, the memory is built again, of the size that the number of items needs.
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
from assocmem.index.derived.clique_memory import Messages, living_messages, message_problems, read_messages
from assocmem.index.derived.files import FAMILIARITY, MESSAGES, keep_file, not_of_the_items, read_kept
from assocmem.index.results import Seen
from assocmem.index.store.snapshot import Snapshot
from assocmem.memory.familiarity import SeenMemory
from assocmem.memory.familiarity_eval import FamiliarityReport, build_and_evaluate

MOST_GROWTH = 1.1
"""A memory with this many times the items of its last evaluation is built and evaluated again."""


@dataclass(frozen=True, slots=True)
class Familiarity:
    """A memory, its measured errors, and its answers."""

    memory: SeenMemory
    judgement: FamiliarityReport

    def answer(self, path: str, messages: U16) -> Seen:
        """Return whether a picture or video was seen, from its messages: at least half of them must be."""
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


def familiarity(snapshot: Snapshot, folder: Path, coder: MessageCoder, *, keep: bool = False) -> Familiarity:
    """Return the memory of all living items: that of its files if they are of this generation, else a new one.

    With ``keep``, the files are replaced if they are not.
    """
    found = kept_familiarity(folder, snapshot.generation)
    if found is not None:
        return found
    known = _known_messages(folder, coder)
    messages = living_messages(snapshot, coder, known)
    made = _extended(folder, known, messages) or Familiarity(*build_and_evaluate(messages.symbols))
    if keep:
        with contextlib.suppress(OSError, RuntimeError, AssocmemError):  # a full disk: it can be built at any time
            made.memory.save(folder / FAMILIARITY)
            keep_file(folder / MESSAGES, snapshot.generation, lambda file: _fill(file, messages, made))
    return made


def _extended(folder: Path, known: Messages, messages: Messages) -> Familiarity | None:
    """Store new items in the kept memory; None if items were removed, too many are new, or files are missing."""
    fresh = ~np.isin(messages.ids, known.ids)
    kept = _read(folder, mmap=False)
    if kept is None or len(messages.ids) - fresh.sum() != len(known.ids):
        return None
    if not kept.judgement.items <= len(messages.ids) < MOST_GROWTH * kept.judgement.items:
        return None
    kept.memory.store(messages.symbols[fresh])
    return kept


def _fill(file: h5py.File, messages: Messages, made: Familiarity) -> None:
    about = json.dumps(dataclasses.asdict(made.judgement))
    file.attrs.update({"judgement": np.bytes_(about), "bits": zlib.crc32(made.memory.bits.data)})
    messages.fill(file)


def kept_familiarity(folder: Path, generation: int) -> Familiarity | None:
    """Return the memory in the files, its bits mapped; None if they are of another generation, missing or damaged."""
    return _read(folder, generation)


def kept_judgement(folder: Path, generation: int) -> FamiliarityReport | None:
    """Return the measured errors in the file, without reading the bits; None as in ``kept_familiarity``."""
    return read_kept(folder / MESSAGES, _judgement, generation)


def _judgement(file: h5py.File) -> FamiliarityReport:
    about: dict[str, Any] = json.loads(file.attrs["judgement"].decode())
    about |= {name: tuple(about[name]) for name in ("theory_miss", "measured_miss")}
    return FamiliarityReport(**about)


def _read(folder: Path, generation: int | None = None, *, mmap: bool = True) -> Familiarity | None:
    def read(file: h5py.File) -> Familiarity | None:
        memory = SeenMemory.load(folder / FAMILIARITY, mmap=mmap)
        same = zlib.crc32(memory.bits.data) == file.attrs["bits"]  # the two files were written together
        return Familiarity(memory, _judgement(file)) if same else None

    return read_kept(folder / MESSAGES, read, generation)


def _known_messages(folder: Path, coder: MessageCoder) -> Messages:
    return read_messages(folder / MESSAGES, coder.clusters, np.uint16)


def familiarity_problems(snapshot: Snapshot, folder: Path, coder: MessageCoder) -> list[str]:
    """Return what is wrong with the files; nothing if they are missing or of another generation."""
    kept = _known_messages(folder, coder)
    problems = message_problems(snapshot, folder / MESSAGES, coder, kept)
    found = kept_familiarity(folder, snapshot.generation)
    if found is not None:
        memory = SeenMemory(**found.memory.shape)
        memory.store(living_messages(snapshot, coder, Messages(kept.ids[:0], kept.symbols[:0])).symbols)
        if memory != found.memory:
            problems.append(not_of_the_items(folder / FAMILIARITY, "ties"))
    return problems


def prepare() -> None:
    """Compile, or load, the kernels that storing and asking take."""
    messages = MessageCoder(8).messages(np.eye(8))
    memory, judgement = build_and_evaluate(np.repeat(messages, 2, axis=0))
    memory.seen(messages, judgement.threshold)
