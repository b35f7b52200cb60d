"""An associative-memory index for photos and videos, and the memories that it is built from.

Names are loaded when they are first used, so that ``import assocmem`` is instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from assocmem import _compat

if TYPE_CHECKING:
    from assocmem.codes.hash_codes import MessageCoder
    from assocmem.concepts.memory import ConceptMemory
    from assocmem.concepts.sklearn_api import CliqueConcepts
    from assocmem.errors import AssocmemError
    from assocmem.index.collection import Collection, open_collection
    from assocmem.index.results import (
        AddReport,
        Concept,
        ConceptHit,
        Copies,
        EngineInfo,
        Gone,
        Hit,
        Info,
        MemoryInfo,
        OutOfReach,
        Progress,
        Seen,
        TeachReport,
    )
    from assocmem.index.store.records import Failure, Teaching
    from assocmem.index.teach.review import Question
    from assocmem.memory.clique import CliqueMemory
    from assocmem.memory.familiarity import SeenMemory
    from assocmem.memory.willshaw import WillshawMemory
    from assocmem.search.clique_index import CliqueIndex, SearchReport
    from assocmem.search.sklearn_api import CliqueNeighbors, CliqueTransformer

    open = open_collection

__version__ = "0.1.0.dev0"

__all__ = [
    "AddReport",
    "AssocmemError",
    "CliqueConcepts",
    "CliqueIndex",
    "CliqueMemory",
    "CliqueNeighbors",
    "CliqueTransformer",
    "Collection",
    "Concept",
    "ConceptHit",
    "ConceptMemory",
    "Copies",
    "EngineInfo",
    "Failure",
    "Gone",
    "Hit",
    "Info",
    "MemoryInfo",
    "MessageCoder",
    "OutOfReach",
    "Progress",
    "Question",
    "SearchReport",
    "Seen",
    "SeenMemory",
    "TeachReport",
    "Teaching",
    "WillshawMemory",
    "__version__",
]

_HOMES = {
    "AddReport": ("assocmem.index.results", "AddReport"),
    "AssocmemError": ("assocmem.errors", "AssocmemError"),
    "CliqueConcepts": ("assocmem.concepts.sklearn_api", "CliqueConcepts"),
    "CliqueIndex": ("assocmem.search.clique_index", "CliqueIndex"),
    "CliqueMemory": ("assocmem.memory.clique", "CliqueMemory"),
    "CliqueNeighbors": ("assocmem.search.sklearn_api", "CliqueNeighbors"),
    "CliqueTransformer": ("assocmem.search.sklearn_api", "CliqueTransformer"),
    "Collection": ("assocmem.index.collection", "Collection"),
    "Concept": ("assocmem.index.results", "Concept"),
    "ConceptHit": ("assocmem.index.results", "ConceptHit"),
    "ConceptMemory": ("assocmem.concepts.memory", "ConceptMemory"),
    "Copies": ("assocmem.index.results", "Copies"),
    "EngineInfo": ("assocmem.index.results", "EngineInfo"),
    "Failure": ("assocmem.index.store.records", "Failure"),
    "Gone": ("assocmem.index.results", "Gone"),
    "Hit": ("assocmem.index.results", "Hit"),
    "Info": ("assocmem.index.results", "Info"),
    "MemoryInfo": ("assocmem.index.results", "MemoryInfo"),
    "MessageCoder": ("assocmem.codes.hash_codes", "MessageCoder"),
    "OutOfReach": ("assocmem.index.results", "OutOfReach"),
    "Progress": ("assocmem.index.results", "Progress"),
    "Question": ("assocmem.index.teach.review", "Question"),
    "SearchReport": ("assocmem.search.clique_index", "SearchReport"),
    "Seen": ("assocmem.index.results", "Seen"),
    "SeenMemory": ("assocmem.memory.familiarity", "SeenMemory"),
    "TeachReport": ("assocmem.index.results", "TeachReport"),
    "Teaching": ("assocmem.index.store.records", "Teaching"),
    "WillshawMemory": ("assocmem.memory.willshaw", "WillshawMemory"),
    "open": ("assocmem.index.collection", "open_collection"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*__all__, "open"])  # not in __all__, because a star import would replace the built-in one


_compat.install()
