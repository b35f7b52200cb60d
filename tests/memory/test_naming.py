"""NamingMemory against a plain oracle; laws of rows; the share of copies that is named, as predicted."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.hash_codes import ALPHABET
from assocmem.errors import DamagedError, InputError
from assocmem.memory.naming import (
    LEAST_VOTES,
    MOST,
    NAMED,
    SLOTS,
    NamingMemory,
    precedence,
    row_of,
    rows_for,
    table_pairs,
)

CLUSTERS = 16


def draw(count, seed=0, symbols=ALPHABET):
    return np.random.default_rng(seed).integers(0, symbols, (count, CLUSTERS)).astype(np.uint16)


def altered(messages, kept, seed=1):
    rng = np.random.default_rng(seed)
    keep = rng.random(messages.shape).argsort(axis=1) < kept
    return np.where(keep, messages, rng.integers(0, ALPHABET, messages.shape)).astype(np.uint16)


def naive_rows(messages, numbers, rows, tables):
    """Which numbers each row holds: those of least precedence of all that were put into it."""
    held = {}
    for message, number in zip(messages.tolist(), numbers, strict=True):
        for table, (a, b) in enumerate(table_pairs(CLUSTERS, tables).tolist()):
            held.setdefault(int(row_of(message[a], message[b], table, rows)), (table, set()))[1].add(number + 1)
    return {
        row: set(sorted(all_, key=lambda number: int(precedence(np.uint32(number), np.uint32(table))))[:SLOTS])
        for row, (table, all_) in held.items()
    }


def naive_names(rows_held, message, rows, tables):
    votes = Counter()
    for table, (a, b) in enumerate(table_pairs(CLUSTERS, tables).tolist()):
        votes.update(rows_held.get(int(row_of(int(message[a]), int(message[b]), table, rows)), set()))
    ranked = sorted(((n, number - 1) for number, n in votes.items() if n >= LEAST_VOTES), key=lambda p: (-p[0], p[1]))
    return [number for _, number in ranked[:NAMED]], [n for n, _ in ranked[:NAMED]]


@settings(max_examples=15, deadline=None)
@given(count=st.integers(0, 300), symbols=st.sampled_from([2, 9, ALPHABET]), seed=st.integers(0, 99))
def test_rows_and_names_are_those_of_the_oracle(count, symbols, seed):
    messages = draw(count, seed, symbols)
    numbers = np.random.default_rng(seed).permutation(10 * count)[:count]
    memory = NamingMemory(64, tables=6)
    memory.store(messages, numbers)
    expected = naive_rows(messages, numbers.tolist(), 64, 6)
    slots = memory.bits.view(np.uint32)
    found = {row: set(slots[row][slots[row] > 0].tolist()) for row in range(len(slots)) if slots[row].any()}
    assert found == expected
    cues = np.concatenate([altered(messages, 10, seed)[:20], draw(5, seed + 1, symbols)])
    names = memory.names(cues)
    for cue, named, votes in zip(cues, names.numbers.tolist(), names.votes.tolist(), strict=True):
        wanted, wanted_votes = naive_names(expected, cue, 64, 6)
        assert [number for number in named if number >= 0] == wanted
        assert [vote for vote in votes if vote] == wanted_votes


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), symbols=st.sampled_from([3, 40, ALPHABET]), cut=st.integers(0, 200))
def test_order_repetition_and_parts_do_not_matter(seed, symbols, cut):
    messages, numbers = draw(200, seed, symbols), np.arange(200)
    order = np.random.default_rng(seed).permutation(200)
    one, other, part, rest = (NamingMemory(64) for _ in range(4))
    one.store(messages, numbers)
    for _ in range(2):
        other.store(messages[order], numbers[order])
    part.store(messages[:cut], numbers[:cut])
    rest.store(messages[cut:], numbers[cut:])
    part.merge(rest)
    part.merge(part)
    assert one == other == part
    assert one.density == part.density


def test_what_was_stored_names_itself_and_a_stranger_names_nobody():
    messages = draw(5000)
    memory = NamingMemory(rows_for(5000))
    memory.store(messages, 7 * np.arange(5000) + 3)
    names = memory.names(messages)
    assert (names.numbers[:, 0] == 7 * np.arange(5000) + 3).all()
    strangers = memory.names(draw(2000, 5)).votes
    assert (strangers <= 4).all()  # 40 rows of two or three numbers: some meet twice
    assert (strangers == 3).mean() < 0.01


@pytest.mark.parametrize("kept", [5, 6, 7, 8, 10])
def test_copies_are_named_as_predicted(kept):
    messages = draw(20_000)
    memory = NamingMemory(rows_for(20_000))
    memory.store(messages, np.arange(20_000))
    copies = memory.names(altered(messages[:4000], kept)).numbers
    measured = (copies == np.arange(4000)[:, None]).any(axis=1).mean()
    assert abs(measured - memory.theory(kept, 20_000)) < 0.03


def test_popular_symbols_cost_no_more_and_hide_nobody():
    """Half of the symbols are the same in every message, as in pages of text; the others still name it."""
    messages = draw(4000)
    messages[:, ::2] = 7
    memory = NamingMemory(rows_for(4000))
    memory.store(messages, np.arange(4000))
    assert (memory.names(messages).numbers[:, 0] == np.arange(4000)).mean() > 0.999
    assert memory.names(messages).votes.max() <= memory.tables


def test_files_and_pickles_keep_everything(tmp_path):
    memory = NamingMemory(100, tables=5, clusters=8)
    memory.store(draw(50)[:, :8], np.arange(50))
    memory.save(tmp_path / "names.h5")
    mapped = NamingMemory.load(tmp_path / "names.h5", mmap=True)
    assert memory == mapped == pickle.loads(pickle.dumps(memory))
    assert (mapped.names(draw(50)[:, :8]).numbers[:, 0] == np.arange(50)).all()
    with pytest.raises(InputError, match="mapped"):
        mapped.store(draw(1)[:, :8], [0])
    content = bytearray((tmp_path / "names.h5").read_bytes())
    (tmp_path / "names.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedError):
        NamingMemory.load(tmp_path / "names.h5")


@pytest.mark.parametrize(
    ("messages", "numbers", "message"),
    [
        (draw(3)[:, :5], [0, 1, 2], "messages: expected shape"),
        (np.full((1, CLUSTERS), ALPHABET), [0], "symbols 0 to 4095"),
        (np.full((1, CLUSTERS), -1), [0], "symbols 0 to 4095"),
        (draw(3), [0, 1], "numbers: expected shape"),
        (draw(1), [-1], "numbers: expected 0 to"),
        (draw(1), [MOST + 1], "numbers: expected 0 to"),
        (draw(1), [0.5], "numbers"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_stored(messages, numbers, message):
    memory = NamingMemory(64)
    with pytest.raises(InputError, match=message):
        memory.store(messages, numbers)
    assert not memory.bits.any()


def test_the_greatest_number_is_kept():
    memory = NamingMemory(64)
    memory.store(draw(1), [MOST])
    assert memory.names(draw(1)).numbers[0].tolist() == [MOST, -1, -1, -1]


def test_impossible_shapes_and_strange_memories_are_refused():
    for shape in ({"rows": 10}, {"rows": 2**32}, {"rows": 64, "tables": 0}, {"rows": 64, "clusters": 1}):
        with pytest.raises(InputError):
            NamingMemory(**shape)
    with pytest.raises(InputError, match="merge: expected"):
        NamingMemory(64).merge(NamingMemory(65))
    assert NamingMemory(64) != NamingMemory(65)
    assert NamingMemory(64) != "a memory"
