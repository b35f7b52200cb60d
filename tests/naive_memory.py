"""Oracles of the bit memories in sets and plain loops. They import none of the code that they check."""

from __future__ import annotations


def bit(matrix, row, column):
    """One bit of a bit matrix."""
    return int(matrix[row, column // 64]) >> int(column % 64) & 1


def ones(words):
    """The columns of a row's ones."""
    return [64 * j + k for j, word in enumerate(words) for k in range(64) if int(word) >> k & 1]


class CliqueNetwork:
    """A clique network as a set of connections (u, v); every stored unit is connected to itself."""

    def __init__(self, clusters, units, active=None):
        self.clusters, self.units, self.active = clusters, units, active or clusters
        self.connections = set()

    def unit(self, cluster, symbol):
        return cluster * self.units + int(symbol)

    def units_of(self, message):
        return [self.unit(a, symbol) for a, symbol in enumerate(message) if symbol >= 0]

    def store(self, messages):
        for message in messages:
            self.connections |= {(u, v) for u in self.units_of(message) for v in self.units_of(message)}

    def density(self):
        possible = self.clusters * (self.clusters - 1) * self.units**2
        return len([1 for u, v in self.connections if u != v]) / possible

    def familiarity(self, message):
        mine = self.units_of(message)
        pairs = [(u, v) for u in mine for v in mine if u < v] or [(mine[0], mine[0])]
        return sum(pair in self.connections for pair in pairs) / len(pairs)

    def recall(self, cue, rule, rounds, guided=True):
        """Recall one cue; return (message, exact, last round that changed something, units left)."""
        guided = guided or self.active == self.clusters
        known = sum(symbol >= 0 for symbol in cue)
        used = [a for a, symbol in enumerate(cue) if symbol >= -1]
        if guided and known == self.active:
            used = [a for a in used if cue[a] >= 0]
        left, last = set(self.units_of(cue)), 1
        for number in range(1, rounds + 1):
            after = self._round(left, used, rule, guided)
            if after == left:
                break
            left, last = after, number
        symbols = [[u - self.unit(a, 0) for u in sorted(left) if u // self.units == a] for a in range(self.clusters)]
        message = [one[0] if len(one) == 1 else -1 for one in symbols]
        whole = len(left) == self.active == sum(symbol >= 0 for symbol in message)
        exact = whole and all((u, v) in self.connections for u in left for v in left)
        return message, exact, last, left

    def _round(self, left, used, rule, guided):
        counts = {}
        for a in used:
            for u in range(self.unit(a, 0), self.unit(a + 1, 0)):
                connected = [v for v in left if (u, v) in self.connections]
                counts[u] = len({v // self.units for v in connected}) if rule == "sum-of-max" else len(connected)
        if rule == "gwsta":
            least = sorted(counts.values(), reverse=True)[: self.active][-1]
            return {u for u, count in counts.items() if count >= max(1, least)}
        if not guided:
            return {u for u, count in counts.items() if count >= max(1, *counts.values())}
        best = {a: max(1, *(counts[u] for u in counts if u // self.units == a)) for a in used}
        return {u for u, count in counts.items() if count >= best[u // self.units]}


class WillshawPairs:
    """A Willshaw memory as a set of pairs (row, column)."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.pairs = set()

    def associate(self, row_sets, column_sets):
        for rows, columns in zip(row_sets, column_sets, strict=True):
            self.pairs |= {(int(row), int(column)) for row in rows for column in columns}

    def density(self):
        return len(self.pairs) / (self.rows * self.columns)

    def poll(self, rows):
        return [sum((row, column) in self.pairs for row in set(rows)) for column in range(self.columns)]

    def top(self, rows, k):
        """Return (scores, columns), padded with 0 and -1."""
        scores = self.poll(rows)
        order = sorted((c for c in range(self.columns) if scores[c]), key=lambda c: (-scores[c], c))[:k]
        missing = k - len(order)
        return [scores[c] for c in order] + [0] * missing, order + [-1] * missing

    def recall(self, rows, threshold=None):
        least = threshold or len(set(rows))
        return [c for c, score in enumerate(self.poll(rows)) if rows and score >= least]
