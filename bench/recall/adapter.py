"""The protocol between the recall benchmark and an index: `EngineAdapter`. Contains numpy types only, no index.

An adapter is made in the process that runs it. An `EngineSpec` says which adapter, with which options and settings;
every process can read it. Vectors are passed as they are compared: float32, scaled to length 1 if the distance is
angular, uint8 of zeros and ones if it is Hamming's. Items are identified by their row numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assocmem._numerics.types import F32, I64, AnyArray

Metric = Literal["euclidean", "angular", "hamming"]

Setting = dict[str, float]
"""Parameters of a search by name: nprobe, efSearch, effort ..."""


class UnsupportedError(Exception):
    """An engine cannot do what it was asked to do; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class IndexTask:
    """What an engine knows before it gets the vectors."""

    metric: Metric
    dim: int
    items: int
    fits_uint8: bool
    """Whether all numbers are whole and within 0 to 255."""
    threads: int
    folder: Path
    """For files of its own."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine of the plan: data only."""

    name: str
    adapter: str
    """A key of `ADAPTERS`."""
    options: dict[str, Any] = field(default_factory=dict)
    sweeps: tuple[tuple[Setting, ...], ...] = (({},),)
    """Settings to try; the effort grows along a sweep."""
    quick: bool = False
    """Whether it takes part in a quick run."""

    @property
    def is_assocmem(self) -> bool:
        """Whether it is one of this program's engines."""
        return ADAPTERS[self.adapter].package == "assocmem"


@dataclass(frozen=True, slots=True)
class IndexSize:
    """Bytes of a whole index."""

    memory: int
    disk: int


class EngineAdapter(ABC):
    """An index, as the benchmark uses it."""

    jitted = False
    """Whether its first index in a process compiles code: then a small index is built and searched before timing."""

    def __init__(self, task: IndexTask, **options: Any) -> None:
        self.task, self.options = task, options

    @abstractmethod
    def fit(self, x: AnyArray) -> None:
        """Index all items, row i with the number i; UnsupportedError if that is not possible."""

    def finish(self) -> None:  # noqa: B027
        """Prepare for searches what does not count as building, such as files."""

    @abstractmethod
    def set_parameters(self, setting: Setting) -> None:
        """Use these parameters for all searches from now on."""

    @abstractmethod
    def batch_query(self, queries: AnyArray, k: int) -> I64:
        """Return the row numbers of the nearest items, int64 (nq, k), nearest first; -1 stands for no item."""

    def query(self, query: AnyArray, k: int) -> I64:
        """Answer one query of shape (1, dim), as a program with a single query would ask."""
        return self.batch_query(query, k)

    @abstractmethod
    def size(self) -> IndexSize:
        """Count the bytes of the index: of its arrays or as it is serialised, never those of the process."""

    def expected_recall(self, queries: AnyArray, k: int) -> F32:
        """Return the recall that the index itself expects of its answers, float32 (nq,)."""
        raise UnsupportedError("expects nothing")

    def add(self, x: AnyArray, ids: I64) -> None:
        """Add items to the full index; UnsupportedError if that is not possible."""
        raise UnsupportedError("cannot")

    def remove(self, ids: I64) -> None:
        """Remove items; UnsupportedError if that is not possible."""
        raise UnsupportedError("cannot")


@dataclass(frozen=True, slots=True)
class AdapterLocation:
    """Where an adapter is defined, and which package it needs."""

    package: str
    module: str
    """In this package."""
    name: str


ADAPTERS = {
    "clique": AdapterLocation("assocmem", "assocmem_adapters", "CliqueIndexAdapter"),
    "exhaustive": AdapterLocation("assocmem", "assocmem_adapters", "ExhaustiveAdapter"),
    "faiss": AdapterLocation("faiss", "faiss_adapters", "FaissFactoryAdapter"),
    "faiss-mapped": AdapterLocation("faiss", "faiss_adapters", "FaissMappedAdapter"),
    "faiss-signs": AdapterLocation("faiss", "faiss_binary_adapters", "FaissSignsAdapter"),
    "faiss-binary": AdapterLocation("faiss", "faiss_binary_adapters", "FaissBinaryAdapter"),
    "hnswlib": AdapterLocation("hnswlib", "graph_adapters", "HnswlibAdapter"),
    "usearch": AdapterLocation("usearch", "graph_adapters", "UsearchAdapter"),
    "pynndescent": AdapterLocation("pynndescent", "graph_adapters", "PyNNDescentAdapter"),
    "symphonyqg": AdapterLocation("rabitqlib", "rabitq_adapters", "SymphonyQGAdapter"),
    "rabitq-lists": AdapterLocation("rabitqlib", "rabitq_adapters", "RabitqListsAdapter"),
    "scann": AdapterLocation("scann", "rival_adapters", "ScannAdapter"),
    "svs": AdapterLocation("svs", "rival_adapters", "VamanaAdapter"),
    "turbovec": AdapterLocation("turbovec", "rival_adapters", "TurbovecAdapter"),
    "voyager": AdapterLocation("voyager", "rival_adapters", "VoyagerAdapter"),
}
RIVALS = ("hnswlib", "pynndescent", "rabitqlib", "scann", "svs", "turbovec", "usearch", "voyager")
"""Packages of the extra ``rivals``."""
INSTALL_COMMANDS = {"faiss": 'pip install "assocmem[bench]"'} | dict.fromkeys(RIVALS, 'pip install "assocmem[rivals]"')
"""How to install a package, if that is not `pip install` and its name."""


def make_engine(spec: EngineSpec, task: IndexTask) -> EngineAdapter:
    """Import an engine's package and make its adapter; ImportError if the package is missing."""
    location = ADAPTERS[spec.adapter]
    module = import_module(f"assocmem.bench.recall.{location.module}")
    adapter: type[EngineAdapter] = getattr(module, location.name)
    return adapter(task, **spec.options)


def whole_answers(found: AnyArray, k: int, items: int) -> I64:
    """Bring a library's answers into the form of `EngineAdapter.batch_query`.

    Parameters
    ----------
    found : integers (nq, m) or (m,)
        Row numbers; numbers beyond the items stand for no item. Fewer than k columns are filled up with -1.
    k, items : int

    Returns
    -------
    int64 (nq, k)
    """
    ids = np.atleast_2d(found).astype(np.int64)[:, :k]
    ids[ids >= items] = -1
    return np.pad(ids, ((0, 0), (0, k - ids.shape[1])), constant_values=-1)


def format_setting(setting: Setting) -> str:
    """Format a setting for people: ``nprobe=8, k_factor=4``."""
    return ", ".join(f"{name}={value:g}" for name, value in setting.items())
