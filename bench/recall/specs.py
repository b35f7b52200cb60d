"""The engines of the recall benchmark and the settings it tries: each family as an expert would set it up.

`--engines` is matched with the names. The lists of an inverted file grow with the number of items; for fast scan,
probed lists and refined candidates vary together; long vectors are reduced before they are cut into pieces. Besides
refinement by raw vectors there is refinement by float16, or by uint8 if the numbers are whole: it is smaller and often
faster. For the comparison at equal memory, the vectors are also mapped from a file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from assocmem.bench.recall.adapter import EngineSpec, IndexTask, Setting

Sweeps = tuple[tuple[Setting, ...], ...]
LONG = 256
"""Vectors of more numbers than this are reduced by PCA."""
PROMISES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999)
"""Of recall, by `assocmem.CliqueIndex`."""
CANDIDATES = (20, 50, 100, 200, 300, 500)
"""Items that the exhaustive engine and ScaNN compare by their vectors, after their codes."""
WIDTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
"""Of graphs: candidates of a search (ef)."""
FACTORS = (2, 4, 8, 16, 32)
"""Candidates that are refined, in multiples of k."""
DEEP_FACTORS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
"""Of pynndescent."""


def _sweep(name: str, values: Sequence[float]) -> Sweeps:
    return (tuple({name: value} for value in values),)


def _grid(outer: str, steps: Sequence[float], inner: str, values: Sequence[float]) -> Sweeps:
    return tuple(tuple({outer: step, inner: value} for value in values) for step in steps)


def list_count(items: int) -> int:
    """Return the number of lists of an inverted file: the power of two nearest to 2.5 sqrt(items)."""
    return int(2 ** max(2, round(math.log2(2.5 * math.sqrt(items)))))


def probe_counts(lists: int) -> tuple[int, ...]:
    """Return the numbers of lists that are searched: 1, 2, 4 ... up to all."""
    return tuple(2**i for i in range(lists.bit_length()))


def piece_count(dim: int, most: int) -> int:
    """Return the number of equal pieces of a vector for product codes: its largest even divisor up to ``most``."""
    return max((m for m in range(2, most + 1, 2) if dim % m == 0), default=1)


def plan_engines(task: IndexTask) -> list[EngineSpec]:
    """List all engines for a task, those of assocmem first."""
    specs = [
        EngineSpec("clique", "clique", sweeps=_sweep("recall", PROMISES), quick=True),
        EngineSpec("clique-mapped", "clique", {"mapped": True}, _sweep("recall", PROMISES), quick=True),
    ]
    if task.fits_uint8:
        specs.append(EngineSpec("clique-uint8", "clique", {"features": "uint8"}, _sweep("recall", PROMISES)))
    if task.metric == "hamming":
        return [*specs, *_binary_indexes(task), _usearch("b1", WIDTHS)]
    if task.metric == "angular":
        specs.append(EngineSpec("exhaustive", "exhaustive", {}, _sweep("candidates", CANDIDATES), quick=True))
    faiss = [*_inverted_files(task), *_compact(task), *_faiss_graphs(task), *_signs(task)]
    return [
        *specs,
        EngineSpec("faiss:Flat", "faiss", {"factory": "Flat"}, quick=True),
        *faiss,
        *_other_graphs(task),
        *_rivals(task),
    ]


def _factory(factory: str, sweeps: Sweeps, quick: bool = False, ef_construction: int | None = None) -> EngineSpec:
    if ef_construction is None:
        return EngineSpec("faiss:" + factory, "faiss", {"factory": factory}, sweeps, quick)
    options = {"factory": factory, "ef_construction": ef_construction}
    return EngineSpec(f"faiss:{factory},efc{ef_construction}", "faiss", options, sweeps, quick)


def _mapped(factory: str, refine: str, sweeps: Sweeps, quick: bool = False) -> EngineSpec:
    options = {"factory": factory, "refine": refine}
    return EngineSpec(f"faiss:{factory},{refine}-mapped", "faiss-mapped", options, sweeps, quick)


def _refine_type(task: IndexTask) -> str:
    """Return the type of the vectors that refine, besides raw ones."""
    return "SQ8_direct" if task.fits_uint8 else "SQfp16"


def reductions(task: IndexTask) -> list[tuple[str, int]]:
    """List the reductions before an index, as FAISS's factory names them, and the dimensions that are left."""
    if task.dim <= LONG:
        return [("", task.dim)]
    return [(f"PCA{dim},", dim) for dim in (128, 192, 256)]


