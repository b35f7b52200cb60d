"""The array classes: how the files of the fixture are made from its inputs, and a fixed set of questions.

All vectors are small integers and all randomness is in ``inputs.npz``, so that the inputs are the same everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import assocmem

Inputs = dict[str, np.ndarray]
TOLERANCE = 1e-5
"""Relative, absolute below 1: processors may add floats in another order."""


def inputs_of(folder: Path) -> Inputs:
    """Read the inputs of a fixture; vectors as float32."""
    with np.load(folder / "inputs.npz") as file:
        arrays = {name: file[name] for name in file}
    return {name: x.astype(np.float32) if x.dtype == np.int8 else x for name, x in arrays.items()}


def digest(array: Any) -> str:
    """Shape, dtype and SHA-256 of an array: it is the same bit for bit, or not."""
    array = np.ascontiguousarray(array)
    shape = "x".join(map(str, array.shape))
    return f"{array.dtype.str} {shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


def plain(value: Any) -> Any:
    """Arrays and numbers of numpy -> JSON values."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


# making


def cosine_index(x: Inputs) -> Any:
    """Return a float16 index with ids of its own, some removed, some changed, some added without ids."""
    index = assocmem.CliqueIndex(24, "cosine", features="float16", clusters=32, mean=x["mean"] / 64, seed=5)
    index.add(x["vectors"][:1120], ids=x["ids"])
    index.remove(x["ids"][::7])
    index.update(x["ids"][1:50:7], x["vectors"][1400:1407])
    index.add(x["vectors"][1120:1220])
    return index


def l2_index(x: Inputs) -> Any:
    """Return a uint8 index by distance, with ids counted from 0, some removed, another merged into it."""
    index = assocmem.CliqueIndex(24, "l2", features="uint8", clusters=32, seed=6)
    index.add(np.abs(x["vectors"][:400]))
    index.remove(np.arange(3, 400, 9))
    other = assocmem.CliqueIndex(24, "l2", features="uint8", clusters=32, seed=6)
    other.add(np.abs(x["vectors"][400:420]), ids=np.arange(5000, 5020))
    index |= other
    return index


def dense_cliques(x: Inputs) -> Any:
    """Return a clique memory, some messages forgotten."""
    memory = assocmem.CliqueMemory(8, 32)
    memory.store(x["messages"])
    memory.forget(x["messages"][:40], x["messages"][40:])
    return memory


def sparse_cliques(x: Inputs) -> Any:
    """Return a clique memory of sparse messages, merged of two."""
    memory, other = (assocmem.CliqueMemory(10, 24, active=4) for _ in range(2))
    memory.store(x["sparse_messages"][:100])
    other.store(x["sparse_messages"][100:])
    memory.merge(other)
    return memory


def willshaw(x: Inputs) -> Any:
    """Return an associative memory of sets."""
    memory = assocmem.WillshawMemory(150, 200)
    memory.associate(x["row_sets"], np.arange(200))
    memory.associate([[1, 2, 3], [4]], [[7, 8], [9, 10, 11]])
    return memory


def seen_messages(x: Inputs) -> np.ndarray:
    """Return the messages of the fixed vectors."""
    return assocmem.MessageCoder(24, clusters=8, mean=x["mean"] / 64, seed=3).messages(x["vectors"])


def seen_memory(x: Inputs) -> Any:
    """Return a memory of messages."""
    memory = assocmem.SeenMemory(64, clusters=8)
    memory.store(seen_messages(x)[:300])
    return memory


def concept_memory(x: Inputs) -> Any:
    """Return concepts that were taught, denied, taken back, renamed, merged and forgotten; two memories merged."""
    memory, other = (assocmem.ConceptMemory(24, mean=x["mean"] / 64, seed=2) for _ in range(2))
    _teach(memory, x)
    other.teach(x["vectors"][20:24], "early", ids=np.arange(1020, 1024), when=0)
    other.teach(x["vectors"][24:28], "last", ids=np.arange(1024, 1028), when=9)
    memory |= other
    return memory


