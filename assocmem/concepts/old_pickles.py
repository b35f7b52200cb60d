"""Reads pickles of ``ConceptMemory`` that were written when its parts were modules of ``assocmem``.

Such a pickle names ``assocmem.concepts.ConceptMemory`` first, and then the classes of its parts, such as
``assocmem.examples.Examples``. The package's ``__getattr__`` answers the first name and calls ``register``, which makes
stand-ins for the parts; ``converted`` takes the examples out of them. Classifiers are dropped: they are fitted again.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from assocmem.concepts.examples import ExampleEncoder, ExampleTable
from assocmem.concepts.statements import Statement

_PARTS = {
    "calibration": ("Doubt", "Shares", "Softmax"),
    "connections": ("Connections",),
    "examples": ("Examples", "Keeper", "Saying"),
    "nearness": ("Nearness",),
    "readers": ("CountReader", "RidgeReader"),
    "ridge": ("Solution", "Sums"),
    "symbols": ("Rotation",),
    "waves": ("RandomWaves",),
}
"""Module -> classes that a pickle may name."""


class FormerObject:
    """Stands for an object of a former class; holds its attributes, or none if it had slots."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            vars(self).update(state)


def register() -> None:
    """Make the former modules importable, unless they still are."""
    for name, classes in _PARTS.items():
        try:
            importlib.import_module(f"assocmem.{name}")
        except ModuleNotFoundError:
            module = types.ModuleType(
                f"assocmem.{name}", "Stands for a former module; see assocmem.concepts.old_pickles."
            )
            vars(module).update({each: Statement if each == "Saying" else FormerObject for each in classes})
            sys.modules[module.__name__] = module


def converted(state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of a pickle in the present form; see ``ConceptMemory.__getstate__``."""
    old, mean = state["_examples"], state["mean"]
    table = ExampleTable(ExampleEncoder(state["dim"], state["code_bytes"], state["seed"]))
    for row, id_ in enumerate(old.ids):
        table.put(id_, old.values[row], old.sayings[row])
    table.clock = old.clock
    facts, arrays = table.to_arrays()
    about = {name: state[name] for name in ("dim", "metric", "code_bytes", "seed")}
    if mean is not None:
        arrays["mean"] = mean
    return {"about": {**about, "mean": mean is not None, **facts}, "arrays": arrays, "solved": {}}
