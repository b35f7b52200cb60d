"""Which engines the recall benchmark runs, and the settings it tries: each family as its best user would set it up.

Names are what `--engines` is matched with. Lists of an inverted file grow with the items; fast scan is given lists to
look through and candidates to refine together; long vectors are shortened before they are cut into pieces. Refinement
by float16, or by bytes where the numbers are bytes, is offered beside that by raw vectors, for it is smaller and often
quicker; and with the vectors in a file, mapped, for the comparison at equal memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from assocmem.bench.recall.engine import Setting, Spec, Task

Lines = tuple[tuple[Setting, ...], ...]
LONG = 256
"""Vectors of more numbers than this are shortened by PCA."""
EFFORTS = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5, 0.75, 1.0)
CANDIDATES = (20, 50, 100, 200, 300, 500)
WIDTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
FACTORS = (2, 4, 8, 16, 32)
DEEP_FACTORS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
EPSILONS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)


def _line(name: str, values: Sequence[float]) -> Lines:
    return (tuple({name: value} for value in values),)


def _grid(outer: str, steps: Sequence[float], inner: str, values: Sequence[float]) -> Lines:
    return tuple(tuple({outer: step, inner: value} for value in values) for step in steps)


def lists(items: int) -> int:
    """Return how many lists an inverted file gets: the power of two nearest to 2.5 roots of the items."""
    return int(2 ** max(2, round(math.log2(2.5 * math.sqrt(items)))))


def probes(count: int) -> tuple[int, ...]:
    """Return how many of the lists are looked through: 1, 2, 4 ... up to all."""
    return tuple(2**i for i in range(count.bit_length()))


def pieces(dim: int, most: int) -> int:
    """Return into how many equal pieces fast scan cuts a vector: the largest even divisor up to ``most``."""
    return max((m for m in range(2, most + 1, 2) if dim % m == 0), default=1)


def plan_engines(task: Task) -> list[Spec]:
    """List all engines for a task, ours first."""
    ours = [
        Spec("clique", "clique", lines=_line("effort", EFFORTS), quick=True),
        Spec("clique-mapped", "clique", {"mapped": True}, _line("effort", EFFORTS), quick=True),
    ]
    if task.metric == "hamming":
        return [*ours, *_binary(task), _usearch("b1", WIDTHS)]
    if task.metric == "angular":
        ours.append(Spec("exhaustive", "exhaustive", {}, _line("candidates", CANDIDATES), quick=True))
    faiss = [*_inverted(task), *_compact(task), *_graphs(task), *_bits(task)]
    return [*ours, Spec("faiss:Flat", "faiss", {"factory": "Flat"}, quick=True), *faiss, *_peers(task)]


def _factory(factory: str, lines: Lines, quick: bool = False, ef_construction: int | None = None) -> Spec:
    if ef_construction is None:
        return Spec("faiss:" + factory, "faiss", {"factory": factory}, lines, quick)
    options = {"factory": factory, "ef_construction": ef_construction}
    return Spec(f"faiss:{factory},efc{ef_construction}", "faiss", options, lines, quick)


def _mapped(factory: str, refine: str, lines: Lines, quick: bool = False) -> Spec:
    options = {"factory": factory, "refine": refine}
    return Spec(f"faiss:{factory},{refine}-mapped", "faiss-mapped", options, lines, quick)


def _stored(task: Task) -> str:
    """How vectors are kept for refinement, where raw ones are not."""
    return "SQ8_direct" if task.whole else "SQfp16"


def shortened(task: Task) -> list[tuple[str, int]]:
    """List what comes before an index, as FAISS's factory spells it, and how many numbers are left."""
    if task.dim <= LONG:
        return [("", task.dim)]
    return [(f"PCA{dim},", dim) for dim in (128, 192, 256)]


def _inverted(task: Task) -> Iterator[Spec]:
    """Yield inverted files, whole and by fast scan, with refinement and without."""
    count = lists(task.items)
    only, stored = _line("nprobe", probes(count)), _stored(task)
    both = _grid("k_factor", FACTORS, "nprobe", probes(count))
    yield _factory(f"IVF{count},Flat", only, quick=True)
    yield _factory(f"IVF{count},{'SQ8' if task.whole else 'SQfp16'}", only)  # differences are no bytes: not SQ8_direct
    for number, (before, dim) in enumerate(shortened(task)):
        scan = f"PQ{pieces(dim, 128 if dim > 128 else 64)}x4fs"
        if before:
            yield _factory(f"{before}IVF{count},Flat,Refine({stored})", both)
        for many in (count, 2 * count):
            yield _factory(f"{before}IVF{many},{scan},Refine({stored})", both, quick=many == count and not number)
        if not number:
            yield _factory(f"{before}IVF{count},{scan}", only)
            yield _factory(f"{before}IVF{count},{scan},RFlat", both)
        yield _mapped(f"{before}IVF{count},{scan}", stored, both, quick=not number)
    before, dim = shortened(task)[-1]
    parts = pieces(dim, 64)
    yield _factory(f"{before}OPQ{parts},IVF{count},PQ{parts}x4fs,Refine({stored})", both)
    if task.dim > LONG:
        yield _factory(f"IVF{count},PQ{pieces(task.dim, 128)}x4fs,Refine({stored})", both)
    yield _factory(f"{before}PQ{parts}x4fs,Refine({stored})", _line("k_factor", DEEP_FACTORS))


