"""The protocol of every extractor: pictures in, features out. Contains no file access and no network runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from assocmem._numerics.types import F32, U8

Image: TypeAlias = U8
"""A picture: uint8, shape (height, width, 3), RGB, upright."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """The output of a network for a batch of n pictures."""

    features: F32
    """float32, shape (n, dim); as the network emits them, not normalised."""
    logits: F32 | None = None
    """float32, shape (n, 1000): ImageNet logits of extractors with ``has_logits``; otherwise None."""


class Extractor(Protocol):
    """A pretrained network, as the rest of the program uses it.

    Several threads may call both methods at the same time. ``prepare`` is cheap and runs in the decoder's threads;
    ``extract`` runs the network and takes prepared pictures only: ``extract([prepare(picture)])``.

    Examples
    --------
    Anything with these attributes and methods can be given to ``assocmem.open(folder, extractor=...)``:

    >>> import numpy as np
    >>> class MeanColour:
    ...     name, dim, identity, min_side, has_logits = "mean-colour", 3, "mean-colour 1", 1, False
    ...
    ...     def prepare(self, image):
    ...         return image
    ...
    ...     def extract(self, images):
    ...         return Extraction(np.stack([image.mean(axis=(0, 1), dtype=np.float32) for image in images]))
    >>> MeanColour().extract([np.full((2, 2, 3), 7, np.uint8)]).features
    array([[7., 7., 7.]], dtype=float32)
    """

    @property
    def name(self) -> str:
        """What the user asked for: ``efficientnet-lite0``, ``onnx:PATH``, ``torchvision:NAME``."""

    @property
    def dim(self) -> int:
        """Length of a feature vector."""

    @property
    def identity(self) -> str:
        """Name, hash of the weights and preprocessing; extractors with the same identity give the same features."""

    @property
    def min_side(self) -> int:
        """Pixels that a decoder must leave of a picture's shorter side when it shrinks the picture."""

    @property
    def has_logits(self) -> bool:
        """Whether ``extract`` also returns the 1,000 ImageNet logits."""

    def prepare(self, image: Image) -> Image:
        """Resize, pad or crop a picture of any size to the network's input size (still uint8 RGB)."""

    def extract(self, images: Sequence[Image]) -> Extraction:
        """Run the network on n prepared pictures."""
