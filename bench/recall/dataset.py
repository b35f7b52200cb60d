"""Datasets of the recall benchmark: vectors, queries and truth, from ann-benchmarks' HDF5 files or from pictures.

Contains files and numpy, no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from assocmem._numerics.types import F64, I64, AnyArray, Bools
from assocmem.bench.inputs import unit_rows
from assocmem.bench.recall.adapter import Metric
from assocmem.bench.recall.metrics import distances, recall_at_k
from assocmem.errors import InputError

DEPTH = 100
"""True neighbours per query."""
MIN_ITEMS = 10
"""As many as are asked for."""
MIN_PICTURES = 20
CHECKED = 20
"""Queries by which the truth in a file is checked."""
UNSEEN = "test_from_unseen_image"
"""Name in a file: queries of pictures that have no part in the base."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Dataset:
    """Vectors, queries and the truth."""

    name: str
    metric: Metric
    base: AnyArray
    """(n, dim) float32, scaled to length 1 if angular; uint8 zeros and ones for Hamming's distance."""
    queries: AnyArray
    """(nq, dim), like ``base``."""
    truth: F64
    """float64 (nq, depth): distances of the nearest items, ascending."""
    neighbors: I64
    """int64 (nq, depth): their row numbers."""
    unseen: Bools | None = None
    """bool (nq,): queries of pictures that have no part in the base; None if unknown."""

    @property
    def fits_uint8(self) -> bool:
        """Whether all numbers are whole and within 0 to 255, as far as a sample shows."""
        sample = self.base[:: max(1, len(self.base) // 10_000)]
        return bool((sample == np.clip(np.rint(sample), 0, 255)).all())

    def recall(self, ids: I64, k: int) -> F64:
        """Return recall@k of answers to all queries, float64 (nq,); ``ids``: int64 (nq, at least k)."""
        found = distances(self.base, self.queries, ids[:, :k], self.metric)
        return recall_at_k(found, ids[:, :k], self.truth[:, k - 1], k)


def read(path: Path, items: int | None = None, queries: int | None = None, say: Say = lambda line: None) -> Dataset:
    """Read a file in ann-benchmarks' layout: ``train``, ``test``, the attribute ``distance``, and truth if present.

    Parameters
    ----------
    path : Path
    items : int, optional
        Use only the first ``items`` vectors.
    queries : int, optional
        Use only this number of queries, from all parts of the file.
    say : function of a line
        Prints what takes long.

    Raises
    ------
    InputError
        It is another kind of file, another distance, or the vectors cannot be compared.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in ("train", "test") if name not in file]
            if missing:
                raise InputError(f"{path}: expected vectors 'train' and 'test', found {sorted(file) or 'nothing'}")
            metric = _read_metric(path, file)
            rows = _evenly(len(file["test"]), queries)
            base, asked = file["train"][:items], file["test"][:][rows]
            unseen = file[UNSEEN][:][rows].astype(bool) if UNSEEN in file else None
            given = None
            if items is None or items >= len(file["train"]):
                given = _read_truth(file, rows)
    except OSError as error:
        raise InputError(f"{path}: expected an HDF5 file of ann-benchmarks' layout ({error})") from error
    base, asked = _prepare(path, "train", base, metric), _prepare(path, "test", asked, metric)
    if len(base) < MIN_ITEMS:
        raise InputError(f"{path}: expected at least {MIN_ITEMS} vectors, found {len(base)}")
    if base.shape[1] != asked.shape[1]:
        raise InputError(f"{path}: expected queries of {base.shape[1]} numbers, found {asked.shape[1]}")
    if given is not None:
        sample = slice(0, CHECKED)
        truth, _ = exact_neighbors(base, asked[sample], metric)
        if not _agree(truth, given[0][sample]):
            say(f"{path.name}: its distances are not those of its vectors; the truth is computed again")
            given = None
    if given is None:
        say(f"computing the true neighbours of {len(asked)} queries among {len(base)} ...")
        given = exact_neighbors(base, asked, metric)
    return Dataset(path.stem, metric, base, asked, *given, unseen)


def _read_metric(path: Path, file: Any) -> Metric:
    found = file.attrs.get("distance", "")
    found = found.decode() if isinstance(found, bytes) else str(found)
    for metric in get_args(Metric):
        if metric == found:
            return metric  # type: ignore[no-any-return]
    raise InputError(f"{path}: expected the distance to be one of {', '.join(get_args(Metric))}, found {found!r}")


def _evenly(count: int, limit: int | None) -> I64:
    """Choose at most ``limit`` rows from all parts of a file, ascending."""
    return np.linspace(0, count - 1, min(count, limit or count)).astype(np.int64)


def _read_truth(file: Any, rows: I64) -> tuple[F64, I64] | None:
    """Return the truth in the file, None if there is none or too little."""
    if "distances" not in file or "neighbors" not in file:
        return None
    truth = np.asarray(file["distances"][:, :DEPTH], np.float64)[rows]
    neighbors = file["neighbors"][:, :DEPTH].astype(np.int64)[rows]
    return (truth, neighbors) if truth.shape[1] >= min(DEPTH, len(file["train"])) else None


def _agree(truth: F64, given: F64) -> bool:
    return truth.shape == given.shape and bool(np.allclose(truth, given, rtol=1e-3, atol=1e-3))


def _prepare(path: Path, name: str, x: AnyArray, metric: Metric) -> AnyArray:
    """Check vectors, and convert them to the form in which they are compared."""
    if x.ndim != 2 or not x.size:
        raise InputError(f"{path}: {name}: expected vectors (n, dim), found shape {x.shape}")
    if metric == "hamming":
        if ((x != 0) & (x != 1)).any():
            raise InputError(f"{path}: {name}: expected zeros and ones for Hamming's distance, found other numbers")
        return x.astype(np.uint8)
    x = np.ascontiguousarray(x, np.float32)
    if not np.isfinite(x).all():
        raise InputError(f"{path}: {name}: expected finite numbers, found NaN or infinite ones")
    return unit_rows(x) if metric == "angular" else x


def exact_neighbors(base: AnyArray, queries: AnyArray, metric: Metric, part: int = 100) -> tuple[F64, I64]:
    """Find the true neighbours: candidates by distances in float32 products, then the first `DEPTH` by exact distances.

    Parameters
    ----------
    base : (n, dim)
    queries : (nq, dim)
    metric : str
    part : int
        Queries that are compared with all items at a time.

    Returns
    -------
    truth : float64 (nq, depth)
    neighbors : int64 (nq, depth)
    """
    depth = min(DEPTH, len(base))
    candidates = min(depth + 20, len(base))
    base32 = np.asarray(base, np.float32)
    squares = np.einsum("ij,ij->i", base32, base32)
    truth, neighbors = np.empty((len(queries), depth)), np.empty((len(queries), depth), np.int64)
    for start in range(0, len(queries), part):
        rows = slice(start, start + part)
        scores = squares - 2 * (np.asarray(queries[rows], np.float32) @ base32.T)
        nearest = np.argpartition(scores, candidates - 1, axis=1)[:, :candidates].astype(np.int64)
        found = distances(base, queries[rows], nearest, metric)
        order = np.argsort(found, axis=1, kind="stable")[:, :depth]
        truth[rows] = np.take_along_axis(found, order, axis=1)
        neighbors[rows] = np.take_along_axis(nearest, order, axis=1)
    return truth, neighbors


def write(path: Path, data: Dataset) -> Path:
    """Write vectors, queries and truth in ann-benchmarks' layout."""
    from assocmem._storage.hdf5 import replacing_hdf5

    bits = data.metric == "hamming"
    with replacing_hdf5(path) as file:
        kind = "bit" if bits else "float"
        about = {"distance": data.metric, "dimension": data.base.shape[1], "type": "dense", "point_type": kind}
        file.attrs.update(about)
        file["train"], file["test"] = (x.astype(bool) if bits else x for x in (data.base, data.queries))
        file["distances"], file["neighbors"] = data.truth.astype(np.float32), data.neighbors.astype(np.int32)
        if data.unseen is not None:
            file[UNSEEN] = data.unseen
    return path


def from_pictures(folder: Path, scratch: Path, items: int | None, queries: int | None, say: Say) -> Dataset:
    """Describe the pictures and shots of a folder as `assocmem index` does; some are held out as queries.

    Parameters
    ----------
    folder : Path
    scratch : Path
        For a collection.
    items, queries : int, optional
        Upper bounds; by default all pictures are used, a tenth of them as queries.
    say : function of a line

    Raises
    ------
    InputError
        There are fewer than 20 pictures.
    """
    import assocmem
    from assocmem.index.session import Session

    say(f"describing the pictures of {folder} ...")
    with assocmem.open(scratch / "pictures.amem") as photos:
        photos.add([folder])
    session = Session(scratch / "pictures.amem")
    parts = [segment.features[rows] for segment, rows in session.snapshot().living()]
    session.close()
    features = np.concatenate(parts) if parts else np.empty((0, 1))
    if len(features) < MIN_PICTURES:
        raise InputError(f"{folder}: expected at least {MIN_PICTURES} pictures, found {len(features)}")
    order = np.random.default_rng(0).permutation(len(features))
    held_out = min(queries or len(features), len(features) // 10)
    asked, base = features[order[:held_out]], features[order[held_out:][:items]]
    base, asked = (_prepare(folder, name, x, "angular") for name, x in (("items", base), ("queries", asked)))
    return Dataset(folder.resolve().name, "angular", base, asked, *exact_neighbors(base, asked, "angular"))
