"""Hash codes: messages against plain loops, and checked arguments."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.codes.hash_codes import ALPHABET, AXES, MessageCoder, pick_longest
from assocmem.errors import InputError
from tests.naive import rotate

MEAN = np.full(20, 0.01, np.float32)


def features(n=6, dim=20):
    return np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)


def test_symbols_are_the_longest_axes_after_one_more_round_each():
    coder = MessageCoder(20, clusters=3, mean=MEAN, seed=4)
    raw = np.random.PCG64(4).random_raw(5 * AXES) >> np.uint64(63)
    signs = (np.where(raw, 1, -1) / np.sqrt(AXES)).reshape(5, AXES)
    expected = []
    for rounds in (3, 4, 5):
        rotated = np.array(rotate(features(), MEAN, signs[:rounds]))
        axes = np.abs(rotated).argmax(axis=1)
        expected.append(2 * axes + (rotated[np.arange(6), axes] < 0))
    assert np.array_equal(coder.messages(features()), np.array(expected).T)


def test_more_clusters_add_symbols_and_change_none():
    few, many = (MessageCoder(20, clusters=clusters, mean=MEAN, seed=4) for clusters in (3, 16))
    assert np.array_equal(many.messages(features())[:, :3], few.messages(features()))


def test_messages_do_not_depend_on_their_batch():
    coder, x = MessageCoder(20, clusters=2), features(1030)
    assert np.array_equal(coder.messages(x)[505:520], coder.messages(x[505:520]))


def test_a_message_has_16_symbols_unless_asked_otherwise():
    assert MessageCoder(20).messages(features()).shape == (6, 16)


def test_the_greatest_symbol_is_the_last_axis_with_a_minus():
    rotated, symbols = np.zeros((2, AXES), np.float32), np.empty(2, np.uint16)
    rotated[:, -1] = [-1, 1]
    pick_longest(rotated, AXES, symbols)
    assert symbols.tolist() == [ALPHABET - 1, ALPHABET - 2]


def test_messages_are_the_same_on_every_machine_and_version():
    """These numbers are stored in collections: another result is another format."""
    x = np.arange(1, 25, dtype=np.float32)[None, :] ** 2 % 17
    found = MessageCoder(24, clusters=4).messages(x)
    assert found.dtype == np.uint16
    assert found.max() < ALPHABET
    assert found.tolist() == [[3569, 3137, 1324, 157]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dim": 0}, "dim: expected a whole number of at least 1"),
        ({"dim": 3, "clusters": 1}, "clusters: expected a whole number of at least 2"),
        ({"dim": 3, "mean": np.zeros(4, np.float32)}, r"mean: expected shape \(n, 3\)"),
    ],
)
def test_invalid_parameters_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        MessageCoder(**arguments)


def test_features_must_be_finite():
    with pytest.raises(InputError, match="finite"):
        MessageCoder(20).messages(np.full((1, 20), np.nan))
