"""What an engine is to the recall benchmark: the adapter around somebody's index. Knows numpy, and no index.

An adapter is made in the process that runs it; what it is to be, and with which settings it is asked, is said by a
`Spec`, which any process can read. Vectors come as they are compared: float32, of unit length where the distance is
angular, uint8 of zeros and ones where it is Hamming's. Items are named by their row numbers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from assocmem._numerics.types import I64, AnyArray

Metric = Literal["euclidean", "angular", "hamming"]
Array = AnyArray

Setting = dict[str, float]
"""Parameters of a search by name: nprobe, efSearch, effort ..."""


class UnableError(Exception):
    """An engine cannot do what it was asked; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Task:
    """What an engine is told before it sees a vector."""

    metric: Metric
    dim: int
    items: int
    whole: bool
    """Whether all numbers are whole and within 0 to 255: a byte holds them."""
    threads: int
    folder: Path
    """For files of its own."""


@dataclass(frozen=True, slots=True)
class Spec:
    """An engine as the benchmark plans it: data only."""

    name: str
    kind: str
    """Which adapter, a key of `KINDS`."""
    options: dict[str, Any] = field(default_factory=dict)
    lines: tuple[tuple[Setting, ...], ...] = (({},),)
    """Settings to try; along a line the effort grows."""
    quick: bool = False
    """Whether it takes part in a quick run."""

    @property
    def ours(self) -> bool:
        """Whether it is one of this program's engines."""
        return KINDS[self.kind].package == "assocmem"


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of a whole index."""

    memory: int
    disk: int


class Engine(ABC):
    """An adapter."""

    jitted = False
    """Whether its first index in a process compiles: then a small one comes before the clock starts."""

    def __init__(self, task: Task, **options: Any) -> None:
        self.task, self.options = task, options

    @abstractmethod
    def fit(self, x: Array) -> None:
        """Index all items, row i under the number i; UnableError if that cannot be."""

    def finish(self) -> None:  # noqa: B027
        """Make ready for searches what is no part of building: files."""

    @abstractmethod
    def use(self, setting: Setting) -> None:
        """Search with these parameters from now on."""

    @abstractmethod
    def batch_query(self, queries: Array, k: int) -> I64:
        """Return the row numbers of the nearest, int64 (nq, k), nearest first; -1 is no item."""

    def query(self, query: Array, k: int) -> I64:
        """Answer one query, a row of shape (1, dim): the way a program would that has no other."""
        return self.batch_query(query, k)

    @abstractmethod
    def size(self) -> Size:
        """Count the bytes: of the structure's arrays or as it is serialised, never the process's."""

    def add(self, x: Array, ids: I64) -> None:
        """Add items to the full index; UnableError if it takes none."""
        raise UnableError("cannot")

    def remove(self, ids: I64) -> None:
        """Take items out; UnableError if it lets none go."""
        raise UnableError("cannot")


@dataclass(frozen=True, slots=True)
class Kind:
    """Where an adapter lives and what it needs."""

    package: str
    module: str
    adapter: str


_HOME = "assocmem.bench.recall."
KINDS = {
    "clique": Kind("assocmem", _HOME + "assocmem_engines", "Clique"),
    "exhaustive": Kind("assocmem", _HOME + "assocmem_engines", "Exhaustive"),
    "faiss": Kind("faiss", _HOME + "faiss_engines", "Factory"),
    "faiss-mapped": Kind("faiss", _HOME + "faiss_engines", "Mapped"),
    "faiss-signs": Kind("faiss", _HOME + "faiss_binary_engines", "Signs"),
    "faiss-binary": Kind("faiss", _HOME + "faiss_binary_engines", "Binary"),
    "hnswlib": Kind("hnswlib", _HOME + "graph_engines", "Hnswlib"),
    "usearch": Kind("usearch", _HOME + "graph_engines", "Usearch"),
    "pynndescent": Kind("pynndescent", _HOME + "graph_engines", "PyNNDescent"),
}
INSTALL = {"faiss": 'pip install "assocmem[bench]"'}
"""How to get a package, where that is not `pip install` and its name."""


def make(spec: Spec, task: Task) -> Engine:
    """Import an engine's package and make its adapter; ImportError if the package is missing."""
    from importlib import import_module

    kind = KINDS[spec.kind]
    adapter: type[Engine] = getattr(import_module(kind.module), kind.adapter)
    return adapter(task, **spec.options)


def tell(setting: Setting) -> str:
    """Write a setting as people do: ``nprobe=8, k_factor=4``."""
    return ", ".join(f"{name}={value:g}" for name, value in setting.items())
