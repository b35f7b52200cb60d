"""Fixtures of the index's tests."""

from __future__ import annotations

import pytest

from assocmem.search import _vector_store, clique_index


@pytest.fixture(autouse=True, scope="package")
def small_indexes_have_pools():
    """Make pools of the first item on, and search a few hundred items by them, so that tests need no large indexes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clique_index, "EXACT_UP_TO", 256)
        patch.setattr(_vector_store, "POOLS_ABOVE", 0)
        patch.setattr(_vector_store, "FEW_DIMENSIONS", 0)
        yield
