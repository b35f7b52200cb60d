"""Quick substitutes: an extractor that needs no weights, pictures that it distinguishes, and damaged files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import assocmem
from assocmem.extractors.base import Extraction


class ColourExtractor:
    """Describes a picture by the colours of a 6 x 6 grid; its logits name the strongest of 1,000 grid sums.

    ``seen`` counts the pictures that it described; with ``fail_after``, it is interrupted by Ctrl-C after that many.
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


def open_photos(folder, extractor=None):
    """Open a collection whose network is the colour extractor."""
    return assocmem.open(folder, extractor=extractor or ColourExtractor())


def taught_concept(photos, file):
    """Return the taught concept that a file is recognised as; None if there is none."""
    shown = [hit for hit in photos.concepts(file) if hit.source == "taught"]
    return shown[0].concept if shown else None


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


def altered(folder: Path, seeds) -> None:
    """Write near copies of pictures: shrunk, and compressed in two ways, in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        original = picture(seed)
        if seed % 3 == 0:
            original.resize((48, 36)).save(folder / f"{seed:04d}-small.png")
        elif seed % 3 == 1:
            original.save(folder / f"{seed:04d}-jpeg.jpg", quality=40)
        else:
            original.resize((96, 72)).save(folder / f"{seed:04d}-same.webp", quality=50)


def damage(path: Path) -> Iterator[None]:
    """Remove a file, empty it, cut it short, flip one of its bits: one after the other, seeded."""
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
    """One of many pictures of a kind: they are similar, and no near copies of each other."""
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
