"""Index and remove files: plan a run, pull files through the stages, commit batch by batch, survive Ctrl-C."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing

from assocmem.errors import InputError
from assocmem.extractors.base import Extractor
from assocmem.index.derived.refresh import refresh_if_due
from assocmem.index.ingest.pipeline import Job, Result, decode, describe, plan
from assocmem.index.ingest.walk import FoundFile, walk
from assocmem.index.ingest.writer import Writer
from assocmem.index.results import AddReport, Progress
from assocmem.index.session import Session
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.records import Failure, FileRow

BATCH_ITEMS = 256
"""Items per commit: the most that a kill can cost."""
BATCH_SECONDS = 5.0
"""Seconds per commit where items come slowly."""
_MERGE_AT_WORK = 64
"""Segments of one size during a long run before they are merged: slow items make many small segments."""


class Indexer:
    """Adds files to a collection and removes them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self,
        paths: list[str],
        progress: Callable[[Progress], None] | None = None,
        threads: int | None = None,
        *,
        recheck: bool = False,
        max_pixels: int | None = None,
    ) -> AddReport:
        """Index files and folders, given by absolute paths; see ``Collection.add``."""
        if max_pixels is not None and max_pixels < 1:
            raise InputError(f"max_pixels: expected at least 1, found {max_pixels}")
        started = time.perf_counter()
        session = self._session
        if session.settings is None and not any(map(os.path.lexists, paths)):
            failed = [Failure(path, "no such file or directory", lasting=False) for path in paths]
            return AddReport(failed=failed)  # a typing error makes no collection
        if session.names_extractor:
            _ = session.extractor  # a network that does not fit is refused, even if there is nothing to read
        with session.writing(create=True) as catalog:
            session.snapshot()  # damage is found before anything is written or removed
            writer = Writer(catalog, session.folder, session.coder)
            threads = threads or os.cpu_count() or 1
            run = _Run(writer, lambda: session.extractor, progress, threads, recheck=recheck, max_pixels=max_pixels)
            report = run.index(paths)
            refresh_if_due(session.snapshot(), session.folder, session.coder, session.message_coder)
            counts = catalog.counts()
        report.items = counts["images"] + counts["shots"]
        report.elapsed_s = time.perf_counter() - started
        return report

    def remove(self, paths: list[str], *, missing: bool = False, insist: bool = False) -> int:
        """Remove the items of files and folders; see ``Collection.remove``."""
        session = self._session
        session.snapshot()
        with session.writing() as catalog:
            count = Writer(catalog, session.folder, session.coder).remove(paths, missing=missing, insist=insist)
            refresh_if_due(session.snapshot(), session.folder, session.coder, session.message_coder)
        return count


