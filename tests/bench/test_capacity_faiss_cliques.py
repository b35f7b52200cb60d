"""FAISS completing cliques: every index finds what it must. It runs in processes of its own, without numba."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.bench.processes import run_function
from tests.bench.conftest import FAISS

pytestmark = pytest.mark.skipif(not FAISS, reason="needs assocmem[bench]")

CLUSTERS, UNITS, MESSAGES, CUES, ERASED = 8, 256, 500, 60, 4
BYTES = {
    "exact, one-hot": 500 * 8 * 256 * 4,
    "exact, rotated symbols": 500 * 8 * 2 * 4,
    "IndexPQ": 500 * 8 + 8 * 256 * 256 * 4,
    "IndexPQFastScan": 512 * 8 + 16 * 16 * 16 * 4,  # whole blocks of 32 items
    "IndexBinaryFlat, one-hot": 500 * 8 * 32,
    "IndexBinaryFlat, short": 500 * 8 * 2,
    "IndexBinaryMultiHash": 500 * (8 * 2 + 8 * 8) + 8 * 256 * 32,
    "IndexBinaryIVF, one list": 500 * 8 * (8 * 2 + 8),
    "IndexBinaryIVF, every list": 500 * 8 * (8 * 4 + 8),
}
COUNT_AGREEMENTS = ("exact, one-hot", "IndexPQ", "IndexBinaryFlat, one-hot")


def _messages(units=UNITS):
    return np.random.default_rng(0).integers(0, units, (MESSAGES, CLUSTERS), dtype=np.int32)


def _cues(messages, erased=ERASED, wrong=0):
    rng = np.random.default_rng(1)
    rows = rng.integers(0, len(messages), CUES)
    cues = messages[rows]
    for cue in cues:
        places = rng.permutation(messages.shape[1])
        cue[places[:erased]] = -1
        replaced = places[erased : erased + wrong]
        cue[replaced] = (cue[replaced] + 1 + rng.integers(0, 200, wrong)) % UNITS
    return cues, rows


def _measure(folder, messages, cues, rows, units=UNITS):
    paths = [str(folder / f"{name}.npy") for name in ("messages", "cues", "rows")]
    for path, array in zip(paths, (messages, cues, rows), strict=True):
        np.save(path, array)
    module, seconds = "assocmem.bench.capacity.faiss_cliques", 0.005
    answer = run_function(module, "measure", messages.shape[1], units, *paths, seconds)
    assert (answer["messages"], answer["cues"]) == (len(messages), len(cues))
    return {figures["name"]: figures for figures in answer["indexes"]}


@pytest.fixture(scope="module")
def erasures(tmp_path_factory):
    messages = _messages()
    return _measure(tmp_path_factory.mktemp("erasures"), messages, *_cues(messages))


def test_erased_symbols_cause_no_error(erasures):
    assert {name: figures["error"] for name, figures in erasures.items()} == dict.fromkeys(BYTES, 0)


def test_bytes_are_those_counted_by_hand(erasures):
    assert {name: figures["bytes"] for name, figures in erasures.items()} == BYTES


def test_rates_are_those_of_the_repetitions(erasures):
    for figures in erasures.values():
        assert len(figures["rates"]) == 5
        assert min(figures["rates"]) <= figures["recalls_per_s"] <= max(figures["rates"])
        assert figures["batch"] == figures["cues"] == CUES
        assert figures["build_s"] > 0
        assert figures["prepare_us"] > 0


@pytest.mark.parametrize("wrong", [2, 6])
def test_wrong_symbols_cause_errors(tmp_path, wrong):
    messages = _messages()
    found = _measure(tmp_path, messages, *_cues(messages, erased=0, wrong=wrong))
    assert all(0 <= figures["tied"] <= figures["error"] <= 1 for figures in found.values())
    agreements = {found[name]["error"] for name in COUNT_AGREEMENTS}
    assert len(agreements) == 1
    assert agreements == {0.0} if wrong == 2 else min(agreements) > 0
    assert found["IndexBinaryIVF, one list"]["error"] > 0


def test_a_tie_with_another_message_is_an_error_and_one_with_the_same_is_not(tmp_path):
    messages = _messages()
    messages[1::2] = messages[::2]
    cues, rows = _cues(messages)
    found = _measure(tmp_path, messages, cues, rows)
    assert {figures["error"] for figures in found.values()} == {0}
    messages[1::2, 0] = (messages[1::2, 0] + 1) % UNITS
    cues[:, 0] = -1
    found = _measure(tmp_path, messages, cues, rows)
    assert {figures["error"] for figures in found.values()} == {1}


def test_an_impossible_index_is_reported_and_the_others_are_measured(tmp_path):
    messages = _messages(units=70_000)
    found = _measure(tmp_path, messages, *_cues(messages), units=70_000)
    skipped = {name: figures["skipped"] for name, figures in found.items() if "skipped" in figures}
    assert set(skipped) == {"exact, one-hot", "IndexPQ", "IndexBinaryFlat, one-hot"}
    assert skipped["IndexPQ"] == "a subquantizer has up to 65536 centroids, not 70000"
    assert {figures["error"] for name, figures in found.items() if name not in skipped} == {0}


def test_an_index_that_is_too_large_is_reported(tmp_path):
    messages = np.random.default_rng(0).integers(0, 2048, (4500, 64), dtype=np.int32)
    found = _measure(tmp_path, messages, *_cues(messages, erased=56), units=2048)
    assert found["exact, one-hot"] == {"name": "exact, one-hot", "skipped": "would take 2.4 GB, more than 2.1 GB"}
    assert found["IndexPQFastScan"]["error"] == 0
