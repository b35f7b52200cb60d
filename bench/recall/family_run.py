"""The course of ``assocmem bench recall --families``: our index by default on each family, and two of FAISS.

Our index runs in this process, FAISS in one of its own, each on one core. What our index expects to have found is
compared with what it has found, at every promise and effort.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assocmem.bench.recall.adapter import EngineSpec, IndexTask, UnsupportedError
from assocmem.bench.recall.dataset import Dataset
from assocmem.bench.recall.metrics import Curve, distances, recall_at_k
from assocmem.bench.recall.runner import K
from assocmem.bench.recall.specs import WIDTHS
from assocmem.bench.recall.worker import EngineProcess
from assocmem.bench.tables import Section

PROMISES = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)
EFFORTS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
WITHIN = 0.02
"""Difference of expected and found recall that is wanted."""
REPEATS = 3
WARM = 6000
"""Items of an index that is searched before anything is timed."""
HNSW = EngineSpec("faiss:HNSW32,efc200", "faiss", {"factory": "HNSW32", "ef_construction": 200},
                  (tuple({"efSearch": width} for width in WIDTHS),))  # fmt: skip
FLAT = EngineSpec("faiss:Flat", "faiss", {"factory": "Flat"})


@dataclass(slots=True)
class Trial:
    """A search at a promise or an effort: what was expected, found and how long it took."""

    asked: str
    """"default", or the promise or effort"""
    expected: float
    found: float
    us: float


@dataclass(slots=True)
class FamilyResult:
    """A family: our index, and the rivals."""

    name: str
    items: int
    dim: int
    add_us: float
    """Microseconds per item."""
    learn_s: float
    """Seconds of the first search, which learns what promises take."""
    trials: list[Trial]
    flat_us: float = float("nan")
    hnsw_us: float = float("nan")
    """At the recall of our default; NaN if it is not reached."""
    hnsw_recall: float = 0.0
    """The highest."""
    hnsw_add_us: float = float("nan")
    left_out: list[str] = field(default_factory=list)

    @property
    def default(self) -> Trial:
        """The search by default."""
        return self.trials[0]


def measure(data: Dataset, folder: Path, *, rivals: bool) -> FamilyResult:
    """Measure a family; ``folder`` gets the vectors for other processes."""
    result = _ours(data)
    if rivals:
        folder.mkdir(parents=True, exist_ok=True)
        paths = folder / "base.npy", folder / "queries.npy"
        for path, x in zip(paths, (data.base, data.queries), strict=True):
            np.save(path, x)
        for spec, work in ((FLAT, _time_flat), (HNSW, _time_hnsw)):
            try:
                _in_process(spec, data, folder, paths, work, result)
            except UnsupportedError as error:
                result.left_out.append(f"{spec.name}: {error}")
    return result


def _ours(data: Dataset) -> FamilyResult:
    import assocmem

    def empty() -> assocmem.CliqueIndex:
        return assocmem.CliqueIndex(data.base.shape[1], "cosine" if data.metric == "angular" else "l2")

    warm = empty()  # compiles, or loads what was compiled
    warm.add(data.base[:WARM])
    warm.search(data.queries[:2], K, threads=1)
    index = empty()
    started = time.process_time()
    index.add(data.base)
    added = time.process_time()
    index.search(data.queries[:1], K, threads=1)
    learned = time.process_time()
    ways: list[tuple[str, dict[str, float]]] = [("default", {})]
    ways += [(f"recall={promise:g}", {"recall": promise}) for promise in PROMISES]
    ways += [(f"effort={effort:g}", {"effort": effort}) for effort in EFFORTS]
    trials = []
    for asked, way in ways:
        seconds = []
        for _ in range(REPEATS):
            before = time.process_time()
            _, ids, report = index.search(data.queries, K, report=True, threads=1, **way)
            seconds.append(time.process_time() - before)
        found = recall_at_k(distances(data.base, data.queries, ids, data.metric), ids, data.truth[:, K - 1], K)
        us = min(seconds) / len(data.queries) * 1e6
        trials.append(Trial(asked, float(report.recall.mean()), float(found.mean()), us))
    add_us = (added - started) / len(data.base) * 1e6
    return FamilyResult(data.name, *data.base.shape, add_us, learned - added, trials)


def _in_process(
    spec: EngineSpec,
    data: Dataset,
    folder: Path,
    paths: tuple[Path, Path],
    work: Callable[[EngineProcess, Dataset, FamilyResult], None],
    result: FamilyResult,
) -> None:
    items, dim = data.base.shape
    home = folder / spec.adapter
    home.mkdir(exist_ok=True)
    process = EngineProcess(spec, IndexTask(data.metric, dim, items, data.fits_uint8, 1, home), *paths)
    try:
        work(process, data, result)
    finally:
        process.close()


def _time_flat(process: EngineProcess, data: Dataset, result: FamilyResult) -> None:
    process.ask("fit")
    result.flat_us = min(process.ask("answer", {}, K)[1] for _ in range(REPEATS))


def _time_hnsw(process: EngineProcess, data: Dataset, result: FamilyResult) -> None:
    """Search with ever more candidates until our recall is reached, and time the setting before, and that one."""
    result.hnsw_add_us = process.ask("fit")["build_s"] / len(data.base) * 1e6
    recalls, times = [], []
    for setting in process.spec.sweeps[0]:
        seconds = []
        for _ in range(REPEATS):
            ids, us = process.ask("answer", setting, K)
            seconds.append(us)
        found = distances(data.base, data.queries, ids, data.metric)
        recalls.append(float(recall_at_k(found, ids, data.truth[:, K - 1], K).mean()))
        times.append(min(seconds))
        if recalls[-1] >= result.default.found:
            break
    us = Curve(HNSW.name, False, 0, tuple(recalls), tuple(times)).us_at(result.default.found)
    result.hnsw_us = float("nan") if us is None else us
    result.hnsw_recall = max(recalls)


# Report


def sections(results: Iterable[FamilyResult]) -> list[Section]:
    """Return the tables: what is found by default, and expectations against what was found."""
    every = list(results)
    return [_default_section(every), _certificate_section(every)]


def _default_section(results: list[FamilyResult]) -> Section:
    headers = ("family", "items", "numbers", "recall@10", "expected", "apart", "us", "HNSW32 at this recall, us",
               "ratio", "Flat, us", "add, us", "HNSW32 add, us", "first search, s")  # fmt: skip
    rows = []
    for result in results:
        ours = result.default
        reached = result.hnsw_us == result.hnsw_us
        hnsw = f"{result.hnsw_us:.3g}" if reached else f"not reached (up to {result.hnsw_recall:.3f})"
        rows.append((
            result.name, f"{result.items:,}", str(result.dim), f"{ours.found:.3f}", f"{ours.expected:.3f}",
            f"{ours.expected - ours.found:+.3f}", f"{ours.us:.3g}", hnsw,
            f"{result.hnsw_us / ours.us:.2f}" if reached else "", f"{result.flat_us:.3g}", f"{result.add_us:.3g}",
            f"{result.hnsw_add_us:.3g}", f"{result.learn_s:.2f}",
        ))  # fmt: skip
    notes = [
        "By default: nothing is tuned. Times are of one core, per query of a batch, the least of three; ratio: HNSW32's "
        "time over ours, above 1 is ours. HNSW32: efConstruction 200.",
        *(reason for result in results for reason in result.left_out),
    ]
    return Section("Families: found by default", headers, rows, notes)


def _certificate_section(results: list[FamilyResult]) -> Section:
    asked = [trial.asked for trial in results[0].trials[1:]] if results else []
    rows = [
        (result.name, *(f"{trial.expected:.3f} / {trial.found:.3f}" for trial in result.trials[1:]))
        for result in results
    ]
    apart = np.array([trial.expected - trial.found for result in results for trial in result.trials])
    promised = [trial for result in results for trial in result.trials if not trial.asked.startswith("effort")]
    near = np.array([trial.expected - trial.found for trial in promised])
    notes = [
        f"Expected / found. All: apart by {np.abs(apart).mean():.3f} in the mean, more than {WITHIN} in "
        f"{int((np.abs(apart) > WITHIN).sum())} of {len(apart)} cells; promises and the default: by "
        f"{np.abs(near).mean():.3f}, more than {WITHIN} in {int((np.abs(near) > WITHIN).sum())} of {len(near)}.",
    ]
    return Section("Families: expected and found recall", ("family", *asked), rows, notes)


def as_json(results: Iterable[FamilyResult]) -> list[dict[str, Any]]:
    """Return all figures as what JSON can hold."""
    return [
        {
            "family": result.name, "items": result.items, "dim": result.dim, "add_us": result.add_us,
            "learn_s": result.learn_s, "flat_us": result.flat_us, "hnsw_us": result.hnsw_us,
            "hnsw_recall": result.hnsw_recall, "hnsw_add_us": result.hnsw_add_us,
            "trials": [{"asked": t.asked, "expected": t.expected, "found": t.found, "us": t.us} for t in result.trials],
        }
        for result in results
    ]  # fmt: skip


def draw(path: Path, results: Iterable[FamilyResult]) -> Path:
    """Draw expected against found recall. Needs matplotlib."""
    from matplotlib.figure import Figure

    from assocmem.bench.plots import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, draw_grid, save

    colours, markers = (BLUE, ORANGE, GREEN, PURPLE, SKY, BLACK), "osDv^P"
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    axes.fill_between([0, 1], [-WITHIN, 1 - WITHIN], [WITHIN, 1 + WITHIN], color=GREY, alpha=0.25, linewidth=0)
    for number, result in enumerate(results):
        style = {"color": colours[number % len(colours)], "marker": markers[number // len(colours) % len(markers)]}
        trials = result.trials
        axes.plot([t.expected for t in trials], [t.found for t in trials], linestyle="none", markersize=5,
                  alpha=0.8, label=result.name, **style)  # fmt: skip
    draw_grid(axes)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="recall that the search expects", ylabel="recall that was found")
    axes.set_title(f"Every promise and effort; grey: within {WITHIN}", fontsize=10)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, frameon=False)
    return save(figure, path)
