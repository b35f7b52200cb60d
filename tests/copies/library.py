"""Random items with noisy copies, for tests."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from assocmem.codes.dct_sketches import SKETCH_LENGTH
from assocmem.codes.winner_codes import CliqueCoder
from assocmem.copies.grouping import make_items

DIM = 64
CODER = CliqueCoder(DIM)


def library(originals=40, copies=3, noise=0.25, seed=0, sketches=True):
    """Return items, features, sketches, and the original of each row: random vectors, each with noisy copies."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(originals), 1 + copies)
    order = rng.permutation(len(truth))
    truth = truth[order]
    base = rng.standard_normal((originals, DIM))
    drawn = rng.standard_normal((originals, SKETCH_LENGTH)) * 40
    features = (base[truth] + noise * rng.standard_normal((len(truth), DIM))).astype(np.float32)
    noisy = drawn[truth] + 40 * noise * rng.standard_normal((len(truth), SKETCH_LENGTH))
    drawings = np.clip(noisy, -127, 127).astype(np.int8)
    if not sketches:
        drawings[:] = 0
    return items_of(features, drawings), features, drawings, truth


def items_of(features, sketches, coder=CODER):
    """Return items with these features and sketches."""
    return make_items(features, coder.messages(features), coder.encode(features), sketches)


def no_sketches(n):
    """Return the sketches of items that have none."""
    return np.zeros((n, SKETCH_LENGTH), np.int8)


def listed(groups):
    """Return groups as lists of rows."""
    return [groups.rows[a:b].tolist() for a, b in pairwise(groups.starts.tolist())]
