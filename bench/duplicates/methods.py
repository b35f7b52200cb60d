"""The methods of the duplicates benchmark, behind one protocol: how similar each picture is to a copy.

Perceptual hashes are those of ``imagehash``, quantizers those of FAISS; what is not installed is left out.
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
from assocmem.bench.inputs import unit_rows_float32
from assocmem.cli.output import say
from assocmem.codes.dct_sketches import SKETCH_LENGTH
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.grouping import make_items
from assocmem.copies.lookup import find_originals

DEPTH = 100
"""Ranks that count: an original beyond them is not found."""
CODE_BYTES = 64
"""Bytes of a clique code."""


@dataclass(frozen=True, slots=True)
class Descriptions:
    """n pictures, described once for all methods."""

    features: F32
    """float32 (n, d), as the extractor returns them"""
    sketches: I8
    """int8 (n, SKETCH_LENGTH)"""
    hashes: dict[str, U8]
    """per hash: uint8 (n, bytes)"""
    networks: dict[str, F32]
    """per network of another program: float32 (n, dim)"""

    def take(self, rows: I64) -> Descriptions:
        """Return some of the pictures."""
        return Descriptions(
            self.features[rows],
            self.sketches[rows],
            {name: values[rows] for name, values in self.hashes.items()},
            {name: values[rows] for name, values in self.networks.items()},
        )

    @staticmethod
    def concatenate(parts: Sequence[Descriptions]) -> Descriptions:
        """Return the pictures of several parts."""
        return Descriptions(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.sketches for part in parts]),
            {name: np.concatenate([part.hashes[name] for part in parts]) for name in parts[0].hashes},
            {name: np.concatenate([part.networks[name] for part in parts]) for name in parts[0].networks},
        )


class Method(Protocol):
    """A method to find originals."""

    name: str
    whose: str
    """``assocmem``, ``hash``, ``network`` or ``FAISS``"""
    item_bytes: int
    """in memory, per picture"""

    def fit(self, base: Descriptions) -> None:
        """Store the pictures that are searched."""

    def scores(self, queries: Descriptions) -> F32:
        """Return similarities, float32 (nq, n), -inf for pictures that are not among the best `DEPTH`."""


class AssocmemMethod:
    """Clique codes and sketches in memory, features on disk."""

    whose = "assocmem"

    def __init__(self, mean: F32 | None, *, sketches: bool = True) -> None:
        self.name = "assocmem" if sketches else "assocmem, features alone"
        self._sketches = sketches
        self._mean = mean
        self.item_bytes = CODE_BYTES + (SKETCH_LENGTH if sketches else 0)

    def fit(self, base: Descriptions) -> None:
        """Encode the pictures."""
        self._coder = CliqueCoder(base.features.shape[1], mean=self._mean)
        stored = base.features.astype(np.float16)
        codes, messages = self._coder.encode(stored), self._coder.messages(stored)
        self._items = make_items(stored, messages, codes, base.sketches if self._sketches else None)

    def scores(self, queries: Descriptions) -> F32:
        """Return similarities of features and sketches."""
        sketches = queries.sketches if self._sketches else np.zeros_like(queries.sketches)
        similarities, rows = find_originals(queries.features, sketches, self._items, self._coder, DEPTH)
        return _scatter(similarities, rows, len(self._items))


class HashMethod:
    """Hamming distances of perceptual hashes."""

    whose = "hash"

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.item_bytes = size

    def fit(self, base: Descriptions) -> None:
        """Store the hashes."""
        self._stored = base.hashes[self.name]

    def scores(self, queries: Descriptions) -> F32:
        """Return minus the distances, of all pictures."""
        asked = queries.hashes[self.name]
        return np.stack([-np.bitwise_count(self._stored ^ one).sum(axis=1).astype(np.float32) for one in asked])


class NetworkMethod:
    """Exact cosine similarities of the features of another program."""

    whose = "network"

    def __init__(self, name: str, item_bytes: int) -> None:
        self.name = name
        self.item_bytes = item_bytes

    def fit(self, base: Descriptions) -> None:
        """Store the features."""
        self._stored = unit_rows_float32(base.networks[self.name])

    def scores(self, queries: Descriptions) -> F32:
        """Return the cosines, of all pictures."""
        return np.asarray(unit_rows_float32(queries.networks[self.name]) @ self._stored.T, np.float32)


class FaissMethod:
    """A FAISS index of the features, scaled to length 1."""

    whose = "FAISS"

    def __init__(self, factory: str, name: str, item_bytes: int) -> None:
        self.name = name
        self.item_bytes = item_bytes
        self._factory = factory

    def fit(self, base: Descriptions) -> None:
        """Train the index, and add the features."""
        import faiss

        faiss.omp_set_num_threads(1)
        unit = unit_rows_float32(base.features)
        self._index = faiss.index_factory(unit.shape[1], self._factory, faiss.METRIC_L2)
        code = faiss.downcast_index(getattr(self._index, "index", self._index))
        if hasattr(code, "pq"):
            code.pq.cp.min_points_per_centroid = 1  # or it warns of each of its hundreds of small clusterings
        self._index.train(unit)
        self._index.add(unit)

    def scores(self, queries: Descriptions) -> F32:
        """Return minus the distances."""
        distances, rows = self._index.search(unit_rows_float32(queries.features), min(DEPTH, self._index.ntotal))
        return _scatter(-distances, rows, self._index.ntotal)


def _scatter(found: F32, rows: I64, n: int) -> F32:
    """Return scores of all n pictures, float32 (nq, n), from those of some rows; -1 is no row."""
    out = np.full((len(found), n + 1), -np.inf, np.float32)  # the last column takes the scores of row -1
    np.put_along_axis(out, rows, found, axis=1)
    return out[:, :n]


def available_methods(dim: int, mean: F32 | None, pictures: int) -> Iterator[Method]:
    """Yield the methods that are installed on this machine.

    Parameters
    ----------
    dim : int
        Width of the features.
    mean : float32 (dim,), optional
        Mean of features.
    pictures : int
        Number of pictures that an index can be trained with.
    """
    yield AssocmemMethod(mean)
    yield AssocmemMethod(mean, sketches=False)
    if importlib.util.find_spec("imagehash"):
        yield from (HashMethod(name, size) for name, (size, _) in hash_functions().items())
    yield from (NetworkMethod(name, size) for name, (size, _) in network_functions().items())
    if importlib.util.find_spec("faiss"):
        own_bytes = CODE_BYTES + SKETCH_LENGTH
        yield FaissMethod("Flat", "FAISS Flat, raw features", 4 * dim)
        parts = max(m for m in range(1, own_bytes + 1) if dim % (2 * m) == 0)
        # Four bits a part: eight would need more pictures to train with than there are.
        yield FaissMethod(f"PQ{2 * parts}x4", f"FAISS PQ, {parts} bytes", parts)
        if pictures >= 2 * parts:
            yield FaissMethod(f"PCA{2 * parts},SQ4", f"FAISS PCA + SQ4, {parts} bytes", parts)
        yield FaissMethod("RaBitQ", f"FAISS RaBitQ, {dim // 8 + 8} bytes", dim // 8 + 8)
        yield FaissMethod(f"LSH{8 * own_bytes}r", f"FAISS LSH, {own_bytes} bytes", own_bytes)


def hash_functions() -> dict[str, tuple[int, Callable[[Picture], U8]]]:
    """Return name -> bytes and function of a picture, of the perceptual hashes; none without ``imagehash``."""
    if importlib.util.find_spec("imagehash") is None:
        return {}
    import imagehash

    def packed(function: Callable[..., Any], size: int) -> Callable[[Picture], U8]:
        return lambda picture: np.packbits(function(picture, hash_size=size).hash.ravel())

    small = {name: (8, packed(getattr(imagehash, name), 8)) for name in ("phash", "dhash", "whash")}
    return {**small, "phash, 32 bytes": (32, packed(imagehash.phash, 16))}


@cache
def network_functions() -> dict[str, tuple[int, Callable[[Picture], F32]]]:
    """Return name -> bytes and function of a picture: imagededup's CNN, if it, torch and its weights are installed."""
    if importlib.util.find_spec("imagededup") is None or importlib.util.find_spec("torch") is None:
        return {}
    import torch
    from imagededup.methods import CNN

    if not any(Path(torch.hub.get_dir(), "checkpoints").glob("mobilenet_v3_small-*.pth")):
        say("imagededup's network is left out: its weights are missing, and a benchmark downloads nothing")
        return {}
    network = CNN(verbose=False)

    def encode(picture: Picture) -> F32:
        return np.asarray(network.encode_image(image_array=np.asarray(picture))[0], np.float32)

    return {"imagededup CNN": (4 * 576, encode)}


def describe_pictures(pictures: Sequence[Picture], extractor: Any) -> Descriptions:
    """Describe pictures for all methods."""
    from assocmem.codes.dct_sketches import SKETCH_SIDE, sketch
    from assocmem.extractors.image import grey_square

    arrays = [np.asarray(picture) for picture in pictures]
    features = extractor.extract([extractor.prepare(array) for array in arrays]).features
    sketches = sketch(np.stack([grey_square(array, SKETCH_SIDE) for array in arrays]))
    hashes = {name: np.stack([make(p) for p in pictures]) for name, (_, make) in hash_functions().items()}
    networks = {name: np.stack([encode(p) for p in pictures]) for name, (_, encode) in network_functions().items()}
    return Descriptions(features, sketches, hashes, networks)
