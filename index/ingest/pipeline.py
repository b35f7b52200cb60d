"""From files to described items: the stages between the walk and the commit. Each stage is a generator.

    walk -> plan -> decode (threads) -> describe (threads) -> batches, all in the order of the files

The stages ask the catalog (unchanged? known content?) through functions that they are given; they write nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from assocmem._numerics.types import F32, U8
from assocmem.codes.dct_sketches import SKETCH_SIDE
from assocmem.codes.fine_detail import COLOUR_SIDE, DETAIL_SIDE, fine_detail
from assocmem.errors import MediaError
from assocmem.extractors.base import Extraction, Extractor, Image
from assocmem.extractors.sniff import MediaKind, has_media_suffix, sniff, why_not_read
from assocmem.index.ingest.walk import FoundFile, os_reason
from assocmem.index.store.records import Failure

LOOKAHEAD = 16
"""Files decoded ahead of the network: enough to hide a slow one, few enough to stay small."""
QUEUED_PARTS = 4
"""Prepared shots that a video may have waiting."""
BATCH = 4
"""Pictures per call of the network: more gain nothing on a CPU, and results come sooner."""
MOST_NETWORK_THREADS = 4
"""Each takes memory for a call of its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be read."""

    found: FoundFile
    kind: MediaKind


@dataclass(frozen=True, slots=True)
class Part:
    """One future item of a file: a picture, or the frames that stand for a shot; prepared for the network."""

    images: tuple[Image, ...]
    start: float | None = None
    """seconds, for shots"""
    end: float | None = None
    grey: U8 | None = None
    """uint8 (SKETCH_SIDE, SKETCH_SIDE): the picture, or a shot's middle frame, small and grey; for its sketch"""
    detail: U8 | None = None
    """uint8 (DETAIL_LENGTH,), of the same"""


@dataclass(frozen=True, slots=True)
class End:
    """A file has been read to its end, or as far as possible."""

    job: Job
    hash: bytes
    known: bool = False
    """The collection has this content already; it was not decoded."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """A described item."""

    feature: F32
    """float32 (dim,): mean over the frames of a shot"""
    logits: F32 | None
    """float32 (classes,)"""
    start: float | None
    end: float | None
    grey: U8 | None = None
    """uint8 (SKETCH_SIDE, SKETCH_SIDE)"""
    detail: U8 | None = None
    """uint8 (DETAIL_LENGTH,)"""


@dataclass(slots=True)
class Result:
    """Everything about one file, ready to be stored."""

    end: End
    items: list[Item] = field(default_factory=list)


# Plan


def plan(
    found: Iterable[FoundFile | Failure], settled: Callable[[FoundFile], bool | Failure]
) -> Iterator[Job | Failure | None]:
    """Yield for every file a job, a failure to report, or None if there is nothing to do.

    ``settled`` returns whether the collection has the file unchanged: True, False, or its known failure. Files in
    folders that are neither pictures nor videos, and do not look like them by name, yield nothing at all.
    """
    for entry in found:
        if isinstance(entry, Failure):
            yield entry
            continue
        known = settled(entry)
        if known is not False:
            yield None if known is True else known
            continue
        try:
            kind = sniff(entry.path)
        except MediaError as error:
            yield _failure(entry, error)
            continue
        if kind is not None:
            yield Job(entry, kind)
        elif entry.named or has_media_suffix(entry.path):
            reason = why_not_read(entry.path) if entry.size else "empty file"
            yield Failure(entry.path, reason, entry.size, entry.mtime_ns)


def _failure(found: FoundFile, error: MediaError) -> Failure:
    return Failure(found.path, error.reason, found.size, found.mtime_ns, error.lasting)


# Decode


def decode(
    jobs: Iterable[Job],
    extractor: Extractor,
    known: Callable[[bytes], bool],
    *,
    threads: int,
    max_pixels: int | None = None,
) -> Generator[Part | End, None, None]:
    """Read and prepare files in ``threads`` threads; yield the parts of each file, then its end, in the order of jobs.

    Closing the generator early (or an exception in the consumer) stops the threads.
    """
    stop = threading.Event()
    waiting: deque[queue.Queue[Part | End | BaseException]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            source = iter(jobs)
            while True:
                while len(waiting) < LOOKAHEAD and (job := next(source, None)) is not None:
                    outbox: queue.Queue[Part | End | BaseException] = queue.Queue(QUEUED_PARTS)
                    waiting.append(outbox)
                    pool.submit(_decode_file, job, extractor, known, _sender(outbox, stop), max_pixels)
                if not waiting:
                    return
                message = waiting[0].get()
                if isinstance(message, BaseException):
                    raise message
                if isinstance(message, End):
                    waiting.popleft()
                yield message
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


class _Stopped(Exception):
    """The consumer has gone."""


def _sender(
    outbox: queue.Queue[Part | End | BaseException], stop: threading.Event
) -> Callable[[Part | End | BaseException], None]:
    def send(message: Part | End | BaseException) -> None:
        while not stop.is_set():
            try:
                outbox.put(message, timeout=0.2)
            except queue.Full:
                continue
            return
        raise _Stopped

    return send


def _decode_file(
    job: Job,
    extractor: Extractor,
    known: Callable[[bytes], bool],
    send: Callable[[Part | End | BaseException], None],
    max_pixels: int | None,
) -> None:
    """Run in a thread: hash one file, decode it unless its content is known, send the result."""
    try:
        digest = b""
        try:
            digest = content_hash(job.found.path)
            if known(digest):
                send(End(job, digest, known=True))
                return
            for part in read_parts(job.found.path, job.kind, extractor, max_pixels):
                send(part)
            _check_unchanged(job.found)
            send(End(job, digest))
        except MediaError as error:
            send(End(job, digest, failure=_failure(job.found, error)))
    except _Stopped:
        pass
    except BaseException as error:  # a defect: the consumer raises it, in its own thread
        with contextlib.suppress(_Stopped):
            send(error)


def read_parts(path: str, kind: MediaKind, extractor: Extractor, max_pixels: int | None = None) -> Iterator[Part]:
    """Yield a picture (one part) or a video (a part per shot), prepared for the network.

    ``max_pixels``: larger pictures are refused; None for ``extractors.image.DEFAULT_MAX_PIXELS``.
    MediaError is raised after the parts of a file that cannot be read to its end.
    """
    if kind == "image":
        from assocmem.extractors.image import DEFAULT_MAX_PIXELS, read_as_far_as_it_goes

        limit = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        image, missing = read_as_far_as_it_goes(path, min_side=extractor.min_side, max_pixels=limit)
        yield picture_part(image, extractor)
        if missing is not None:
            raise MediaError(missing)
        return
    from assocmem.extractors.shots import read_shots

    for shot in read_shots(path, min_side=extractor.min_side):
        prepared = tuple(extractor.prepare(image) for image in shot.images)
        yield Part(prepared, shot.start, shot.end, *_small(shot.images[len(shot.images) // 2]))


def picture_part(image: Image, extractor: Extractor) -> Part:
    """Return the one part of a picture."""
    return Part((extractor.prepare(image),), None, None, *_small(image))


def _small(image: Image) -> tuple[U8, U8]:
    """Return what copies are told by: a small grey picture, and the fine detail."""
    from assocmem.extractors.image import grey_square

    return grey_square(image, SKETCH_SIDE), picture_detail(image)


def picture_detail(image: Image) -> U8:
    """Return the fine detail of a picture, uint8 (DETAIL_LENGTH,)."""
    from assocmem.extractors.image import colour_square, grey_square

    return fine_detail(grey_square(image, DETAIL_SIDE), colour_square(image, COLOUR_SIDE))


def content_hash(path: str) -> bytes:
    """Return BLAKE2b of a file's bytes, 16 bytes long; MediaError if the file cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError as error:
        raise MediaError(os_reason(error), lasting=False) from error


