"""Oracles of concept memories in plain loops and plain linear algebra; they do not import the code that they check."""

from __future__ import annotations

import math

import numpy as np

from tests.naive_index import butterfly, unpack


def fourier_features(projections, per_turn):
    """Cosines, then sines, of projections in turns, times 127 and not rounded."""
    turns = [[float(value) * per_turn for value in row] for row in projections]
    return np.array(
        [[127 * function(2 * math.pi * turn) for function in (math.cos, math.sin) for turn in row] for row in turns]
    ).reshape(len(turns), -1)


def rotated(row, signs, axes):
    """A row, padded with zeros, after rounds of signs and transforms; float32 throughout."""
    out = [*row, *[np.float32(0)] * (axes - len(row))]
    for sign in signs:
        out = butterfly([value * np.float32(s) for value, s in zip(out, sign, strict=True)])
    return out


def gaussian(x, y, width):
    return math.exp(-sum((float(a) - float(b)) ** 2 for a, b in zip(x, y, strict=True)) / width)


def ridge(features, targets, weights, strength, centred=True):
    """Minimise weighted squares + strength |w|^2; the offset is free, or 0. Returns (w: (C, d), offsets: (C,))."""
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
    """Scores of sampled examples, each by the map that is fitted to all others."""
    out = []
    for row in sample:
        others = np.arange(len(features)) != row
        w, offsets = ridge(features[others], targets[others], weights[others], strength, centred)
        out.append(w @ np.asarray(features[row], np.float64) + offsets)
    return np.array(out)


def errors(features, targets, strengths, centred=True):
    """Sum of squared errors of left-out examples for each strength; classes with one example do not count."""
    ones, every = np.ones(len(features)), range(len(features))
    labels = [row.tolist().index(1) for row in targets]
    counted = [labels.count(label) > 1 for label in labels]
    return [((left_out(features, targets, ones, s, every, centred) - targets)[counted] ** 2).sum() for s in strengths]


class NaiveBayes:
    """Naive Bayes over units with counts in a dictionary: (cluster, unit, concept) -> examples."""

    def __init__(self, clusters, concepts):
        self.clusters, self.concepts = clusters, concepts
        self.counts, self.total = {}, [0] * concepts

    def add(self, code, concept):
        self.total[concept] += 1
        for cluster, unit in enumerate(unpack(code)):
            key = (cluster, unit, concept)
            self.counts[key] = self.counts.get(key, 0) + 1

    def score(self, code, concept):
        """Sum of log P(unit | concept) / P(unit), smoothed by half an example distributed like the units overall."""
        score = 0.0
        for cluster, unit in enumerate(unpack(code)):
            overall = sum(self.counts.get((cluster, unit, other), 0) for other in range(self.concepts))
            prior = (overall + 1 / 16) / (sum(self.total) + 1)
            mine = self.counts.get((cluster, unit, concept), 0)
            score += math.log((mine + prior / 2) / (self.total[concept] + 1 / 2) / prior)
        return score


class Statements:
    """The content of a memory as a dictionary: id -> (number of a vector, when, concept or None, denied)."""

    def __init__(self):
        self.known, self.clock = {}, 0

    def teach(self, id_, vector, name, when):
        if id_ not in self.known or when > self.known[id_][1]:
            self.known[id_] = (vector, when, name, frozenset())
        self.clock = max(self.clock, when)

    def deny(self, id_, vector, name, when):
        _, last, concept, denied = self.known.get(id_, (None, -math.inf, None, frozenset()))
        if when > last:
            self.known[id_] = (vector, when, None if concept == name else concept, denied | {name})
        self.clock = max(self.clock, when)

    def replace(self, old, new):
        """Rename a concept, or with None forget it."""
        for id_, (vector, when, concept, denied) in list(self.known.items()):
            concept = new if concept == old else concept
            denied = frozenset(new if name == old else name for name in denied) - {concept, None}
            self.known[id_] = (vector, when, concept, denied)
            if concept is None and not denied:
                del self.known[id_]

    def merge(self, other):
        for id_, statement in other.known.items():
            if id_ not in self.known or statement[1] > self.known[id_][1]:
                self.known[id_] = statement
        self.clock = max(self.clock, other.clock)

    def concepts(self):
        return sorted({concept for _, _, concept, _ in self.known.values() if concept is not None})

    def counts(self):
        return {name: sum(concept == name for _, _, concept, _ in self.known.values()) for name in self.concepts()}
