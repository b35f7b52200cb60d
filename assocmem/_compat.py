"""Module names of earlier versions: importing one returns the module that the code has moved to.

Documents of earlier versions name ``assocmem.capacity``, and pickles name the module of each class. A finder at the end
of the import system's list is asked only for names that no file has, so it costs other imports nothing and can hide no
package.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object  # importing importlib.abc would take longer than importing assocmem

MOVED = {
    "assocmem.capacity": "assocmem.memory.capacity",
    "assocmem.clique": "assocmem.memory.clique",
    "assocmem.completion": "assocmem.memory.recall",
    "assocmem.extractors.torchfile": "assocmem.extractors.state_dict",
    "assocmem.message_codes": "assocmem.codes.hash_codes",
    "assocmem.neighbors": "assocmem.search.sklearn_api",
    "assocmem.seen": "assocmem.memory.familiarity",
    "assocmem.willshaw": "assocmem.memory.willshaw",
}
"""Old name -> new name."""


class MovedModules(Loader):
    """Finder and loader of modules that have moved."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for an old name, and None for any other."""
        return ModuleSpec(name, self) if name in MOVED else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Let the import system make an empty module, which ``exec_module`` replaces."""

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module by the one that has moved."""
        sys.modules[module.__name__] = importlib.import_module(MOVED[module.__name__])


def install() -> None:
    """Let old module names be imported."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(MovedModules())
