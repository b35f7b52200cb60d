"""FAISS completing clique messages: the stored messages are its items, a cue is a query, the nearest item its answer.

Runs in a process of its own (`processes.run_function`), because FAISS brings its own OpenMP; uses nothing of the core
and its kernels. A symbol becomes a row of a table, an erased one (-1) a row of zeros. In every table, only items that
agree with all known symbols are nearest: erasures cause no error. If symbols of the cue are wrong, nearness should
count agreements: one-hot rows do so exactly, long random words nearly, short words and points on a circle badly.

Where there is a choice, it favours FAISS: cues are converted to its form beforehand, its answer is a row number, and
each index is the fastest of its family. Of inverted lists, that is binary codes, before IndexIVFFlat and IndexIVFPQ.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

import faiss
import numpy as np
from faiss.contrib import ivf_tools

from assocmem._numerics.types import AnyArray

MAX_BYTES, CHUNK = 2 << 30, 64 << 20
"""Bytes that an index may take by its own count, and that are added at a time."""
TIE = 1e-4
"""Scores that differ by less are equal: rounding errors are smaller, and one symbol makes a greater difference."""
REPETITIONS, MIN_BATCH, MAX_BATCH = 5, 256, 4096
MAX_ONE_HOT, MAX_CENTROIDS = 1 << 13, 1 << 16


# Tables of symbols


def _bits(units: int) -> int:
    return max(1, (units - 1).bit_length())


def one_hot(units: int) -> AnyArray:
    """Return one dimension per unit, float32 (units, units): inner products count agreements."""
    if units > MAX_ONE_HOT:
        raise ValueError(f"one-hot symbols are for up to {MAX_ONE_HOT} units, not {units}")
    return np.eye(units, dtype=np.float32)


def one_hot_bits(units: int) -> AnyArray:
    """Return one bit per unit, uint8 (units, bytes)."""
    return _pack(one_hot(units))


def _pack(bits: AnyArray) -> AnyArray:
    return np.packbits(np.asarray(bits, bool), axis=1, bitorder="little")


def circle(units: int) -> AnyArray:
    """Return a point on the circle, float32 (units, 2); above 256 units, which are too close, one point per digit."""
    base = units if units <= 256 else int(np.ceil(np.sqrt(units)))
    digits = np.arange(units)[:, None] // ([1] if units <= 256 else [1, base]) % base
    return np.asarray(np.exp(2j * np.pi / base * digits), np.complex64).view(np.float32)


def nibbles(units: int) -> AnyArray:
    """Return the symbol's hexadecimal digits, each one-hot in 16 dimensions, float32 (units, 16 digits)."""
    digits = np.arange(units)[:, None] >> np.arange(0, _bits(units), 4) & 15
    return np.asarray(digits[..., None] == np.arange(16), np.float32).reshape(units, -1)


