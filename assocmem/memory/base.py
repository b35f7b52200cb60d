"""BitMemory: what all memories of bits share: merging, comparing, counting, and their file."""

from __future__ import annotations

import math
import os
import sys
import threading
from typing import Any, ClassVar, Self

import numpy as np

from assocmem._numerics.bits import count_ones, empty_matrix, words_for
from assocmem._numerics.types import Words
from assocmem._storage.hdf5 import load_bits, save_bits
from assocmem.errors import DamagedError, InputError


def physical_memory() -> float:
    """Return the bytes of this machine's memory; infinity on Windows, where Python cannot tell."""
    if sys.platform == "win32":
        size = math.inf
    else:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return size


class BitMemory:
    """A bit matrix with a shape; storing sets bits and never clears one.

    So order and repetition do not matter, and two memories of a shape merge by OR: in any order, any number of times.
    Threads may share a memory: they change it one at a time, and who asks meanwhile sees some of a change.

    Attributes
    ----------
    bits : uint64 (rows, words)
        Read-only when the memory was mapped from a file.
    """

    kind: ClassVar[str]
    bits: Words
    _writing: threading.Lock

    @property
    def shape(self) -> dict[str, int]:
        """What two memories must have in common to be merged."""
        raise NotImplementedError

    def _set_shape(self, **shape: int) -> None:
        raise NotImplementedError

    def _matrix_size(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        raise NotImplementedError

    def _make(self, **shape: int) -> None:
        """Set the shape and an empty matrix; InputError when that cannot be."""
        self._set_shape(**shape)
        self._writing = threading.Lock()
        rows, columns = self._matrix_size()
        needed = 8 * rows * words_for(columns)
        here = physical_memory()
        if needed > here:
            sizes = ", ".join(f"{name} {value}" for name, value in shape.items())
            raise InputError(
                f"expected a memory that fits into this machine's {here / 1e9:.3g} GB, found {needed / 1e9:.3g} GB "
                f"({sizes}); take fewer"
            )
        self.bits = empty_matrix(rows, columns)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}={value}" for name, value in self.shape.items())
        return f"<{type(self).__name__}({sizes}), density {self.density:.4f}>"

    def __eq__(self, other: object) -> bool:
        """Same kind, same shape, same bits."""
        if not isinstance(other, BitMemory):
            return NotImplemented
        same = self.kind == other.kind and self.shape == other.shape
        return same and np.array_equal(self.bits, other.bits)

    __hash__ = None  # type: ignore[assignment]

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix, which is all there is."""
        return self.bits.nbytes

    @property
    def density(self) -> float:
        """Share of the possible bits that are set."""
        rows, columns = self._matrix_size()
        return self._ones() / (rows * columns)

    def _ones(self) -> int:
        ones = np.empty(len(self.bits), np.int64)
        count_ones(self.bits, ones)
        return int(ones.sum())

    def _check_writable(self) -> None:
        if not self.bits.flags.writeable:
            raise InputError("expected a memory that can be changed, found one that is mapped; load it without mmap")

    def merge(self, other: Self) -> None:
        """Take in all that another memory of the same kind and shape has stored.

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
        """Write the memory to an HDF5 file, which is whole or not there; one that was there is replaced."""
        save_bits(path, self.kind, self.shape, self.bits)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = False) -> Self:
        """Read a memory that ``save`` wrote; with ``mmap`` its bits stay in the file, and it cannot be changed.

        Raises
        ------
        MissingFileError
        DamagedError
            The file is cut short, altered, or no such file at all; its checksums are checked, mapped or not.
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
        memory.bits, memory._writing = bits, threading.Lock()
        return memory

    def __getstate__(self) -> dict[str, Any]:
        return {"shape": self.shape, "bits": self.bits}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set_shape(**state["shape"])
        self.bits, self._writing = state["bits"], threading.Lock()
