"""What is compared in the duplicates benchmark: ways to say how like each original a copy is, one face for all.

Perceptual hashes come from ``imagehash``, the quantizers from FAISS; what is not installed is left out.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from assocmem._numerics.types import F32, I8, I64, U8
from assocmem.bench.duplicates.alterations import Picture
from assocmem.cli.common import say
from assocmem.codes.dct_sketches import LENGTH
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.grouping import make_items
from assocmem.copies.lookup import find_originals

DEEP = 100
"""Ranks looked at: an original beyond them counts as not found."""


@dataclass(frozen=True, slots=True)
class Described:
    """n pictures, described once for all methods."""

    features: F32
    """float32 (n, d), as the extractor gave them"""
    sketches: I8
    """int8 (n, SKETCH_LENGTH)"""
    hashes: dict[str, U8]
    """per hash: uint8 (n, bytes)"""
    others: dict[str, F32]
    """per network of another program: float32 (n, dim)"""


class Method(Protocol):
    """A way to find originals."""

    name: str
    whose: str
    """``assocmem``, ``hash`` or ``FAISS``"""
    item_bytes: int
    """in memory, per picture"""

    def fit(self, base: Described) -> None:
        """Take in the pictures that are searched."""

    def scores(self, queries: Described) -> F32:
        """Return how like each query each picture is, float32 (nq, n), -inf for those not among the best ``DEEP``."""


class Associative:
    """Clique codes and sketches in memory, features on disk."""

    whose = "assocmem"

    def __init__(self, mean: F32 | None, *, sketches: bool = True) -> None:
        self.name = "assocmem" if sketches else "assocmem, features alone"
        self._sketches = sketches
        self._mean = mean
        self.item_bytes = 64 + (SKETCH_LENGTH if sketches else 0)

    def fit(self, base: Described) -> None:
        """See ``Method``."""
        self._coder = CliqueCoder(base.features.shape[1], mean=self._mean)
        stored = base.features.astype(np.float16)
        codes, messages = self._coder.encode(stored), self._coder.messages(stored)
        self._items = make_items(stored, messages, codes, base.sketches if self._sketches else None)

    def scores(self, queries: Described) -> F32:
        """See ``Method``."""
        sketches = queries.sketches if self._sketches else np.zeros_like(queries.sketches)
        likeness, rows = find_originals(queries.features, sketches, self._items, self._coder, DEEP)
        return _spread(likeness, rows, len(self._items))


class Hash:
    """Hamming distance of perceptual hashes."""

    whose = "hash"

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.item_bytes = size

    def fit(self, base: Described) -> None:
        """See ``Method``."""
        self._stored = base.hashes[self.name]

    def scores(self, queries: Described) -> F32:
        """See ``Method``."""
        asked = queries.hashes[self.name]
        return np.stack([-np.bitwise_count(self._stored ^ one).sum(axis=1).astype(np.float32) for one in asked])


class OtherNetwork:
    """Exact cosine similarity of another program's features."""

    whose = "network"

    def __init__(self, name: str, item_bytes: int) -> None:
        self.name = name
        self.item_bytes = item_bytes

    def fit(self, base: Described) -> None:
        """See ``Method``."""
        self._stored = _unit(base.others[self.name])

    def scores(self, queries: Described) -> F32:
        """See ``Method``."""
        return np.asarray(_unit(queries.others[self.name]) @ self._stored.T, np.float32)


class Faiss:
    """A FAISS index of the unit-length features."""

    whose = "FAISS"

    def __init__(self, factory: str, name: str, item_bytes: int) -> None:
        self.name = name
        self.item_bytes = item_bytes
        self._factory = factory

    def fit(self, base: Described) -> None:
        """See ``Method``."""
        import faiss

        faiss.omp_set_num_threads(1)
        unit = _unit(base.features)
        self._index = faiss.index_factory(unit.shape[1], self._factory, faiss.METRIC_L2)
        code = faiss.downcast_index(getattr(self._index, "index", self._index))
        if hasattr(code, "pq"):
            code.pq.cp.min_points_per_centroid = 1  # else it warns of each of its hundreds of small clusterings
        self._index.train(unit)
        self._index.add(unit)

    def scores(self, queries: Described) -> F32:
        """See ``Method``."""
        distances, rows = self._index.search(_unit(queries.features), min(DEEP, self._index.ntotal))
        return _spread(-distances, rows, self._index.ntotal)


def _unit(x: F32) -> F32:
    return np.ascontiguousarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9), np.float32)


def _spread(found: F32, rows: I64, n: int) -> F32:
    out = np.full((len(found), n + 1), -np.inf, np.float32)  # the last column takes what is missing: row -1
    np.put_along_axis(out, rows, found, axis=1)
    return out[:, :n]