def _compact(task: Task) -> Iterator[Spec]:
    """Yield what keeps an item in about 32 to 170 bytes, without vectors to refine by; and RaBitQ."""
    count = lists(task.items)
    only, stored = _line("nprobe", probes(count)), _stored(task)
    both = _grid("k_factor", FACTORS, "nprobe", probes(count))
    before, dim = shortened(task)[-1]
    turned = before.replace("PCA", "PCAR") or f"RR{dim},"
    yield _factory(f"{before}IVF{count},PQ{pieces(dim, 64)}np", only)  # np: no polysemous training, which takes minutes
    yield _factory("RaBitQfs", (({},),))
    yield _factory(f"IVF{count},RaBitQfs", only)
    yield _factory(f"{turned}IVF{count},RaBitQfs,Refine({stored})", both)
    yield _factory(f"{turned}IVF{count},RaBitQ4", only)
    yield _mapped(f"{turned}IVF{count},RaBitQfs", stored, both)
    if task.dim > LONG:
        yield _factory(f"PCA128,IVF{count},SQ8", only)
        yield _factory(f"PCA256,IVF{count},SQ4", only)


def _graphs(task: Task) -> Iterator[Spec]:
    """Yield FAISS's graphs."""
    line = _line("efSearch", WIDTHS)
    stored = "SQ8_direct" if task.whole else "SQ8"
    yield _factory("HNSW16", line, quick=True)
    yield _factory("HNSW32", line, ef_construction=200)
    yield _factory(f"HNSW16_{stored}", line)
    before, dim = shortened(task)[-1]
    before = before or f"PCA{dim // 2},"
    both = _grid("k_factor", FACTORS[:4], "efSearch", WIDTHS[:-2])
    yield _factory(f"{before}HNSW16_SQ8,Refine({_stored(task)})", both)


def _bits(task: Task) -> Iterator[Spec]:
    """Yield what compares bits: LSH, and binary indexes of signs."""
    width = min(256, task.dim // 8 * 8)
    line = _line("k_factor", DEEP_FACTORS)
    learned = f"ITQ{width}"
    yield _factory("LSHrt", (({},),))
    yield _factory(f"{learned},LSH,Refine({_stored(task)})", line)
    for make, lines in (
        ("flat", line),
        ("hash", _grid("k_factor", DEEP_FACTORS[-3:], "nflip", (0, 1, 2, 3))),
        ("multihash", _grid("k_factor", DEEP_FACTORS[-3:], "nflip", (0, 1, 2))),
    ):
        yield Spec(f"faiss:{learned},binary-{make}", "faiss-signs", {"make": make, "transform": learned}, lines)


def _binary(task: Task) -> Iterator[Spec]:
    """Yield binary indexes for what is bits from the start."""
    count = lists(task.items)
    for make, lines, quick in (
        ("flat", (({},),), True),
        ("hash", _line("nflip", (0, 1, 2, 3)), False),
        ("multihash", _line("nflip", (0, 1, 2)), False),
        (f"BIVF{count}", _line("nprobe", probes(count)), True),
        ("BHNSW16", _line("efSearch", WIDTHS), True),
    ):
        yield Spec(f"faiss:binary-{make}", "faiss-binary", {"make": make}, lines, quick)


def _usearch(dtype: str, widths: Sequence[int]) -> Spec:
    return Spec(f"usearch:{dtype}", "usearch", {"m": 16, "dtype": dtype}, _line("ef", widths))


def _peers(task: Task) -> list[Spec]:
    dtypes = ("f16", "bf16", "i8") if task.metric == "angular" else ("f16", "bf16")
    return [
        Spec("hnswlib:16", "hnswlib", {"m": 16}, _line("ef", WIDTHS), quick=True),
        *(_usearch(dtype, WIDTHS) for dtype in dtypes),
        Spec("pynndescent", "pynndescent", {"neighbors": 30}, _line("epsilon", EPSILONS)),
    ]
