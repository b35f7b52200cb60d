"""Whether synthetic vectors resemble the real ones: both measured in the same way, at the same sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from assocmem._numerics.types import F32
from assocmem.bench.growth.generator import MAX_PARENTS, QUERIES, RealVectors, VectorGenerator, fit_generator
from assocmem.bench.growth.neighbourhoods import Percentiles, neighbourhood_stats
from assocmem.bench.recall.dataset import exact_neighbors
from assocmem.bench.recall.metrics import distances, recall_at_k
from assocmem.bench.tables import Section

EFFORTS = (4.0, 8.0, 16.0, 32.0)
"""Efforts times the square root of the number of items."""
K = 10
REAL, TENTH, HUNDREDTH = "real", "drawn from a tenth", "drawn from a hundredth"
STATS = ("first", "tenth", "dimension")
HEADERS = (
    "items", "vectors", "distance of the nearest", "of the tenth", "local dimension",
    *(f"recall@10 at effort {effort:g}/√n" for effort in EFFORTS),
)  # fmt: skip


def compare(
    real: RealVectors, queries: F32, generator: VectorGenerator, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Measure real vectors, and vectors drawn from all, a tenth and a hundredth of them, at three sizes.

    The tenth and the hundredth are the hard test: at the file's full size, ten and a hundred times as many vectors are
    drawn as there were parents, and most of the real ones that they are compared with were not among the parents.

    Returns
    -------
    rows
        ``kind``, the figures of `NeighbourhoodStats`, and ``recalls`` at `EFFORTS`.
    """
    smaller = {
        kind: fit_generator(replace(real, x=real.x[: len(real.x) // divisor]), queries, MAX_PARENTS)[0]
        for kind, divisor in ((TENTH, 10), (HUNDREDTH, 100))
    }
    sizes = (len(real.x) // 10, len(real.x) // 3, len(real.x))
    rows = []
    for items in sizes:
        say(f"comparing real vectors with drawn ones at {items:,} ...")
        rows.append(_measure(REAL, real, real.x[:items], queries))
        for kind, source in ((f"drawn from {len(generator.real.x):,}", generator), *smaller.items()):
            x, asked = source.draw(0, items), source.draw(0, len(queries), QUERIES)
            rows.append(_measure(kind, real, source.as_compared(x), source.as_compared(asked)))
    return rows


def _measure(kind: str, real: RealVectors, x: F32, queries: F32) -> dict[str, Any]:
    return {"kind": kind, **asdict(neighbourhood_stats(queries, x)), "recalls": recalls(real, x, queries)}


def recalls(real: RealVectors, x: F32, queries: F32) -> list[float]:
    """Return recall@10 of a CliqueIndex of x at `EFFORTS` over the square root of the number of items."""
    from assocmem import CliqueIndex

    features = "uint8" if real.fits_uint8 else "float16"
    index = CliqueIndex(x.shape[1], "cosine" if real.angular else "l2", features=features, mean=x[:1000].mean(axis=0))
    index.add(x)
    truth, _ = exact_neighbors(x, queries, "angular" if real.angular else "euclidean")
    found = []
    for effort in EFFORTS:
        _, ids = index.search(queries, K, effort=min(0.99, effort / len(x) ** 0.5))
        reached = distances(x, queries, ids, "angular" if real.angular else "euclidean")
        found.append(float(recall_at_k(reached, ids, truth[:, K - 1], K).mean()))
    return found


def section(rows: list[dict[str, Any]]) -> Section:
    """Tabulate the comparison."""
    cells = [
        (
            f"{row['items']:,}",
            row["kind"],
            *(_format_percentiles(row[name]) for name in STATS),
            *(f"{recall:.3f}" for recall in row["recalls"]),
        )
        for row in rows
    ]
    worst = ", ".join(f"{ratio:.2f} ({kind})" for kind, ratio in worst_ratios(rows).items())
    notes = [
        "Medians with the tenth and the ninetieth percentile. Drawn from a tenth, from a hundredth: at the largest "
        "size ten and a hundred times as many are drawn as there were real ones to draw from. The medians differ by a "
        f"factor of at most {worst}. On SIFT descriptors, ten drawn of each real one were as hard to find as "
        "real ones, and a hundred easier: what is measured beyond ten times the real ones flatters."
    ]
    return Section("Do the drawn vectors follow the real ones?", HEADERS, cells, notes)


def worst_ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return, by kind, the greatest ratio of a median to that of real vectors at the same size, in either direction."""
    real = {row["items"]: row for row in rows if row["kind"] == REAL}
    worst: dict[str, float] = {}
    for row in rows:
        if row["kind"] != REAL:
            pairs = [(row[name][1], real[row["items"]][name][1]) for name in STATS]
            ratio = float(np.exp(max(abs(np.log(max(a, 1e-9) / max(b, 1e-9))) for a, b in pairs)))
            worst[row["kind"]] = max(worst.get(row["kind"], 1.0), ratio)
    return worst


def _format_percentiles(values: Percentiles | list[float]) -> str:
    low, middle, high = (f"{value:.3g}" for value in values)
    return f"{middle} ({low} to {high})"
