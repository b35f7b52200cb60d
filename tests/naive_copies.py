"""Oracles of the near copies in plain loops: similarity, pairs, groups and sketches. They import none of the code."""

from __future__ import annotations

import math

import numpy as np


def cosine(a, b):
    a, b = [float(x) for x in a], [float(x) for x in b]
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def sketch_cosine(a, b):
    """The cosine with a sketch as it is, or mirrored if that is greater."""
    half = len(a) // 2
    turned = [*a[:half], *(-x for x in a[half:])]
    return max(cosine(a, b), cosine(turned, b))


def mirrored(sketches):
    """The sketches of mirrored pictures: int8 (n, w), whose second half changes its sign."""
    half = sketches.shape[1] // 2
    return np.concatenate([sketches[:, :half], -sketches[:, half:]], axis=1)


def similarity(feature_a, feature_b, sketch_a, sketch_b):
    score = cosine(feature_a, feature_b)
    if not any(sketch_a) or not any(sketch_b):
        return score + 2 * max(0.0, score - 0.9)
    return score + max(0.0, sketch_cosine(sketch_a, sketch_b) - 0.6)


def common_winners(code_a, code_b):
    """Clusters in which two packed codes have the same winner."""
    return sum((x & 15) == (y & 15) for x, y in zip(code_a, code_b, strict=True)) + sum(
        x >> 4 == y >> 4 for x, y in zip(code_a, code_b, strict=True)
    )


def all_pairs(features, sketches, least):
    """All pairs of rows with at least this similarity, (first, second) -> similarity."""
    found = {}
    for i in range(len(features)):
        for j in range(i + 1, len(features)):
            score = similarity(features[i], features[j], sketches[i], sketches[j])
            if score >= least:
                found[i, j] = score
    return found


def groups(n, pairs, similarity_of, least):
    """Grow groups by definition: most neighbours first, from copy to copy, all similar to the representative."""
    neighbours = {i: {b for a, b in pairs if a == i} | {a for a, b in pairs if b == i} for i in range(n)}
    taken, found = set(), []
    for leader in sorted((i for i in range(n) if neighbours[i]), key=lambda i: (-len(neighbours[i]), i)):
        if leader in taken:
            continue
        members, front = {leader}, [leader]
        while front:
            for row in sorted(neighbours[front.pop(0)] - members - taken):
                if similarity_of(leader, row) >= least:
                    members.add(row)
                    front.append(row)
        taken |= members
        if len(members) > 1:
            found.append((leader, members))
    return found


def sketch(picture, waves=10):
    """The sketch of one small grey picture, by the definition of the cosine transform."""
    side = len(picture)
    values = np.zeros((waves, waves))
    for v in range(waves):
        for h in range(waves):
            rows = np.cos(np.pi * v * (2 * np.arange(side) + 1) / (2 * side))
            columns = np.cos(np.pi * h * (2 * np.arange(side) + 1) / (2 * side))
            total = (picture.astype(float) * np.outer(rows, columns)).sum() * 2 / side
            value = total * math.sqrt(math.hypot(v, h))
            values[v, h] = math.copysign(math.sqrt(abs(value)), value)
    even = [values[v, h] for v in range(waves) for h in range(0, waves, 2)]
    odd = [values[v, h] for v in range(waves) for h in range(1, waves, 2)]
    every = np.array(even + odd)
    greatest = np.abs(every).max()
    return np.rint(every * 127 / greatest) if greatest >= 1 else np.zeros(waves * waves)
