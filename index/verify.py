"""Is a collection whole? Catalog, segments and memories are checked against each other; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assocmem.codes.hash_codes import MessageCoder
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.concepts.unit_counts import UnitCounts
from assocmem.errors import CollectionMismatchError, DamagedCollectionError
from assocmem.index.derived.clique_memory import CLIQUES, Messages, Messenger, living_messages, read_messages
from assocmem.index.derived.familiarity import BITS, MESSAGES, kept_familiar, read_seen_messages
from assocmem.index.derived.files import CONCEPTS, IMAGENET_CLASSES, feed, load_memory
from assocmem.index.derived.pools import pool_problems
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.segments import checked_chunks, read_segment
from assocmem.index.store.snapshot import take_snapshot
from assocmem.memory.familiarity import SeenMemory


def verify(
    catalog: Catalog,
    folder: Path,
    coder: CliqueCoder,
    messenger: MessageCoder,
    progress: Callable[[int, int], Any] | None = None,
) -> list[str]:
    """Return one line for everything that is wrong.

    Every checksum is checked, every code compared with a fresh encoding of its feature, every item of the catalog
    looked up in its segment.
    """
    problems = catalog.integrity()
    segments = folder / "segments"
    live = catalog.segments()
    for done, (number, rows) in enumerate(live.items()):
        if progress is not None:
            progress(done, len(live))
        found: list[str] = []
        try:
            found += _segment_problems(catalog, segments, number, rows, coder)
        except FileNotFoundError as error:
            found.append(f"{error.filename}: expected a segment of {rows} items, found no file")
        except (DamagedCollectionError, CollectionMismatchError) as error:
            found.append(str(error))
        if found and number in catalog.segments():  # else a writer at work has merged it meanwhile
            problems += found
    return problems or _memory_problems(catalog, folder, coder, messenger)


def _memory_problems(catalog: Catalog, folder: Path, coder: CliqueCoder, messenger: MessageCoder) -> list[str]:
    """Compare memories in their files with new ones; a file that cannot be read, or is old, does no harm."""
    snapshot = take_snapshot(catalog, folder / "segments")
    problems = []
    stored, fresh = (UnitCounts(coder.clusters, IMAGENET_CLASSES) for _ in range(2))
    if load_memory(stored, folder / CONCEPTS, snapshot.generation):
        feed(fresh, snapshot)
        if not np.array_equal(stored.counts, fresh.counts):
            problems.append(_NOT_THE_ITEMS.format(folder / CONCEPTS, "counts"))
    sources: tuple[tuple[str, Messenger, Messages], ...] = (
        (CLIQUES, coder, read_messages(folder / CLIQUES, coder)),
        (MESSAGES, messenger, read_seen_messages(folder, messenger)),
    )
    for name, maker, kept in sources:
        made = living_messages(snapshot, maker, kept.none())
        _, theirs, ours = np.intersect1d(kept.ids, made.ids, assume_unique=True, return_indices=True)
        if not np.array_equal(kept.symbols[theirs], made.symbols[ours]):
            problems.append(_NOT_THE_ITEMS.format(folder / name, "messages"))
    found = kept_familiar(folder, snapshot.generation)
    if found is not None:
        memory = SeenMemory(**found.memory.shape)
        memory.store(made.symbols)
        if memory != found.memory:
            problems.append(_NOT_THE_ITEMS.format(folder / BITS, "ties"))
    return problems + pool_problems(snapshot, folder, coder) + _taught_problems(catalog, folder, coder.dim)


def _taught_problems(catalog: Catalog, folder: Path, dim: int) -> list[str]:
    """Hold what is kept of teachings against what they give anew."""
    from assocmem.index.teach.taught_model import TAUGHT, Taught

    if catalog.meta("taught") is None:
        return []
    kept, fresh = Taught(catalog, dim, folder), Taught(catalog, dim, folder, anew=True)
    pairs = zip(kept.memory.solved().values(), fresh.memory.solved().values(), strict=True)
    if all(np.allclose(one, other, rtol=1e-3, atol=1e-4) for one, other in pairs):
        return []
    return [_NOT_THE_ITEMS.format(folder / TAUGHT, "weights").replace("items", "examples")]


_NOT_THE_ITEMS = "{}: its {} are not those of the items; remove it, it will be built again"


def _segment_problems(catalog: Catalog, folder: Path, number: int, rows: int, coder: CliqueCoder) -> Iterator[str]:
    segment = read_segment(folder, number)
    name = f"segment {number}"
    expected = {"ids": (rows,), "codes": (rows, coder.code_bytes), "features": (rows, coder.dim)}
    expected |= {"labels": (rows, segment.labels.shape[-1]), "label_scores": segment.labels.shape}
    for column, shape in expected.items():
        found = getattr(segment, column).shape
        if found != shape:
            yield f"{name}: expected {column} of shape {shape}, found {found}"
            return
    places = catalog.segment_rows(number)
    if [row for row, _, _ in places] != list(range(rows)):
        yield f"{name}: expected rows 0 to {rows - 1} in the catalog, found {len(places)} others"
    elif [item for _, item, _ in places] != segment.ids.tolist():
        yield f"{name}: its ids are not those of the catalog"
    start = 0
    for features, _ in checked_chunks(folder, number):
        codes = segment.codes[start : start + len(features)]
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            yield f"{name}: {int((~finite).sum())} features hold NaN or infinity"
        wrong = int((coder.encode(features[finite]) != codes[finite]).any(axis=1).sum())
        if wrong:
            yield f"{name}: {wrong} codes do not belong to their features"
        start += len(features)
