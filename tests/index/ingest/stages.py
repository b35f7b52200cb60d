"""The stages of indexing, run on some files without a collection."""

from __future__ import annotations

from contextlib import closing

from assocmem.index.ingest.pipeline import Job, decode, describe, plan
from assocmem.index.ingest.walk import walk
from tests.fakes import ColourExtractor


def jobs_of(*paths):
    """Return the jobs of files that no collection has."""
    return [step for step in plan(walk(paths), lambda found: False) if isinstance(step, Job)]


def run_stages(jobs, extractor=None, known=lambda digest: False, threads=2):
    """Decode and describe; returns the results."""
    extractor = extractor or ColourExtractor()
    with closing(decode(jobs, extractor, known, threads=threads)) as messages:
        return list(describe(messages, extractor, threads=threads))
