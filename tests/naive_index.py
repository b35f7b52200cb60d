"""Oracles of the index and its kernels: plain loops and dictionaries that import none of the code they check."""

from __future__ import annotations

import math

import numpy as np

EMPTY_BIAS = 0xFF80


def butterfly(values):
    """Walsh-Hadamard transform, one addition or subtraction of float32 at a time."""
    out = [np.float32(value) for value in values]
    stride = 1
    while stride < len(out):
        for k in range(len(out)):
            if not k & stride:
                out[k], out[k + stride] = out[k] + out[k + stride], out[k] - out[k + stride]
        stride *= 2
    return out


def prototypes(axes, levels):
    """The 16 units of a cluster, each a list of numbers per axis."""
    units = []
    for u in range(16):
        unit = [0.0] * axes
        if axes == 16:
            unit[u] = 1.0
        elif axes == 8:
            unit[u % 8] = 1.0 if u < 8 else -1.0
        elif axes == 4:
            unit = [-1.0 if u & 1 << k else 1.0 for k in range(4)]
        elif axes == 2:
            unit = [float(levels[u % 4]), float(levels[u // 4])]
        else:
            unit = [float(levels[u])]
        units.append(unit)
    return units


def dot(a, b):
    return math.fsum(float(x) * float(y) for x, y in zip(a, b, strict=True))


def nearest_unit(block, units, one):
    """Return the unit with the least distance to a block in units of ``one``; the first of equal ones.

    If all prototypes have one length, the least distance is the greatest product.
    """
    block = [float(value) / one for value in block]
    if len({round(dot(unit, unit), 6) for unit in units}) == 1:
        heights = [dot(block, unit) for unit in units]
        return heights.index(max(heights))
    distances = [math.fsum((x - y) ** 2 for x, y in zip(block, unit, strict=True)) for unit in units]
    return distances.index(min(distances))


def encode(row, clusters, levels):
    """Return (winners, |r|^2 / <r, e>, |r|^2)."""
    axes = min(16, len(row) // clusters)
    units = prototypes(axes, levels)
    square = dot(row, row)
    one = math.sqrt(square / len(row)) or 1.0
    blocks = [row[axes * c : axes * (c + 1)] for c in range(clusters)]
    winners = [nearest_unit(block, units, one) for block in blocks]
    product = math.fsum(dot(block, units[winner]) for block, winner in zip(blocks, winners, strict=True))
    return winners, square / product if product > 0 else 0.0, square


def pack(winners):
    return [winners[c] | winners[c + 1] << 4 for c in range(0, len(winners), 2)]


def unpack(code):
    return [int(byte) >> shift & 15 for byte in code for shift in (0, 4)]


def decode(code, width, levels, scale, square):
    """The vector along the winners' prototypes whose product with them is ``square / scale``."""
    winners = unpack(code)
    axes = min(16, width // len(winners))
    e = [value for winner in winners for value in prototypes(axes, levels)[winner]]
    e += [0.0] * (width - len(e))
    product = square / scale if scale > 0 else 0.0
    return [value * product / dot(e, e) for value in e]


def unit_values(row, clusters, levels):
    """What each unit adds to the product of a query: a list of 16 numbers per cluster."""
    axes = min(16, len(row) // clusters)
    return [[dot(row[axes * c : axes * (c + 1)], unit) for unit in prototypes(axes, levels)] for c in range(clusters)]


def bfloat(short):
    """The value of a bfloat16, given as uint16."""
    sign, exponent, fraction = int(short) >> 15, int(short) >> 7 & 255, int(short) & 127
    if exponent == 255:
        return (-1) ** sign * (math.nan if fraction else math.inf)
    power = max(exponent, 1) - 127
    return (-1) ** sign * math.ldexp(fraction / 128 + (exponent > 0), power)


def block_sums(codes, tables):
    """Sums of table entries of 16 items; ``codes`` (b, 16), ``tables`` (2, b, 16)."""
    return [
        sum(
            int(tables[0][b][int(codes[b][lane]) % 16]) + int(tables[1][b][int(codes[b][lane]) // 16])
            for b in range(len(codes))
        )
        for lane in range(16)
    ]


def in_lanes(terms):
    """Sum of float32 in the fixed order of the kernels: 64 running sums, those of what is left over are the first 16.

    Then the four sixteens are added in pairs, and then halves onto halves.
    """
    chains = [[np.float32(0.0)] * 16 for _ in range(4)]
    whole = len(terms) - len(terms) % 64
    for k, term in enumerate(terms):
        chain = chains[k % 64 // 16 if k < whole else 0]
        chain[k % 16] = chain[k % 16] + term
    one, two, three, four = chains
    sums = [(one[k] + two[k]) + (three[k] + four[k]) for k in range(16)]
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [sums[k] + sums[k + half] for k in range(half)]
    return sums[0]


def members_of(level, pool):
    return [int(member) for member in level.members[64 * pool : 64 * pool + int(level.sizes[pool])]]


def scores(level, entries, terms):
    """Member -> score of its code, for all members of a level."""
    out = {}
    for pool in range(int(level.pool_count[0])):
        for member in members_of(level, pool):
            block, lane = divmod(int(level.slot_of[member]), 16)
            total = block_sums(level.codes[block], entries)[lane]
            estimate = total * float(terms[0]) + float(terms[1])
            out[member] = estimate * bfloat(level.scales[block, lane]) + bfloat(level.biases[block, lane])
    return out


def check_level(level, members=None):
    """Raise AssertionError unless every member is in one slot, the first slots of a pool are filled, and no others."""
    seen = []
    for pool in range(int(level.pool_count[0])):
        size = int(level.sizes[pool])
        assert 0 <= size <= 64, (pool, size)
        for slot in range(64 * pool, 64 * pool + 64):
            block, lane = divmod(slot, 16)
            if slot - 64 * pool < size:
                assert level.slot_of[level.members[slot]] == slot
                assert level.biases[block, lane] != EMPTY_BIAS
                seen.append(int(level.members[slot]))
            else:
                assert level.biases[block, lane] == EMPTY_BIAS
    for pool in range(int(level.pool_count[0]), len(level.sizes)):
        assert level.sizes[pool] == 0
    assert len(seen) == len(set(seen))
    assert sorted(seen) == np.flatnonzero(np.asarray(level.slot_of) >= 0).tolist()
    if members is not None:
        assert sorted(seen) == sorted(members)


class Index:
    """An index as a dictionary: id -> stored vector."""

    def __init__(self, metric, kind="float32"):
        self.metric, self.kind = metric, kind
        self.vectors = {}
        self.next_id = 0

    def add(self, x, ids=None):
        ids = range(self.next_id, self.next_id + len(x)) if ids is None else ids
        for id_, row in zip(ids, x, strict=True):
            self.vectors[int(id_)] = row.astype(self.kind).astype(np.float64)
            self.next_id = max(self.next_id, int(id_) + 1)

    def values(self, query):
        """Id -> similarity, or squared distance."""
        q = np.asarray(query, np.float64)
        if self.metric == "ip":
            return {id_: float(q @ x) for id_, x in self.vectors.items()}
        if self.metric == "l2":
            return {id_: float(((q - x) ** 2).sum()) for id_, x in self.vectors.items()}
        return {id_: float(q @ x / np.sqrt((q @ q) * (x @ x))) for id_, x in self.vectors.items()}

    def search(self, query, k):
        """Return (values, ids), padded, nearest first, ties by id."""
        values, sign = self.values(query), 1 if self.metric == "l2" else -1
        order = sorted(values, key=lambda id_: (sign * values[id_], id_))[:k]
        missing = k - len(order)
        return [values[id_] for id_ in order] + [sign * math.inf] * missing, order + [-1] * missing

    def check(self, query, found, ids):
        """Raise AssertionError unless an answer is right, except for what rounding can swap."""
        values, sign = self.values(query), 1 if self.metric == "l2" else -1
        expected, _ = self.search(query, len(ids))
        there = [int(id_) for id_ in ids if id_ >= 0]
        assert len(there) == len(set(there)) == min(len(ids), len(values))
        scale = 1 + max(map(abs, values.values()), default=0)
        np.testing.assert_allclose(found, expected, atol=2e-5 * scale)
        np.testing.assert_allclose([values[id_] for id_ in there], found[: len(there)], atol=2e-5 * scale)
        assert (np.asarray(found)[len(there) :] == sign * np.inf).all()
