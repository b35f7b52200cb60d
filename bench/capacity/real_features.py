"""The clique memory on real features: messages that share symbols, beside theory, which takes them to be random."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from assocmem._numerics.types import F32
from assocmem.errors import InputError

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000)

Row = dict[str, Any]


def measure(features: F32, seed: int = 0) -> list[Row]:
    """Store growing numbers of items, and recall a sample with a quarter of the symbols erased.

    Parameters
    ----------
    features : float32 (n, dim)
        Half of them, drawn by ``seed``, are items; the mean that is subtracted is that of the others.

    Returns
    -------
    rows
        ``items`` and the figures of ``MemoryInfo``.
    """
    from assocmem.codes.winner_codes import CliqueCoder
    from assocmem.index.derived.clique_memory import Messages, measure

    order = np.random.default_rng(seed).permutation(len(features))
    items, others = np.array_split(order, 2)
    lengths = np.linalg.norm(features[others], axis=1, keepdims=True)
    coder = CliqueCoder(features.shape[1], mean=(features[others] / np.where(lengths > 0, lengths, 1)).mean(axis=0))
    symbols = coder.messages(features[items]).astype(np.uint8)
    sizes = [size for size in SIZES if size < len(items)] + [len(items)]
    return [
        {"items": size, **dataclasses.asdict(measure(Messages(np.arange(size), symbols[:size])))}
        for size in dict.fromkeys(sizes)
    ]


def read(path: Path) -> F32:
    """Read the vectors of a file in ann-benchmarks' layout, float32 (n, dim); InputError for any other file."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file["train"][:], dtype=np.float32)
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: expected an HDF5 file with vectors 'train' (n, dim), found another ({error})"
        ) from error


def tell(rows: list[Row]) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    from assocmem.memory import capacity

    return [
        (
            f"{row['items']:,}",
            f"{row['density']:.4f}",
            f"{capacity.density(row['items'], row['clusters'], row['units']):.4f}",
            f"{row['predicted_error']:.2g}",
            f"{row['measured_error']:.3f}",
            f"{row['alike']:.3f}",
        )
        for row in rows
    ]


HEADERS = ("items", "density", "of random messages", "error by theory", "error measured", "too alike to tell")
TITLE = "Real features: {clusters} clusters of {units} units, {erased} symbols erased, up to 1,000 items asked for"
NOTE = (
    "By theory: one round, random messages at the density that was measured; measured: until nothing changes. "
    "Items share symbols, so they tie the same units again and again, and err sooner than theory expects."
)
