"""A ConceptMemory in an HDF5 file: its examples, and the answers' weights where they have been found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from assocmem._numerics.types import Arrays
from assocmem._numerics.validation import check_ids
from assocmem._storage.hdf5 import loaded_arrays, save_arrays
from assocmem.concepts.examples import Saying

if TYPE_CHECKING:
    from assocmem.concepts.memory import ConceptMemory

Memory = TypeVar("Memory", bound="ConceptMemory")

KIND = "concept memory"


def save_memory(path: str | os.PathLike[str], memory: ConceptMemory) -> None:
    """See ``ConceptMemory.save``."""
    save_arrays(path, KIND, *state_of(memory))


def load_memory(cls: type[Memory], path: str | os.PathLike[str]) -> Memory:
    """See ``ConceptMemory.load``."""
    with loaded_arrays(path, KIND, "teach again") as (about, arrays):
        memory = cls(
            about["dim"],
            about["metric"],
            mean=arrays["mean"] if about["mean"] else None,
            code_bytes=about["code_bytes"],
            seed=about["seed"],
        )
        restore(memory, about, arrays)
    return memory


def state_of(memory: ConceptMemory) -> tuple[dict[str, Any], Arrays]:
    """What a file has to hold: facts, and arrays in the order of ids."""
    table = memory._examples
    order = sorted(range(len(table)), key=table.ids.__getitem__)
    sayings = [table.sayings[row] for row in order]
    numbers = {name: number for number, name in enumerate(memory.concepts)}
    arrays: Arrays = {
        "ids": np.array([table.ids[row] for row in order], np.int64),
        "whens": np.array([saying.when for saying in sayings], np.int64),
        "concepts": np.array([numbers.get(saying.concept, -1) for saying in sayings], np.int64),
        "values": table.values[np.array(order, np.int64)],
    }
    if memory.mean is not None:
        arrays["mean"] = memory.mean
    denied = {str(place): saying.denied for place, saying in enumerate(sayings) if saying.denied}
    about = {**memory.settings, "names": memory.concepts, "denied": denied, "clock": table.clock}
    about["mean"] = memory.mean is not None
    return about, arrays


def restore(memory: ConceptMemory, about: dict[str, Any], arrays: Arrays) -> None:
    """Undo ``state_of`` in an empty memory; ValueError when it is not what that gave."""
    table, ids = memory._examples, check_ids(arrays["ids"])
    values, like = arrays["values"], table.keeper.empty(0)
    names = [*about["names"], ""]
    if values.shape != (len(ids), *like.shape[1:]) or values.dtype != like.dtype:
        raise ValueError(f"examples of shape {values.shape} and dtype {values.dtype}")
    if not len(ids) == len(arrays["whens"]) == len(arrays["concepts"]):
        raise ValueError("examples that are not those of the ids")
    if len(ids) and not -1 <= arrays["concepts"].min() <= arrays["concepts"].max() < len(about["names"]):
        raise ValueError("examples of concepts that have no name")
    for place, (id_, when, number) in enumerate(
        zip(ids.tolist(), arrays["whens"].tolist(), arrays["concepts"].tolist(), strict=True)
    ):
        denied = tuple(about["denied"].get(str(place), ()))
        table.put(id_, values[place], Saying(when, names[number], denied))
    table.clock = int(about["clock"])
