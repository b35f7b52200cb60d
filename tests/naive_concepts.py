"""Oracles of the concept memory, in plain loops and plain linear algebra; they import none of the code they check."""

from __future__ import annotations

import math

import numpy as np

from tests.naive_index import butterfly, unpack


def waves(projections, per_turn):
    """Cosines, then sines, of projections times 2 pi, times 127 and not rounded."""
    turns = [[float(value) * per_turn for value in row] for row in projections]
    return np.array(
        [[127 * wave(2 * math.pi * turn) for wave in (math.cos, math.sin) for turn in row] for row in turns]
    ).reshape(len(turns), -1)


def turned(row, signs, axes):
    """A row with zeros behind it, after each round of signs and a transform; float32 throughout."""
    out = [*row, *[np.float32(0)] * (axes - len(row))]
    for sign in signs:
        out = butterfly([value * np.float32(s) for value, s in zip(out, sign, strict=True)])
    return out


def gaussian(x, y, width):
    return math.exp(-sum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True)) / width)


def ridge(features, targets, weights, strength, centred=True):
    """Least weighted squares + strength |w|^2; the offset is free, or 0. Returns (w: (C, d), offsets: (C,))."""
    features = np.asarray(features, np.float64)
    design = np.hstack([features, np.ones((len(features), 1))])
    penalty = strength * np.eye(design.shape[1])
    penalty[-1, -1] = 0
    if not centred:
        design[:, -1], penalty[-1, -1] = 0, 1
    weighted = design.T * weights
    solved = np.linalg.solve(weighted @ design + penalty, weighted @ targets)
    return solved[:-1].T, solved[-1]


def left_out(features, targets, weights, strength, sample, centred=True):
    """Scores of sampled examples, each by the map that all others give."""
    out = []
    for row in sample:
        others = np.arange(len(features)) != row
        w, offsets = ridge(features[others], targets[others], weights[others], strength, centred)
        out.append(w @ np.asarray(features[row], np.float64) + offsets)
    return np.array(out)


def errors(features, targets, strengths, centred=True):
    """Sum of squared errors of examples that are left out, of classes that have others, for each strength."""
    ones, every = np.ones(len(features)), range(len(features))
    named = [row.tolist().index(1) for row in targets]
    told = [named.count(label) > 1 for label in named]
    return [((left_out(features, targets, ones, s, every, centred) - targets)[told] ** 2).sum() for s in strengths]


class Tallies:
    """Naive Bayes over units, with counts in a dictionary: (cluster, unit, concept) -> examples."""

    def __init__(self, clusters, concepts):
        self.clusters, self.concepts = clusters, concepts
        self.counts, self.total = {}, [0] * concepts

    def add(self, code, concept):
        self.total[concept] += 1
        for cluster, unit in enumerate(unpack(code)):
            key = (cluster, unit, concept)
            self.counts[key] = self.counts.get(key, 0) + 1

    def score(self, code, concept):
        """Log P(unit | concept) / P(unit), each smoothed by half an example spread as the units are overall."""
        score = 0.0
        for cluster, unit in enumerate(unpack(code)):
            overall = sum(self.counts.get((cluster, unit, other), 0) for other in range(self.concepts))
            prior = (overall + 1 / 16) / (sum(self.total) + 1)
            mine = self.counts.get((cluster, unit, concept), 0)
            score += math.log((mine + prior / 2) / (self.total[concept] + 1 / 2) / prior)
        return score


class Registers:
    """What a memory was told, as a dictionary: id -> (vector's number, when, concept or None, denied)."""

    def __init__(self):
        self.said, self.clock = {}, 0

    def teach(self, id_, vector, name, when):
        if id_ not in self.said or when > self.said[id_][1]:
            self.said[id_] = (vector, when, name, frozenset())
        self.clock = max(self.clock, when)

    def deny(self, id_, vector, name, when):
        _, known, concept, denied = self.said.get(id_, (None, -math.inf, None, frozenset()))
        if when > known:
            self.said[id_] = (vector, when, None if concept == name else concept, denied | {name})
        self.clock = max(self.clock, when)

    def replace(self, old, new):
        """Rename a concept, or with None forget it."""
        for id_, (vector, when, concept, denied) in list(self.said.items()):
            concept = new if concept == old else concept
            denied = frozenset(new if name == old else name for name in denied) - {concept, None}
            self.said[id_] = (vector, when, concept, denied)
            if concept is None and not denied:
                del self.said[id_]

    def unite(self, other):
        for id_, saying in other.said.items():
            if id_ not in self.said or saying[1] > self.said[id_][1]:
                self.said[id_] = saying
        self.clock = max(self.clock, other.clock)

    def concepts(self):
        return sorted({concept for _, _, concept, _ in self.said.values() if concept is not None})

    def counts(self):
        return {name: sum(said[2] == name for said in self.said.values()) for name in self.concepts()}
