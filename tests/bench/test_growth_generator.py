"""Synthetic vectors, exact neighbours in parts, and the workload of all sizes, compared with plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.bench.growth import generator
from assocmem.bench.growth.generator import CHUNK, QUERIES, RealVectors, VectorGenerator, drawn_stats, fit_generator
from assocmem.bench.growth.neighbourhoods import NearestRows, keep_nearest, nearest_rows, neighbourhood_stats
from assocmem.bench.growth.workload import Workload, plan_stages, prepare, split_range
from assocmem.bench.inputs import unit_rows
from assocmem.errors import InputError
from tests.bench.conftest import write_vectors


def _curved(count, seed=0, dim=12):
    """Return vectors on a curved manifold of three dimensions."""
    angles = np.random.default_rng(seed).uniform(0, 2, (count, 3))
    return np.concatenate([f(k * angles) for k in (1, 2) for f in (np.sin, np.cos)], axis=1).astype(np.float32)[:, :dim]


def _generator(angular=False, fits_uint8=False):
    x = _curved(300)
    if fits_uint8:
        x = np.rint(x * 60 + 128).clip(0, 255).astype(np.float32)
    x = unit_rows(x) if angular else x
    return VectorGenerator(RealVectors("curved", x, angular, fits_uint8), nearest_rows(x, x, 9)[1][:, 1:], 0.8)


def _naive_keep(scores, start, values, rows):
    for i, found in enumerate(scores):
        pairs = sorted(
            [*zip(values[i], rows[i], strict=True), *((score, start + j) for j, score in enumerate(found))],
            key=lambda pair: pair[0],
        )
        for place, (value, row) in enumerate(pairs[: values.shape[1]]):
            values[i, place], rows[i, place] = value, row


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 9), st.integers(2, 50))
@settings(deadline=None, max_examples=50)
def test_the_nearest_are_those_of_sorting_and_of_equals_the_earlier(seed, k, count, numbers):
    scores = np.random.default_rng(seed).integers(0, numbers, (2, 3, count)).astype(np.float32)
    fast, naive = ((np.full((3, k), np.inf, np.float32), np.full((3, k), -1)) for _ in range(2))
    for part, found in enumerate(scores):
        keep_nearest(found, part * count, *fast)
        _naive_keep(found, part * count, *naive)
    assert np.array_equal(fast[0], naive[0])
    assert np.array_equal(fast[1], naive[1])


def test_parts_added_one_after_the_other_give_the_neighbours_of_the_whole():
    x, queries = _curved(200), _curved(5, seed=1)
    found = NearestRows(queries, 4)
    for start, stop in split_range(0, 200, 33):
        found.add(x[start:stop], start)
    for query, rows, apart in zip(queries, found.rows, found.distances, strict=True):
        naive = sorted((math.dist(query, item), row) for row, item in enumerate(x))[:4]
        assert rows.tolist() == [row for _, row in naive]
        assert apart == pytest.approx([distance for distance, _ in naive], abs=1e-4)


def test_neighbourhoods_show_distances_and_the_dimension():
    rng = np.random.default_rng(0)
    x = np.zeros((20_000, 10), np.float32)
    x[:, :3] = rng.uniform(-1, 1, (20_000, 3))
    queries = np.zeros((200, 10), np.float32)
    queries[:, :3] = rng.uniform(-0.6, 0.6, (200, 3))
    stats = neighbourhood_stats(queries, x)
    assert stats.dimension.middle == pytest.approx(3, rel=0.15)
    first = (8 / 20_000 * math.log(2) / (4 / 3 * math.pi)) ** (1 / 3)  # of a uniform density
    assert stats.first.middle == pytest.approx(first, rel=0.15)
    assert stats.difference(stats) == 0
    assert stats.difference(neighbourhood_stats(queries, x[:2_000])) > 0.3


@given(st.integers(0, 2 * CHUNK), st.integers(0, 2 * CHUNK), st.sampled_from([0, QUERIES]))
@settings(deadline=None, max_examples=10)
def test_any_part_drawn_alone_is_the_same_as_in_the_whole(one, other, stream):
    drawing, (start, stop) = _generator(), sorted((one, other))
    whole = drawing.draw(0, 2 * CHUNK, stream)
    assert np.array_equal(drawing.draw(start, stop, stream), whole[start:stop])


def test_queries_differ_from_the_base_and_seeds_from_each_other():
    drawing = _generator()
    assert not np.array_equal(drawing.draw(0, 10), drawing.draw(0, 10, QUERIES))
    assert not np.array_equal(drawing.draw(0, 10), replace(drawing, seed=1).draw(0, 10))


@pytest.mark.parametrize(("angular", "fits_uint8"), [(False, False), (True, False), (False, True)])
def test_drawn_vectors_are_mixtures_of_neighbours_with_the_length_of_the_parent(angular, fits_uint8):
    drawing = _generator(angular, fits_uint8)
    drawn = drawing.draw(0, 50)
    rng = np.random.default_rng((0, 0, 0))
    parents = rng.integers(0, 300, CHUNK)
    weights = rng.standard_normal((CHUNK, 8), np.float32) * 0.8 / math.sqrt(8)
    for vector, parent, weight in zip(drawn, parents, weights, strict=False):
        x = drawing.real.x.astype(np.float64)
        naive = x[parent] + sum(
            w * (x[other] - x[parent]) for w, other in zip(weight, drawing.neighbours[parent], strict=True)
        )
        naive *= math.hypot(*x[parent]) / math.hypot(*naive)
        assert vector == pytest.approx(naive, abs=0.51 if fits_uint8 else 2e-3)
    assert drawn.dtype == (np.uint8 if fits_uint8 else np.float16)


def test_drawn_vectors_resemble_their_parents_and_others_of_the_kind():
    real = RealVectors("curved", _curved(4_000), angular=False, fits_uint8=False)
    queries = _curved(200, seed=1)
    drawing, stats = fit_generator(real, queries, parents=1_000)
    assert drawn_stats(drawing, 1_000, 200).difference(stats) < 0.2
    assert drawn_stats(drawing, 4_000, 200).difference(neighbourhood_stats(queries, real.x)) < 0.35


def test_neighbours_are_the_nearest_others_of_the_first_ones(monkeypatch):
    monkeypatch.setattr(generator, "MAX_SEARCHED", 30)
    x = _curved(50)
    x[7] = x[3]  # a copy is another one
    for row, found in enumerate(generator.nearest_others(x, 4, part=20)):
        naive = sorted((math.dist(x[row], x[other]), other) for other in range(30) if other != row)
        assert sorted(found) == sorted(other for _, other in naive[:4])


def test_files_are_read_reduced_and_refused(tmp_path):
    x = np.random.default_rng(0).normal(size=(2_000, 20)).astype(np.float32) * ([10] * 8 + [0.01] * 12)
    path = write_vectors(tmp_path / "a.hdf5", train=x)
    real = generator.read(path, 8)
    assert real.x.shape == (2_000, 8)
    assert np.linalg.norm(real.x, axis=1) == pytest.approx(1)
    order = np.random.default_rng(0).permutation(2_000)
    expected = unit_rows(x)[order]
    assert real.x[:50] @ real.x[:50].T == pytest.approx(expected[:50] @ expected[:50].T, abs=0.01)
    assert generator.read(path, 20).x.shape == (2_000, 20)
    for distance, values, message in (
        ("hamming", x, "found hamming"),
        ("euclidean", x[:100], "at least 2000 vectors"),
    ):
        with pytest.raises(InputError, match=message):
            generator.read(write_vectors(path, distance, train=values), 8)
    (tmp_path / "b.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"b\.hdf5"):
        generator.read(tmp_path / "b.hdf5", 8)


def test_every_size_has_its_rows_and_no_row_occurs_twice():
    stages = plan_stages((100, 250, 600), 7)
    rows = [row for stage in stages for row in (*range(stage.start, stage.stop), *stage.temporary)]
    assert rows == list(range(600 + 3 * 7))
    staying = np.cumsum([stage.stop - stage.start for stage in stages])
    assert staying.tolist() == [stage.items for stage in stages] == [100, 250, 600]


@given(st.integers(0, 100), st.integers(0, 100), st.integers(1, 40))
def test_split_ranges_are_contiguous(start, stop, size):
    found = [row for part in split_range(start, stop, size) for row in range(*part)]
    assert found == list(range(start, stop))


@pytest.mark.parametrize(("angular", "fits_uint8"), [(True, False), (False, True)])
def test_the_truth_of_each_size_is_that_of_plain_loops_without_temporary_rows(tmp_path, angular, fits_uint8):
    drawing = _generator(angular, fits_uint8)
    workload = Workload(tmp_path, (40, 90), 5, angular, fits_uint8, recall=0.9, rounds=1)
    prepare(workload, drawing, 6, lambda line: None)
    again = Workload.load(str(tmp_path))
    assert again == workload
    x = workload.rows(0, 100).astype(np.float64)
    assert np.array_equal(workload.base, drawing.draw(0, 100))
    for number, rows in enumerate((range(40), [*range(40), *range(45, 95)])):
        truth = []
        for query, threshold in zip(workload.queries.astype(np.float64), again.thresholds[number], strict=True):
            apart = sorted((math.dist(query, x[row]), row) for row in rows)
            wanted = apart[9][0] ** 2 / 2 if angular else apart[9][0]
            assert threshold == pytest.approx(wanted, rel=1e-4, abs=1e-6)
            truth.append([row for _, row in apart[:10]])
        assert again.recall_of(number, np.array(truth)) == 1
        half = np.array(truth)
        half[:, 5:] = -1
        assert again.recall_of(number, half) == 0.5
