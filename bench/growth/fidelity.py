"""Whether what is drawn follows what is real: both measured the same way, at the same sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from assocmem._numerics.types import F32
from assocmem.bench.growth.generator import QUERIES, SEEDS, Real, Source, follow
from assocmem.bench.growth.neighbourhoods import Percentiles, measure
from assocmem.bench.recall.dataset import exact
from assocmem.bench.recall.metrics import distances, shares

EFFORTS = (4.0, 8.0, 16.0, 32.0)
"""Efforts times the square root of the number of items."""
K = 10
REAL, TENTH, HUNDREDTH = "real", "drawn from a tenth", "drawn from a hundredth"


def compare(real: Real, queries: F32, source: Source, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure real vectors, vectors drawn from them, and from only a tenth and a hundredth of them, at three sizes.

    The last are the hard test: at the file's full size, ten and a hundred times as many are drawn as there were to draw
    from, and the real ones that they are held against took no part.

    Returns
    -------
    rows
        ``kind``, the figures of `Spread`, and ``recalls`` at `EFFORTS`.
    """
    few = {
        kind: follow(replace(real, x=real.x[: len(real.x) // share]), queries, SEEDS)[0]
        for kind, share in ((TENTH, 10), (HUNDREDTH, 100))
    }
    sizes = (len(real.x) // 10, len(real.x) // 3, len(real.x))
    rows = []
    for items in sizes:
        say(f"comparing real vectors with drawn ones at {items:,} ...")
        rows.append(_row(REAL, real, real.x[:items], queries))
        for kind, drawing in ((f"drawn from {len(source.real.x):,}", source), *few.items()):
            x, asked = drawing.draw(0, items), drawing.draw(0, len(queries), QUERIES)
            rows.append(_row(kind, real, drawing.compared(x), drawing.compared(asked)))
    return rows


def _row(kind: str, real: Real, x: F32, queries: F32) -> dict[str, Any]:
    return {"kind": kind, **asdict(measure(queries, x)), "recalls": recalls(real, x, queries)}


def recalls(real: Real, x: F32, queries: F32) -> list[float]:
    """Return the recall@10 of a CliqueIndex at `EFFORTS` over the square root of the number of items."""
    from assocmem import CliqueIndex

    features = "uint8" if real.whole else "float16"
    index = CliqueIndex(x.shape[1], "cosine" if real.angular else "l2", features=features, mean=x[:1000].mean(axis=0))
    index.add(x)
    truth, _ = exact(x, queries, "angular" if real.angular else "euclidean")
    found = []
    for effort in EFFORTS:
        _, ids = index.search(queries, K, effort=min(0.99, effort / len(x) ** 0.5))
        apart = distances(x, queries, ids, "angular" if real.angular else "euclidean")
        found.append(float(shares(apart, ids, truth[:, K - 1], K).mean()))
    return found


def tell(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the rows of the table."""
    return [
        (
            f"{row['items']:,}",
            row["kind"],
            *(_three(row[name]) for name in ("first", "tenth", "dimension")),
            *(f"{recall:.3f}" for recall in row["recalls"]),
        )
        for row in rows
    ]


def furthest(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return, by how it was drawn, the greatest ratio of a median to the real one's at the same size, either way."""
    real = {row["items"]: row for row in rows if row["kind"] == REAL}
    out: dict[str, float] = {}
    for row in rows:
        if row["kind"] != REAL:
            pairs = [(row[name][1], real[row["items"]][name][1]) for name in ("first", "tenth", "dimension")]
            worst = float(np.exp(max(abs(np.log(max(a, 1e-9) / max(b, 1e-9))) for a, b in pairs)))
            out[row["kind"]] = max(out.get(row["kind"], 1.0), worst)
    return out


def _three(values: Percentiles | list[float]) -> str:
    low, middle, high = (f"{value:.3g}" for value in values)
    return f"{middle} ({low} to {high})"


HEADERS = (
    "items", "vectors", "distance of the nearest", "of the tenth", "local dimension",
    *(f"recall@10 at effort {effort:g}/√n" for effort in EFFORTS),
)  # fmt: skip
