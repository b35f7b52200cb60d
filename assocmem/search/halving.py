"""How a full pool divides: 2-means over its members' vectors."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})
def halve(x, side, rounds):  # type: ignore[no-untyped-def]
    """Divide vectors into two alike halves by 2-means, neither below an eighth.

    Starts from two far apart. ``x``: float32 (n, d), n >= 2; ``side``: bool (n,), filled: True for the second half.
    Returns the two means, float32 (2, d), and how wide the halves are, float32 (2,): their members' mean squared
    distance to them.
    """
    n, d = x.shape
    means = np.empty((2, d), np.float32)
    far = 0
    for step in range(3):
        means[step & 1, :] = x[far]
        if step == 2:
            break
        most = np.float32(-1.0)
        from_ = far
        for i in range(n):
            distance = np.float32(0.0)
            for k in range(d):
                difference = x[i, k] - x[from_, k]
                distance += difference * difference
            if distance > most:
                most = distance
                far = i
    heights = np.empty(n, np.float32)
    for _ in range(rounds):
        threshold = np.float32(0.0)
        for k in range(d):
            threshold += (means[1, k] * means[1, k] - means[0, k] * means[0, k]) * np.float32(0.5)
        for i in range(n):
            height = np.float32(0.0)
            for k in range(d):
                height += x[i, k] * (means[1, k] - means[0, k])
            heights[i] = height
        order = np.sort(heights)
        least = max(1, n >> 3)
        threshold = min(max(threshold, order[least - 1]), order[n - 1 - least])
        means[:] = np.float32(0.0)
        seconds = 0
        for i in range(n):
            side[i] = heights[i] > threshold
            seconds += side[i]
            s = 1 if side[i] else 0
            for k in range(d):
                means[s, k] += x[i, k]
        if seconds == 0 or seconds == n:  # all alike
            for i in range(n):
                side[i] = i >= n >> 1
            means[0, :] = x[0]
            means[1, :] = x[0]
            break
        for k in range(d):
            means[0, k] /= np.float32(n - seconds)
            means[1, k] /= np.float32(seconds)
    spreads, counts = np.zeros(2, np.float32), np.zeros(2, np.float32)
    for i in range(n):
        s = 1 if side[i] else 0
        distance = np.float32(0.0)
        for k in range(d):
            difference = x[i, k] - means[s, k]
            distance += difference * difference
        spreads[s] += distance
        counts[s] += np.float32(1.0)
    return means, spreads / counts