def coded_concepts(x: Inputs) -> Any:
    """Return the same, kept as codes."""
    memory = assocmem.ConceptMemory(24, "l2", code_bytes=24, seed=2)
    _teach(memory, x)
    return memory


def _teach(memory: Any, x: Inputs) -> None:
    names = [f"kind {which}" for which in x["kinds"][:120]]
    memory.teach(x["vectors"][:120], names, ids=np.arange(1000, 1120), when=1)
    memory.deny(x["vectors"][100:110], "kind 1", ids=np.arange(1100, 1110), when=2)
    memory.deny(x["vectors"][100:103], "kind 2", ids=np.arange(1100, 1103), when=2)
    memory.deny(x["vectors"][120:126], "kind 2", when=3)
    memory.teach(x["vectors"][126:130], "late", when=4)
    memory.teach(x["vectors"][5], "late", ids=[1005], when=5)
    memory.unteach(np.arange(1010, 1016))
    memory.rename("kind 3", "three")
    memory.rename("kind 4", "kind 5")
    memory.forget("kind 6")


MADE: dict[str, tuple[str, Callable[[Inputs], Any]]] = {
    "index-cosine.h5": ("CliqueIndex", cosine_index),
    "index-l2.h5": ("CliqueIndex", l2_index),
    "cliques-dense.h5": ("CliqueMemory", dense_cliques),
    "cliques-sparse.h5": ("CliqueMemory", sparse_cliques),
    "willshaw.h5": ("WillshawMemory", willshaw),
    "seen.h5": ("SeenMemory", seen_memory),
    "concepts.h5": ("ConceptMemory", concept_memory),
    "concepts-coded.h5": ("ConceptMemory", coded_concepts),
}


def load(path: Path) -> Any:
    """Open a file of the fixture by its class."""
    return getattr(assocmem, MADE[path.name][0]).load(path)


def contents(path: Path) -> dict[str, Any]:
    """Everything an HDF5 file holds: attributes, and each dataset's values."""

    def attributes(node: Any) -> dict[str, Any]:
        return {name: value.hex() if isinstance(value, bytes) else plain(value) for name, value in node.attrs.items()}

    with h5py.File(path) as file:
        found: dict[str, Any] = {"/": {"attributes": attributes(file), "values": np.empty(0)}}
        found |= {name: {"attributes": attributes(file[name]), "values": file[name][()]} for name in file}
    return found


# asking


def ask(name: str, memory: Any, x: Inputs) -> dict[str, Any]:
    """Ask one memory or index its questions; JSON values."""
    asked = {"CliqueIndex": _ask_index, "CliqueMemory": _ask_cliques, "WillshawMemory": _ask_willshaw,
        "SeenMemory": _ask_seen, "ConceptMemory": _ask_concepts}  # fmt: skip
    answers: dict[str, Any] = plain(asked[MADE[name][0]](memory, x))
    return answers


def _ask_index(index: Any, x: Inputs) -> dict[str, Any]:
    queries = x["queries"] if index.cosine else np.abs(x["queries"])
    stats = index.stats()
    near = index.search(queries, 10, effort=1.0)[0]
    radius = float(np.median(near[:, -1]))
    return {
        "len": len(index),
        "ids": digest(index.ids()),
        "contains": [int(i) in index for i in (*range(0, 40, 3), *x["ids"][:12])],
        "stats": {name: getattr(stats, name) for name in ("items", "code_bytes", "mapped_bytes")},
        "search exact": index.search(queries, 4, effort=1.0),
        "radius": radius,
        "range search": index.range_search(queries[:2], radius * (1.001 if index.cosine else 0.999), effort=1.0),
        "reconstruct": digest(index.reconstruct(index.ids())),
    }  # fmt: skip


