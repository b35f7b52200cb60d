"""Datasets of the recall benchmark: ann-benchmarks' files with and without truth, bad files, folders of pictures."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import assocmem
from assocmem.bench.inputs import unit_rows
from assocmem.bench.recall import dataset
from assocmem.bench.recall.metrics import distances
from assocmem.errors import InputError
from assocmem.index.session import Session
from tests import media
from tests.bench.conftest import write_vectors

ANGULAR, EUCLIDEAN, HAMMING = "angular", "euclidean", "hamming"


def _write(path, distance, rows=150, queries=7, dim=12, **more):
    rng = np.random.default_rng(3)
    x = {name: rng.normal(size=(count, dim)) for name, count in (("train", rows), ("test", queries))}
    x = {name: values > 0 if distance == HAMMING else values.astype(np.float32) for name, values in x.items()}
    return write_vectors(path, distance, **x, **more)


def _naive_truth(base, queries, distance):
    found = []
    for query in queries.astype(float):
        if distance == HAMMING:
            apart = [float((row != query).sum()) for row in base.astype(float)]
        elif distance == ANGULAR:
            apart = [1 - row @ query / np.linalg.norm(row) / np.linalg.norm(query) for row in base.astype(float)]
        else:
            apart = [float(np.linalg.norm(row - query)) for row in base.astype(float)]
        found.append(sorted(apart)[:100])
    return np.array(found)


@pytest.mark.parametrize("distance", [ANGULAR, EUCLIDEAN, HAMMING])
def test_truth_is_that_of_a_plain_loop(tmp_path, distance):
    path = _write(tmp_path / "a.hdf5", distance)
    data = dataset.read(path)
    with h5py.File(path) as file:
        base, queries = file["train"][:], file["test"][:]
    assert data.truth == pytest.approx(_naive_truth(base, queries, distance), abs=1e-5)
    assert data.metric == distance
    again = distances(data.base, data.queries, data.neighbors, data.metric)
    assert np.array_equal(again, data.truth)


def test_a_subset_has_its_own_truth(tmp_path):
    path = _write(tmp_path / "a.hdf5", EUCLIDEAN)
    whole, half = dataset.read(path), dataset.read(path, items=120, queries=3)
    assert half.base.shape == (120, 12)
    assert half.truth.shape == (3, 100)
    assert half.neighbors.max() < 120
    same_queries = whole.truth[[0, 3, 6]]  # queries come from all parts of the file
    assert (half.truth >= same_queries - 1e-9).all()
    assert (half.truth > same_queries).any()


def test_truth_in_the_file_is_used_if_it_is_right(tmp_path):
    first = dataset.read(_write(tmp_path / "a.hdf5", ANGULAR))
    path, lines = dataset.write(tmp_path / "b.hdf5", first), []
    again = dataset.read(path, say=lines.append)
    assert lines == []
    assert again.truth == pytest.approx(first.truth, abs=1e-6)
    assert np.array_equal(again.neighbors, first.neighbors)
    with h5py.File(path, "a") as file:
        file["distances"][...] = file["distances"][:] * 2
    computed = dataset.read(path, say=lines.append)
    assert "the truth is computed again" in lines[0]
    assert np.array_equal(computed.truth, first.truth)


@pytest.mark.parametrize("distance", [EUCLIDEAN, HAMMING])
def test_what_is_written_is_read(tmp_path, distance):
    unseen = np.arange(7) % 2 == 0
    first = dataset.read(_write(tmp_path / "a.hdf5", distance, test_from_unseen_image=unseen))
    again = dataset.read(dataset.write(tmp_path / "b.hdf5", first))
    for name in ("base", "queries", "unseen"):
        assert np.array_equal(getattr(first, name), getattr(again, name)), name
    with h5py.File(tmp_path / "b.hdf5") as file:
        assert dict(file.attrs) == {
            "distance": distance,
            "dimension": 12,
            "type": "dense",
            "point_type": "bit" if distance == HAMMING else "float",
        }


def test_vectors_that_fit_uint8_are_recognised(tmp_path):
    path = tmp_path / "a.hdf5"
    write_vectors(path, EUCLIDEAN, train=np.full((30, 4), 255, np.uint8), test=np.zeros((2, 4), np.uint8))
    assert dataset.read(path).fits_uint8
    assert not dataset.read(_write(tmp_path / "b.hdf5", EUCLIDEAN)).fits_uint8


def test_other_files_are_refused(tmp_path):
    def refused(match, path):
        with pytest.raises(InputError, match=match):
            dataset.read(path)

    (tmp_path / "text").write_text("no")
    refused("expected an HDF5 file", tmp_path / "text")
    refused("expected the distance to be one of euclidean, angular, hamming, found 'jaccard'",
            _write(tmp_path / "j", "jaccard"))  # fmt: skip
    with h5py.File(tmp_path / "empty", "w") as file:
        file["other"] = [1]
    refused(r"expected vectors 'train' and 'test', found \['other'\]", tmp_path / "empty")
    for name, found, match in (
        ("test", np.zeros((2, 5), np.float32), "expected queries of 12 numbers, found 5"),
        ("test", np.zeros(5, np.float32), r"expected vectors \(n, dim\), found shape \(5,\)"),
        ("train", np.full((30, 12), np.nan, np.float32), "expected finite numbers"),
        ("train", np.zeros((9, 12), np.float32), "expected at least 10 vectors, found 9"),
    ):
        path = _write(tmp_path / "bad", EUCLIDEAN)
        with h5py.File(path, "a") as file:
            del file[name]
            file[name] = found
        refused(match, path)
    path = _write(tmp_path / "bits", HAMMING)
    with h5py.File(path, "a") as file:
        del file["test"]
        file["test"] = np.full((2, 12), 3)
    refused("expected zeros and ones", path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(24):
        (folder / f"{seed}.png").write_bytes(media.encoded(media.photo(seed, 60, 80), "PNG"))
    return folder


def test_pictures_are_described_as_in_a_collection_and_some_are_held_out(pictures, tmp_path):
    data = dataset.from_pictures(pictures, tmp_path, None, None, lambda line: None)
    assert (len(data.base), len(data.queries), data.metric) == (22, 2, ANGULAR)
    with assocmem.open(tmp_path / "again.amem") as photos:
        photos.add([pictures])
    session = Session(tmp_path / "again.amem")
    ((segment, rows),) = session.snapshot().living()
    features = unit_rows(segment.features[rows].astype(np.float32))
    session.close()
    together = np.concatenate([data.base, data.queries])
    assert np.array_equal(np.unique(together, axis=0), np.unique(features, axis=0))
    assert dataset.from_pictures(pictures, tmp_path / "b", 15, 1, lambda line: None).base.shape[0] == 15


def test_too_few_pictures_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(media.encoded(media.photo(0, 60, 80), "PNG"))
    with pytest.raises(InputError, match="expected at least 20 pictures, found 1"):
        dataset.from_pictures(tmp_path, tmp_path / "scratch", None, None, lambda line: None)
