"""Solvers that follow examples against plain inverses; sums of features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.concepts import solvers
from assocmem.concepts.random_features import products, squared_length
from assocmem.concepts.solvers import ClassSums, DualSolver, PrimalSolver, add_outer_products
from tests.strategies import seeds

law = settings(max_examples=20, deadline=None)
SIZE = 10
STRENGTH = 0.05
kinds = st.sampled_from([DualSolver, PrimalSolver])


def some(seed, n):
    """Ids, features and concepts of examples; every concept has one."""
    rng = np.random.default_rng(seed)
    names = ["abc"[i % 3] for i in range(n)]
    return list(range(n)), rng.integers(-127, 128, (n, SIZE)).astype(np.int8), names


def take(batch, places):
    ids, features, names = batch
    return [ids[i] for i in places], features[list(places)], [names[i] for i in places]


def expected_products(batch, sample, denied):
    """By a plain inverse."""
    _, features, names = batch
    x, d = (part / np.sqrt(squared_length(SIZE)) for part in (features, denied))
    metric = np.linalg.inv(x.T @ x + STRENGTH * np.eye(SIZE))
    means = np.stack([x[[name == which for name in names]].mean(axis=0) for which in sorted(set(names))])
    rows, s = np.concatenate([means, d]), x[sample]
    return (
        [
            rows @ metric @ rows.T,
            s @ metric @ rows.T,
            np.einsum("ij,jk,ik->i", s, metric, s),
            means @ means.T,
            s @ means.T,
            (s**2).sum(axis=1),
        ],
        rows @ metric,
        means,
    )


def check(solver, batch, sample, denied, tolerance=1e-9):
    found = solver.products(STRENGTH, "abc", [batch[0][place] for place in sample], batch[1][sample], denied)
    expected, rows, means = expected_products(batch, sample, denied)
    for part, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, wanted, atol=tolerance * max(1, np.abs(wanted).max()))
    rng = np.random.default_rng(1)
    coefficients, plain = rng.standard_normal((4, len(rows))), rng.standard_normal((4, 3))
    found = solver.linear_map(coefficients, plain)
    wanted = (coefficients @ rows + plain @ means) / np.sqrt(squared_length(SIZE))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


@law
@given(seed=seeds, kind=kinds, n=st.sampled_from([3, 8, 40]), k=st.sampled_from([0, 1, 4]))
def test_inner_products_are_those_of_a_plain_inverse(seed, kind, n, k):
    batch, denied = some(seed, n), some(seed + 1, k)[1].reshape(k, SIZE)
    solver = kind(SIZE)
    solver.put(*batch)
    check(solver, batch, list(range(0, n, 2)), denied)


@law
@given(seed=seeds, kind=kinds, pending=st.sampled_from([1, 3, 64]), fresh=st.sampled_from([2, 256]))
def test_an_inverse_follows_examples_that_come_and_go(seed, kind, pending, fresh):
    """Beyond the number up to which everything is solved anew; products in between, so that there is an inverse."""
    rng, batch, none = np.random.default_rng(seed), some(seed, 30), np.empty((0, SIZE), np.int8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solvers, "SOLVED_ANEW", 5)
        patch.setattr(solvers, "_PENDING", pending)
        patch.setattr(solvers, "_FRESH", fresh)
        solver, inside = kind(SIZE), list(range(12))
        solver.put(*take(batch, inside))
        for _ in range(8):
            check(solver, take(batch, inside), list(range(0, len(inside), 3)), none, 1e-7)
            outside = sorted(set(range(30)) - set(inside))
            coming = rng.permutation(outside)[: rng.integers(0, 4)].tolist()
            going = rng.permutation(inside[3:])[: rng.integers(0, 3)].tolist()
            solver.drop(*take(batch, going))
            solver.put(*take(batch, coming))
            inside = [place for place in inside if place not in going] + coming


@law
@given(seed=seeds, kind=kinds)
def test_up_to_a_number_of_examples_history_leaves_no_trace(seed, kind):
    batch, extra, none = some(seed, 12), some(seed + 1, 5), np.empty((0, SIZE), np.int8)
    extra = ([100 + id_ for id_ in extra[0]], *extra[1:])
    one, other = kind(SIZE), kind(SIZE)
    one.put(*batch)
    other.put(*extra)
    other.products(STRENGTH, "abc", [], none, none)
    for place in np.random.default_rng(seed).permutation(12).tolist():
        other.put(*take(batch, [place]))
    other.drop(*extra)
    for mine, theirs in zip(*(s.products(STRENGTH, "abc", [2, 5], batch[1][[2, 5]], none) for s in (one, other)),
                            strict=True):  # fmt: skip
        assert mine.tobytes() == theirs.tobytes()


# products and sums


@law
@given(seed=seeds, d=st.sampled_from([1, 7, 1040, 1041, 4096]))
def test_products_are_exact(seed, d):
    """With the greatest bytes, so that float32 cannot represent the sums."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(117, 128, (4, d)).astype(np.int8), rng.integers(117, 128, (3, d)).astype(np.int8)
    a[0], b[0] = -127, 127
    expected = a.astype(np.int64) @ b.astype(np.int64).T
    assert products(a, b).tolist() == products(a.astype(np.float32), b).tolist() == expected.tolist()


class Sums:
    """The sums of classes, and the matrix of outer products, as ``PrimalSolver`` keeps them."""

    def __init__(self, size):
        self.gram, self.classes = np.zeros((size, size)), ClassSums()
        self.by_class, self.counts = self.classes.by_class, self.classes.counts

    def add(self, features, names, sign=1):
        add_outer_products(self.gram, features, sign)
        self.classes.add(features, names, sign)


def sums_of(batch):
    sums = Sums(SIZE)
    sums.add(*batch[1:])
    return sums


def state(sums):
    return sums.gram.tobytes(), {name: part.tobytes() for name, part in sums.by_class.items()}, sums.counts


@law
@given(seed=seeds, n=st.sampled_from([1, 30]))
def test_sums_are_sums_of_whole_numbers(seed, n):
    batch = some(seed, n)
    sums, features = sums_of(batch), batch[1].astype(np.int64)
    assert sums.gram.tolist() == (features.T @ features).tolist()
    for name in set(batch[2]):
        mine = [i for i, other in enumerate(batch[2]) if other == name]
        assert sums.by_class[name].tolist() == features[mine].sum(axis=0).tolist()
        assert sums.counts[name] == len(mine)
        assert sums.classes.means([name]).tolist() == [(features[mine].sum(axis=0) / len(mine)).tolist()]


def test_sums_are_exact_beyond_float32():
    features = np.full((3000, 2), 127, np.int8)
    features[0] = 1, 2
    sums = Sums(2)
    sums.add(features, ["a"] * 3000)
    whole = features.astype(np.int64)
    assert sums.gram.tolist() == (whole.T @ whole).tolist()


@law
@given(seed=seeds, order=seeds)
def test_sums_do_not_depend_on_the_order_and_subtracted_examples_leave_no_trace(seed, order):
    batch, removed = some(seed, 20), some(seed + 1, 9)
    sums = sums_of(removed)
    for place in np.random.default_rng(order).permutation(20).tolist():
        sums.add(*take(batch, [place])[1:])
    sums.add(*removed[1:], -1)
    assert state(sums) == state(sums_of(batch))
