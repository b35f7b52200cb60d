"""Random messages for the familiarity memory, for tests."""

from __future__ import annotations

import numpy as np

from assocmem.codes.hash_codes import ALPHABET


def draw(n, seed=0, clusters=16, symbols=ALPHABET):
    """Return random messages, uint16 (n, clusters); with few ``symbols`` they overlap."""
    return np.random.default_rng(seed).integers(0, symbols, (n, clusters)).astype(np.uint16)
