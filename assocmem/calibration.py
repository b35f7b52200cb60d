"""Scores -> probabilities, and "none of these", by what examples would have been given had each been left out.

Arrays in, arrays out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from assocmem.rotation import F32

I64 = npt.NDArray[np.int64]

ALARMS = 0.05
"""Share of examples of a concept for which "none of these" would be said, had they been left out."""
TEMPERATURES = np.geomspace(1.0, 60.0, 42)
_FEW = 8
"""Examples below which leave-one-out says too little."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores become probabilities."""

    sharpness: float
    """what scores are multiplied by before the softmax"""
    least: float
    """greatest score below which it is none of the concepts"""

    @classmethod
    def none_yet(cls) -> Self:
        """Return one for too few examples to find any."""
        return cls(4.0, -np.inf)

    def probabilities(self, scores: F32) -> F32:
        """Return float32 (n, C), each row adding up to 1; of one concept only, scores kept to 0 to 1."""
        if scores.shape[1] == 1:
            return np.clip(scores, 0, 1)
        heights = self.sharpness * (scores - scores.max(axis=1, keepdims=True))
        powers = np.exp(heights.astype(np.float64))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def none(self, scores: F32) -> npt.NDArray[np.bool_]:
        """Return bool (n,): whether it is none of the concepts."""
        return np.asarray(scores.max(axis=1) < self.least)


def calibrate(left_out: F32, classes: I64) -> Calibration:
    """Find them for scores float32 (m, C) of examples that were left out, and their classes int64 (m,).

    The sharpness is that of greatest likelihood (Guo et al., On Calibration of Modern Neural Networks, ICML 2017).
    """
    if len(left_out) < _FEW or left_out.shape[1] < 2:
        return Calibration.none_yet()
    heights = left_out.astype(np.float64)
    heights -= heights.max(axis=1, keepdims=True)
    rows = np.arange(len(classes))
    losses = [
        (np.log(np.exp(t * heights).sum(axis=1)) - t * heights[rows, classes]).mean() for t in TEMPERATURES.tolist()
    ]
    own = left_out[rows, classes]
    return Calibration(float(TEMPERATURES[int(np.argmin(losses))]), float(np.quantile(own, ALARMS)))