def _check_unchanged(found: FoundFile) -> None:
    try:
        status = os.stat(found.path)
    except OSError as error:
        raise MediaError(f"vanished while being read: {os_reason(error)}", lasting=False) from error
    if (status.st_size, status.st_mtime_ns) != (found.size, found.mtime_ns):
        raise MediaError("changed while being read; index it again", lasting=False)


# Describe


def describe(
    messages: Iterable[Part | End], extractor: Extractor, *, threads: int = 1
) -> Generator[Result, None, None]:
    """Run the network over the parts; yield each file's result when it is complete, in order.

    Several threads, because one alone leaves a core idle whenever the decoders are ahead of it. Closing the generator
    early (or an exception in the consumer) ends them after the call they are in.
    """
    items: list[Item] = []
    running: deque[tuple[list[Part | End], Future[list[Item]]]] = deque()
    workers = min(threads, MOST_NETWORK_THREADS)
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
    """Cut the stream into calls of the network that are worthwhile; a file's end never waits for long."""
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
    """Assign the described items to their files; ``items`` carries those of the open file from group to group."""
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
    trouble = _failure(end.job.found, MediaError("the network gives no usable numbers for it"))
    return Result(replace(end, failure=end.failure or trouble), good)


def _storable(item: Item) -> bool:
    """Return whether all numbers are finite, as float16 too."""
    logits_finite = item.logits is None or np.isfinite(item.logits).all()
    return bool(logits_finite and (np.abs(item.feature) <= np.finfo(np.float16).max).all())


def describe_parts(parts: list[Part], extractor: Extractor) -> list[Item]:
    """Return one item per part: the mean of the features and logits of its pictures."""
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


def softmax(logits: F32) -> F32:
    """Return the probabilities of logits, along the last axis, computed without overflow."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True), dtype=np.float32)


def _item(extraction: Extraction, rows: slice, part: Part) -> Item:
    logits = None if extraction.logits is None else extraction.logits[rows].mean(axis=0)
    return Item(extraction.features[rows].mean(axis=0), logits, part.start, part.end, part.grey, part.detail)
