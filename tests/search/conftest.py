"""Fixtures of the index's tests."""

from __future__ import annotations

import pytest

from assocmem.search import clique_index


@pytest.fixture(autouse=True, scope="package")
def small_indexes_have_pools():
    """Search indexes of a few hundred items by their pools, so that tests need not make large ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clique_index, "EXACT_UP_TO", 256)
        yield
