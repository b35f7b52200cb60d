"""The clique memory on real features: their messages share symbols, while theory assumes random ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from assocmem._numerics.types import F32
from assocmem.bench.inputs import unit_mean
from assocmem.bench.tables import Section

SIZES = (1_000, 2_000, 5_000, 10_000, 20_000)
HEADERS = ("items", "density", "of random messages", "error by theory", "error measured", "too alike to tell")

Row = dict[str, Any]


def measure_features(features: F32, seed: int = 0) -> list[Row]:
    """Store growing numbers of items, and recall a sample with a quarter of the symbols erased.

    Parameters
    ----------
    features : float32 (n, dim)
        Half of them, drawn by ``seed``, are items; the mean of the other half is subtracted.

    Returns
    -------
    rows
        ``items`` and the figures of ``MemoryInfo``.
    """
    from assocmem.codes.winner_codes import CliqueCoder
    from assocmem.index.derived.clique_memory import Messages, measure

    order = np.random.default_rng(seed).permutation(len(features))
    items, others = np.array_split(order, 2)
    coder = CliqueCoder(features.shape[1], mean=unit_mean(features[others]))
    symbols = coder.messages(features[items]).astype(np.uint8)
    sizes = [size for size in SIZES if size < len(items)] + [len(items)]
    return [
        {"items": size, **asdict(measure(Messages(np.arange(size), symbols[:size])))} for size in dict.fromkeys(sizes)
    ]


def section(rows: list[Row]) -> Section:
    """Tabulate the rows."""
    title = "Real features: {clusters} clusters of {units} units, {erased} symbols erased, up to 1,000 items asked for"
    note = (
        "By theory: one round, random messages at the density that was measured; measured: until nothing changes. "
        "Items share symbols, so they tie the same units again and again, and err sooner than theory expects."
    )
    return Section(title.format(**rows[0]), HEADERS, table_rows(rows), [note])


def table_rows(rows: list[Row]) -> list[tuple[str, ...]]:
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
