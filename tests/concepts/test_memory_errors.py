"""Invalid arguments of a concept memory: each raises its own error and leaves the memory as it was."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem._numerics.validation import LONGEST_NAME, check_name
from assocmem.concepts.memory import ConceptMemory
from assocmem.errors import (
    DtypeError,
    DuplicateIdError,
    EmptyIndexError,
    IdError,
    InputError,
    MismatchError,
    NotFiniteError,
    ShapeError,
    UnknownIdError,
    ZeroVectorError,
)
from tests.concepts.sample_memories import (
    DIM,
    READERS,
    answers,
    clusters,
    content,
    few_frequencies,
    memory_of,
    vectors,
)

GOOD = vectors(0, 6)


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with few_frequencies():
        yield


def some(metric="cosine", code_bytes=None, **settings):
    memory = memory_of((metric, code_bytes), clusters(1), **settings)
    memory.deny(GOOD[:1], "ant", [5000])
    return memory


def assert_refused(memory, error, message, call):
    """The call raises, and the memory has the same content and gives the same answers as before."""
    before = content(memory), answers(memory, GOOD)
    with pytest.raises(error, match=message):
        call()
    assert (content(memory), answers(memory, GOOD)) == before


def changed(at, value):
    x = GOOD.copy()
    x[at] = value
    return x


BAD_VECTORS = {
    "NaN": (changed((2, 3), np.nan), NotFiniteError, "found NaN or infinity in row 2; leave it out"),
    "infinity": (changed((4, 0), np.inf), NotFiniteError, "found NaN or infinity in row 4"),
    "too great": (changed((4, 0), 1e16), InputError, r"expected values up to 1e\+15, found 1e\+16 in row 4; scale"),
    "too long": (np.zeros((6, DIM + 1), np.float32), ShapeError, r"x: expected shape \(n, 12\), found \(6, 13\)"),
    "three axes": (GOOD[None], ShapeError, r"found \(1, 6, 12\)"),
    "a number": (np.float32(3) * np.ones((), np.float32), ShapeError, r"found \(\)"),
    "far from 0": (
        GOOD.astype(np.float64) + 1e9,
        DtypeError,
        "differences float32 can represent, found values that differ",
    ),
    "words": ([["a"] * DIM], DtypeError, "expected real numbers, best in a numpy array of float32, found list"),
    "rows of unequal lengths": ([[1.0], [1.0, 2.0]], ShapeError, "expected rows of one length"),
    "nothing": (None, DtypeError, "found NoneType"),
    "masked": (np.ma.masked_array(GOOD, mask=GOOD > 1), DtypeError, "expected a plain array, found a masked one"),
}
CALLS = {
    "teach": lambda memory, x: memory.teach(x, "bee"),
    "deny": lambda memory, x: memory.deny(x, "bee"),
    "nearest": lambda memory, x: memory.nearest(x),
    "scores": lambda memory, x: memory.scores(x),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", BAD_VECTORS)
def test_an_invalid_vector_is_refused(name, call):
    memory, (x, error, message) = some(), BAD_VECTORS[name]
    assert_refused(memory, error, message, lambda: CALLS[call](memory, x))


@pytest.mark.parametrize("call", CALLS)
def test_a_zero_vector_is_refused_for_cosine_only(call):
    memory, x = some(), changed(3, 0)
    assert_refused(memory, ZeroVectorError, "found zeros in row 3; leave it out", lambda: CALLS[call](memory, x))
    CALLS[call](some("l2"), x)


@pytest.mark.parametrize("value", [65_520, -1e9, 1e15])
@pytest.mark.parametrize("call", CALLS)
def test_values_beyond_float16_are_as_good_as_others(call, value):
    for memory in (some("l2"), some("l2", 64), some()):
        CALLS[call](memory, changed((1, 1), value))
        assert np.isfinite(memory.scores(GOOD)).all()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("code_bytes", [None, 8])
@pytest.mark.parametrize("size", [1e-14, 1e-4, 1e4, 1e14])
def test_vectors_of_any_length_give_finite_answers(size, code_bytes, reader):
    x = (GOOD * size).astype(np.float32)
    for metric in ("cosine", "l2"):
        if metric == "l2" and code_bytes is None and size > 1e4:
            continue  # too great for float16
        memory = memory_of((metric, code_bytes), (x, list("aabbcc")))
        assert np.isfinite(memory.scores(x, reader=reader)).all()
        assert memory.nearest(x, 3, reader=reader).probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


BAD_NAMES = {
    "empty": ("", r"concept: expected a name with a letter or a digit in it, found ''"),
    "white space": (" \t\n ", "expected a name with a letter or a digit"),
    "punctuation": ("...", "expected a name with a letter or a digit in it, found '...'"),
    "only joiners": ("\u200c\u200d", "expected a name with a letter"),
    "a null": ("an\x00t", r"expected a name without control characters, found 'an\\x00t'"),
    "an escape": ("\x1b[31mant", "expected a name without control characters"),
    "right to left": ("ant\u202e", "expected a name without control characters"),
    "half a pair": ("ant\ud800", "expected text, found .* which is no UTF-8"),
    "too long": ("a" * (LONGEST_NAME + 1), "expected a name of at most 200 characters, found 201"),
}


@pytest.mark.parametrize("call", ["teach", "deny", "rename"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_an_invalid_name_is_refused(name, call):
    memory, (bad, message) = some(), BAD_NAMES[name]
    calls = {
        "teach": lambda: memory.teach(GOOD, ["ant", "bee", "ant", "ant", "ant", bad]),
        "deny": lambda: memory.deny(GOOD, ["ant", "bee", "ant", "ant", "ant", bad]),
        "rename": lambda: memory.rename("ant", bad),
    }
    assert_refused(memory, InputError, message, calls[call])


@pytest.mark.parametrize("name", ["a" * LONGEST_NAME, "7", "☕", "猫", "नमस्ते", "O'Hara-Smith, jr.", "a/b\\c"])
def test_names_in_any_script_are_valid(name):
    assert check_name(name) == name
    memory = memory_of(("cosine", None), (GOOD, name))
    assert memory.concepts == (name,)


@pytest.mark.parametrize("call", ["teach", "deny"])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ant"] * 5, "concepts: expected a name for each of 6 vectors, found 5"),
        (["ant"] * 7, "expected a name for each of 6 vectors, found 7"),
        ([], "found 0"),
        (["ant"] * 5 + [7], "expected a name, or one for each vector, found int"),
        ([["ant"]] * 6, "found list"),
        (None, "found NoneType"),
        (5, "found int"),
        (b"ant", "found int"),
    ],
)
def test_another_number_of_names_than_vectors_is_refused(call, names, message):
    memory = some()
    assert_refused(memory, InputError, message, lambda: getattr(memory, call)(GOOD, names))


BAD_IDS = {
    "below 0": ([1, -1, 2], IdError, r"expected 0 to 2\*\*63 - 1, found -1 to 2"),
    "too great": (np.array([1, 2**63, 2], np.uint64), IdError, "found 1 to 9223372036854775808"),
    "twice": ([5, 4, 5], DuplicateIdError, "expected each once, found 5 2 times"),
    "floats": ([1.0, 2.0, 4.0], IdError, "found dtype float64"),
    "texts": (["1", "2", "4"], IdError, "expected whole numbers in one row"),
    "ragged": ([[1], [2, 4], 3], IdError, "expected whole numbers in one row"),
}


@pytest.mark.parametrize("call", ["teach", "deny", "unteach"])
@pytest.mark.parametrize("name", BAD_IDS)
def test_invalid_ids_are_refused(name, call):
    memory, (ids, error, message) = some(), BAD_IDS[name]
    calls = {
        "teach": lambda: memory.teach(GOOD[:3], "bee", ids),
        "deny": lambda: memory.deny(GOOD[:3], "bee", ids),
        "unteach": lambda: memory.unteach(ids),
    }
    assert_refused(memory, error, message, calls[call])


@pytest.mark.parametrize("ids", [[1, 2], [1, 2, 4, 5], 1, []])
@pytest.mark.parametrize("call", ["teach", "deny"])
def test_another_number_of_ids_than_vectors_is_refused(ids, call):
    memory = some()
    message = "ids: expected one for each of 3 vectors, found"
    assert_refused(memory, IdError, message, lambda: getattr(memory, call)(GOOD[:3], "bee", ids))


def test_unknown_ids_are_refused():
    memory = some()
    known = clusters(1)[2][:2].tolist()
    message = "ids: expected ids of examples, found 7777; nothing was taken out"
    assert_refused(memory, UnknownIdError, message, lambda: memory.unteach([*known, 7777]))
    assert_refused(memory, UnknownIdError, "id: expected that of an example, found 7777", lambda: memory.concept(7777))


@pytest.mark.parametrize("name", ["yak", "", "ANT", None])
def test_unknown_concepts_are_refused(name):
    memory = some()
    message = "concept: expected one of 3 that were taught, found"
    assert_refused(memory, InputError, message, lambda: memory.forget(name))
    assert_refused(memory, InputError, message, lambda: memory.rename(name, "ant"))


def test_a_concept_with_denials_only_cannot_be_forgotten():
    memory = some()
    memory.deny(GOOD[1], "yak")
    assert_refused(memory, InputError, "found 'yak'", lambda: memory.forget("yak"))


@pytest.mark.parametrize("call", ["teach", "deny"])
@pytest.mark.parametrize("when", ["now", 1.5, True, 2**62 + 1, -(2**63), np.float64(3)])
def test_an_invalid_time_is_refused(when, call):
    memory = some()
    message = r"when: expected a whole number from -2\*\*62 to 2\*\*62, found"
    assert_refused(memory, InputError, message, lambda: getattr(memory, call)(GOOD, "bee", when=when))


def test_there_is_a_later_time_than_the_greatest_that_can_be_given(tmp_path):
    memory = some()
    memory.teach(GOOD[0], "bee", [1], when=2**62)
    memory.teach(GOOD[0], "ant", [1])
    assert memory.concept(1) == "ant"
    memory.save(tmp_path / "memory.h5")


@pytest.mark.parametrize("k", [0, -1, 2.0, "2", None, True])
def test_an_invalid_k_is_refused(k):
    memory = some()
    assert_refused(memory, InputError, "k: expected a whole number of at least 1", lambda: memory.nearest(GOOD, k))


def test_an_unknown_reader_is_refused():
    memory = some()
    for call in (memory.nearest, memory.scores):
        message = "reader: expected 'ridge' or 'counts', found 'tea leaves'"
        assert_refused(memory, InputError, message, lambda call=call: call(GOOD, reader="tea leaves"))


@pytest.mark.parametrize("denied", [False, True])
def test_scores_of_an_empty_memory_are_an_error(denied):
    memory = ConceptMemory(DIM)
    if denied:
        memory.deny(GOOD, "ant")
    for reader in (None, *READERS):
        message = "concepts: expected at least one that was taught, found none; teach one first"
        assert_refused(memory, EmptyIndexError, message, lambda reader=reader: memory.scores(GOOD, reader=reader))
        assert_refused(memory, EmptyIndexError, message, lambda reader=reader: memory.reader(reader))


MEAN = np.full(DIM, 0.1)


@pytest.mark.parametrize(
    "other",
    [
        lambda: ConceptMemory(DIM + 1),
        lambda: ConceptMemory(DIM, "l2"),
        lambda: ConceptMemory(DIM, code_bytes=8),
        lambda: ConceptMemory(DIM, seed=1),
        lambda: ConceptMemory(DIM, mean=MEAN),
        lambda: ConceptMemory(DIM, mean=np.zeros(DIM)),
    ],
)
def test_a_memory_with_other_settings_is_a_mismatch(other):
    memory = some()

    def merge():
        one = memory
        one |= other()

    assert_refused(memory, MismatchError, "expected a concept memory made with .*'dim': 12.* found .*'dim': 1", merge)


def test_the_error_about_different_means_is_short():
    one = ConceptMemory(500, mean=np.full(500, 0.1))
    with pytest.raises(MismatchError) as caught:
        one |= ConceptMemory(500, mean=np.full(500, 0.2))
    assert len(str(caught.value)) < 400
    one |= ConceptMemory(500, mean=np.full(500, 0.1))


def test_only_memories_can_be_merged():
    memory = some()

    def merge():
        one = memory
        one |= {"ant": GOOD}

    assert_refused(memory, TypeError, "unsupported operand", merge)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"dim": 0}, InputError, "dim: expected a whole number of at least 1, found 0"),
        ({"dim": 2.5}, InputError, "dim: expected a whole number"),
        ({"metric": "dot"}, InputError, "metric: expected 'cosine' or 'l2', found 'dot'"),
        ({"code_bytes": 0}, InputError, "code_bytes: expected a whole number of at least 1, found 0"),
        ({"code_bytes": 513}, InputError, "code_bytes: expected 1 to 512, found 513"),
        ({"code_bytes": 8.0}, InputError, "code_bytes: expected a whole number of at least 1, found 8.0"),
        ({"code_bytes": True}, InputError, "code_bytes: expected a whole number"),
        ({"seed": -1}, InputError, "seed: expected a whole number of at least 0, found -1"),
        ({"seed": "luck"}, InputError, "seed: expected a whole number"),
        ({"mean": np.zeros(DIM + 1)}, ShapeError, r"mean: expected shape \(n, 12\), found \(13,\)"),
        ({"mean": np.zeros((2, DIM))}, ShapeError, r"mean: expected one vector, found shape \(2, 12\)"),
        ({"mean": np.full(DIM, np.nan)}, NotFiniteError, "mean: expected finite numbers"),
        ({"mean": "zero"}, InputError, "mean: expected numbers, found"),
    ],
)
def test_invalid_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        ConceptMemory(**{"dim": DIM, **settings})
