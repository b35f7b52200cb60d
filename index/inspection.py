"""What a collection contains, and whether it is intact. Nothing here changes anything."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from assocmem.codes.winner_codes import CliqueCoder
from assocmem.errors import DamagedError, MismatchError
from assocmem.index.derived.clique_memory import kept_info, known_messages, memory_info, message_problems
from assocmem.index.derived.familiarity import familiarity, familiarity_problems, kept_judgement
from assocmem.index.derived.files import CLIQUES
from assocmem.index.derived.label_counts import label_count_problems
from assocmem.index.derived.pools import engine_info, pool_problems
from assocmem.index.results import Info
from assocmem.index.session import Session
from assocmem.index.store.catalog import FORMAT, Catalog
from assocmem.index.store.disk import file_size
from assocmem.index.store.segments import checked_chunks, read_segment
from assocmem.index.store.snapshot import take_snapshot
from assocmem.index.store.teaching_tables import TeachingTables
from assocmem.index.teach.taught_model import current_labels, taught_problems


def collect_info(session: Session) -> Info:
    """Return what a collection contains; memories that cannot be read because of damage are None."""
    folder, coder = session.folder, session.coder
    engine = None
    with session.reading() as catalog:
        memory = kept_info(folder, catalog.generation)
        seen = kept_judgement(folder, catalog.generation)
    with contextlib.suppress(DamagedError):  # what the catalog contains is worth showing all the same
        if memory is None:
            memory = memory_info(session.snapshot(), folder, coder)
        if seen is None:
            seen = familiarity(session.snapshot(), folder, session.message_coder).judgement
        engine = engine_info(session.snapshot(), folder, coder)
    settings = session.made_with()
    with session.reading() as catalog:
        counts, labels = catalog.counts(), current_labels(TeachingTables(catalog).teachings(standing=True))
        return Info(
            path=str(folder),
            format=FORMAT,
            generation=catalog.generation,
            extractor=settings.identity,
            dim=settings.dim,
            items=counts["images"] + counts["shots"],
            images=counts["images"],
            shots=counts["shots"],
            files=counts["files"],
            failures=counts["failures"],
            segments=len(catalog.segments()),
            concepts=len({label.concept for label in labels.values() if label.concept is not None}),
            examples=len(labels),
            code_bytes=settings.clusters // 2,
            feature_bytes=2 * settings.dim,
            disk_bytes=sum(file_size(path) for path in folder.rglob("*")),
            memory=memory,
            seen=seen,
            engine=engine,
        )


def find_problems(session: Session, progress: Callable[[int, int], Any] | None = None) -> list[str]:
    """Return one line for everything that is wrong.

    Every checksum is checked, every code compared with a fresh encoding of its feature, every item of the catalog
    looked up in its segment.
    """
    session.made_with()  # refuses a closed session
    coder = session.coder
    with closing(Catalog(session.folder)) as catalog:
        problems = catalog.integrity()
        segments = session.folder / "segments"
        live = catalog.segments()
        for done, (number, rows) in enumerate(live.items()):
            if progress is not None:
                progress(done, len(live))
            found: list[str] = []
            try:
                found += _segment_problems(catalog, segments, number, rows, coder)
            except FileNotFoundError as error:
                found.append(f"{error.filename}: expected a segment of {rows} items, found no file")
            except (DamagedError, MismatchError) as error:
                found.append(str(error))
            if found and number in catalog.segments():  # otherwise a writer has merged it meanwhile
                problems += found
        return problems or _derived_problems(session, catalog)


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
    for features, _, _ in checked_chunks(folder, number):
        codes = segment.codes[start : start + len(features)]
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            yield f"{name}: {int((~finite).sum())} features contain NaN or infinity"
        wrong = int((coder.encode(features[finite]) != codes[finite]).any(axis=1).sum())
        if wrong:
            yield f"{name}: {wrong} codes do not belong to their features"
        start += len(features)


def _derived_problems(session: Session, catalog: Catalog) -> list[str]:
    """Compare the files of derived memories with new ones; a file that cannot be read, or is old, does no harm."""
    folder, coder = session.folder, session.coder
    snapshot = take_snapshot(catalog, folder / "segments")
    problems = label_count_problems(snapshot, folder, coder.clusters)
    problems += message_problems(snapshot, folder / CLIQUES, coder, known_messages(folder, coder))
    problems += familiarity_problems(snapshot, folder, session.message_coder)
    problems += pool_problems(snapshot, folder, coder)
    version = catalog.taught_version
    if version is not None:
        problems += taught_problems(TeachingTables(catalog), version, coder.dim, folder)
    return problems
