"""``assocmem bench recall``: how many true neighbours the exhaustive engine finds, on real vectors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from assocmem.cli.bench.common import DEFAULT_OUT, OutOption, keep
from assocmem.cli.common import emit, emit_table, guarded

K = 10


@guarded
def recall(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Vectors in ann-benchmarks' HDF5 layout, angular.", exists=True, dir_okay=False
        ),
    ],
    clusters: Annotated[int, typer.Option(min=8, metavar="N", help="Clusters of a code; two take a byte.")] = 128,
    candidates: Annotated[
        list[int] | None, typer.Option(metavar="N", help="How many items are refined by features; may be repeated.")
    ] = None,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure recall@10 against exact search.

    The truth is computed here, not taken from the file, and ties at the tenth distance count as found. Queries whose
    picture has no part among the indexed vectors are reported apart where the file tells them.

    Example: assocmem bench recall photos-angular.hdf5
    """
    import numpy as np

    from assocmem.codes import CliqueCoder
    from assocmem.search import Block, ExhaustiveEngine

    base, queries, unseen = _read(file)
    threshold = _tenth_similarity(base, queries)
    coder = CliqueCoder(base.shape[1], clusters=clusters)
    started = time.perf_counter()
    codes = coder.encode(base)
    encode_us = (time.perf_counter() - started) / len(base) * 1e6
    block = Block(np.arange(len(base)), codes, base.astype(np.float16))
    runs = []
    for count in candidates or [10, 50, 100, 200, 300, 500]:
        engine = ExhaustiveEngine(coder, [block], candidates=count)
        engine.search(queries[:1], K)
        started = time.perf_counter()
        _, found = engine.search(queries, K)
        us = (time.perf_counter() - started) / len(queries) * 1e6
        shares = _recall(base, queries, found, threshold)
        groups = {"all": shares.mean(), "unseen": shares[unseen].mean() if unseen.any() else None}
        groups["seen"] = shares[~unseen].mean() if unseen.any() else None
        runs.append({"candidates": count, "us_per_query": us, **{k: v and float(v) for k, v in groups.items()}})
    figures = {"file": file.name, "items": len(base), "code_bytes": coder.code_bytes, "encode_us": encode_us}
    path = keep(out, f"recall-{file.stem}", {**figures, "runs": runs})
    emit(f"{len(base)} vectors of {base.shape[1]}, {coder.code_bytes} bytes of code each, {encode_us:.0f} us to encode")
    emit_table(("refined", "recall@10", "seen pictures", "unseen pictures", "us per query"), map(_row, runs))
    emit(f"raw figures: {path}")


def _row(run: dict[str, Any]) -> tuple[str, ...]:
    shares = ("" if run[key] is None else f"{run[key]:.4f}" for key in ("all", "seen", "unseen"))
    return (str(run["candidates"]), *shares, f"{run['us_per_query']:.0f}")


def _read(file: Path) -> Any:
    import h5py
    import numpy as np

    with h5py.File(file, "r") as data:
        base, queries = data["train"][:].astype(np.float32), data["test"][:].astype(np.float32)
        name = "test_from_unseen_image"
        unseen = data[name][:].astype(bool) if name in data else np.zeros(len(queries), bool)
    return base, queries, unseen


def _unit(x: Any) -> Any:
    import numpy as np

    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-30)


def _tenth_similarity(base: Any, queries: Any) -> Any:
    import numpy as np

    unit = _unit(base)
    parts = [np.partition(_unit(queries[i : i + 100]) @ unit.T, -K, axis=1)[:, -K] for i in range(0, len(queries), 100)]
    return np.concatenate(parts)


def _recall(base: Any, queries: Any, found: Any, threshold: Any) -> Any:
    """Share of the ten found that are at least as near as the true tenth (1e-5 allows for ties and rounding)."""
    import numpy as np

    similarity = np.einsum("qkd,qd->qk", _unit(base[found]), _unit(queries))
    return (similarity >= threshold[:, None] - 1e-5).mean(axis=1)