def dual_rail_words(units: int, min_width: int = 4) -> AnyArray:
    """Return random words and their complements, uint8 (units, bytes): all have the same weight, so erasures do too."""
    width = max(min_width, -(-_bits(units) // 4) * 4)
    words = np.random.default_rng(0).permutation(1 << width)[:units, None]
    bits = words >> np.arange(width) & 1
    return _pack(np.concatenate([bits, 1 - bits], axis=1))


# FAISS's indexes; each function returns an empty index and the bytes it will take


def flat(table: AnyArray, clusters: int, items: int) -> tuple[Any, int]:
    """Return an IndexFlatIP or IndexBinaryFlat, which compare with every item."""
    width = clusters * table.shape[1]
    index = faiss.IndexBinaryFlat(8 * width) if table.dtype == np.uint8 else faiss.IndexFlatIP(width)
    return index, items * width * table.itemsize


def product(table: AnyArray, clusters: int, items: int) -> tuple[Any, int]:
    """Return an IndexPQ without training: the centroids of each cluster are the table, so the codes are the symbols."""
    if len(table) > MAX_CENTROIDS:
        raise ValueError(f"a subquantizer has up to {MAX_CENTROIDS} centroids, not {len(table)}")
    bits, width = _bits(len(table)), clusters * table.shape[1]
    index = faiss.IndexPQ(width, clusters, bits, faiss.METRIC_INNER_PRODUCT)
    return _set_centroids(index, table), items * -(-clusters * bits // 8) + (4 * width << bits)


def fast_scan(table: AnyArray, clusters: int, items: int) -> tuple[Any, int]:
    """Return an IndexPQFastScan: half a byte per hexadecimal digit, blocks of 32 items; scores are rounded to bytes."""
    digits = clusters * table.shape[1] // 16
    index = faiss.IndexPQFastScan(16 * digits, digits, 4, faiss.METRIC_INNER_PRODUCT)
    return _set_centroids(index, nibbles(16)), -(-items // 32) * 32 * -(-digits // 2) + digits * 16 * 64


def _set_centroids(index: Any, table: AnyArray) -> Any:
    centroids = np.zeros((index.pq.ksub, table.shape[1]), np.float32)
    centroids[: len(table)] = table
    faiss.copy_array_to_vector(np.tile(centroids.ravel(), index.pq.M), index.pq.centroids)
    index.is_trained = True
    return index


def multi_hash(table: AnyArray, clusters: int, items: int) -> tuple[Any, int]:
    """Return an IndexBinaryMultiHash: a hash table per cluster from symbol to rows; erased symbols find no rows."""
    width, buckets = clusters * table.shape[1], min(len(table), items)
    size = items * (width + 8 * clusters) + clusters * buckets * 32
    return faiss.IndexBinaryMultiHash(8 * width, clusters, 8 * table.shape[1]), size


def inverted(table: AnyArray, clusters: int, items: int, *, every_list: bool) -> tuple[Any, int]:
    """Return an IndexBinaryIVF as an inverted file: an item is stored, with its code, in the list of each symbol."""
    width = clusters * table.shape[1]  # the quantizer stays empty: symbols determine the lists
    index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(8 * width), 8 * width, clusters * len(table))
    index.is_trained, index.nprobe = True, clusters if every_list else 1
    return index, items * clusters * (width + 8)


class FaissMemory:
    """One of FAISS's indexes with a table of symbols: build, prepare, search."""

    def __init__(
        self, name: str, make_table: Callable[[int], AnyArray], make_index: Callable[..., tuple[Any, int]]
    ) -> None:
        self.name, self.make_table, self.make_index = name, make_table, make_index

    def build(self, messages: AnyArray, units: int) -> int:
        """Store messages (M, clusters); returns the bytes of codes, row numbers and tables, ValueError if too many."""
        table = self.make_table(units)
        self.index, size = self.make_index(table, messages.shape[1], len(messages))
        if size > MAX_BYTES:
            raise ValueError(f"would take {size / 1e9:.1f} GB, more than {MAX_BYTES / 1e9:.1f} GB")
        self.table = np.pad(table, ((0, 1), (0, 0)))
        step = max(1, CHUNK // (messages.shape[1] * table[0].nbytes))
        for start in range(0, len(messages), step):
            self._add(messages[start : start + step], start)
        if hasattr(self.index, "pq") and (self.index.reconstruct(0) != self.prepare(messages[:1])).any():
            raise RuntimeError("FAISS does not read the codes as the symbols")
        return size

    def prepare(self, cues: AnyArray) -> Any:
        """Convert cues (n, clusters) to the form that `search` takes."""
        return np.ascontiguousarray(self.table[cues].reshape(len(cues), -1))

    def search(self, queries: Any, k: int) -> tuple[AnyArray, AnyArray]:
        """Return scores and row numbers (n, k), best first; -1 is no row."""
        scores, rows = self.index.search(queries, k)
        return scores, rows

    def _add(self, messages: AnyArray, first: int) -> None:
        if isinstance(self.index, faiss.IndexPQ):
            self.index.add_sa_codes(faiss.pack_bitstrings(messages, self.index.pq.nbits))
        else:
            self.index.add(self.prepare(messages))


class InvertedFaissMemory(FaissMemory):
    """An index with a list per symbol: the cue determines which lists are searched."""

    def build(self, messages: AnyArray, units: int) -> int:
        """Store each message in the list of each of its symbols."""
        self.firsts = np.arange(messages.shape[1]) * units
        self.sizes = np.bincount((messages + self.firsts).ravel(), minlength=messages.shape[1] * units)
        return super().build(messages, units)

    def prepare(self, cues: AnyArray) -> Any:
        """Encode cues, and choose the lists of all known symbols or the shortest of them."""
        lists = np.where(cues < 0, -1, cues + self.firsts)
        if self.index.nprobe == 1:
            shortest = np.where(cues < 0, self.index.ntotal, self.sizes[lists]).argmin(axis=1)
            lists = np.take_along_axis(lists, shortest[:, None], axis=1)
        return super().prepare(cues), np.ascontiguousarray(lists)

    def search(self, queries: Any, k: int) -> tuple[AnyArray, AnyArray]:
        """Search the lists; an item may be found in several."""
        scores, rows = ivf_tools.search_preassigned(self.index, queries[0], k, queries[1])
        return scores, rows

    def _add(self, messages: AnyArray, first: int) -> None:
        codes, rows = super().prepare(messages), np.arange(first, first + len(messages))
        for column in (messages + self.firsts).T:
            ivf_tools.add_preassigned(self.index, codes, np.ascontiguousarray(column), rows)


def faiss_memories(units: int) -> list[FaissMemory]:
    """List the indexes of FAISS for the task."""
    return [
        FaissMemory("exact, one-hot", one_hot, flat),
        FaissMemory("exact, rotated symbols", circle, flat),
        FaissMemory("IndexPQ", one_hot if units <= 256 else circle, product),
        FaissMemory("IndexPQFastScan", nibbles, fast_scan),
        FaissMemory("IndexBinaryFlat, one-hot", one_hot_bits, flat),
        FaissMemory("IndexBinaryFlat, short", dual_rail_words, flat),
        FaissMemory("IndexBinaryMultiHash", dual_rail_words, multi_hash),
        InvertedFaissMemory("IndexBinaryIVF, one list", dual_rail_words, partial(inverted, every_list=False)),
        InvertedFaissMemory(
            "IndexBinaryIVF, every list", partial(dual_rail_words, min_width=16), partial(inverted, every_list=True)
        ),
    ]


# Measuring


def measure(
    clusters: int, units: int, messages: str, cues: str, rows: str, seconds: float = 1.0, threads: int = 1
) -> dict[str, Any]:
    """Measure FAISS's indexes on one set of cues; called in a new process.

    Parameters
    ----------
    clusters, units : int
    messages, cues, rows : str
        Files of arrays (.npy): messages int32 (M, clusters); cues int32 (n, clusters), -1 where erased; the row number
        of the message that each cue was made of, (n,). ValueError for other shapes.
    seconds : float
        For each index.
    threads : int

    Returns
    -------
    dict
        "indexes" holds the figures of each index, or {"name", "skipped": reason}.
    """
    faiss.omp_set_num_threads(threads)
    faiss.cvar.distance_compute_blas_threshold = 20  # the default before faiss#5022, faster with few threads
    stored, asked, truth = np.load(messages), np.load(cues), np.load(rows)
    if stored.shape[1:] != (clusters,) or asked.shape[1:] != (clusters,) or truth.shape != asked.shape[:1]:
        raise ValueError(f"expected (M, {clusters}), (n, {clusters}), (n,): {stored.shape} {asked.shape} {truth.shape}")
    figures = [_measure(memory, units, stored, (asked, stored[truth]), seconds) for memory in faiss_memories(units)]
    return {"faiss": faiss.__version__, "messages": len(stored), "cues": len(asked), "indexes": figures}


def _measure(
    memory: FaissMemory, units: int, stored: AnyArray, task: tuple[AnyArray, AnyArray], seconds: float
) -> dict[str, Any]:
    try:
        started = timeit.default_timer()
        size = memory.build(stored, units)
        built = {"name": memory.name, "build_s": timeit.default_timer() - started, "bytes": size}
        return {**built, **_count_errors(memory, stored, task, 4 * seconds), **_time(memory, task[0], seconds)}
    except Exception as error:  # of any kind that FAISS raises: the other indexes are still to be measured
        return {"name": memory.name, "skipped": str(error) or type(error).__name__}
    finally:
        vars(memory).pop("index", None)


def _count_errors(
    memory: FaissMemory, stored: AnyArray, task: tuple[AnyArray, AnyArray], seconds: float
) -> dict[str, float | int]:
    """Compare messages, not row numbers, until time is up; a tie at the top with another message is an error."""
    cues, truth = task
    k = min(stored.shape[1] + 1, len(stored))  # an inverted file may return an item once per cluster
    wrong = ties = done = 0
    until = timeit.default_timer() + seconds
    while done < len(cues) and (not done or timeit.default_timer() < until):
        part = slice(done, done + MIN_BATCH)
        scores, rows = memory.search(memory.prepare(cues[part]), k)
        same = (stored[rows] == truth[part, None]).all(axis=2) & (rows >= 0)
        level = (np.abs(scores - scores[:, :1].astype(np.float64)) < TIE) & (rows >= 0)
        tied = same[:, 0] & (level & ~same).any(axis=1)
        wrong, ties, done = wrong + int((~same[:, 0] | tied).sum()), ties + int(tied.sum()), done + len(rows)
    return {"error": wrong / done, "tied": ties / done, "cues": done}


def _time(memory: FaissMemory, cues: AnyArray, seconds: float) -> dict[str, Any]:
    """Time batches that ask for the nearest item only, in repetitions of equal length, after a warm-up."""
    turn, ask = seconds / REPETITIONS, partial(memory.search, memory.prepare(cues[:MIN_BATCH]), 1)
    each = min(timeit.repeat(ask, number=1, repeat=2)) / min(MIN_BATCH, len(cues))
    batch = min(max(int(turn / each), MIN_BATCH), MAX_BATCH, len(cues))
    prepared = timeit.timeit(lambda: memory.prepare(cues[:batch]), number=1) / batch
    ask = partial(memory.search, memory.prepare(cues[:batch]), 1)
    times = max(1, round(turn / timeit.timeit(ask, number=1)))
    rates = [batch * times / one for one in timeit.repeat(ask, number=times, repeat=REPETITIONS)]
    return {"recalls_per_s": float(np.median(rates)), "rates": rates, "batch": batch, "prepare_us": prepared * 1e6}
