"""An associative-memory index for photos and videos, and the memories it is made of.

Names are loaded when they are first used: ``import assocmem`` itself imports next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from assocmem._version import __version__

if TYPE_CHECKING:
    from assocmem.clique import CliqueMemory
    from assocmem.clique_index import CliqueIndex
    from assocmem.concepts import ConceptMemory
    from assocmem.errors import AssocmemError
    from assocmem.index import open_collection as open
    from assocmem.index.collection import Collection
    from assocmem.message_codes import MessageCoder
    from assocmem.neighbors import CliqueNeighbors
    from assocmem.seen import SeenMemory
    from assocmem.willshaw import WillshawMemory

__all__ = [
    "AssocmemError",
    "CliqueIndex",
    "CliqueMemory",
    "CliqueNeighbors",
    "Collection",
    "ConceptMemory",
    "MessageCoder",
    "SeenMemory",
    "WillshawMemory",
    "__version__",
    "open",
]

_HOMES = {
    "AssocmemError": ("assocmem.errors", "AssocmemError"),
    "CliqueIndex": ("assocmem.clique_index", "CliqueIndex"),
    "CliqueMemory": ("assocmem.clique", "CliqueMemory"),
    "CliqueNeighbors": ("assocmem.neighbors", "CliqueNeighbors"),
    "Collection": ("assocmem.index.collection", "Collection"),
    "ConceptMemory": ("assocmem.concepts", "ConceptMemory"),
    "MessageCoder": ("assocmem.message_codes", "MessageCoder"),
    "SeenMemory": ("assocmem.seen", "SeenMemory"),
    "WillshawMemory": ("assocmem.willshaw", "WillshawMemory"),
    "open": ("assocmem.index", "open_collection"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
