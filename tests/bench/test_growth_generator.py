"""Vectors drawn to follow real ones, exact neighbours as they grow, the plan of sizes; beside plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.bench.growth import generator as growth_data
from assocmem.bench.growth.generator import CHUNK, QUERIES, Real, Source
from assocmem.bench.growth.neighbourhoods import Nearest, keep_nearest, measure, nearest
from assocmem.bench.growth.workload import Plan, lay_out, parts, prepare
from assocmem.errors import InputError


def _sheet(count, seed=0, dim=12):
    """Vectors on a curved sheet of three directions."""
    angles = np.random.default_rng(seed).uniform(0, 2, (count, 3))
    return np.concatenate([f(k * angles) for k in (1, 2) for f in (np.sin, np.cos)], axis=1).astype(np.float32)[:, :dim]


def _source(angular=False, whole=False):
    x = _sheet(300)
    if whole:
        x = np.rint(x * 60 + 128).clip(0, 255).astype(np.float32)
    x = growth_data.unit(x) if angular else x
    return Source(Real("sheet", x, angular, whole), nearest(x, x, 9)[1][:, 1:], 0.8)


def _plain_keep(scores, start, values, rows):
    for i, found in enumerate(scores):
        pairs = sorted(
            [*zip(values[i], rows[i], strict=True), *((score, start + j) for j, score in enumerate(found))],
            key=lambda pair: pair[0],
        )
        for place, (value, row) in enumerate(pairs[: values.shape[1]]):
            values[i, place], rows[i, place] = value, row


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 9), st.integers(2, 50))
@settings(deadline=None, max_examples=50)
def test_the_nearest_are_kept_as_by_sorting_and_of_equals_the_earlier(seed, k, count, numbers):
    scores = np.random.default_rng(seed).integers(0, numbers, (2, 3, count)).astype(np.float32)
    fast, plain = ((np.full((3, k), np.inf, np.float32), np.full((3, k), -1)) for _ in range(2))
    for part, found in enumerate(scores):
        keep_nearest(found, part * count, *fast)
        _plain_keep(found, part * count, *plain)
    assert np.array_equal(fast[0], plain[0])
    assert np.array_equal(fast[1], plain[1])


def test_parts_added_one_after_the_other_are_as_one():
    x, queries = _sheet(200), _sheet(5, seed=1)
    found = Nearest(queries, 4)
    for start, stop in parts(0, 200, 33):
        found.add(x[start:stop], start)
    for query, rows, apart in zip(queries, found.rows, found.distances, strict=True):
        plain = sorted((math.dist(query, item), row) for row, item in enumerate(x))[:4]
        assert rows.tolist() == [row for _, row in plain]
        assert apart == pytest.approx([distance for distance, _ in plain], abs=1e-4)


def test_spread_tells_distances_and_the_number_of_directions():
    rng = np.random.default_rng(0)
    x = np.zeros((20_000, 10), np.float32)
    x[:, :3] = rng.uniform(-1, 1, (20_000, 3))
    queries = np.zeros((200, 10), np.float32)
    queries[:, :3] = rng.uniform(-0.6, 0.6, (200, 3))
    spread = measure(queries, x)
    assert spread.dimension.middle == pytest.approx(3, rel=0.15)
    first = (8 / 20_000 * math.log(2) / (4 / 3 * math.pi)) ** (1 / 3)  # of a uniform density
    assert spread.first.middle == pytest.approx(first, rel=0.15)
    assert spread.apart(spread) == 0
    assert spread.apart(measure(queries, x[:2_000])) > 0.3


@given(st.integers(0, 2 * CHUNK), st.integers(0, 2 * CHUNK), st.sampled_from([0, QUERIES]))
@settings(deadline=None, max_examples=10)
def test_any_part_that_is_drawn_alone_is_as_in_the_whole(one, other, stream):
    source, (start, stop) = _source(), sorted((one, other))
    whole = source.draw(0, 2 * CHUNK, stream)
    assert np.array_equal(source.draw(start, stop, stream), whole[start:stop])


def test_queries_are_others_and_another_seed_draws_others():
    source = _source()
    assert not np.array_equal(source.draw(0, 10), source.draw(0, 10, QUERIES))
    assert not np.array_equal(source.draw(0, 10), replace(source, seed=1).draw(0, 10))


@pytest.mark.parametrize(("angular", "whole"), [(False, False), (True, False), (False, True)])
def test_drawn_vectors_are_mixtures_of_neighbours_of_the_parents_length(angular, whole):
    source = _source(angular, whole)
    drawn = source.draw(0, 50)
    rng = np.random.default_rng((0, 0, 0))
    parents = rng.integers(0, 300, CHUNK)
    shares = rng.standard_normal((CHUNK, 8), np.float32) * 0.8 / math.sqrt(8)
    for vector, parent, share in zip(drawn, parents, shares, strict=False):
        x = source.real.x.astype(np.float64)
        plain = x[parent] + sum(
            s * (x[other] - x[parent]) for s, other in zip(share, source.neighbours[parent], strict=True)
        )
        plain *= math.hypot(*x[parent]) / math.hypot(*plain)
        assert vector == pytest.approx(plain, abs=0.51 if whole else 2e-3)
    assert drawn.dtype == (np.uint8 if whole else np.float16)


def test_what_is_drawn_follows_what_it_is_drawn_from_and_others_of_the_kind():
    real = Real("sheet", _sheet(4_000), angular=False, whole=False)
    queries = _sheet(200, seed=1)
    source, spread = growth_data.follow(real, queries, seeds=1_000)
    assert growth_data.drawn_spread(source, 1_000, 200).apart(spread) < 0.2
    assert growth_data.drawn_spread(source, 4_000, 200).apart(measure(queries, real.x)) < 0.35


def test_neighbours_are_the_nearest_others_of_the_first_ones(monkeypatch):
    monkeypatch.setattr(growth_data, "AMONG", 30)
    x = _sheet(50)
    x[7] = x[3]  # a copy is another
    for row, found in enumerate(growth_data._others(x, 4, part=20)):
        plain = sorted((math.dist(x[row], x[other]), other) for other in range(30) if other != row)
        assert sorted(found) == sorted(other for _, other in plain[:4])


def test_files_are_read_reduced_and_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(2_000, 20)).astype(np.float32) * ([10] * 8 + [0.01] * 12)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["train"] = x
        file.attrs["distance"] = "angular"
    real = growth_data.read(tmp_path / "a.hdf5", 8)
    assert real.x.shape == (2_000, 8)
    assert np.linalg.norm(real.x, axis=1) == pytest.approx(1)
    order = np.random.default_rng(0).permutation(2_000)
    whole = growth_data.unit(x)[order]
    assert real.x[:50] @ real.x[:50].T == pytest.approx(whole[:50] @ whole[:50].T, abs=0.01)
    assert growth_data.read(tmp_path / "a.hdf5", 20).x.shape == (2_000, 20)
    for name, value, message in (("distance", "hamming", "found hamming"), ("train", x[:100], "at least 2000 vectors")):
        with h5py.File(tmp_path / "a.hdf5", "a") as file:
            if name == "distance":
                file.attrs[name] = value
            else:
                file.attrs["distance"] = "euclidean"
                del file[name]
                file[name] = value
        with pytest.raises(InputError, match=message):
            growth_data.read(tmp_path / "a.hdf5", 8)
    (tmp_path / "b.hdf5").write_bytes(b"no such thing")
    with pytest.raises(InputError, match=r"b\.hdf5"):
        growth_data.read(tmp_path / "b.hdf5", 8)


def test_every_size_has_its_rows_and_no_row_comes_twice():
    steps = lay_out((100, 250, 600), 7)
    rows = [row for step in steps for row in (*range(step.start, step.stop), *step.guests)]
    assert rows == list(range(600 + 3 * 7))
    kept = np.cumsum([step.stop - step.start for step in steps])
    assert kept.tolist() == [step.items for step in steps] == [100, 250, 600]


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 40))
def test_parts_follow_on_each_other(start, stop, size):
    found = [row for part in parts(start, stop, size) for row in range(*part)]
    assert found == list(range(start, stop))


@pytest.mark.parametrize(("angular", "whole"), [(True, False), (False, True)])
def test_the_truth_of_each_size_is_that_of_plain_loops_without_guests(tmp_path, angular, whole):
    source = _source(angular, whole)
    plan = Plan(tmp_path, (40, 90), 5, angular, whole, recall=0.9, rounds=1)
    prepare(plan, source, 6, lambda line: None)
    again = Plan.load(str(tmp_path))
    assert again == plan
    x = plan.rows(0, 100).astype(np.float64)
    assert np.array_equal(plan.base, source.draw(0, 100))
    for number, rows in enumerate((range(40), [*range(40), *range(45, 95)])):
        truth = []
        for query, border in zip(plan.queries.astype(np.float64), again.borders[number], strict=True):
            apart = sorted((math.dist(query, x[row]), row) for row in rows)
            wanted = apart[9][0] ** 2 / 2 if angular else apart[9][0]
            assert border == pytest.approx(wanted, rel=1e-4, abs=1e-6)
            truth.append([row for _, row in apart[:10]])
        assert again.recall_of(number, np.array(truth)) == 1
        half = np.array(truth)
        half[:, 5:] = -1
        assert again.recall_of(number, half) == 0.5
