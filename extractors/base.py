"""What every extractor is: pictures in, features out. Knows no files and no network runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""A picture: uint8, shape (height, width, 3), RGB, upright."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a network says about a batch of n pictures."""

    features: npt.NDArray[np.float32]
    """float32, shape (n, dim); as the network emits them, not normalised."""
    logits: npt.NDArray[np.float32] | None = None
    """float32, shape (n, 1000): ImageNet logits, for extractors with ``has_logits``; else None."""


class Extractor(Protocol):
    """A pretrained network as the rest of the program sees it.

    Both methods may be called by several threads at once. ``prepare`` is cheap and runs beside the decoder;
    ``extract`` is the network and takes prepared pictures only: ``extract([prepare(picture)])``.
    """

    @property
    def name(self) -> str:
        """What the user asked for: ``efficientnet-lite0``, ``onnx:PATH``, ``torchvision:NAME``."""

    @property
    def dim(self) -> int:
        """Length of a feature vector."""

    @property
    def identity(self) -> str:
        """Name + weights hash + preprocessing; two extractors with one identity give the same features."""

    @property
    def min_side(self) -> int:
        """Decoders may shrink a picture as long as its shorter side keeps this many pixels."""

    @property
    def has_logits(self) -> bool:
        """Whether ``extract`` also yields the 1,000 ImageNet logits."""

    def prepare(self, image: Image) -> Image:
        """Resize, pad or crop a picture of any size to the network's input size (still uint8 RGB)."""

    def extract(self, images: Sequence[Image]) -> Extraction:
        """Run the network over n prepared pictures."""
