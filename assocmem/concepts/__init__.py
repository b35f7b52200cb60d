"""Concepts learned from examples, one at a time: ``ConceptMemory`` and its parts.

``ConceptMemory`` was once in a module of this name, and pickles from that time name it here.
"""

from typing import TYPE_CHECKING, Any

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name != "ConceptMemory":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from assocmem.concepts import old_pickles
        from assocmem.concepts.memory import ConceptMemory

        old_pickles.register()
        return ConceptMemory
