"""What the recall benchmark asks about: vectors, queries, truth; from ann-benchmarks' HDF5 files, or from pictures.

Knows files and numpy, no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from assocmem._numerics.types import F64, I64, Bools
from assocmem.bench.recall.engine import Array, Metric
from assocmem.bench.recall.metrics import distances
from assocmem.errors import InputError

DEPTH = 100
"""True neighbours that are known of each query."""
LEAST = 10
"""Items that there must be: so many are asked for."""
CHECKED = 20
"""Queries by which a file's own truth is checked."""
UNSEEN = "test_from_unseen_image"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Data:
    """Vectors, queries and the truth."""

    name: str
    metric: Metric
    base: Array
    """(n, dim) float32, of unit length if angular; uint8 of zeros and ones for Hamming's distance."""
    queries: Array
    """(nq, dim), likewise."""
    truth: F64
    """float64 (nq, depth): distances of the nearest, ascending."""
    neighbors: I64
    """int64 (nq, depth): which they are."""
    unseen: Bools | None = None
    """Queries whose picture has no part in the base, where that is known."""

    @property
    def whole(self) -> bool:
        """Whether a byte holds every number."""
        sample = self.base[:: max(1, len(self.base) // 10_000)]
        return bool((sample == np.clip(np.rint(sample), 0, 255)).all())


def read(path: Path, items: int | None = None, queries: int | None = None, say: Say = lambda line: None) -> Data:
    """Read a file in ann-benchmarks' layout: ``train``, ``test``, the attribute ``distance``; truth, where it is there.

    Parameters
    ----------
    path : Path
    items, queries : int, optional
        Only so many: the first items, and queries from all parts of the file.
    say : function of a line
        Told what takes long.

    Raises
    ------
    InputError
        Another file, another distance, or vectors that cannot be compared.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            missing = [name for name in ("train", "test") if name not in file]
            if missing:
                raise InputError(f"{path}: expected vectors 'train' and 'test', found {sorted(file) or 'nothing'}")
            metric = _metric(path, file)
            rows = _spread(len(file["test"]), queries)
            base, asked = file["train"][:items], file["test"][:][rows]
            unseen = file[UNSEEN][:][rows].astype(bool) if UNSEEN in file else None
            given = None
            if items is None or items >= len(file["train"]):
                given = _given(file, rows)
    except OSError as error:
        raise InputError(f"{path}: expected an HDF5 file of ann-benchmarks' layout ({error})") from error
    base, asked = _checked(path, "train", base, metric), _checked(path, "test", asked, metric)
    if len(base) < LEAST:
        raise InputError(f"{path}: expected at least {LEAST} vectors, found {len(base)}")
    if base.shape[1] != asked.shape[1]:
        raise InputError(f"{path}: expected queries of {base.shape[1]} numbers, found {asked.shape[1]}")
    if given is not None:
        sample = slice(0, CHECKED)
        truth, _ = exact(base, asked[sample], metric)
        if not _agree(truth, given[0][sample]):
            say(f"{path.name}: its distances are not those of its vectors; the truth is computed anew")
            given = None
    if given is None:
        say(f"computing the true neighbours of {len(asked)} queries among {len(base)} ...")
        given = exact(base, asked, metric)
    return Data(path.stem, metric, base, asked, *given, unseen)


def _metric(path: Path, file: Any) -> Metric:
    found = file.attrs.get("distance", "")
    found = found.decode() if isinstance(found, bytes) else str(found)
    for metric in get_args(Metric):
        if metric == found:
            return metric  # type: ignore[no-any-return]
    raise InputError(f"{path}: expected the distance to be one of {', '.join(get_args(Metric))}, found {found!r}")


def _spread(count: int, most: int | None) -> I64:
    """Choose rows from all parts of a file, ascending."""
    return np.linspace(0, count - 1, min(count, most or count)).astype(np.int64)


def _given(file: Any, rows: I64) -> tuple[F64, I64] | None:
    """Return the file's own truth, if it is of use."""
    if "distances" not in file or "neighbors" not in file:
        return None
    truth = np.asarray(file["distances"][:, :DEPTH], np.float64)[rows]
    neighbors = file["neighbors"][:, :DEPTH].astype(np.int64)[rows]
    return (truth, neighbors) if truth.shape[1] >= min(DEPTH, len(file["train"])) else None


def _agree(truth: F64, given: F64) -> bool:
    return truth.shape == given.shape and bool(np.allclose(truth, given, rtol=1e-3, atol=1e-3))


def _checked(path: Path, name: str, x: Array, metric: Metric) -> Array:
    """Bring vectors into the form in which they are compared."""
    if x.ndim != 2 or not x.size:
        raise InputError(f"{path}: {name}: expected vectors (n, dim), found shape {x.shape}")
    if metric == "hamming":
        if ((x != 0) & (x != 1)).any():
            raise InputError(f"{path}: {name}: expected zeros and ones for Hamming's distance, found other numbers")
        return x.astype(np.uint8)
    x = np.ascontiguousarray(x, np.float32)
    if not np.isfinite(x).all():
        raise InputError(f"{path}: {name}: expected finite numbers, found NaN or infinite ones")
    return unit(x) if metric == "angular" else x


def unit(x: Array) -> Array:
    """Scale rows to unit length, float32; a zero row stays zero."""
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    return np.asarray(x / np.where(lengths > 0, lengths, 1), np.float32)


def exact(base: Array, queries: Array, metric: Metric, part: int = 100) -> tuple[F64, I64]:
    """Find the true neighbours: some more by rough distances, then the first `DEPTH` by exact ones.

    Returns
    -------
    truth : float64 (nq, depth)
    neighbors : int64 (nq, depth)
    """
    depth = min(DEPTH, len(base))
    some = min(depth + 20, len(base))
    rough = np.asarray(base, np.float32)
    lengths = np.einsum("ij,ij->i", rough, rough)
    truth, neighbors = np.empty((len(queries), depth)), np.empty((len(queries), depth), np.int64)
    for start in range(0, len(queries), part):
        rows = slice(start, start + part)
        scores = lengths - 2 * (np.asarray(queries[rows], np.float32) @ rough.T)
        near = np.argpartition(scores, some - 1, axis=1)[:, :some].astype(np.int64)
        found = distances(base, queries[rows], near, metric)
        order = np.argsort(found, axis=1, kind="stable")[:, :depth]
        truth[rows] = np.take_along_axis(found, order, axis=1)
        neighbors[rows] = np.take_along_axis(near, order, axis=1)
    return truth, neighbors


def write(path: Path, data: Data) -> Path:
    """Write vectors, queries and truth in ann-benchmarks' layout."""
    import h5py

    from assocmem._storage.hdf5 import replacing

    bits = data.metric == "hamming"
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        kind = "bit" if bits else "float"
        about = {"distance": data.metric, "dimension": data.base.shape[1], "type": "dense", "point_type": kind}
        file.attrs.update(about)
        file["train"], file["test"] = (x.astype(bool) if bits else x for x in (data.base, data.queries))
        file["distances"], file["neighbors"] = data.truth.astype(np.float32), data.neighbors.astype(np.int32)
        if data.unseen is not None:
            file[UNSEEN] = data.unseen
    return path


def from_pictures(folder: Path, scratch: Path, items: int | None, queries: int | None, say: Say) -> Data:
    """Describe the pictures and shots of a folder as `assocmem index` does; some are held out and asked for.

    Parameters
    ----------
    folder : Path
    scratch : Path
        For the collection.
    items, queries : int, optional
        At most so many; by default all, and a tenth of them held out.
    say : function of a line

    Raises
    ------
    InputError
        Too few pictures.
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
    if len(features) < 20:
        raise InputError(f"{folder}: expected at least 20 pictures, found {len(features)}")
    order = np.random.default_rng(0).permutation(len(features))
    held = min(queries or len(features), len(features) // 10)
    asked, base = features[order[:held]], features[order[held:][:items]]
    base, asked = (_checked(folder, name, x, "angular") for name, x in (("items", base), ("queries", asked)))
    return Data(folder.resolve().name, "angular", base, asked, *exact(base, asked, "angular"))
