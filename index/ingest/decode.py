"""From files to prepared pictures: plan, decode in threads. Each stage is a generator.

    walk -> plan -> decode (threads) -> describe (threads) -> batches, all in the order of the files

The stages know the catalog's answers (unchanged? known content?) through functions they are given; they write nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import I8
from assocmem.codes.dct_sketches import SIDE, sketch
from assocmem.errors import MediaError
from assocmem.extractors.base import Extractor, Image
from assocmem.extractors.sniff import Kind, claims_media, sniff
from assocmem.index.ingest.walk import Found, os_reason
from assocmem.index.store.records import Failure

LOOKAHEAD = 16  # files decoded ahead of the network: enough to hide a slow one, few enough to stay small
QUEUED_PARTS = 4  # prepared shots a video may have waiting


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be read."""

    found: Found
    kind: Kind


@dataclass(frozen=True, slots=True)
class Part:
    """One item-to-be of a file: a picture, or the frames that stand for a shot; prepared for the network."""

    images: tuple[Image, ...]
    start: float | None = None
    end: float | None = None
    sketch: I8 | None = None
    """int8 (LENGTH,): of the picture, or of a shot's middle frame"""


@dataclass(frozen=True, slots=True)
class End:
    """A file has been read to its end, or as far as it goes."""

    job: Job
    hash: bytes
    known: bool = False
    """The collection has this content already; it was not decoded."""
    failure: Failure | None = None


def plan(
    found: Iterable[Found | Failure], settled: Callable[[Found], bool | Failure]
) -> Iterator[Job | Failure | None]:
    """Say of every file what is to be done: a job, a failure to report, or nothing (None).

    ``settled`` says whether the collection knows the file unchanged: True, False, or the failure it is known by.
    Files in folders that are neither pictures nor videos, and do not pretend to be, yield nothing at all.
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
            yield failure(entry, error)
            continue
        if kind is not None:
            yield Job(entry, kind)
        elif entry.named or claims_media(entry.path):
            reason = "neither a picture nor a video, whatever its name says" if entry.size else "empty file"
            yield Failure(entry.path, reason, entry.size, entry.mtime_ns)


def failure(found: Found, error: MediaError) -> Failure:
    """A failure as the catalog keeps it."""
    return Failure(found.path, error.reason, found.size, found.mtime_ns, error.lasting)


def decode(
    jobs: Iterable[Job], extractor: Extractor, known: Callable[[bytes], bool], *, threads: int
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
                    pool.submit(_decode_file, job, extractor, known, _sender(outbox, stop))
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
) -> None:
    """Run in a thread: hash one file, decode it unless its content is known, send what comes of it."""
    try:
        digest = b""
        try:
            digest = content_hash(job.found.path)
            if known(digest):
                send(End(job, digest, known=True))
                return
            for part in read_parts(job.found.path, job.kind, extractor):
                send(part)
            _check_unchanged(job.found)
            send(End(job, digest))
        except MediaError as error:
            send(End(job, digest, failure=failure(job.found, error)))
    except _Stopped:
        pass
    except BaseException as error:  # a defect: let the consumer raise it, in its own thread
        with contextlib.suppress(_Stopped):
            send(error)


def read_parts(path: str, kind: Kind, extractor: Extractor) -> Iterator[Part]:
    """Read a picture (one part) or a video (a part per shot), prepared for the network; raises MediaError."""
    if kind == "image":
        from assocmem.extractors.image import read_image

        yield picture_part(read_image(path, min_side=extractor.min_side), extractor)
        return
    from assocmem.extractors.shots import read_shots

    for shot in read_shots(path, min_side=extractor.min_side):
        prepared = tuple(extractor.prepare(image) for image in shot.images)
        yield Part(prepared, shot.start, shot.end, sketch_of(shot.images[len(shot.images) // 2]))


def picture_part(image: Image, extractor: Extractor) -> Part:
    """Return the one part that a picture is."""
    return Part((extractor.prepare(image),), sketch=sketch_of(image))


def sketch_of(image: Image) -> I8:
    """Return a picture's sketch, int8 (LENGTH,)."""
    from assocmem.extractors.image import grey_square

    return np.asarray(sketch(grey_square(image, SIDE)[None])[0])


def content_hash(path: str) -> bytes:
    """BLAKE2b of a file's bytes, 16 bytes long."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()
    except OSError as error:
        raise MediaError(os_reason(error), lasting=False) from error


def _check_unchanged(found: Found) -> None:
    try:
        status = os.stat(found.path)
    except OSError as error:
        raise MediaError(f"vanished while being read: {os_reason(error)}", lasting=False) from error
    if (status.st_size, status.st_mtime_ns) != (found.size, found.mtime_ns):
        raise MediaError("changed while being read; index it again", lasting=False)
