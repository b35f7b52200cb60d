"""Any sequence of calls, compared with a dictionary: at full effort the index finds what the dictionary contains."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from assocmem.errors import DuplicateIdError, EmptyIndexError, UnknownIdError
from assocmem.search import _vector_store, pool_tree
from assocmem.search.clique_index import CliqueIndex
from tests import naive_index
from tests.search.index_helpers import check_structure, facts_of

DIM = 16
seeds = st.integers(0, 2**31)
counts = st.sampled_from([0, 1, 5, 70, 300])
few = st.sampled_from([1, 3, 20])


class Life(RuleBasedStateMachine):
    """An index, and the dictionary that it should equal."""

    @initialize(metric=st.sampled_from(["cosine", "l2"]), kind=st.sampled_from(["float16", "float32", "uint8"]))
    def begin(self, metric, kind):
        self.metric, self.kind = metric, kind
        self.index, self.truth = self.new(), naive_index.Index(metric, kind)

    def new(self):
        return CliqueIndex(DIM, self.metric, features=self.kind)

    def vectors(self, seed, n):
        x = np.random.default_rng(seed).integers(1, 256, (n, DIM)).astype(np.float32)
        return x if self.kind == "uint8" else (x - 128.5) / 16

    def some_ids(self, seed, n, *, known):
        """Ids, about the share ``known`` of them in the index."""
        rng = np.random.default_rng(seed)
        there = rng.permutation(list(self.truth.vectors) or [0])[: int(n * known)]
        return rng.permutation(np.union1d(there, rng.integers(0, 2000, n - len(there))).astype(np.int64))

    def stored(self, id_):
        return self.truth.vectors[id_].astype(np.float32)

    @rule(seed=seeds, n=counts)
    def add(self, seed, n):
        x = self.vectors(seed, n)
        expected = list(range(self.truth.next_id, self.truth.next_id + n))
        assert self.index.add(x).tolist() == expected
        self.truth.add(x)

    @rule(seed=seeds, n=counts, known=st.sampled_from([0, 0.5]))
    def add_with_ids(self, seed, n, known):
        ids = self.some_ids(seed, n, known=known)
        x = self.vectors(seed, len(ids))
        if any(id_ in self.truth.vectors for id_ in ids.tolist()):
            with pytest.raises(DuplicateIdError):
                self.index.add(x, ids)
        else:
            assert self.index.add(x, ids).tolist() == ids.tolist()
            self.truth.add(x, ids)

    @rule(seed=seeds, n=counts)
    def add_or_replace(self, seed, n):
        ids = self.some_ids(seed, n, known=0.6)
        x = self.vectors(seed, len(ids))
        self.index.add(x, ids, on_conflict="replace")
        self.truth.add(x, ids)

    @rule(seed=seeds, n=counts)
    def add_or_skip(self, seed, n):
        ids = self.some_ids(seed, n, known=0.6)
        x = self.vectors(seed, len(ids))
        new = np.array([id_ not in self.truth.vectors for id_ in ids.tolist()], bool)
        assert self.index.add(x, ids, on_conflict="skip").tolist() == ids[new].tolist()
        self.truth.add(x[new], ids[new])

    @rule(seed=seeds, share=st.sampled_from([0.02, 0.5, 1.0]))
    def remove(self, seed, share):
        ids = np.random.default_rng(seed).permutation(list(self.truth.vectors))
        ids = ids[: int(np.ceil(share * len(ids)))].astype(np.int64)
        self.index.remove(ids)
        for id_ in ids.tolist():
            del self.truth.vectors[id_]

    @rule(seed=seeds, n=few)
    def remove_unknown_ids(self, seed, n):
        ids = self.some_ids(seed, n, known=0.5)
        if any(id_ not in self.truth.vectors for id_ in ids.tolist()):
            with pytest.raises(UnknownIdError):
                self.index.remove(ids)

    @rule(seed=seeds, n=few)
    def update(self, seed, n):
        ids = np.random.default_rng(seed).permutation(list(self.truth.vectors))[:n].astype(np.int64)
        x = self.vectors(seed, len(ids))
        self.index.update(ids, x)
        self.truth.add(x, ids)

    @rule(seed=seeds, n=few)
    def reconstruct(self, seed, n):
        ids = np.random.default_rng(seed).permutation(list(self.truth.vectors))[:n].astype(np.int64)
        expected = np.array([self.stored(id_) for id_ in ids.tolist()], np.float32).reshape(-1, DIM)
        np.testing.assert_array_equal(self.index.reconstruct(ids), expected)

    @rule(seed=seeds, k=st.sampled_from([1, 4, 30]))
    def search(self, seed, k):
        q = self.vectors(seed, 2)
        if not self.truth.vectors:
            with pytest.raises(EmptyIndexError):
                self.index.search(q, k)
            return
        found, ids = self.index.search(q, k, effort=1.0)
        for i in range(2):
            self.truth.check(q[i], found[i], ids[i])
        some, ids = self.index.search(q, k, effort=0.2)  # finds fewer, but no others
        for i in range(2):
            values = self.truth.values(q[i])
            there = ids[i][ids[i] >= 0].tolist()
            np.testing.assert_allclose(some[i, : len(there)], [values[id_] for id_ in there], rtol=1e-4, atol=1e-4)

    @rule(mmap=st.booleans())
    def save_and_load(self, mmap):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index.h5"
            self.index.save(path)
            self.index = CliqueIndex.load(path, mmap=mmap)

    @rule(seed=seeds, n=counts, mine=st.booleans())
    def merge(self, seed, n, mine):
        other, x = self.new(), self.vectors(seed, n)
        ids = np.setdiff1d(np.random.default_rng(seed).integers(0, 5000, n), list(self.truth.vectors)).astype(np.int64)
        other.add(x[: len(ids)], ids)
        other.remove(ids[::4])
        self.truth.add(np.delete(x[: len(ids)], slice(None, None, 4), axis=0), np.delete(ids, slice(None, None, 4)))
        if mine:
            self.index |= other
        else:
            other |= self.index
            self.index = other
        # Ids continue after all that were ever used here; those of removed items of the other index are free again.
        self.truth.next_id = facts_of(self.index)["next_id"]
        assert self.truth.next_id > max(self.truth.vectors, default=-1)

    @rule()
    def compact(self):
        self.index.compact()

    @rule(seed=seeds)
    def merge_a_known_id(self, seed):
        if self.truth.vectors:
            other = self.new()
            other.add(self.vectors(seed, 1), [next(iter(self.truth.vectors))])
            with pytest.raises(DuplicateIdError):
                self.index |= other

    @invariant()
    def equals_the_dictionary(self):
        assert len(self.index) == len(self.truth.vectors)
        assert self.index.ids().tolist() == sorted(self.truth.vectors)
        assert all((id_ in self.index) == (id_ in self.truth.vectors) for id_ in range(0, 2000, 97))
        check_structure(self.index)


@pytest.mark.parametrize(("groups_from", "pools_above"), [(3, 0), (10**9, 0), (3, 200)])
def test_an_index_behaves_like_a_dictionary(groups_from, pools_above, monkeypatch):
    monkeypatch.setattr(_vector_store, "POOLS_ABOVE", pools_above)
    monkeypatch.setattr(pool_tree, "SEARCH_GROUPS_FROM", groups_from)
    monkeypatch.setattr(pool_tree, "ADD_GROUPS_FROM", groups_from)
    steps = settings(max_examples=15, stateful_step_count=20, deadline=None, derandomize=True)
    run_state_machine_as_test(Life, settings=steps)
