"""The originals of a picture against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.copies.lookup import find_originals
from assocmem.errors import InputError
from tests import naive_copies as naive
from tests.copies.library import CODER, library


def test_originals_equal_plain_loops():
    items, features, drawings, _ = library(originals=30, copies=1)
    queries, asked = features[:8] + np.float32(0.3), naive.mirrored(drawings[:8])
    asked[2] = 0
    similarity, rows = find_originals(queries, asked, items, CODER, 5)
    for q in range(8):
        scores = [naive.similarity(queries[q], features[i], asked[q].tolist(), drawings[i].tolist()) for i in range(60)]
        expected = sorted(range(60), key=lambda i: (-scores[i], i))[:5]
        np.testing.assert_allclose(similarity[q], [scores[i] for i in expected], atol=1e-5)
        np.testing.assert_allclose([scores[i] for i in rows[q]], [scores[i] for i in expected], atol=1e-5)


def test_missing_originals_are_padded():
    items, features, drawings, _ = library(originals=3, copies=0)
    similarity, rows = find_originals(features[:1], drawings[:1], items, CODER, 10)
    assert (rows[0, 3:] == -1).all()
    assert (similarity[0, 3:] == 0).all()


def test_invalid_arguments_are_refused():
    items, features, drawings, _ = library(originals=3, copies=0)
    with pytest.raises(InputError, match="k >= 1"):
        find_originals(features[:1], drawings[:1], items, CODER, 0)
    with pytest.raises(InputError, match=r"sketches \(1, 100\), found 1, \(2, 100\)"):
        find_originals(features[:1], drawings[:2], items, CODER, 1)
