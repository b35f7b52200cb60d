"""Immutable segments: the features, codes and labels of items that were committed together, one HDF5 file each.

A segment is written under a temporary name, synced, renamed, and never changed again. Codes, ids and labels are read
through HDF5, which checks their checksums; features are read in place from a memory map, a few rows at a time, and
their checksums are checked by ``verify``. Contains no paths of files, no pictures and no SQL.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.lib.stride_tricks import as_strided

from assocmem._numerics.types import F16, I8, I16, I64, U8, AnyArray
from assocmem._storage.hdf5 import replacing_hdf5
from assocmem.codes.dct_sketches import SKETCH_LENGTH
from assocmem.codes.fine_detail import no_details
from assocmem.errors import CollectionMismatchError, DamagedCollectionError
from assocmem.index.store.disk import cannot_write, check_room

FORMAT = 1
LABELS = 5
"""How many ImageNet classes are kept per item."""
_FEATURE_ROWS = 256  # rows per chunk: 640 KB at 1,280 dimensions; each has a checksum, and a place to look up
_DETAIL_ROWS = 64  # a megabyte
_CODE_ROWS = 16384
_CHUNK_ROWS = {"features": _FEATURE_ROWS, "sketches": _FEATURE_ROWS, "details": _DETAIL_ROWS}


@dataclass(frozen=True, slots=True)
class SegmentData:
    """n items, in memory."""

    ids: I64
    """int64 (n,)"""
    codes: U8
    """uint8 (n, code_bytes)"""
    features: F16
    """float16 (n, dim), as the extractor gave them"""
    labels: I16
    """int16 (n, LABELS): ImageNet classes, most probable first; (n, 0) when the extractor has none"""
    label_scores: F16
    """float16, the shape of ``labels``: their probabilities"""
    sketches: I8
    """int8 (n, SKETCH_LENGTH); zeros where an item has none"""
    details: U8
    """uint8 (n, DETAIL_LENGTH); zeros where an item has none"""


class MappedRows:
    """Rows of a chunked HDF5 dataset, read in place from the file: no copy of the whole, no HDF5 call per row.

    Indexing takes an int64 array of row numbers and returns a new array (len(rows), width).
    """

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        self.shape: tuple[int, int] = dataset.shape
        self.dtype: np.dtype[Any] = dataset.dtype
        self._chunk_rows = dataset.chunks[0]
        starts: dict[int, int] = {}
        dataset.id.chunk_iter(lambda chunk: starts.update({chunk.chunk_offset[0]: chunk.byte_offset}))
        self._starts = np.array([starts[row] for row in range(0, self.shape[0], self._chunk_rows)], np.int64)
        # The map outlives the file's name: a reader keeps its segments after a writer has replaced them.
        mapped = np.memmap(path, np.uint8, mode="r")
        self._width = self.shape[1] * self.dtype.itemsize
        # Every place where a row could begin; the last one ends with the file.
        self._rows = as_strided(mapped, (len(mapped) - self._width + 1, self._width), (1, 1), writeable=False)

    def __getitem__(self, rows: I64) -> AnyArray:
        outside = (rows < 0) | (rows >= self.shape[0])
        if outside.any():
            raise IndexError(f"row: expected 0 to {self.shape[0] - 1}, found {rows[outside][0]}")
        if not len(rows):
            return np.empty((0, self.shape[1]), self.dtype)
        places = self._starts[rows // self._chunk_rows] + rows % self._chunk_rows * self._width
        out: AnyArray = self._rows[places].view(self.dtype)
        return out


@dataclass(frozen=True, slots=True)
class Segment:
    """n items on disk: like ``SegmentData``, with features, sketches and details left in the file."""

    number: int
    ids: I64
    codes: U8
    features: MappedRows
    labels: I16
    label_scores: F16
    sketches: MappedRows | I8
    """int8 (n, SKETCH_LENGTH), left in the file; zeros if the segment was written by a version without sketches"""
    details: MappedRows | U8
    """uint8 (n, DETAIL_LENGTH), left in the file; zeros if the segment was written by a version without details"""

    def data(self, rows: I64) -> SegmentData:
        """Copy some rows into memory."""
        return SegmentData(
            self.ids[rows],
            self.codes[rows],
            self.features[rows],
            self.labels[rows],
            self.label_scores[rows],
            self.sketches[rows],
            self.details[rows],
        )


def segment_path(folder: Path, number: int) -> Path:
    """``folder/00000042.h5``."""
    return folder / f"{number:08d}.h5"


def write_segment(folder: Path, number: int, rows: int, parts: Iterable[SegmentData]) -> Path:
    """Write a segment of ``rows`` items, given in parts; the file is complete before its name exists.

    Raises
    ------
    CollectionError
        The disk is full or refuses; nothing is left behind.
    """
    path = segment_path(folder, number)
    try:
        with replacing_hdf5(path) as file:
            file.attrs["format"] = FORMAT
            datasets: dict[str, h5py.Dataset] = {}  # open until the flush: h5py is silent when closing one fails
            start = 0
            for part in parts:
                if not datasets:
                    check_room(folder, rows * _row_bytes(part))  # HDF5 recovers badly from a full disk
                    datasets = {name: _create_dataset(file, name, rows, part) for name in SegmentData.__slots__}
                _write_part(datasets, part, start, rows)
                start += len(part.ids)
            if start != rows:
                raise ValueError(f"segment {number}: expected {rows} rows, found {start}")
            file.flush()  # while the datasets are open
    except (OSError, RuntimeError) as error:
        raise cannot_write(path, error) from error
    return path


def _row_bytes(part: SegmentData) -> int:
    arrays = [getattr(part, name) for name in SegmentData.__slots__]
    return sum(array.dtype.itemsize * math.prod(array.shape[1:]) for array in arrays)


def _create_dataset(file: h5py.File, name: str, rows: int, part: SegmentData) -> h5py.Dataset:
    like = getattr(part, name)
    shape = (rows, *like.shape[1:])
    if 0 in shape:  # HDF5 has no chunks for nothing
        return file.create_dataset(name, shape, like.dtype)
    chunk_rows = min(rows, _CHUNK_ROWS.get(name, _CODE_ROWS))
    return file.create_dataset(name, shape, like.dtype, chunks=(chunk_rows, *shape[1:]), fletcher32=True)


def _write_part(datasets: dict[str, h5py.Dataset], part: SegmentData, start: int, rows: int) -> None:
    stop = start + len(part.ids)
    for name, dataset in datasets.items():
        array = getattr(part, name)
        if array.shape != (len(part.ids), *dataset.shape[1:]) or stop > rows or array.dtype != dataset.dtype:
            raise ValueError(
                f"{name}: expected {dataset.dtype} rows {dataset.shape[1:]}, at most {rows} in all, "
                f"found {array.dtype} {array.shape} after {start}"
            )
        dataset[start:stop] = array


def read_segment(folder: Path, number: int) -> Segment:
    """Open a segment.

    Raises
    ------
    FileNotFoundError
        No segment has this number; the caller's view of the collection may be stale.
    DamagedCollectionError
        The file is cut short, altered, or not a segment.
    CollectionMismatchError
        The file was written by a newer version.
    """
    path = segment_path(folder, number)
    with _damage_named(path), h5py.File(path, "r") as file:
        if file.attrs["format"] != FORMAT:
            raise CollectionMismatchError(
                f"{path}: expected segment format {FORMAT}, found {file.attrs['format']}; "
                "it was written by a newer assocmem: update this one"
            )
        small = {name: file[name][:] for name in ("ids", "codes", "labels", "label_scores")}
        features = MappedRows(path, file["features"])
        sketches, details = (
            MappedRows(path, file[name]) if name in file else none for name, none in _without_later(file)
        )
        return Segment(number, features=features, sketches=sketches, details=details, **small)


def _without_later(file: h5py.File) -> list[tuple[str, AnyArray]]:
    """Return the columns that earlier versions did not write, with what stands for them."""
    rows = file["features"].shape[0]
    return [("sketches", np.broadcast_to(np.int8(0), (rows, SKETCH_LENGTH))), ("details", no_details(rows))]


def checked_chunks(folder: Path, number: int) -> Iterator[tuple[F16, I8, U8]]:
    """Yield all features, sketches and details in order, some rows at a time, after their checksums.

    Raises
    ------
    DamagedCollectionError
    """
    path = segment_path(folder, number)
    with _damage_named(path), h5py.File(path, "r") as file:
        features = file["features"]
        sketches, details = (file.get(name, none) for name, none in _without_later(file))
        for start in range(0, features.shape[0], 4 * _FEATURE_ROWS):
            rows = slice(start, start + 4 * _FEATURE_ROWS)
            yield features[rows], sketches[rows], details[rows]


def living_parts(folder: Path, segment: Segment, rows: I64) -> Iterator[SegmentData]:
    """Copy many rows (ascending) into memory, some at a time, after their checksums.

    A damaged row that is read without a check and written again would get a new checksum: nobody would find it.
    """
    start = 0
    for features, sketches, details in checked_chunks(folder, segment.number):
        first, last = np.searchsorted(rows, (start, start + len(features)))
        mine = rows[first:last]
        if len(mine):
            yield SegmentData(
                segment.ids[mine],
                segment.codes[mine],
                features[mine - start],
                segment.labels[mine],
                segment.label_scores[mine],
                sketches[mine - start],
                details[mine - start],
            )
        start += len(features)


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error  # h5py names no file
    except CollectionMismatchError:
        raise
    except Exception as error:  # h5py raises nearly every built-in exception for a damaged file
        detail = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedCollectionError(
            f"{path}: expected a complete segment, found damage ({detail}); "
            "restore it from a backup, or index the folders into a new collection"
        ) from error
