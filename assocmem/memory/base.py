"""BitMemory, the base of all memories of bits: merging, comparing, density, and files."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from assocmem._numerics.bits import count_ones, empty_matrix, words_for
from assocmem._numerics.threads import WriterLock
from assocmem._numerics.types import I64, Words
from assocmem._storage.hdf5 import load_bits, save_bits
from assocmem.errors import DamagedError, InputError


class BitMemory(ABC):
    """A bit matrix with a shape; storing sets bits and never clears one.

    So order and repetition do not matter, and two memories of the same shape merge by OR, in any order and any number
    of times. Threads may share a memory: they change it one at a time, and a thread that reads meanwhile may see part
    of a change.

    A subclass provides four things: ``kind``; ``shape``; ``_set_shape``, which checks a shape, as ``shape`` returns it,
    and makes everything that depends on it except the matrix; and ``_matrix_size``. Its ``__init__`` calls ``_make``
    with the shape. Its methods that change ``bits`` call ``_check_writable`` first and hold ``_writing`` while they
    change them.

    Attributes
    ----------
    bits : uint64 (rows, words)
        Read-only if the memory was mapped from a file.
    """

    kind: ClassVar[str]
    """Name of the kind of memory, as in its files."""
    bits: Words
    _writing: WriterLock

    @property
    @abstractmethod
    def shape(self) -> dict[str, int]:
        """What two memories must have in common to be merged."""

    @abstractmethod
    def _set_shape(self, **shape: int) -> None:
        """Check the shape and set the attributes that follow from it; InputError for an impossible one."""

    @abstractmethod
    def _matrix_size(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""

    def _make(self, **shape: int) -> None:
        """Set the shape and an empty matrix; InputError for an impossible shape, or if it does not fit into memory."""
        self._set_shape(**shape)
        self._writing = WriterLock()
        rows, columns = self._matrix_size()
        needed, here = 8 * rows * words_for(columns), physical_memory()
        try:
            if here is not None and needed > here:
                raise MemoryError
            self.bits = empty_matrix(rows, columns)
        except (MemoryError, ValueError):  # ValueError: more than numpy can address
            sizes = ", ".join(f"{name} {value}" for name, value in shape.items())
            limit = "memory" if here is None else f"{here / 1e9:.3g} GB"
            raise InputError(
                f"expected a memory that fits into this machine's {limit}, found {needed / 1e9:.3g} GB ({sizes}); "
                "take fewer"
            ) from None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={value}" for name, value in self.shape.items())
        return f"<{type(self).__name__}({sizes}), density {self.density:.4f}>"

    def __eq__(self, other: object) -> bool:
        """Return whether kind, shape and bits are equal."""
        if not isinstance(other, BitMemory):
            return NotImplemented
        same = self.kind == other.kind and self.shape == other.shape
        return same and np.array_equal(self.bits, other.bits)

    __hash__ = None  # type: ignore[assignment]

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix; a memory stores nothing else."""
        return self.bits.nbytes

    @property
    def density(self) -> float:
        """Share of the possible bits that are set."""
        rows, columns = self._matrix_size()
        return int(self._ones_per_row().sum()) / (rows * columns)

    def _ones_per_row(self) -> I64:
        ones = np.empty(len(self.bits), np.int64)
        count_ones(self.bits, ones)
        return ones

    def _check_writable(self) -> None:
        """Raise InputError if the memory is mapped."""
        if not self.bits.flags.writeable:
            raise InputError("expected a memory that can be changed, found one that is mapped; load it without mmap")

    def merge(self, other: Self) -> None:
        """Add all that another memory of the same kind and shape has stored.

        Raises
        ------
        InputError
            Another kind or shape; nothing is changed.
        """
        self._check_writable()
        if not isinstance(other, BitMemory) or (self.kind, self.shape) != (other.kind, other.shape):
            raise InputError(f"merge: expected a {self.kind} memory of {self.shape}, found {other!r}")
        with self._writing:
            np.bitwise_or(self.bits, other.bits, out=self.bits)

    def __ior__(self, other: Self) -> Self:
        self.merge(other)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the memory to an HDF5 file, completely or not at all; an existing file is replaced."""
        save_bits(path, self.kind, self.shape, self.bits)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = False) -> Self:
        """Read a memory that ``save`` wrote; with ``mmap`` its bits stay in the file, and it cannot be changed.

        Raises
        ------
        MissingFileError
        DamagedError
            The file is cut short, altered, or not the file of a memory; its checksums are checked, mapped or not.
        MismatchError
            Another kind of memory, or written by a newer version.
        """
        shape, bits = load_bits(path, cls.kind, mmap=mmap)
        memory = cls.__new__(cls)
        try:
            memory._set_shape(**shape)
        except (TypeError, InputError) as error:
            raise DamagedError(f"{path}: expected the shape of a {cls.kind} memory, found {shape} ({error})") from error
        rows, columns = memory._matrix_size()
        if bits.shape != (rows, words_for(columns)):
            raise DamagedError(f"{path}: expected {rows} x {words_for(columns)} words, found {bits.shape}; store again")
        memory.bits, memory._writing = bits, WriterLock()
        return memory

    def __getstate__(self) -> dict[str, Any]:
        return {"shape": self.shape, "bits": self.bits}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set_shape(**state["shape"])
        self.bits, self._writing = state["bits"], WriterLock()

    def __copy__(self) -> Self:
        """Return a memory that shares nothing with this one."""
        return copy.deepcopy(self)


def physical_memory() -> int | None:
    """Return the bytes of this machine's memory; None if the system does not tell, as on Windows.

    Linux grants more memory than there is and ends the process when it is used, so sizes are compared beforehand.
    Where the size is unknown, the allocation itself fails.
    """
    ask = getattr(os, "sysconf", None)  # missing on Windows
    try:
        return None if ask is None else int(ask("SC_PAGE_SIZE") * ask("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return None
