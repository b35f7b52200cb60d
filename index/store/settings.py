"""The settings of a collection, as its catalog stores them: the extractor and the parameters of the codes."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from assocmem._numerics.types import F32
from assocmem.extractors.base import Extractor
from assocmem.extractors.registry import DEFAULT
from assocmem.index.store.catalog import absolute

if TYPE_CHECKING:
    from assocmem.codes.hash_codes import MessageCoder
    from assocmem.codes.winner_codes import CliqueCoder

CLUSTERS = 128
"""64 bytes of code per item."""


@dataclass(frozen=True, slots=True)
class ExtractorChoice:
    """How to open an extractor: the arguments of ``open_extractor``."""

    spec: str = DEFAULT
    weights: str | None = None
    """absolute path"""
    options: Mapping[str, str] | None = None

    @classmethod
    def named(cls, spec: str, weights: str | os.PathLike[str] | None, options: Mapping[str, str] | None) -> Self:
        """Return a choice with absolute paths, so that a collection finds its network from anywhere."""
        if spec.startswith("onnx:"):
            spec = "onnx:" + absolute(spec.removeprefix("onnx:"))
        return cls(spec, None if weights is None else absolute(weights), dict(options or {}))

    def open(self) -> Extractor:
        """Load the network; ExtractorError if that fails."""
        from assocmem.extractors.registry import open_extractor

        weights = None if self.weights is None else Path(self.weights)
        return open_extractor(self.spec, weights=weights, options=self.options)


@dataclass(frozen=True, slots=True)
class Settings:
    """Fixed when a collection is made, because features and codes of other settings cannot be compared."""

    choice: ExtractorChoice
    identity: str
    """of the extractor"""
    dim: int
    clusters: int = CLUSTERS
    seed: int = 0
    mean: F32 | None = None
    """float32 (dim,), stored here so that it can never change under a collection's codes"""

    @classmethod
    def of(cls, extractor: Extractor, choice: ExtractorChoice) -> Self:
        """Return the settings of a new collection."""
        from assocmem.extractors.efficientnet import feature_mean

        return cls(choice, extractor.identity, extractor.dim, mean=feature_mean(extractor.identity))

    @classmethod
    def from_meta(cls, meta: Callable[[str], str | None]) -> Self:
        """Read the settings from a catalog's meta."""
        choice = ExtractorChoice(**json.loads(meta("extractor") or "{}"))
        codes = json.loads(meta("codes") or "{}")
        mean = np.frombuffer(base64.b64decode(codes["mean"]), "<f4") if codes["mean"] else None
        return cls(choice, meta("identity") or "", codes["dim"], codes["clusters"], codes["seed"], mean)

    def to_meta(self) -> dict[str, str]:
        """Return the settings as a catalog stores them."""
        mean = "" if self.mean is None else base64.b64encode(self.mean.astype("<f4").tobytes()).decode()
        choice = {"spec": self.choice.spec, "weights": self.choice.weights, "options": self.choice.options}
        codes = {"dim": self.dim, "clusters": self.clusters, "seed": self.seed, "mean": mean}
        return {"extractor": json.dumps(choice), "identity": self.identity, "codes": json.dumps(codes)}

    def coder(self) -> CliqueCoder:
        """Return the encoder of the collection's codes."""
        from assocmem.codes.winner_codes import CliqueCoder  # its kernels take a second to import: not all need them

        return CliqueCoder(self.dim, clusters=self.clusters, seed=self.seed, mean=self.mean)

    def message_coder(self) -> MessageCoder:
        """Return the encoder of the messages of the familiarity memory."""
        from assocmem.codes.hash_codes import MessageCoder  # not at import: a search does not need it

        return MessageCoder(self.dim, seed=self.seed, mean=self.mean)