def _inverted_files(task: IndexTask) -> Iterator[EngineSpec]:
    """Yield inverted files of whole vectors and of fast-scan codes, with refinement and without."""
    lists, refine = list_count(task.items), _refine_type(task)
    probes = _sweep("nprobe", probe_counts(lists))
    factors = _grid("k_factor", FACTORS, "nprobe", probe_counts(lists))
    yield _factory(f"IVF{lists},Flat", probes, quick=True)
    # Lists store differences to their centroids, which are no bytes: not SQ8_direct.
    yield _factory(f"IVF{lists},{'SQ8' if task.fits_uint8 else 'SQfp16'}", probes)
    for number, (reduction, dim) in enumerate(reductions(task)):
        codes = f"PQ{piece_count(dim, 128 if dim > 128 else 64)}x4fs"
        if reduction:
            yield _factory(f"{reduction}IVF{lists},Flat,Refine({refine})", factors)
        for count in (lists, 2 * lists):
            quick = count == lists and number == 0
            yield _factory(f"{reduction}IVF{count},{codes},Refine({refine})", factors, quick=quick)
        if number == 0:
            yield _factory(f"{reduction}IVF{lists},{codes}", probes)
            yield _factory(f"{reduction}IVF{lists},{codes},RFlat", factors)
        yield _mapped(f"{reduction}IVF{lists},{codes}", refine, factors, quick=number == 0)
    reduction, dim = reductions(task)[-1]
    pieces = piece_count(dim, 64)
    yield _factory(f"{reduction}OPQ{pieces},IVF{lists},PQ{pieces}x4fs,Refine({refine})", factors)
    if task.dim > LONG:
        yield _factory(f"IVF{lists},PQ{piece_count(task.dim, 128)}x4fs,Refine({refine})", factors)
    yield _factory(f"{reduction}PQ{pieces}x4fs,Refine({refine})", _sweep("k_factor", DEEP_FACTORS))


def _compact(task: IndexTask) -> Iterator[EngineSpec]:
    """Yield indexes of about 32 to 170 bytes per item, without vectors to refine by; and RaBitQ."""
    lists, refine = list_count(task.items), _refine_type(task)
    probes = _sweep("nprobe", probe_counts(lists))
    factors = _grid("k_factor", FACTORS, "nprobe", probe_counts(lists))
    reduction, dim = reductions(task)[-1]
    rotation = reduction.replace("PCA", "PCAR") or f"RR{dim},"
    yield _factory(f"{reduction}IVF{lists},PQ{piece_count(dim, 64)}np", probes)  # np: no polysemous training (minutes)
    yield _factory("RaBitQfs", (({},),))
    yield _factory(f"IVF{lists},RaBitQfs", probes)
    yield _factory(f"{rotation}IVF{lists},RaBitQfs,Refine({refine})", factors)
    yield _factory(f"{rotation}IVF{lists},RaBitQ4", probes)
    yield _mapped(f"{rotation}IVF{lists},RaBitQfs", refine, factors)
    if task.dim > LONG:
        yield _factory(f"PCA128,IVF{lists},SQ8", probes)
        yield _factory(f"PCA256,IVF{lists},SQ4", probes)


def _faiss_graphs(task: IndexTask) -> Iterator[EngineSpec]:
    """Yield the graphs of FAISS."""
    widths = _sweep("efSearch", WIDTHS)
    yield _factory("HNSW16", widths, quick=True)
    yield _factory("HNSW32", widths, ef_construction=200)
    yield _factory(f"HNSW16_{'SQ8_direct' if task.fits_uint8 else 'SQ8'}", widths)
    reduction, dim = reductions(task)[-1]
    reduction = reduction or f"PCA{dim // 2},"
    factors = _grid("k_factor", FACTORS[:4], "efSearch", WIDTHS[:-2])
    yield _factory(f"{reduction}HNSW16_SQ8,Refine({_refine_type(task)})", factors)


