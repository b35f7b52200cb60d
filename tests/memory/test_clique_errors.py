"""Arguments that a clique memory refuses, without any change, and all forms of messages that it accepts."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.errors import InputError
from assocmem.memory.clique import CliqueMemory
from assocmem.memory.willshaw import WillshawMemory
from tests.strategies import cues, messages

DENSE, SPARSE = (4, 64, 4), (6, 20, 3)
STORED = {shape: messages(0, shape, 40) for shape in (DENSE, SPARSE)}
RULES = ["sum-of-max", "sum-of-sum", "gwsta"]


def memory_of(shape):
    memory = CliqueMemory(shape[0], shape[1], active=shape[2])
    memory.store(STORED[shape])
    return memory


def none(shape):
    return np.empty((0, shape[0]), int)


def refused(shape, call, message):
    """Check that a call is refused with this message and changes no bit."""
    memory = memory_of(shape)
    before = memory.bits.copy()
    with pytest.raises(InputError, match=message):
        call(memory)
    assert np.array_equal(memory.bits, before)


# Sizes


def whole_number(name, least, found):
    return rf"^{name}: expected a whole number of at least {least}, found {found}$"


@pytest.mark.parametrize(
    ("clusters", "units", "active", "message"),
    [
        (0, 64, None, whole_number("clusters", 2, 0)),
        (1, 64, None, whole_number("clusters", 2, 1)),
        (-4, 64, None, whole_number("clusters", 2, -4)),
        (4.0, 64, None, whole_number("clusters", 2, r"4\.0")),
        (True, 64, None, whole_number("clusters", 2, True)),
        ("4", 64, None, whole_number("clusters", 2, "'4'")),
        (None, 64, None, whole_number("clusters", 2, None)),
        (4, 0, None, whole_number("units", 1, 0)),
        (4, -1, None, whole_number("units", 1, -1)),
        (4, 64.5, None, whole_number("units", 1, r"64\.5")),
        (4, np.float64(64), None, whole_number("units", 1, r"np\.float64\(64\.0\)")),
        (4, True, None, whole_number("units", 1, True)),
        (4, np.True_, None, whole_number("units", 1, r"np\.True_")),
        (4, np.nan, None, whole_number("units", 1, "nan")),
        (4, [64], None, whole_number("units", 1, r"\[64\]")),
        (4, 64, 0, whole_number("active", 2, 0)),
        (4, 64, 1, whole_number("active", 2, 1)),
        (4, 64, -2, whole_number("active", 2, -2)),
        (4, 64, 3.0, whole_number("active", 2, r"3\.0")),
        (4, 64, True, whole_number("active", 2, True)),
        (4, 64, 5, r"^active: expected at most the 4 clusters there are, found 5$"),
        (
            2**15,
            2**16,
            12,
            r"^expected a memory that fits into this machine's .* GB, found 5\.76e\+08 GB \(clusters 32",
        ),
        (2**15, 2**17, None, r"^expected at most 2\*\*31 units in all, found 32768 x 131072; take fewer$"),
        (10**30, 10**30, 2, r"^expected at most 2\*\*31 units in all, found 10{30} x 10{30}; take fewer$"),
    ],
)
def test_impossible_sizes_are_refused(clusters, units, active, message):
    with pytest.raises(InputError, match=message):
        CliqueMemory(clusters, units, active=active)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64])
def test_sizes_may_be_integers_of_numpy(dtype):
    memory = CliqueMemory(dtype(6), dtype(100), active=dtype(3))
    assert memory.shape == {"clusters": 6, "units": 100, "active": 3}
    assert {type(value) for value in memory.shape.values()} == {int}
    assert len(memory.bits) == 600


# Messages and cues

METHODS = {
    "store": ("messages", lambda memory, bad: memory.store(bad)),
    "forget": ("messages", lambda memory, bad: memory.forget(bad, STORED[DENSE])),
    "forget, remaining": ("remaining", lambda memory, bad: memory.forget(STORED[DENSE][:9], bad)),
    "familiar": ("messages", lambda memory, bad: memory.familiar(bad)),
    "familiarity": ("messages", lambda memory, bad: memory.familiarity(bad)),
    "recall": ("cues", lambda memory, bad: memory.recall(bad)),
}


def symbols(found, row=0, cluster=0):
    return rf"expected symbols -1 to 63, found {found} in row {row}, cluster {cluster}$"


def shape_found(found):
    return rf"expected shape \(n, 4\), found {found}$"


def integers(dtype):
    return rf"expected integers, found dtype {dtype}$"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[0, 1, 2, 64]], symbols(64, cluster=3)),
        ([[0, 1, 2, 3], [0, -2, 2, 3]], symbols(-2, 1, 1)),
        ([[0, 1, 2, 3], [0, 1, 1000, -5]], symbols(1000, 1, 2)),
        (np.array([[0, 2**64 - 1, 2, 3]], np.uint64), symbols(18446744073709551615, cluster=1)),
        (np.array([[2**64 - 2, 1, 2, 3]], np.uint64), symbols(18446744073709551614)),
        (np.array([[2**63, 1, 2, 3]], np.uint64), symbols(9223372036854775808)),
        (np.array([[2**32, 1, 2, 3]]), symbols(4294967296)),
        (np.array([[-(2**63), 1, 2, 3]]), symbols(-9223372036854775808)),
        (np.array([[0, 1, 2, 127]], np.int8), symbols(127, cluster=3)),
        (np.array([[0, 1, 2, 255]], np.uint8), symbols(255, cluster=3)),
        ([0, 1, 2, 3], r"expected shape \(n, 4\), found \(4,\); one message is messages\[None\]$"),
        ([0, 1, 2], shape_found(r"\(3,\)")),
        (3, shape_found(r"\(\)")),
        ([[0, 1, 2]], shape_found(r"\(1, 3\)")),
        (np.zeros((4, 5), int), shape_found(r"\(4, 5\)")),
        (np.zeros((1, 4, 4), int), shape_found(r"\(1, 4, 4\)")),
        (np.zeros((0, 5), int), shape_found(r"\(0, 5\)")),
        ([[0.0, 1.0, 2.0, 3.0]], integers("float64")),
        ([[0, 1, 2, np.nan]], integers("float64")),
        (np.zeros((1, 4), np.float16), integers("float16")),
        ([[True, False, True, False]], integers("bool")),
        ([["0", "1", "2", "3"]], integers("<U1")),
        ([[0, 1, 2, None]], integers("object")),
        (np.array([[0, 1, 2, 3]], object), integers("object")),
        ([[0, 1, 2, 2**64]], integers("object")),
        (np.zeros((1, 4), complex), integers("complex128")),
        (np.zeros((1, 4), "M8[s]"), integers(r"datetime64\[s\]")),
        (None, integers("object")),
        ([[0, 1, 2, 3], [0, 1]], r"expected an array of integers, found .*inhomogeneous"),
    ],
)
def test_invalid_messages_are_refused_by_every_method(method, bad, message):
    name, call = METHODS[method]
    refused(DENSE, lambda memory: call(memory, bad), f"^{name}: {message}")


def used(name, active, found, row=0):
    return rf"^{name}: expected {active} symbols in each, found {found} in row {row}; a memory made with active=c"


LONE, TWO, FOUR = [5, -1, -1, -1, -1, -1], [5, 6, -1, -1, -1, -1], [5, 6, 7, 8, -1, -1]


@pytest.mark.parametrize(
    ("shape", "call", "message"),
    [
        (DENSE, lambda memory: memory.store([[0, 1, 2, 3], [0, 1, -1, 3]]), used("messages", 4, 3, 1)),
        (DENSE, lambda memory: memory.forget([[0, 1, -1, -1]], none(DENSE)), used("messages", 4, 2)),
        (DENSE, lambda memory: memory.forget(STORED[DENSE][:9], [[-1] * 4]), used("remaining", 4, 0)),
        (SPARSE, lambda memory: memory.store([TWO]), used("messages", 3, 2)),
        (SPARSE, lambda memory: memory.store([STORED[SPARSE][0], FOUR]), used("messages", 3, 4, 1)),
        (SPARSE, lambda memory: memory.store([[0, 1, 2, 3, 4, 5]]), used("messages", 3, 6)),
        (
            SPARSE,
            lambda memory: memory.store([[0, 1, 2, -2, -2, -2]]),
            r"^messages: expected symbols -1 to 19, found -2",
        ),
        (SPARSE, lambda memory: memory.forget([LONE], none(SPARSE)), used("messages", 3, 1)),
        (SPARSE, lambda memory: memory.forget(STORED[SPARSE][:9], [FOUR]), used("remaining", 3, 4)),
    ],
)
def test_stored_and_forgotten_messages_must_use_the_active_clusters(shape, call, message):
    refused(shape, call, message)


@pytest.mark.parametrize("shape", [DENSE, SPARSE])
@pytest.mark.parametrize("method", ["familiar", "familiarity"])
def test_a_message_without_symbols_has_no_familiarity(shape, method):
    asked = np.concatenate([STORED[shape][:2], np.full((1, shape[0]), -1)])
    message = r"^messages: expected at least one symbol in each, found none in message 2$"
    refused(shape, lambda memory: getattr(memory, method)(asked), message)


def marked(known, named, row=0):
    return (
        r"^cues: expected at most 3 symbols, and 3 clusters that are not marked -2 \(not used\), "
        rf"found {known} and {named} in row {row}; with guided=False no cluster need be marked$"
    )


@pytest.mark.parametrize(
    ("cue", "guided", "message"),
    [
        ([5, 6, -1, -1, -1, -1], True, marked(2, 6)),
        ([5, 6, -1, -1, -2, -2], True, marked(2, 4)),
        ([5, 6, -2, -2, -2, -2], True, marked(2, 2)),
        ([-2, -2, -2, -2, -2, -2], True, marked(0, 0)),
        ([-1, -1, -1, -1, -1, -1], True, marked(0, 6)),
        ([5, 6, 7, 8, -2, -2], True, marked(4, 4)),
        ([5, 6, 7, 8, -1, -1], False, marked(4, 6)),
        ([5, 6, -3, -1, -2, -2], True, r"^cues: expected symbols -2 to 19, found -3 in row 0, cluster 2$"),
        ([5, 6, -3, -1, -2, -2], False, r"^cues: expected symbols -2 to 19, found -3 in row 0, cluster 2$"),
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_invalid_cues_of_a_sparse_memory_are_refused(cue, guided, message, rule):
    refused(SPARSE, lambda memory: memory.recall([cue], guided=guided, rule=rule), message)


def test_the_first_invalid_cue_is_named():
    asked = np.concatenate([STORED[SPARSE][:3], [TWO]])
    refused(SPARSE, lambda memory: memory.recall(asked), marked(2, 6, row=3))


MANY = np.resize(STORED[DENSE], (5000, 4))


def threads_found(found):
    return rf"^threads: expected a whole number of at least 1, found {found}$"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda memory, cue: memory.recall(cue, rule="max"), r"^rule: expected one of sum-of-max, .*, found 'max'$"),
        (lambda memory, cue: memory.recall(cue, rule="GWsTA"), r"^rule: expected .*, gwsta, found 'GWsTA'$"),
        (lambda memory, cue: memory.recall(cue, rule=None), r"^rule: expected .*, sum-of-sum, .*, found None$"),
        (
            lambda memory, cue: memory.recall(cue, iterations=0),
            r"^iterations: expected a whole number of at least 1, found 0$",
        ),
        (
            lambda memory, cue: memory.recall(cue, iterations=-1),
            r"^iterations: expected a whole number of at least 1, found -1$",
        ),
        (lambda memory, cue: memory.recall(cue, threads=0), threads_found(0)),
        (lambda memory, cue: memory.recall(cue, threads=-2), threads_found(-2)),
        (lambda memory, cue: memory.recall(cue, threads=1.5), threads_found(r"1\.5")),
        (lambda memory, cue: memory.recall(cue[:0], threads=0), threads_found(0)),
        (lambda memory, cue: memory.store(cue, threads=0), threads_found(0)),
        (lambda memory, cue: memory.store(MANY, threads=-1), threads_found(-1)),
        (lambda memory, cue: memory.store(MANY, threads="2"), threads_found("'2'")),
        (lambda memory, cue: memory.forget(cue, cue, threads=0), threads_found(0)),
        (lambda memory, cue: memory.forget(MANY, MANY, threads=0), threads_found(0)),
    ],
)
def test_other_invalid_arguments_are_refused(call, message):
    refused(DENSE, lambda memory: call(memory, STORED[DENSE][:5]), message)


@pytest.mark.parametrize(
    ("shape", "other", "found"),
    [
        (DENSE, CliqueMemory(5, 64, active=4), r"<CliqueMemory\(clusters=5, units=64, active=4\), density 0\.0000>"),
        (DENSE, CliqueMemory(4, 65), r"<CliqueMemory\(clusters=4, units=65, active=4\)"),
        (DENSE, CliqueMemory(4, 64, active=3), r"<CliqueMemory\(clusters=4, units=64, active=3\)"),
        (SPARSE, CliqueMemory(6, 20), r"<CliqueMemory\(clusters=6, units=20, active=6\)"),
        (DENSE, WillshawMemory(256, 256), r"<WillshawMemory\(rows=256, columns=256\)"),
        (DENSE, np.full((256, 4), 7, np.uint64), r"array\("),
        (DENSE, None, "None"),
    ],
)
def test_only_a_memory_of_the_same_kind_and_shape_is_merged(shape, other, found):
    expected = f"^merge: expected a clique memory of .*'clusters': {shape[0]}.*, found {found}"
    refused(shape, lambda memory: memory.merge(other), expected)
    refused(shape, lambda memory: memory.__ior__(other), expected)


@pytest.mark.parametrize(
    ("name", "value"), [("iterations", 1.5), ("iterations", "3"), ("iterations", True), ("threads", True)]
)
def test_numbers_that_are_not_whole_are_refused(name, value):
    message = rf"^{name}: expected a whole number of at least 1, found {value!r}$"
    refused(DENSE, lambda memory: memory.recall(STORED[DENSE], **{name: value}), message)


@pytest.mark.parametrize("name", ["iterations", "threads"])
def test_numbers_may_be_integers_of_numpy(name):
    memory = memory_of(DENSE)
    answer = memory.recall(STORED[DENSE], **{name: np.int64(2)})
    assert np.array_equal(answer.messages, STORED[DENSE])


# Accepted forms


def everything(shape, stored, asked):
    """Return the bits and answers of a memory while it stores, recalls and forgets."""
    memory = memory_of(shape)
    memory.store(stored)
    out = [memory.bits.copy(), memory.familiar(stored), memory.familiarity(asked)]
    for rule in RULES:
        answer = memory.recall(asked, rule=rule, candidates=True)
        out += [answer.messages, answer.exact, answer.iterations, answer.candidates]
    memory.forget(stored[:5], stored[5:])
    return [*out, memory.bits]


def forms(array):
    """Yield the same numbers in other forms, each with a name."""
    dtypes = ["int8", "int16", "int32", ">i2", ">i4", ">i8"]
    dtypes += ["uint8", "uint16", ">u2", "uint32", ">u4", "uint64", ">u8"] if array.min() >= 0 else []
    yield from ((dtype, array.astype(dtype)) for dtype in dtypes)
    yield "fortran", np.asfortranarray(array)
    yield "every other column", np.repeat(array, 2, axis=1)[:, ::2]
    yield "backwards", array[::-1, ::-1].copy()[::-1, ::-1]
    yield "transposed and of another order", np.ascontiguousarray(array.T).T.astype(">i4", order="F")
    yield "lists", array.tolist()
    yield "tuples of numbers of numpy", tuple(map(tuple, array))
    locked = array.copy()
    locked.flags.writeable = False
    yield "read-only", locked


@pytest.mark.parametrize("shape", [DENSE, SPARSE])
def test_messages_of_any_integers_in_any_order_mean_the_same(shape):
    # Dense messages have no -1, so unsigned integers can hold them.
    stored = messages(1, shape, 30)
    asked = np.maximum(cues(2, shape, stored[:12], erased=0, wrong=1), -1)
    expected = everything(shape, stored, asked)
    assert expected[1].all()
    assert not np.array_equal(expected[0], expected[-1])
    for (name, one), (_, cue) in zip(forms(stored), forms(asked), strict=True):
        found = everything(shape, one, cue)
        assert all(map(np.array_equal, found, expected)), name


@pytest.mark.parametrize("shape", [DENSE, SPARSE])
def test_erased_cues_of_any_signed_integers_mean_the_same(shape):
    memory = memory_of(shape)
    asked = cues(2, shape, STORED[shape], erased=1)
    expected = memory.recall(asked)
    assert expected.exact.any()
    for name, cue in forms(asked):
        found = memory.recall(cue)
        assert np.array_equal(found.messages, expected.messages), name
        assert np.array_equal(found.exact, expected.exact), name


def test_arguments_are_never_changed():
    memory, stored = memory_of(SPARSE), STORED[SPARSE].astype(np.int32)
    asked = cues(2, SPARSE, stored, erased=1)
    copies = stored.copy(), asked.copy()
    answer = memory.recall(asked)
    memory.store(stored)
    memory.forget(stored[:3], stored[3:])
    assert np.array_equal(stored, copies[0])
    assert np.array_equal(asked, copies[1])
    assert not np.shares_memory(answer.messages, asked)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, ">i4"])
@pytest.mark.parametrize("shape", [DENSE, SPARSE])
def test_empty_batches_change_nothing_and_have_empty_answers(shape, dtype):
    memory, empty = memory_of(shape), np.empty((0, shape[0]), dtype)
    before = memory.bits.copy()
    memory.store(empty)
    memory.store(empty, threads=3)
    memory.forget(empty, empty)
    memory.forget(empty, STORED[shape])
    assert np.array_equal(memory.bits, before)
    familiar, familiarity = memory.familiar(empty), memory.familiarity(empty)
    assert (familiar.shape, familiar.dtype) == ((0,), bool)
    assert (familiarity.shape, familiarity.dtype) == ((0,), np.float64)
    for rule in RULES:
        for guided in (True, False):
            answer = memory.recall(empty, rule=rule, guided=guided, threads=3)
            assert (answer.messages.shape, answer.messages.dtype) == ((0, shape[0]), np.int32)
            assert (answer.exact.shape, answer.exact.dtype) == ((0,), bool)
            assert (answer.iterations.shape, answer.iterations.dtype) == ((0,), np.int32)
            assert answer.candidates is None


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shape", [DENSE, SPARSE])
def test_an_empty_batch_has_no_candidates(shape, rule):
    answer = memory_of(shape).recall(none(shape), rule=rule, candidates=True)
    assert (answer.candidates.shape, answer.candidates.dtype) == ((0, *shape[:2]), bool)


@pytest.mark.parametrize("shape", [DENSE, SPARSE])
def test_forgetting_everything_leaves_nothing(shape):
    memory = memory_of(shape)
    memory.forget(STORED[shape], none(shape))
    assert not memory.bits.any()