class _Run:
    """One indexing run: the batch in flight, the counts and the report."""

    def __init__(
        self,
        writer: Writer,
        extractor: Callable[[], Extractor],
        progress: Callable[[Progress], None] | None,
        threads: int,
        *,
        recheck: bool,
        max_pixels: int | None,
    ) -> None:
        self.writer = writer
        self.extractor = extractor
        self.progress = progress
        self.threads = threads
        self.recheck = recheck
        self.max_pixels = max_pixels
        self.report = AddReport()
        self.total = 0
        self.done = 0
        self.batch: list[Result] = []
        self.waiting = 0
        self.last_commit = time.monotonic()
        self.tried_again: set[str] = set()
        self.unread: set[str] = set()

    def index(self, paths: list[str]) -> AddReport:
        """Index everything new or changed under ``paths``; under the writer's lock."""
        report = self.report
        self.writer.sweep()
        self.writer.roots = [path for path in paths if os.path.lexists(path)]
        jobs, refused = self._plan(paths)
        try:
            if jobs:
                with closing(Catalog(self.writer.catalog.path.parent)) as reader:
                    self._read(jobs, known=_known(reader))
                self._read(self.writer.lost, known=lambda digest: False)
                self._commit()
        except KeyboardInterrupt:
            self._commit()
            report.interrupted = True
        if not report.interrupted:
            _forget_failures(self.writer, paths, self.tried_again - {failure.path for failure in report.failed})
        self.writer.note_roots()
        _store_refused(self.writer, refused, recheck=self.recheck)
        report.known_failures = frozenset(self.unread)
        report.failed = sorted([*report.failed, *refused], key=lambda failure: failure.path)
        try:
            self.writer.merge_small_segments()
        except KeyboardInterrupt:
            report.interrupted = True
        return report

    def _plan(self, paths: list[str]) -> tuple[list[Job], list[Failure]]:
        """Return the files to be read, and the failures of those that are not even tried."""
        jobs: list[Job] = []
        refused: list[Failure] = []
        for step in plan(walk(paths, self.report.left_out), self._settled):
            if isinstance(step, Job):
                jobs.append(step)
            elif isinstance(step, Failure):
                refused.append(step)
            else:
                self.report.unchanged += 1
        self.total = len(jobs)
        return jobs, refused

    def _settled(self, found: FoundFile) -> bool | Failure:
        """Return whether the collection has a file unchanged; a known failure is reported again."""
        failure = self.writer.catalog.failure(found.path)
        if failure is not None:
            if failure.lasting and _unchanged(failure, found) and not self.recheck:
                self.unread.add(found.path)
                return failure
            self.tried_again.add(found.path)
            return False
        known = self.writer.catalog.file(found.path)
        return known is not None and _unchanged(known[1], found) and not self.recheck

    def _read(self, jobs: list[Job], known: Callable[[bytes], bool]) -> None:
        """Pull jobs through the stages."""
        if not jobs:
            return
        extractor = self.extractor()
        # Closed here, whatever happens: an exception that somebody stores would keep the threads alive.
        with (
            closing(decode(jobs, extractor, known, threads=self.threads, max_pixels=self.max_pixels)) as messages,
            closing(describe(messages, extractor, threads=self.threads)) as results,
        ):
            for result in results:
                self.batch.append(result)
                self.waiting += max(1, len(result.items))
                self.done += 1
                if self.progress is not None:
                    items = self.report.indexed + self.waiting
                    self.progress(Progress(self.done, self.total, items, result.end.job.found.path))
                if self.waiting >= BATCH_ITEMS or time.monotonic() - self.last_commit > BATCH_SECONDS:
                    self._commit()
                    self.writer.merge_small_segments(_MERGE_AT_WORK)

    def _is_same(self, result: Result) -> bool:
        """Return whether a file has the content, the size and the time that the catalog knows."""
        end, known = result.end, self.writer.catalog.file(result.end.job.found.path)
        return end.known and known is not None and known[1].hash == end.hash and _unchanged(known[1], end.job.found)

    def _commit(self) -> None:
        """Store what is complete."""
        if self.batch:
            same = sum(map(self._is_same, self.batch)) if self.recheck else 0
            self.report.indexed += self.writer.commit(self.batch)
            self.report.unchanged += same
            self.report.moved += sum(result.end.known for result in self.batch) - same
            self.report.failed += [r.end.failure for r in self.batch if r.end.failure is not None]
        self.batch, self.waiting, self.last_commit = [], 0, time.monotonic()


def _unchanged(known: FileRow | Failure, now: FoundFile | Failure) -> bool:
    """Return whether size and time are those in the catalog: then the bytes are taken to be the same."""
    return (known.size, known.mtime_ns) == (now.size, now.mtime_ns)


def _known(reader: Catalog) -> Callable[[bytes], bool]:
    """Return a function that asks the catalog for a content hash, from any thread, through a connection of its own."""
    lock = threading.Lock()

    def known(digest: bytes) -> bool:
        with lock:
            return bool(reader.files_with_hash(digest))

    return known


def _store_refused(writer: Writer, refused: list[Failure], *, recheck: bool) -> None:
    """Store failures of files that were not even tried; items of a file that has become something else are dead.

    With ``recheck``, a file of the same size and time may be something else too.
    """
    if not refused:
        return
    catalog = writer.catalog
    with catalog.transaction():
        for failure in refused:
            if os.path.lexists(failure.path):
                catalog.set_failure(failure)
            known = catalog.file(failure.path) if failure.lasting else None
            if known is not None and (recheck or not _unchanged(known[1], failure)):
                catalog.remove_files([known[0]])
                catalog.next_generation()


def _forget_failures(writer: Writer, paths: list[str], healed: set[str]) -> None:
    """Remove failures of files that were read after all, of folders that can be read now, and of what is gone."""
    known_failures = writer.catalog.failures()
    if not known_failures:
        return
    roots = tuple(path.rstrip(os.sep) + os.sep for path in paths)
    with writer.catalog.transaction():
        for known in known_failures:
            visited = (known.path + os.sep).startswith(roots)  # if its trouble lasts, it is reported again
            readable_folder = visited and os.path.isdir(known.path) and os.access(known.path, os.R_OK | os.X_OK)
            if known.path in healed or readable_folder or not os.path.lexists(known.path):
                writer.catalog.clear_failure(known.path)