def _signs(task: IndexTask) -> Iterator[EngineSpec]:
    """Yield indexes that compare bits: LSH, and binary indexes of signs."""
    factors = _sweep("k_factor", DEEP_FACTORS)
    rotation = f"ITQ{min(256, task.dim // 8 * 8)}"
    yield _factory("LSHrt", (({},),))
    yield _factory(f"{rotation},LSH,Refine({_refine_type(task)})", factors)
    for make, sweeps in (
        ("flat", factors),
        ("hash", _grid("k_factor", DEEP_FACTORS[-3:], "nflip", (0, 1, 2, 3))),
        ("multihash", _grid("k_factor", DEEP_FACTORS[-3:], "nflip", (0, 1, 2))),
    ):
        options = {"make": make, "transform": rotation}
        yield EngineSpec(f"faiss:{rotation},binary-{make}", "faiss-signs", options, sweeps)


def _binary_indexes(task: IndexTask) -> Iterator[EngineSpec]:
    """Yield indexes of binary vectors."""
    lists = list_count(task.items)
    for make, sweeps, quick in (
        ("flat", (({},),), True),
        ("hash", _sweep("nflip", (0, 1, 2, 3)), False),
        ("multihash", _sweep("nflip", (0, 1, 2)), False),
        (f"BIVF{lists}", _sweep("nprobe", probe_counts(lists)), True),
        ("BHNSW16", _sweep("efSearch", WIDTHS), True),
    ):
        yield EngineSpec(f"faiss:binary-{make}", "faiss-binary", {"make": make}, sweeps, quick)


def _usearch(dtype: str, widths: Sequence[int]) -> EngineSpec:
    return EngineSpec(f"usearch:{dtype}", "usearch", {"m": 16, "dtype": dtype}, _sweep("ef", widths))


def _other_graphs(task: IndexTask) -> list[EngineSpec]:
    dtypes = ("f16", "bf16", "i8") if task.metric == "angular" else ("f16", "bf16")
    return [
        EngineSpec("hnswlib:16", "hnswlib", {"m": 16}, _sweep("ef", WIDTHS), quick=True),
        *(_usearch(dtype, WIDTHS) for dtype in dtypes),
        EngineSpec("pynndescent", "pynndescent", {"neighbors": 30}, _sweep("epsilon", EPSILONS)),
    ]


def _rivals(task: IndexTask) -> Iterator[EngineSpec]:
    """Yield the libraries of today: SymphonyQG and RaBitQ, ScaNN, SVS, turbovec, voyager."""
    widths, lists, angular = _sweep("ef", WIDTHS), list_count(task.items), task.metric == "angular"
    yield EngineSpec("symphonyqg:32", "symphonyqg", {"degree": 32}, widths, quick=True)
    yield EngineSpec("symphonyqg:32,8bit", "symphonyqg", {"degree": 32, "bits": 8}, widths)
    for bits in (5, 9):
        name = f"rabitqlib:IVF{lists},{bits}bit"
        yield EngineSpec(name, "rabitq-lists", {"lists": lists, "bits": bits}, _sweep("nprobe", probe_counts(lists)))
    leaves = _grid("candidates", CANDIDATES, "leaves", probe_counts(lists))
    options = {"leaves": lists, "block": 4 if task.dim > LONG else 2}
    yield EngineSpec(f"scann:{lists}", "scann", options, leaves, quick=True)
    for dtype in ("float32", "float16"):
        yield EngineSpec(f"svs:{dtype}", "svs", {"degree": 32, "dtype": dtype}, widths)
    yield EngineSpec("svs:dynamic", "svs", {"degree": 32, "dynamic": True}, widths)
    if angular:
        for bits in (2, 4):
            yield EngineSpec(f"turbovec:{bits}bit", "turbovec", {"bits": bits})
    for kind in ("Float32", "Float8") if angular else ("Float32",):
        yield EngineSpec(f"voyager:{kind}", "voyager", {"m": 16, "dtype": kind}, widths)
