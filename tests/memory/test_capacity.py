"""Capacity formulas against exact fractions, small networks and published values; their laws; and plans."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.errors import InputError
from assocmem.memory import capacity
from assocmem.memory.capacity import plan

REFERENCE = [
    # clusters, units, messages, erased, density, guided error of one step
    (8, 256, 5000, 4, 0.0735, 0.0293),
    (8, 256, 10000, 4, 0.1416, 0.3358),
    (8, 256, 15000, 4, 0.2047, 0.8327),
    (8, 256, 20000, 4, 0.2630, 0.9925),
]
PUBLISHED = (100, 64, 12, 3)  # clusters, units, active, erased; sparse cliques


@st.composite
def shapes(draw):
    """Clusters, units, active, erased."""
    clusters = draw(st.integers(2, 40))
    active = draw(st.integers(2, clusters))
    return clusters, draw(st.integers(2, 300)), active, draw(st.integers(1, active - 1))


@st.composite
def willshaw_shapes(draw):
    """Rows, columns, active rows, active columns."""
    rows, columns = draw(st.integers(1, 300)), draw(st.integers(2, 300))
    return rows, columns, draw(st.integers(1, rows)), draw(st.integers(1, columns - 1))


def exact_density(messages, clusters, units, c):
    return 1 - (1 - Fraction(c * (c - 1), clusters * (clusters - 1) * units**2)) ** messages


def network(rng, messages, clusters, units, c):
    """Return the share of connections that random messages set, in plain loops."""
    connections = set()
    for _ in range(messages):
        chosen = sorted(rng.choice(clusters, c, replace=False).tolist())
        nodes = [(cluster, int(rng.integers(units))) for cluster in chosen]
        connections.update(itertools.combinations(nodes, 2))
    return len(connections) / (math.comb(clusters, 2) * units**2)


@pytest.mark.parametrize(("clusters", "units", "c"), [(4, 3, 4), (6, 2, 3), (2, 5, 2), (9, 16, 4)])
@pytest.mark.parametrize("messages", [0, 1, 2, 50])
def test_density_is_the_exact_fraction(messages, clusters, units, c):
    exact = exact_density(messages, clusters, units, c)
    assert capacity.density(messages, clusters, units, c) == pytest.approx(float(exact), rel=1e-12)
    if c == clusters:
        assert capacity.density(messages, clusters, units) == capacity.density(messages, clusters, units, c)


def test_density_keeps_its_digits_at_both_ends():
    assert capacity.density(1, 64, 2**30) == pytest.approx(2.0**-60, rel=1e-12)
    assert capacity.density(10**12, 4, 16) == 1
    assert capacity.density(math.inf, 4, 16) == 1


@pytest.mark.parametrize(("clusters", "units", "c", "messages"), [(4, 8, 4, 30), (10, 6, 4, 150)])
def test_density_is_that_of_small_networks(clusters, units, c, messages):
    rng = np.random.default_rng(3)
    seen = np.array([network(rng, messages, clusters, units, c) for _ in range(60)])
    error = seen.std(ddof=1) / math.sqrt(len(seen))
    assert abs(seen.mean() - capacity.density(messages, clusters, units, c)) < 4 * error


@pytest.mark.parametrize(("clusters", "units", "c", "erased"), [(4, 3, 4, 2), (7, 2, 4, 1), (8, 5, 3, 0), (8, 5, 3, 2)])
@pytest.mark.parametrize("density", [Fraction(0), Fraction(1, 1000), Fraction(1, 3), Fraction(9, 10), Fraction(1)])
def test_one_step_error_is_the_exact_fraction(density, clusters, units, c, erased):
    for guided, rivals in ((True, erased * (units - 1)), (False, erased * (units - 1) + (clusters - c) * units)):
        exact = 1 - (1 - density ** (c - erased)) ** rivals
        found = capacity.one_step_error(float(density), clusters, units, erased, c, guided=guided)
        assert found == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize(("clusters", "units", "erased"), [(4, 3, 2), (5, 2, 3), (4, 4, 1), (3, 2, 0)])
def test_converged_error_counts_the_other_cliques(clusters, units, erased):
    """Over all ways to fill the erased clusters, count the connections that a wrong clique does not share."""
    density = 0.02
    expected = 0.0
    for filling in itertools.product(range(units), repeat=erased):  # unit 0 is right everywhere
        message = (0,) * (clusters - erased) + filling
        pairs = itertools.combinations(message, 2)
        if any(filling):
            expected += density ** sum(any(pair) for pair in pairs)
    found = capacity.converged_error(density, clusters, units, erased)
    assert found == pytest.approx(
        min(1 - math.exp(-expected), capacity.one_step_error(density, clusters, units, erased))
    )


def test_converged_error_is_finite_at_any_size():
    assert capacity.converged_error(0.999, 4000, 2**40, 3999) == 1
    assert capacity.converged_error(0.0, 8, 256, 4) == 0
    assert capacity.converged_error(1.0, 8, 256, 4) == 1
    assert 0 < capacity.converged_error(1e-6, 8, 2**40, 4) < 1e-10


@pytest.mark.parametrize(("clusters", "units", "messages", "erased", "density", "error"), REFERENCE)
def test_reference_values(clusters, units, messages, erased, density, error):
    found = capacity.density(messages, clusters, units)
    assert found == pytest.approx(density, abs=2e-4)  # of one simulated network; the error is that of the formula
    for guided in (True, False):
        predicted = capacity.one_step_error(found, clusters, units, erased, guided=guided)
        assert predicted == pytest.approx(error, abs=6e-5)


@pytest.mark.parametrize(("messages", "measured"), [(15000, 0.0197), (20000, 0.1145)])
def test_the_estimate_of_converged_recall_is_a_little_below_what_was_measured(messages, measured):
    estimate = capacity.converged_error(capacity.density(messages, 8, 256), 8, 256, 4)
    assert 0.75 * measured < estimate < measured


@pytest.mark.parametrize(("messages", "blind"), [(90_009, 0.029), (143_341, 0.579)])
def test_published_blind_errors_of_sparse_cliques(messages, blind):
    """They were simulated: dependent connections put them up to 15% above the formula."""
    clusters, units, active, erased = PUBLISHED
    density = capacity.density(messages, clusters, units, active)
    found = capacity.one_step_error(density, clusters, units, erased, active, guided=False)
    assert 0.86 * blind < found < blind


@pytest.mark.parametrize(
    ("messages", "error"), [(90_009, 6.6e-5), (143_341, 0.0041), (196_673, 0.0553), (250_005, 0.275)]
)
def test_published_guided_errors_of_sparse_cliques(messages, error):
    """They were simulated with four iterations, which is nearly converged."""
    clusters, units, active, erased = PUBLISHED
    density = capacity.density(messages, clusters, units, active)
    assert capacity.converged_error(density, clusters, units, erased, active) == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize("guided", [True, False])
@given(shape=shapes(), error=st.floats(1e-12, 0.9))
def test_density_at_error_is_the_inverse_of_one_step_error(guided, shape, error):
    clusters, units, active, erased = shape
    density = capacity.density_at_error(error, clusters, units, erased, active, guided=guided)
    found = capacity.one_step_error(density, clusters, units, erased, active, guided=guided)
    assert found == pytest.approx(error, rel=1e-6)


@given(shape=shapes(), density=st.floats(1e-12, 0.999))
def test_messages_at_density_is_the_inverse_of_density(shape, density):
    clusters, units, active, _ = shape
    messages = capacity.messages_at_density(density, clusters, units, active)
    assert capacity.density(messages, clusters, units, active) == pytest.approx(density, rel=1e-9)


@given(shape=shapes(), error=st.floats(1e-9, 0.9))
def test_messages_at_error_bring_the_network_to_that_error(shape, error):
    clusters, units, active, erased = shape
    messages = capacity.messages_at_error(error, clusters, units, erased, active)
    density = capacity.density(messages, clusters, units, active)
    assert capacity.one_step_error(density, clusters, units, erased, active) == pytest.approx(error, rel=1e-6)


@given(shape=willshaw_shapes(), error=st.floats(1e-9, 0.9))
def test_willshaw_pairs_are_the_inverse_of_density_and_error(shape, error):
    rows, columns, active_rows, active_columns = shape
    pairs = capacity.willshaw_pairs(error, rows, columns, active_rows, active_columns)
    density = capacity.willshaw_density(pairs, rows, columns, active_rows, active_columns)
    if 0 < density < 1 - 1e-6:  # nearer to 1 the density has lost the digits
        assert capacity.willshaw_error(density, columns, active_rows, active_columns) == pytest.approx(error, rel=1e-6)


def test_without_possible_errors_there_is_no_limit():
    assert capacity.messages_at_density(1, 8, 256) == math.inf
    assert capacity.density_at_error(0.01, 8, 256, 0) == 1
    assert capacity.messages_at_error(0.01, 8, 256, 0) == math.inf
    assert capacity.messages_at_error(1, 8, 256, 4) == math.inf
    assert capacity.messages_at_error(0, 8, 256, 4) == 0
    assert capacity.willshaw_pairs(1, 8, 8, 2) == math.inf


@given(shape=shapes(), messages=st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)))
def test_more_messages_never_lower_density_or_error(shape, messages):
    clusters, units, active, erased = shape
    fewer, more = (capacity.density(count, clusters, units, active) for count in sorted(messages))
    assert 0 <= fewer <= more <= 1
    for error in (capacity.one_step_error, capacity.converged_error):
        before, after = (error(density, clusters, units, erased, active) for density in (fewer, more))
        assert 0 <= before <= after * (1 + 1e-9) <= 1 + 1e-9
    assert capacity.chance_familiarity(fewer, active) <= capacity.chance_familiarity(more, active)


@given(shape=shapes(), density=st.floats(0, 1))
def test_blind_is_never_better_than_guided_nor_converged_worse_than_one_step(shape, density):
    clusters, units, active, erased = shape
    guided = capacity.one_step_error(density, clusters, units, erased, active)
    assert guided <= capacity.one_step_error(density, clusters, units, erased, active, guided=False)
    assert capacity.converged_error(density, clusters, units, erased, active) <= guided


@given(shape=shapes(), density=st.floats(0, 1))
def test_more_erased_never_lowers_the_error(shape, density):
    clusters, units, active, erased = shape
    less = capacity.one_step_error(density, clusters, units, erased - 1, active)
    assert less <= capacity.one_step_error(density, clusters, units, erased, active) * (1 + 1e-12)


@given(shape=shapes(), messages=st.integers(1, 10**8))
def test_more_units_never_raise_the_error(shape, messages):
    clusters, units, active, erased = shape
    errors = [
        capacity.one_step_error(capacity.density(messages, clusters, wide, active), clusters, wide, erased, active)
        for wide in (16 + units, 16 + units + 64)
    ]
    assert errors[1] <= errors[0] * (1 + 1e-9)


@given(shape=willshaw_shapes(), error=st.floats(1e-9, 0.01))
def test_no_willshaw_memory_exceeds_the_limit(shape, error):
    pairs = capacity.willshaw_pairs(error, *shape)
    assert capacity.willshaw_efficiency(pairs, *shape) < capacity.WILLSHAW_LIMIT


def test_a_large_willshaw_memory_comes_near_the_limit():
    size = 2**36
    pairs = capacity.willshaw_pairs(0.5, size, size, 36)
    assert 0.6 < capacity.willshaw_efficiency(pairs, size, size, 36) < capacity.WILLSHAW_LIMIT


def test_willshaw_formulas_are_the_exact_fractions():
    density = 1 - (1 - Fraction(3 * 2, 20 * 30)) ** 40
    assert capacity.willshaw_density(40, 20, 30, 3, 2) == pytest.approx(float(density))
    exact = 1 - (1 - density**3) ** 28
    assert capacity.willshaw_error(float(density), 30, 3, 2) == pytest.approx(float(exact))
    assert capacity.willshaw_efficiency(40, 20, 30, 3, 2) == pytest.approx(40 * math.log2(435) / 600)


def test_efficiency_counts_each_connection_once():
    assert capacity.efficiency(10, 4, 16) == pytest.approx(10 * 4 * 4 / (6 * 256))
    bits = 3 * 4 + math.log2(math.comb(9, 3))
    assert capacity.efficiency(10, 9, 16, 3) == pytest.approx(10 * bits / (36 * 256))


def test_chance_familiarity_is_every_connection_by_chance():
    assert capacity.chance_familiarity(0.5, 4) == 2**-6
    assert capacity.chance_familiarity(0.0, 4) == 0
    assert capacity.chance_familiarity(1.0, 4) == 1


@pytest.mark.parametrize(
    ("clusters", "units", "size"), [(4, 16, 64 * 8), (5, 16, 80 * 16), (8, 256, 2048**2 // 8), (3, 100, 300 * 40)]
)
def test_memory_is_rows_of_whole_words(clusters, units, size):
    assert capacity.memory_bytes(clusters, units) == size


@given(stored=st.integers(0, 10_000), error=st.floats(1e-6, 0.5))
def test_room_is_what_is_left(stored, error):
    left = capacity.room(capacity.density(stored, 8, 256), 8, 256, 4, error=error)
    assert left == pytest.approx(max(0, capacity.messages_at_error(error, 8, 256, 4) - stored), abs=1.001)


def test_a_full_network_has_no_room():
    assert capacity.room(1.0, 8, 256, 4) == 0
    assert capacity.room(0.0, 8, 256, 4) == int(capacity.messages_at_error(0.01, 8, 256, 4))


def promised(found, error):
    """Check the plan's figures by the formulas; return whether it keeps to the error."""
    shape = (found.clusters, found.units)
    density = capacity.density(found.items, *shape, found.active)
    assert found.density == density
    assert found.error == capacity.one_step_error(density, *shape, found.erased, found.active)
    assert found.chance == capacity.chance_familiarity(density, found.active)
    assert found.bytes == capacity.memory_bytes(*shape)
    assert found.holds == int(capacity.messages_at_error(error, *shape, found.erased, found.active))
    assert found.fits == (found.needed_bytes is None)
    return found.error <= error and found.holds >= found.items