def _ask_cliques(memory: Any, x: Inputs) -> dict[str, Any]:
    dense = memory.active == memory.clusters
    messages, cues, strange = (
        x[name if dense else f"sparse_{name}"] for name in ("messages", "cues", "strange_messages")
    )
    answers: dict[str, Any] = {
        "shape": memory.shape,
        "bits": digest(memory.bits),
        "density": memory.density,
        "nbytes": memory.nbytes,
        "familiar": memory.familiar(messages),
        "familiar strange": memory.familiar(strange),
        "familiarity strange": memory.familiarity(strange),
    }
    for rule in ("sum-of-max", "sum-of-sum", "gwsta"):
        for guided in (True, False):
            if guided and not dense and (cues == -1).all(axis=1).any():
                continue
            asked = np.where(x["sparse_unused"], -2, cues) if guided and not dense else cues
            recalled = memory.recall(asked, rule=rule, guided=guided, candidates=True)
            answers[f"recall {rule} {'guided' if guided else 'alone'}"] = {
                "messages": recalled.messages,
                "exact": recalled.exact,
                "iterations": recalled.iterations,
                "candidates": digest(recalled.candidates),
            }
    once = memory.recall(cues, rule="sum-of-sum", iterations=1, guided=dense)
    answers["recall one round"] = {"messages": once.messages, "exact": once.exact, "iterations": once.iterations}
    return answers


def _ask_willshaw(memory: Any, x: Inputs) -> dict[str, Any]:
    sets = x["row_sets"][:20]
    return {
        "shape": memory.shape,
        "bits": digest(memory.bits),
        "transposed bits": digest(memory.transposed().bits),
        "density": memory.density,
        "nbytes": memory.nbytes,
        "poll": digest(memory.poll(sets)),
        "top": memory.top(sets, 3),
        "recall": memory.recall(sets),
        "recall by three": memory.recall(sets[:, :4], threshold=3),
        "recall of lists": memory.recall([[1, 2], [4], []]),
    }


def _ask_seen(memory: Any, x: Inputs) -> dict[str, Any]:
    messages = seen_messages(x)
    stored, strange = messages[:20], messages[700:720]
    altered = np.where(np.arange(8) < 5, stored, strange)
    levels, table = memory.scales()
    known = np.ones(altered.shape, bool)
    return {
        "messages": digest(messages),
        "first messages": messages[:5],
        "shape": memory.shape,
        "bits": digest(memory.bits),
        "density": memory.density,
        "pair densities": memory.pair_densities,
        "nbytes": memory.nbytes,
        "scales": [digest(levels), digest(table)],
        "evidence": [memory.evidence(one) for one in (stored, strange, altered)],
        "evidence from 5 bits": memory.evidence(altered, least=5.0),
        "seen": [memory.seen(one, 13.5) for one in (stored, strange, altered)],
        "theory": memory.theory(altered, known, np.random.Generator(np.random.PCG64(4))),
    }


def _ask_concepts(memory: Any, x: Inputs) -> dict[str, Any]:
    queries = x["vectors"][200:212]
    answers: dict[str, Any] = {
        "len": len(memory),
        "contains": [i in memory for i in range(1000, 1020)],
        "concepts": memory.concepts,
        "counts": memory.counts,
        "concept": [memory.concept(i) for i in (*range(1000, 1010), *range(1100, 1106)) if i in memory],
        "nbytes": memory.nbytes,
        "settings": memory.settings,
        "confidence": memory.confidence,
    }
    for reader in ("ridge", "counts", None):
        nearest = memory.nearest(queries, 3, reader=reader)
        shares, none = memory.probabilities(queries, reader=reader)
        answers[f"reader {reader}"] = {
            "nearest": {name: getattr(nearest, name) for name in
                ("probabilities", "concepts", "familiarity", "none", "names")},
            "probabilities": shares[:4],
            "none": none,
            "scores": memory.scores(queries[:4], reader=reader),
        }  # fmt: skip
    return answers
