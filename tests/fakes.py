"""Quick stand-ins: an extractor that needs no weights, pictures that it tells apart, and files that have suffered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from assocmem.extractors.base import Extraction


class ColourExtractor:
    """Describes a picture by the colours of a 6 x 6 grid; its logits name the strongest of 1,000 grid sums.

    ``seen`` counts the pictures it was shown: what was recognised is not shown again.
    """

    name = "fake:colour"
    dim = 108
    min_side = 24
    has_logits = True

    def __init__(self, identity: str = "colour-1", *, fail_after: int | None = None) -> None:
        self.identity = identity
        self.seen = 0
        self.fail_after = fail_after
        self._classes = np.random.default_rng(0).standard_normal((self.dim, 1000)).astype(np.float32)

    def prepare(self, image):
        return np.asarray(Image.fromarray(image).resize((24, 24), Image.Resampling.BOX))

    def extract(self, images):
        self.seen += len(images)
        if self.fail_after is not None and self.seen > self.fail_after:
            raise KeyboardInterrupt
        stacked = np.stack(images).astype(np.float32)
        grid = stacked.reshape(len(images), 6, 4, 6, 4, 3).mean(axis=(2, 4))
        features = grid.reshape(len(images), self.dim) / 255 - 0.5
        return Extraction(features, 4 * features @ self._classes)


def picture(seed: int) -> Image.Image:
    """A blurred patchwork; two seeds give pictures far apart."""
    patches = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((96, 72), Image.Resampling.BICUBIC)


def pictures(folder: Path, seeds) -> list[Path]:
    """Write one PNG per seed; returns the paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed:04d}.png" for seed in seeds]
    for path, seed in zip(paths, seeds, strict=True):
        picture(seed).save(path)
    return paths


def damage(path: Path) -> Iterator[None]:
    """Remove a file, empty it, cut it short, flip one of its bits: each in turn, seeded."""
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damages = [None, b"", b"no HDF5", whole[: len(whole) // 2], whole[:-1]]
    for place in rng.integers(0, len(whole), 40).tolist():
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        damages.append(bytes(flipped))
    for content in damages:
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        yield


def kin(seed: int, which: int) -> Image.Image:
    """One of many pictures of a kind: alike, and no copies of each other."""
    return Image.blend(picture(seed), picture(1000 * seed + 500 + which), 0.45)


def kinds(folder: Path, seeds, count: int) -> dict[int, list[Path]]:
    """Write ``count`` PNGs of each kind, each kind in a folder of its own; returns their paths by kind."""
    found = {}
    for seed in seeds:
        (folder / f"kind{seed}").mkdir(parents=True)
        found[seed] = [folder / f"kind{seed}" / f"{which}.png" for which in range(count)]
        for which, path in enumerate(found[seed]):
            kin(seed, which).save(path)
    return found
