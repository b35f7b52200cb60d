"""From prepared pictures to described items: the network, in threads; results in the order of the files."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from assocmem._numerics.types import F32, I8
from assocmem.errors import MediaError
from assocmem.extractors.base import Extraction, Extractor
from assocmem.index.ingest.decode import End, Part, failure

BATCH = 4  # pictures per call: nothing is gained by more on a CPU, and results come sooner
MOST_THREADS = 4  # each takes memory for a call of its own


@dataclass(frozen=True, slots=True)
class Item:
    """A described item."""

    feature: F32
    """float32 (dim,): mean over the frames of a shot"""
    logits: F32 | None
    start: float | None
    end: float | None
    sketch: I8 | None = None
    """int8 (LENGTH,)"""


@dataclass(slots=True)
class Result:
    """Everything about one file, ready to be stored."""

    end: End
    items: list[Item] = field(default_factory=list)


def describe(
    messages: Iterable[Part | End], extractor: Extractor, *, threads: int = 1
) -> Generator[Result, None, None]:
    """Run the network over the parts; yield each file's result when it is complete, in order.

    Several threads, because one alone leaves a core idle whenever the decoders are ahead of it. Closing the generator
    early (or an exception in the consumer) ends them after the call they are in.
    """
    items: list[Item] = []
    running: deque[tuple[list[Part | End], Future[list[Item]]]] = deque()
    workers = min(threads, MOST_THREADS)
    with ThreadPoolExecutor(workers, thread_name_prefix="network") as pool:
        try:
            for group in _groups(messages):
                parts = [message for message in group if isinstance(message, Part)]
                running.append((group, pool.submit(describe_parts, parts, extractor)))
                while len(running) > workers or (running and running[0][1].done()):
                    yield from _results(*running.popleft(), items)
            while running:
                yield from _results(*running.popleft(), items)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _groups(messages: Iterable[Part | End]) -> Iterator[list[Part | End]]:
    """Cut the stream where a network call is worth while; a file's end never waits for long."""
    group: list[Part | End] = []
    images = 0
    for message in messages:
        group.append(message)
        images += len(message.images) if isinstance(message, Part) else 0
        waited = len(group) >= 4 * BATCH
        if images >= BATCH or waited or (images == 0 and isinstance(message, End)):
            yield group
            group, images = [], 0
    yield group


def _results(group: list[Part | End], described: Future[list[Item]], items: list[Item]) -> Iterator[Result]:
    """Deal the described items out to their files. ``items`` carries the open file's from group to group."""
    fresh = deque(described.result())
    for message in group:
        if isinstance(message, Part):
            items.append(fresh.popleft())
        else:
            yield _result(message, items)
            items.clear()


def _result(end: End, items: list[Item]) -> Result:
    """Leave out items that cannot be stored: NaN in one of them would spoil every memory."""
    good = [item for item in items if _storable(item)]
    if len(good) == len(items):
        return Result(end, good)
    trouble = failure(end.job.found, MediaError("the network gives no usable numbers for it"))
    return Result(replace(end, failure=end.failure or trouble), good)


def _storable(item: Item) -> bool:
    """Whether all numbers are finite, as float16 too."""
    logits_finite = item.logits is None or np.isfinite(item.logits).all()
    return bool(logits_finite and (np.abs(item.feature) <= np.finfo(np.float16).max).all())


def describe_parts(parts: list[Part], extractor: Extractor) -> list[Item]:
    """One item per part: the mean of its pictures' features and logits."""
    if not parts:
        return []
    extraction = extractor.extract([image for part in parts for image in part.images])
    items = []
    first = 0
    for part in parts:
        rows = slice(first, first + len(part.images))
        first = rows.stop
        items.append(_item(extraction, rows, part))
    return items


def _item(extraction: Extraction, rows: slice, part: Part) -> Item:
    logits = None if extraction.logits is None else extraction.logits[rows].mean(axis=0)
    return Item(extraction.features[rows].mean(axis=0), logits, part.start, part.end, part.sketch)
