"""The memories for "does the collection contain this picture, or a near copy, and which item is it?", in three files.

``memory-messages.h5`` contains every living item's message and the measured errors of the first memory;
``memory-seen.h5`` the bits of the first, which says whether; ``memory-names.h5`` the rows of the second, which says
which. A question reads both from memory maps. New items are added to them; when a tenth has been added, or something
was removed, they are built again, of the size that the number of items needs.
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

from assocmem._numerics.types import F32, I64, U16, Bools
from assocmem.codes.hash_codes import MessageCoder
from assocmem.errors import AssocmemError
from assocmem.index.derived.clique_memory import Messages, living_messages, message_problems, read_messages
from assocmem.index.derived.files import FAMILIARITY, MESSAGES, NAMES, keep_file, not_of_the_items, read_kept
from assocmem.index.store.snapshot import Snapshot
from assocmem.memory.familiarity import SeenMemory
from assocmem.memory.familiarity_eval import FamiliarityReport, build_and_evaluate
from assocmem.memory.naming import NamingMemory, rows_for

MOST_GROWTH = 1.1
"""A memory with this many times the items of its last evaluation is built and evaluated again."""


@dataclass(frozen=True, slots=True)
class Familiarity:
    """The two memories, the measured errors of the first, and the answers."""

    memory: SeenMemory
    judgement: FamiliarityReport
    naming: NamingMemory

    def seen(self, messages: U16) -> Bools:
        """Return for each message whether it, or a similar one, is known, bool (n,)."""
        return self.memory.seen(messages, self.judgement.threshold)

    def evidence(self, messages: U16) -> F32:
        """Return the evidence that it is, float32 (n,), in bits."""
        return self.memory.evidence(messages)

    def names(self, messages: U16) -> I64:
        """Return the items whose messages are similar, int64 (n, NAMED), the likeliest first; -1 for none."""
        return self.naming.names(messages).numbers


def _named(messages: Messages) -> NamingMemory:
    naming = NamingMemory(rows_for(len(messages.ids)), clusters=messages.symbols.shape[1])
    naming.store(messages.symbols, messages.ids)
    return naming


def familiarity(snapshot: Snapshot, folder: Path, coder: MessageCoder, *, keep: bool = False) -> Familiarity:
    """Return the memory of all living items: that of its files if they are of this generation, else a new one.

    With ``keep``, the files are replaced if they are not.
    """
    found = kept_familiarity(folder, snapshot.generation)
    if found is not None:
        return found
    known = _known_messages(folder, coder)
    messages = living_messages(snapshot, coder, known)
    made = _extended(folder, known, messages) or Familiarity(*build_and_evaluate(messages.symbols), _named(messages))
    if keep:
        with contextlib.suppress(OSError, RuntimeError, AssocmemError):  # a full disk: it can be built at any time
            made.memory.save(folder / FAMILIARITY)
            made.naming.save(folder / NAMES)
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
    kept.naming.store(messages.symbols[fresh], messages.ids[fresh])
    return kept


def _fill(file: h5py.File, messages: Messages, made: Familiarity) -> None:
    about = json.dumps(dataclasses.asdict(made.judgement))
    bits, names = (zlib.crc32(memory.bits.data) for memory in (made.memory, made.naming))
    file.attrs.update({"judgement": np.bytes_(about), "bits": bits, "names": names})
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
        memory, naming = SeenMemory.load(folder / FAMILIARITY, mmap=mmap), NamingMemory.load(folder / NAMES, mmap=mmap)
        sums = [zlib.crc32(one.bits.data) for one in (memory, naming)]
        same = sums == [file.attrs["bits"], file.attrs["names"]]  # the files were written together
        return Familiarity(memory, _judgement(file), naming) if same else None

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
        made = living_messages(snapshot, coder, Messages(kept.ids[:0], kept.symbols[:0]))
        memory.store(made.symbols)
        if memory != found.memory:
            problems.append(not_of_the_items(folder / FAMILIARITY, "ties"))
        naming = NamingMemory(**found.naming.shape)
        naming.store(made.symbols, made.ids)
        if naming != found.naming:
            problems.append(not_of_the_items(folder / NAMES, "names"))
    return problems


def prepare() -> None:
    """Compile, or load, the kernels that storing and asking take."""
    messages = MessageCoder(8).messages(np.eye(8))
    memory, judgement = build_and_evaluate(np.repeat(messages, 2, axis=0))
    memory.seen(messages, judgement.threshold)
    naming = NamingMemory(64)
    naming.store(messages, np.arange(len(messages)))
    naming.names(messages)