def smaller(found, error, share, actives):
    """Yield shapes of less memory that keep to the error too, by trying widths up to the plan's."""
    for clusters, active in actives:
        erased = max(1, math.ceil(share * active - 1e-9))
        for units in (16, 32, *range(64, 4 * found.units * found.clusters // clusters + 64, 64)):
            if capacity.memory_bytes(clusters, units) >= found.bytes:
                break
            density = capacity.density(found.items, clusters, units, active)
            if capacity.one_step_error(density, clusters, units, erased, active) <= error:
                yield clusters, units, active


@pytest.mark.parametrize("items", [1, 100, 10_000, 1_000_000])
@pytest.mark.parametrize(("error", "share"), [(0.01, 0.25), (1e-6, 0.5), (0.5, 0.1)])
def test_a_plan_keeps_its_promise_and_no_smaller_memory_does(items, error, share):
    found = plan(items, error=error, erased=share)
    assert promised(found, error)
    assert found.active == found.clusters
    assert found.erased == max(1, math.ceil(share * found.clusters - 1e-9))
    assert list(smaller(found, error, share, [(c, c) for c in range(4, 65)])) == []


@pytest.mark.parametrize("items", [1, 10_000, 1_000_000])
def test_a_sparse_plan_keeps_its_promise_and_is_never_larger(items):
    found = plan(items, sparse=True)
    assert promised(found, 0.01)
    assert found.bytes <= plan(items).bytes
    coarse = [(clusters, c) for clusters in range(16, 257, 16) for c in (6, 9, 12) if c < clusters]
    assert list(smaller(found, 0.01, 0.25, coarse)) == []


@given(items=st.integers(1, 10**9), memory=st.integers(512, 10**12), share=st.floats(0, 0.75))
def test_a_plan_stays_within_its_memory(items, memory, share):
    found, least = plan(items, memory=memory, erased=share), plan(items, erased=share)
    if found.fits:
        assert found == least
    else:
        assert found.bytes <= memory < least.bytes == found.needed_bytes
        assert found.error > 0.01


def test_a_plan_that_does_not_fit_is_the_best_within_its_memory():
    found = plan(1_000_000, memory=30_000_000)
    assert not promised(found, 0.01)
    assert (found.fits, found.needed_bytes) == (False, plan(1_000_000).bytes)
    assert plan(1_000_000, memory=found.needed_bytes).fits
    assert found.bytes <= 30_000_000
    for clusters in range(4, 65):
        units = math.isqrt(8 * 30_000_000) // clusters // 64 * 64
        density = capacity.density(1_000_000, clusters, units)
        assert found.error <= capacity.one_step_error(density, clusters, units, max(1, -(-clusters // 4)))


def test_plans_of_one_item_and_of_very_many():
    one = plan(1)
    assert (one.clusters, one.units, one.active, one.erased, one.bytes, one.fits) == (4, 16, 4, 1, 512, True)
    assert promised(one, 0.01)
    for items in (10**9, 10**18):
        assert promised(plan(items), 0.01)
        assert promised(plan(items, sparse=True), 0.01)
        hopeless = plan(items, memory=512)
        assert (hopeless.clusters, hopeless.units, hopeless.error, hopeless.fits) == (4, 16, 1, False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: capacity.density(-1, 8, 256), r"messages: expected a number, at least 0, found -1"),
        (lambda: capacity.density(math.nan, 8, 256), r"messages: expected a number, at least 0, found nan"),
        (lambda: capacity.density(1, 1, 256), r"clusters: expected a whole number, at least 2, found 1"),
        (lambda: capacity.density(1, 8, 1), r"units: expected a whole number, at least 2, found 1"),
        (lambda: capacity.density(1, 8, 2.5), r"units: expected a whole number, at least 2, found 2\.5"),
        (lambda: capacity.density(1, 8, 256, 9), r"active: expected a whole number, 2 to 8, found 9"),
        (lambda: capacity.messages_at_density(1.1, 8, 256), r"density: expected a number, 0 to 1, found 1\.1"),
        (lambda: capacity.one_step_error(-0.1, 8, 256, 4), r"density: expected a number, 0 to 1, found -0\.1"),
        (lambda: capacity.one_step_error(0.1, 8, 256, 8), r"erased: expected a whole number, 0 to 7, found 8"),
        (lambda: capacity.converged_error(0.1, 8, 256, 4, 4), r"erased: expected a whole number, 0 to 3, found 4"),
        (lambda: capacity.density_at_error(2, 8, 256, 4), r"error: expected a number, 0 to 1, found 2"),
        (lambda: capacity.chance_familiarity(0.1, 1), r"active: expected a whole number, at least 2, found 1"),
        (lambda: capacity.efficiency(-1, 8, 256), r"messages: expected a number, at least 0, found -1"),
        (lambda: capacity.memory_bytes(8, 0), r"units: expected a whole number, at least 2, found 0"),
        (lambda: capacity.room(0.1, 8, 256, 0), r"expected erased of at least 1 and error below 1, found 0 and 0\.01"),
        (lambda: capacity.willshaw_density(-1, 8, 8, 2), r"pairs: expected a number, at least 0, found -1"),
        (lambda: capacity.willshaw_density(1, 0, 8, 2), r"rows: expected a whole number, at least 1, found 0"),
        (lambda: capacity.willshaw_error(0.1, 1, 2), r"columns: expected a whole number, at least 2, found 1"),
        (lambda: capacity.willshaw_pairs(0.1, 8, 8, 9), r"active_rows: expected a whole number, 1 to 8, found 9"),
        (lambda: capacity.willshaw_efficiency(1, 8, 8, 2, 8), r"active_columns: expected a .*, 1 to 7, found 8"),
        (lambda: plan(0), r"items: expected a whole number, at least 1, found 0"),
        (lambda: plan(10**19), r"items: expected a whole number, 1 to 10{18}, found 10{19}"),
        (lambda: plan(10, memory=511), r"memory: expected a whole number, at least 512, found 511"),
        (lambda: plan(10, memory=500), r"memory: expected a whole number, at least 512, found 500"),
        (lambda: plan(10, error=0), r"error: expected a number, 1e-12 to 0\.99, found 0"),
        (lambda: plan(10, erased=1), r"erased: expected a number, 0 to 0\.95, found 1"),
        (lambda: plan(10**18, erased=0.95), r"expected a task that some memory meets, found 10{18} items with 0\.95"),
    ],
)
def test_invalid_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
