"""Oracles of codes and searches in plain loops or plain numpy. They import none of the code that they check."""

from __future__ import annotations

import numpy as np


def hadamard_matrix(n):
    """The n x n Hadamard matrix by Sylvester's construction: four copies of the one of half its size, one negated."""
    if n == 1:
        return np.ones((1, 1))
    half = hadamard_matrix(n // 2)
    return np.block([[half, half], [half, -half]])


def rotate(x, mean, signs):
    """Rotate rows of unit length, minus a mean, one matrix product per round."""
    width = signs.shape[1]
    matrix = hadamard_matrix(width)
    out = []
    for row in np.asarray(x, dtype=np.float64):
        norm = np.sqrt((row * row).sum())
        padded = np.zeros(width)
        padded[: len(row)] = (row / norm if norm > 0 else row) - mean
        for sign in signs:
            padded = matrix @ (padded * sign)
        out.append(padded)
    return np.array(out)


def winners(rotated, clusters):
    """The first greatest of each cluster's 16 axes."""
    codes = []
    for row in rotated:
        code = []
        for c in range(clusters):
            cluster = list(row[16 * c : 16 * c + 16])
            code.append(cluster.index(max(cluster)))
        codes.append(code)
    return np.array(codes)


def score(winner_rows, values):
    """The sum of the query's values at each item's winning units."""
    return np.array([sum(float(values[16 * c + w]) for c, w in enumerate(row)) for row in winner_rows])


def cosine_neighbours(queries, base, k):
    """The exact nearest by cosine: (similarities, rows); the lower of equal rows goes first."""
    found_d, found_i = [], []
    for q in np.asarray(queries, dtype=np.float64):
        sims = []
        for row in np.asarray(base, dtype=np.float64):
            norms = np.linalg.norm(q) * np.linalg.norm(row)
            sims.append(float(q @ row / norms) if norms > 0 else 0.0)
        order = sorted(range(len(sims)), key=lambda i: (-sims[i], i))[:k]
        found_d.append([sims[i] for i in order])
        found_i.append(order)
    return np.array(found_d), np.array(found_i)
