"""An indexing run: plan it, pull files through the stages, commit batch by batch, survive Ctrl-C."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing

from assocmem.extractors.base import Extractor
from assocmem.index.ingest.decode import Job, decode, plan
from assocmem.index.ingest.describe import Result, describe
from assocmem.index.ingest.walk import Found, walk
from assocmem.index.ingest.writer import Writer
from assocmem.index.results import AddReport, Progress
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.records import Failure, FileRow

BATCH_ITEMS = 256
"""Items per commit: what a kill can cost, at most."""
BATCH_SECONDS = 5.0
"""Where items come slowly, time decides."""
_MERGE_AT_WORK = 64
"""Slow items make many small segments in a long run: so many of a size, at most, before they are merged."""


def add_files(
    writer: Writer,
    extractor: Extractor,
    paths: list[str],
    progress: Callable[[Progress], None] | None,
    threads: int,
) -> AddReport:
    """Index everything new or changed under ``paths``; under the writer's lock."""
    catalog = writer.catalog
    report = AddReport()
    writer.sweep()
    jobs: list[Job] = []
    refused: list[Failure] = []
    tried_again: set[str] = set()
    unread: set[str] = set()
    for step in plan(walk(paths), lambda found: _settled(writer, found, tried_again, unread)):
        if isinstance(step, Job):
            jobs.append(step)
        elif isinstance(step, Failure):
            refused.append(step)
        else:
            report.unchanged += 1
    run = _Run(writer, extractor, report, progress, threads, total=len(jobs))
    try:
        with closing(Catalog(catalog.path.parent)) as reader:
            run.read(jobs, known=_known(reader))
        run.read(writer.lost, known=lambda digest: False)
        run.commit()
    except KeyboardInterrupt:
        run.commit()
        report.interrupted = True
    if not report.interrupted:
        _forget_failures(writer, paths, tried_again - {failure.path for failure in report.failed})
    _keep_refused(writer, refused)
    report.known_failures = frozenset(unread)
    report.failed = sorted([*report.failed, *refused], key=lambda failure: failure.path)
    try:
        writer.merge_small_segments()
    except KeyboardInterrupt:
        report.interrupted = True
    return report


def _keep_refused(writer: Writer, refused: list[Failure]) -> None:
    """Keep what was not even tried; items of a file that has become something else are dead."""
    catalog = writer.catalog
    with catalog.transaction():
        for failure in refused:
            if os.path.lexists(failure.path):
                catalog.set_failure(failure)
            known = catalog.file(failure.path) if failure.lasting else None
            if known is not None and not _unchanged(known[1], failure):
                catalog.remove_files([known[0]])
                catalog.next_generation()


def _settled(writer: Writer, found: Found, tried_again: set[str], unread: set[str]) -> bool | Failure:
    """Whether the collection knows a file unchanged; a failure it is known by is reported again."""
    failure = writer.catalog.failure(found.path)
    if failure is not None:
        if failure.lasting and _unchanged(failure, found):
            unread.add(found.path)
            return failure
        tried_again.add(found.path)
        return False
    known = writer.catalog.file(found.path)
    return known is not None and _unchanged(known[1], found)


def _unchanged(known: FileRow | Failure, now: Found | Failure) -> bool:
    """Whether size and time are those that are remembered: then the bytes are taken to be the same."""
    return (known.size, known.mtime_ns) == (now.size, now.mtime_ns)


def _known(reader: Catalog) -> Callable[[bytes], bool]:
    """Ask the catalog for a content hash, from any thread: through a connection of its own, one at a time."""
    lock = threading.Lock()

    def known(digest: bytes) -> bool:
        with lock:
            return bool(reader.files_with_hash(digest))

    return known


def _forget_failures(writer: Writer, paths: list[str], healed: set[str]) -> None:
    """Drop failures of what was tried again without trouble, of folders that can be read now, of what is gone."""
    roots = tuple(path.rstrip(os.sep) + os.sep for path in paths)
    with writer.catalog.transaction():
        for known in writer.catalog.failures():
            visited = (known.path + os.sep).startswith(roots)  # if its trouble lasts, it is reported again
            readable_folder = visited and os.path.isdir(known.path) and os.access(known.path, os.R_OK | os.X_OK)
            if known.path in healed or readable_folder or not os.path.lexists(known.path):
                writer.catalog.clear_failure(known.path)


class _Run:
    """The state of one run: the batch in flight and the counts."""

    def __init__(
        self,
        writer: Writer,
        extractor: Extractor,
        report: AddReport,
        progress: Callable[[Progress], None] | None,
        threads: int,
        total: int,
    ) -> None:
        self.writer = writer
        self.extractor = extractor
        self.report = report
        self.progress = progress
        self.threads = threads
        self.total = total
        self.done = 0
        self.batch: list[Result] = []
        self.waiting = 0
        self.last_commit = time.monotonic()

    def read(self, jobs: list[Job], known: Callable[[bytes], bool]) -> None:
        """Pull jobs through the stages."""
        # Closed here, whatever happens: an exception that somebody keeps would keep the threads too.
        with (
            closing(decode(jobs, self.extractor, known, threads=self.threads)) as messages,
            closing(describe(messages, self.extractor, threads=self.threads)) as results,
        ):
            for result in results:
                self.batch.append(result)
                self.waiting += max(1, len(result.items))
                self.done += 1
                if self.progress is not None:
                    items = self.report.indexed + self.waiting
                    self.progress(Progress(self.done, self.total, items, result.end.job.found.path))
                if self.waiting >= BATCH_ITEMS or time.monotonic() - self.last_commit > BATCH_SECONDS:
                    self.commit()
                    self.writer.merge_small_segments(_MERGE_AT_WORK)

    def commit(self) -> None:
        """Store what is complete."""
        if self.batch:
            self.report.indexed += self.writer.commit(self.batch)
            self.report.moved += sum(result.end.known for result in self.batch)
            self.report.failed += [r.end.failure for r in self.batch if r.end.failure is not None]
        self.batch, self.waiting, self.last_commit = [], 0, time.monotonic()
