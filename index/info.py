"""What a collection holds and how much room it takes, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assocmem.index.results import EngineInfo, Info, MemoryInfo
from assocmem.index.store.catalog import FORMAT, Catalog
from assocmem.index.store.disk import file_size
from assocmem.index.store.settings import Settings

if TYPE_CHECKING:
    from assocmem.memory.familiarity_eval import Judgement


def collect_info(
    catalog: Catalog,
    folder: Path,
    settings: Settings,
    memory: MemoryInfo | None,
    seen: Judgement | None,
    engine: EngineInfo | None,
) -> Info:
    """Count; nothing is loaded but the catalog."""
    counts, taught = catalog.counts(), catalog.taught_counts()
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
        concepts=taught["concepts"],
        examples=taught["examples"],
        code_bytes=settings.clusters // 2,
        feature_bytes=2 * settings.dim,
        disk_bytes=sum(file_size(path) for path in folder.rglob("*")),
        memory=memory,
        seen=seen,
        engine=engine,
    )
