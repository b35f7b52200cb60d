"""What the benchmarks measure with: vectors from files, photographs from folders, made-up pictures and collections."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from assocmem._numerics.types import F32, AnyArray
from assocmem.errors import InputError, MediaError

MIN_SIDE, MAX_SIDE = 64, 800
"""Pixels: photographs whose shorter side is less are skipped; those whose longer side is more are reduced."""
MIN_PHOTOGRAPHS = 20
MIN_CONTRAST = 8
"""Standard deviation of the pixels of a thumbnail, 0 to 255; pictures below are nearly blank and skipped."""
BATCH = 2048
"""Items that are written to a made-up collection at a time."""


def read_vectors(path: Path) -> F32:
    """Read the vectors 'train' of a file in ann-benchmarks' layout, float32 (n, dim); InputError for other files."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file["train"][:], dtype=np.float32)
    except (OSError, KeyError) as error:
        raise InputError(
            f"{path}: expected an HDF5 file with vectors 'train' (n, dim), found another ({error})"
        ) from error


def unit_rows(x: AnyArray) -> F32:
    """Scale rows to length 1, float32; rows of zeros stay zeros. Lengths are computed in float64."""
    lengths = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    return np.asarray(x / np.where(lengths > 0, lengths, 1), np.float32)


def unit_rows_float32(x: F32) -> F32:
    """Scale rows to length 1, float32; rows of zeros stay zeros. Lengths are computed in float32."""
    return np.ascontiguousarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30), np.float32)


def unit_mean(x: F32) -> F32:
    """Return the mean of rows scaled to length 1, float32 (dim,); lengths are computed in float32."""
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    mean: F32 = (x / np.where(lengths > 0, lengths, 1)).mean(axis=0)
    return mean


def read_photographs(folder: Path, limit: int) -> list[PIL.Image.Image]:
    """Read at most ``limit`` photographs, from all parts of a folder; InputError if there are fewer than 20.

    Files that cannot be read, icons and blank pictures are skipped.
    """
    from assocmem.extractors.image import read_image

    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            picture = PIL.Image.fromarray(read_image(path))
        except MediaError:
            continue
        if min(picture.size) >= MIN_SIDE and np.asarray(picture.resize((32, 32))).std() > MIN_CONTRAST:
            picture.thumbnail((MAX_SIDE, MAX_SIDE))
            found.append(picture)
    if len(found) < MIN_PHOTOGRAPHS:
        raise InputError(f"{folder}: expected at least {MIN_PHOTOGRAPHS} pictures, found {len(found)}")
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, limit).astype(int))]


def make_photographs(folder: Path, count: int, side: int = 1600) -> None:
    """Make JPEGs like those of a camera: enlarged crops of the demo's photographs with some noise; seeded."""
    from assocmem.cli.demo import gather

    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        sources = [path for path in gather(Path(scratch)) if path.suffix != ".mp4"]
        originals = [PIL.Image.open(path).convert("RGB") for path in sources]
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 4, (side * 3 // 4, side, 3)).astype(np.int16)
    for number in range(count):
        original = originals[number % len(originals)]
        width, height = original.size
        share = rng.uniform(0.5, 1.0)
        left, top = rng.uniform(0, 1 - share, 2)
        box = (left * width, top * height, (left + share) * width, (top + share) * height)
        large = original.resize((side, side * 3 // 4), PIL.Image.Resampling.BICUBIC, box=box)
        pixels = np.clip(np.asarray(large) + np.roll(noise, number, axis=0), 0, 255).astype(np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{number:06d}.jpg", quality=85)


def make_collection(folder: Path, photo: Path, items: int) -> None:
    """Make a collection of random features by the writer of real ones, and a photograph to search for."""
    import assocmem
    from assocmem.index.ingest.writer import Writer
    from assocmem.index.session import Session

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    PIL.Image.fromarray(coarse).resize((1600, 1200), PIL.Image.Resampling.BICUBIC).save(photo, quality=85)
    with assocmem.open(folder) as photos:
        photos.add([photo])
    session = Session(folder)
    with session.writing() as catalog:
        writer = Writer(catalog, folder, session.coder)
        for batch in _random_items(items - 1, session.coder.dim):
            writer.commit(batch)
            writer.merge_small_segments()
    session.close()
    with assocmem.open(folder) as photos:
        photos.remove([])


def _random_items(items: int, dim: int) -> Iterator[list[Any]]:
    """Yield batches of described files with random features."""
    from assocmem.index.ingest.pipeline import End, Item, Job, Result
    from assocmem.index.ingest.walk import FoundFile

    rng = np.random.default_rng(1)
    batch: list[Any] = []
    for number in range(items):
        found = FoundFile(f"/synthetic/{number:07d}.jpg", 1, 1)
        feature = np.abs(rng.standard_normal(dim, dtype=np.float32))
        logits = rng.standard_normal(1000, dtype=np.float32)
        end = End(Job(found, "image"), number.to_bytes(16, "big"))
        batch.append(Result(end, [Item(feature, logits, None, None)]))
        if len(batch) == BATCH or number == items - 1:
            yield batch
            batch = []