def methods(dim: int, mean: F32 | None, pictures: int) -> Iterator[Method]:
    """Yield what can be compared on this machine, with so many pictures to train on."""
    yield Associative(mean)
    yield Associative(mean, sketches=False)
    if importlib.util.find_spec("imagehash"):
        yield from (Hash(name, size) for name, (size, _) in hash_functions().items())
    yield from (OtherNetwork(name, size) for name, (size, _) in other_networks().items())
    if importlib.util.find_spec("faiss"):
        equal = 64 + SKETCH_LENGTH
        yield Faiss("Flat", "FAISS Flat, raw features", 4 * dim)
        parts = max(m for m in range(1, equal + 1) if dim % (2 * m) == 0)
        # Four bits a part: eight would need more pictures to train on than there are.
        yield Faiss(f"PQ{2 * parts}x4", f"FAISS PQ, {parts} bytes", parts)
        if pictures >= 2 * parts:
            yield Faiss(f"PCA{2 * parts},SQ4", f"FAISS PCA + SQ4, {parts} bytes", parts)
        yield Faiss("RaBitQ", f"FAISS RaBitQ, {dim // 8 + 8} bytes", dim // 8 + 8)
        yield Faiss(f"LSH{8 * equal}r", f"FAISS LSH, {equal} bytes", equal)


def hash_functions() -> dict[str, tuple[int, Callable[[Picture], U8]]]:
    """Name -> bytes and function of a picture, of the perceptual hashes; none without ``imagehash``."""
    if importlib.util.find_spec("imagehash") is None:
        return {}
    import imagehash

    def packed(function: Callable[..., Any], size: int) -> Callable[[Picture], U8]:
        return lambda picture: np.packbits(function(picture, hash_size=size).hash.ravel())

    plain = {name: (8, packed(getattr(imagehash, name), 8)) for name in ("phash", "dhash", "whash")}
    return {**plain, "phash, 32 bytes": (32, packed(imagehash.phash, 16))}


@cache
def other_networks() -> dict[str, tuple[int, Callable[[Picture], F32]]]:
    """Name -> bytes and function of a picture: imagededup's CNN, where it, torch and its weights are installed."""
    if importlib.util.find_spec("imagededup") is None or importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from imagededup.methods import CNN

    if not any(Path(torch.hub.get_dir(), "checkpoints").glob("mobilenet_v3_small-*.pth")):
        say("imagededup's network is left out: its weights are not there, and a benchmark fetches nothing")
        return {}
    network = CNN(verbose=False)

    def encode(picture: Picture) -> F32:
        return np.asarray(network.encode_image(image_array=np.asarray(picture))[0], np.float32)

    return {"imagededup CNN": (4 * 576, encode)}


@dataclass(frozen=True, slots=True)
class Standing:
    """How well a method found the originals of some copies."""

    recall: float
    """share of copies whose original comes first"""
    precision: float
    """mean average precision: with one original to be found, the mean of 1 / its rank; 0 beyond rank ``DEEP``"""


def standing(scores: F32, originals: I64) -> Standing:
    """Judge scores, float32 (nq, n), given each query's original, int64 (nq,).

    Pictures of equal score stand in any order with equal probability; the expected values are taken.
    """
    own = np.take_along_axis(scores, originals[:, None], axis=1)
    better, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    found = np.isfinite(own[:, 0])
    recall = np.where(found & (better == 0), 1 / equal, 0)
    reciprocal = np.zeros(len(scores))
    for row in np.flatnonzero(found).tolist():
        ranks = better[row] + np.arange(1, equal[row] + 1)
        reciprocal[row] = np.where(ranks <= DEEP, 1 / ranks, 0).mean()
    return Standing(float(recall.mean()), float(reciprocal.mean()))


def describe_pictures(pictures: Sequence[Picture], extractor: Any) -> Described:
    """Describe pictures for all methods."""
    from assocmem.codes.dct_sketches import SKETCH_SIDE, sketch
    from assocmem.extractors.image import grey_square

    arrays = [np.asarray(picture) for picture in pictures]
    features = extractor.extract([extractor.prepare(array) for array in arrays]).features
    sketches = sketch(np.stack([grey_square(array, SKETCH_SIDE) for array in arrays]))
    hashes = {name: np.stack([make(p) for p in pictures]) for name, (_, make) in hash_functions().items()}
    others = {name: np.stack([encode(p) for p in pictures]) for name, (_, encode) in other_networks().items()}
    return Described(features, sketches, hashes, others)


def stacked(parts: Sequence[Described]) -> Described:
    """Several as one."""
    return Described(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.sketches for part in parts]),
        {name: np.concatenate([part.hashes[name] for part in parts]) for name in parts[0].hashes},
        {name: np.concatenate([part.others[name] for part in parts]) for name in parts[0].others},
    )
