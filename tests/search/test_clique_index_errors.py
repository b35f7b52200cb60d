"""Invalid arguments of an index: each raises a named error and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem._numerics.validation import check_vectors
from assocmem.errors import (
    DtypeError,
    DuplicateIdError,
    EmptyIndexError,
    IdError,
    InputError,
    NotFiniteError,
    ShapeError,
    UnknownIdError,
    ZeroVectorError,
)
from assocmem.search.clique_index import CliqueIndex
from tests.search.index_helpers import DIM, saved

GOOD = np.random.default_rng(0).standard_normal((6, DIM)).astype(np.float32)


def index_of(metric="cosine", features="float16", n=5):
    index = CliqueIndex(DIM, metric, features=features)
    index.add(np.abs(np.round(GOOD[:n] * 10)) + 1 if features == "uint8" else GOOD[:n], ids=[10, 3, 7, 0, 8][:n])
    return index


def changed(at, value, x=GOOD):
    x = x.copy()
    x[at] = value
    return x


def masked():
    return np.ma.masked_array(GOOD, mask=GOOD > 1)


BAD_VECTORS = {
    "NaN": (changed((2, 3), np.nan), NotFiniteError, "found NaN or infinity in row 2; leave it out"),
    "infinity": (changed((4, 0), np.inf), NotFiniteError, "found NaN or infinity in row 4"),
    "minus infinity": (changed((0, 0), -np.inf), NotFiniteError, "found NaN or infinity in row 0"),
    "too long": (np.zeros((6, DIM + 1), np.float32), ShapeError, r"expected shape \(n, 24\), found \(6, 25\)"),
    "too short": (np.zeros(DIM - 1, np.float32), ShapeError, r"expected shape \(n, 24\), found \(23,\)"),
    "three axes": (GOOD[None], ShapeError, r"found \(1, 6, 24\)"),
    "no axis": (np.array(1, np.float32), ShapeError, r"found \(\)"),
    "complex": (GOOD.astype(np.complex64), DtypeError, "found dtype complex64"),
    "far from 0": (
        GOOD.astype(np.float64) + 1e9,
        DtypeError,
        "differences float32 can represent, found values that differ",
    ),
    "words": ([["a"] * DIM], DtypeError, "expected real numbers, best in a numpy array of float32, found list"),
    "nothing": (None, DtypeError, "found NoneType"),
    "masked": (masked(), DtypeError, "expected a plain array, found a masked one"),
}
ASK = {
    "search": lambda index, x: index.search(x, 2),
    "range_search": lambda index, x: index.range_search(x, 0.5),
    "stages": lambda index, x: index.stages(x),
    "tune": lambda index, x: index.tune(x),
}
GIVE = {
    "add": lambda index, x: index.add(x),
    "replace": lambda index, x: index.add(x, ids=[10, 3, 7, 0, 8, 9], on_conflict="replace"),
    "update": lambda index, x: index.update([10, 3, 7, 0, 8, 9][: np.shape(x)[0] if np.ndim(x) == 2 else 1], x),
}


@pytest.mark.parametrize("call", [*ASK, *GIVE])
@pytest.mark.parametrize("name", BAD_VECTORS)
def test_invalid_vectors_raise_and_change_nothing(name, call):
    index = index_of()
    before = saved(index)
    x, error, message = BAD_VECTORS[name]
    with pytest.raises(error, match=message):
        (ASK | GIVE)[call](index, x)
    assert saved(index) == before


@pytest.mark.parametrize("call", [*ASK, *GIVE])
def test_zero_vectors_are_refused_for_cosine_only(call):
    index = index_of()
    before = saved(index)
    with pytest.raises(ZeroVectorError, match="expected vectors with a direction, found zeros in row 3; leave it out"):
        (ASK | GIVE)[call](index, changed(3, 0))
    assert saved(index) == before
    other = index_of("l2", n=5)
    other.add(np.zeros((1, DIM), np.float32))
    found, ids = other.search(np.zeros((1, DIM), np.float32), 1)
    assert (found.tolist(), ids.tolist()) == ([[0.0]], [[11]])


@pytest.mark.parametrize(
    ("features", "x", "message"),
    [
        ("float16", changed((1, 1), 65_520), r"expected values up to 65504, found 65520 in row 1; scale them, or keep"),
        ("float16", changed((1, 1), -1e9), r"expected values up to 65504, found 1e\+09"),
        ("uint8", GOOD, "expected whole numbers from 0 to 255, found others; keep float16"),
        ("uint8", np.full((6, DIM), 0.5, np.float32), "expected whole numbers from 0 to 255"),
        ("uint8", np.full((6, DIM), 256, np.float32), "expected whole numbers from 0 to 255"),
        ("uint8", np.full((6, DIM), -1, np.float32), "expected whole numbers from 0 to 255"),
    ],
)
@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("call", ["add", "replace"])
def test_vectors_that_cannot_be_stored_are_refused(features, x, message, metric, call):
    index = index_of(metric, features)
    before = saved(index)
    with pytest.raises(InputError, match=message):
        GIVE[call](index, x)
    assert saved(index) == before
    index.search(np.abs(x), 2)  # but they are valid queries


@pytest.mark.parametrize("features", ["float16", "float32"])
@pytest.mark.parametrize("call", ["add", "search"])
@pytest.mark.parametrize("size", [1e-30, 1e-42, 1e25, 3e38])
def test_vectors_of_any_length_have_a_right_answer_or_a_named_error(features, call, size):
    """Cosine, with lengths so small or large that float32 cannot represent their squares."""
    index = index_of(features=features)
    x = (GOOD / np.abs(GOOD).max() * size).astype(np.float32)
    try:
        if call == "add":
            index.add(x)
            found, _ = index.search(GOOD, 1, effort=1.0)
        else:
            found, _ = index.search(x[:5], 1, effort=1.0)
    except InputError as error:
        assert "expected" in str(error)  # noqa: PT017
    else:
        np.testing.assert_allclose(found, 1, atol=1e-2)


@pytest.mark.parametrize("effort", [0.05, 1.0])
@pytest.mark.parametrize("size", [1e-30, 1e12, 1e18, 1e25, 3e38])
def test_distances_of_any_size_are_right_or_a_named_error(size, effort):
    index = CliqueIndex(DIM, "l2", features="float32")
    x = np.random.default_rng(1).standard_normal((1500, DIM)).astype(np.float32)
    x /= np.abs(x).max()
    try:
        index.add(x * np.float32(size))
        found, ids = index.search(x[:3] * np.float32(size), 2, effort=effort)
    except InputError as error:
        assert "expected" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(found).all()
        assert ids.min() >= 0


BAD_IDS = {
    "below 0": ([1, -1, 2], IdError, r"expected 0 to 2\*\*63 - 1, found -1 to 2; -1 stands for no item"),
    "too great": (np.array([1, 2**63, 2], np.uint64), IdError, r"found 1 to 9223372036854775808"),
    "much too great": ([1, 2**70, 2], IdError, "expected whole numbers in one row, found dtype object"),
    "twice": ([5, 4, 5], DuplicateIdError, "expected each once, found 5 2 times"),
    "floats": ([1.0, 2.0, 4.0], IdError, "found dtype float64"),
    "texts": (["1", "2", "4"], IdError, "expected whole numbers in one row"),
    "nothing": ([None, 2, 3], IdError, "found dtype object"),
    "two rows": ([[1, 2, 4]], IdError, r"shape \(1, 3\)"),
    "ragged": ([[1], [2, 4], 3], IdError, "expected whole numbers in one row"),
}


@pytest.mark.parametrize("call", ["add", "skip", "update", "remove", "reconstruct"])
@pytest.mark.parametrize("name", BAD_IDS)
def test_invalid_ids_raise_and_change_nothing(name, call):
    index = index_of()
    before = saved(index)
    ids, error, message = BAD_IDS[name]
    calls = {
        "add": lambda: index.add(GOOD[:3], ids=ids),
        "skip": lambda: index.add(GOOD[:3], ids=ids, on_conflict="skip"),
        "update": lambda: index.update(ids, GOOD[:3]),
        "remove": lambda: index.remove(ids),
        "reconstruct": lambda: index.reconstruct(ids),
    }
    with pytest.raises(error, match=message):
        calls[call]()
    assert saved(index) == before


@pytest.mark.parametrize("ids", [[1, 2], [1, 2, 4, 5], 1, []])
@pytest.mark.parametrize("call", ["add", "update"])
def test_every_vector_needs_an_id(ids, call):
    index = index_of()
    before = saved(index)
    with pytest.raises(IdError, match="ids: expected one for each of 3 vectors, found"):
        index.add(GOOD[:3], ids=ids) if call == "add" else index.update(ids, GOOD[:3])
    assert saved(index) == before


@pytest.mark.parametrize("unknown", [[10, 99], [1], 2**63 - 1])
@pytest.mark.parametrize("explicit", [True, False])
def test_unknown_ids_are_refused(unknown, explicit):
    index = index_of() if explicit else CliqueIndex(DIM)
    if not explicit:
        index.add(np.repeat(GOOD, 2, axis=0))
        index.remove([1])
    before = saved(index)
    for call in (index.remove, index.reconstruct, lambda ids: index.update(ids, GOOD[: np.size(ids)])):
        with pytest.raises(
            UnknownIdError, match=r"^ids: expected ids of the index, found \d+, which it does not hold$"
        ):
            call(unknown)
    with pytest.raises(KeyError):
        index.remove(unknown)
    assert saved(index) == before


def test_a_removed_id_is_unknown():
    index = index_of()
    index.remove(3)
    for call in (index.remove, index.reconstruct):
        with pytest.raises(UnknownIdError, match="found 3"):
            call([3])
    assert 3 not in index
    assert 3 not in index.search(GOOD, 5)[1]


def test_there_is_no_automatic_id_after_the_greatest():
    index = index_of()
    index.add(GOOD[:1], ids=[2**63 - 2])
    assert index.add(GOOD[1:2]).tolist() == [2**63 - 1]
    before = saved(index)
    with pytest.raises(IdError, match="give ids"):
        index.add(GOOD[:1])
    assert index.add(GOOD[:0]).tolist() == []
    assert saved(index) == before
    assert index.add(GOOD[2:3], ids=[77]).tolist() == [77]


@pytest.mark.parametrize("call", ASK)
def test_an_empty_index_cannot_be_searched(call):
    index = CliqueIndex(DIM)
    for _ in range(2):
        with pytest.raises(EmptyIndexError, match="expected an index with items, found an empty one; add some first"):
            ASK[call](index, GOOD)
        index.add(GOOD)
        index.remove(index.ids())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda index: index.search(GOOD, 0), "k: expected a whole number of at least 1, found 0"),
        (lambda index: index.search(GOOD, -3), "k: expected a whole number of at least 1, found -3"),
        (lambda index: index.search(GOOD, 2.0), r"k: expected a whole number of at least 1, found 2\.0"),
        (lambda index: index.search(GOOD, None), "k: expected a whole number"),
        (lambda index: index.stages(GOOD, 0), "k: expected a whole number of at least 1, found 0"),
        (lambda index: index.search(GOOD, effort=0), "effort: expected a number above 0 and at most 1, found 0"),
        (lambda index: index.search(GOOD, effort=2), "effort: expected a number above 0 and at most 1, found 2"),
        (lambda index: index.search(GOOD, effort=-0.5), r"found -0\.5; 1 is exact"),
        (lambda index: index.search(GOOD, effort=float("nan")), "effort: expected .* found nan"),
        (lambda index: index.search(GOOD, effort="much"), "effort: expected .* found 'much'"),
        (lambda index: index.range_search(GOOD, 0.5, effort=0), "effort: expected"),
        (lambda index: index.range_search(GOOD, float("nan")), "radius: expected a number, found nan"),
        (lambda index: index.range_search(GOOD, None), "radius: expected a number, found None"),
        (lambda index: index.search(GOOD, threads=0), "threads: expected a whole number of at least 1, found 0"),
        (lambda index: index.tune(GOOD, recall=0), "recall: expected a number above 0 and at most 1, found 0"),
        (lambda index: index.tune(GOOD, recall=1.5), r"recall: expected a number above 0 and at most 1, found 1\.5"),
        (lambda index: index.tune(GOOD, k=0), "k: expected a whole number of at least 1, found 0"),
        (lambda index: index.tune(GOOD[:0]), "queries: expected one or more to tune by, found none"),
        (
            lambda index: index.add(GOOD, on_conflict="merge"),
            "on_conflict: expected refuse, replace or skip, found 'mer",
        ),
    ],
)
def test_invalid_arguments_raise_and_change_nothing(call, message):
    index = index_of()
    before = saved(index)
    with pytest.raises(InputError, match=message):
        call(index)
    assert saved(index) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "dim: expected a whole number of at least 1, found 0"),
        ({"dim": 24.0}, r"dim: expected a whole number of at least 1, found 24\.0"),
        ({"metric": "dot"}, "metric: expected cosine, l2 or ip, found 'dot'"),
        ({"metric": None}, "metric: expected cosine, l2 or ip, found None"),
        ({"features": "int8"}, "features: expected one of float16, float32, uint8, found 'int8'"),
        ({"features": np.float32}, "features: expected one of"),
        ({"clusters": 12}, "clusters: expected a multiple of 8 from 8 to 32, found 12"),
        ({"clusters": 0}, "clusters: expected a whole number of at least 8, found 0"),
        ({"clusters": 64}, "clusters: expected a multiple of 8 from 8 to 32, found 64"),
        ({"clusters": "16"}, "clusters: expected a whole number of at least 8, found '16'"),
        ({"clusters": 16.0}, r"clusters: expected a whole number of at least 8, found 16\.0"),
        ({"dim": 100, "clusters": 40}, "clusters: expected a power of two"),
        ({"mean": np.zeros(23)}, r"mean: expected shape \(n, 24\), found \(23,\)"),
        ({"mean": np.full(24, np.inf)}, "mean: expected finite numbers"),
        ({"mean": ["a"] * 24}, "mean: expected numbers"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, found -1"),
        ({"seed": "x"}, "seed: expected a whole number of at least 0, found 'x'"),
    ],
)
def test_invalid_settings_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        CliqueIndex(**{"dim": DIM, **arguments})


def merged(one, two):
    one |= two


@pytest.mark.parametrize(
    "arguments",
    [{"dim": 25}, {"metric": "l2"}, {"features": "float32"}, {"clusters": 8}, {"seed": 1}],
)
def test_indexes_with_other_settings_do_not_merge(arguments):
    index, other = index_of(), CliqueIndex(**{"dim": DIM, **arguments})
    before = saved(index), saved(other)
    with pytest.raises(InputError, match=r"merge: expected an index .*, found .*"):
        merged(index, other)
    assert (saved(index), saved(other)) == before


def test_common_ids_are_refused_in_a_merge():
    index, other = index_of(), CliqueIndex(DIM)
    other.add(GOOD[:3], ids=[3, 99, 0])
    before = saved(index), saved(other)
    with pytest.raises(DuplicateIdError, match=r"merge: expected no id in both, found \d \(2 such\); remove them"):
        merged(index, other)
    with pytest.raises(DuplicateIdError, match="merge: expected another index, found this one"):
        merged(index, index)
    with pytest.raises(InputError, match=r"merge: expected an index of .*, found list"):
        merged(index, [1])
    assert (saved(index), saved(other)) == before


@pytest.mark.parametrize(
    "form",
    [
        np.ndarray.tolist,
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.float16),
        lambda x: x.astype(np.int64),
        lambda x: x.astype(np.uint8),
        lambda x: x.astype(">f4"),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1][::-1],
    ],
)
def test_numbers_of_other_types_and_layouts_are_converted(form):
    x = np.round(np.abs(GOOD) * 20)
    index, other = CliqueIndex(DIM, "l2"), CliqueIndex(DIM, "l2")
    index.add(x)
    other.add(form(x))
    for one, two in zip(index.search(x, 3), other.search(form(x), 3), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_contiguous_array_of_float32_is_not_copied():
    x = GOOD.copy()
    assert check_vectors(x, DIM, "x", nonzero=False) is x


def test_float64_is_rounded_as_long_as_vectors_can_be_told_apart():
    x = np.random.default_rng(0).standard_normal((50, DIM)) + 1e3
    index = CliqueIndex(DIM, "l2", features="float32")
    index.add(x)
    assert index.search(x, 1)[1][:, 0].tolist() == list(range(50))


def test_rows_of_unequal_lengths_are_refused():
    index = index_of()
    for call in (index.add, index.search, index.tune):
        with pytest.raises(ShapeError, match="expected rows of one length"):
            call([[1.0], [1.0, 2.0]])
