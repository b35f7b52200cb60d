"""Stored vectors, compared with plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from assocmem.errors import InputError
from assocmem.search.vector_table import VectorTable, grown, read_rows
from tests.search.table_helpers import DIM, EVERY_KIND, filled, vectors


@EVERY_KIND
@pytest.mark.parametrize("in_head", [0, 3])
def test_get_returns_what_was_put(kind, in_head):
    x = vectors(1, 9, kind)
    table = filled(x, kind, in_head)
    rows = np.array([8, 0, 3, 3, 2], np.int32)
    assert table.get(rows).tolist() == x[rows].tolist()
    unit = table.get(rows, unit=True)
    np.testing.assert_allclose(unit, x[rows] / np.linalg.norm(x[rows], axis=1, keepdims=True), rtol=1e-5)
    table.put(np.array([8, 4], np.int32), x[:2])
    assert table.get(np.arange(9, dtype=np.int32)).tolist() == x[[0, 1, 2, 3, 1, 5, 6, 7, 0]].tolist()


@EVERY_KIND
@pytest.mark.parametrize("in_head", [0, 3, 9])
def test_the_state_of_a_table_has_no_spare_room_and_restores_it(kind, in_head):
    x = vectors(1, 9, kind)
    state = filled(x, kind, in_head).state(9)
    assert state.shape == (9, 32)
    other = VectorTable(DIM, kind)
    other.restore(state, 9)
    assert other.get(np.arange(9, dtype=np.int32)).tolist() == x.tolist()
    for rows, array in ((8, state), (9, state[:, :16]), (9, state.astype(np.float64))):
        with pytest.raises(ValueError, match="vectors of shape"):
            VectorTable(DIM, kind).restore(array, rows)


@EVERY_KIND
def test_a_zero_vector_stays_zero_when_rows_are_scaled(kind):
    table = filled(np.zeros((1, DIM), np.float32), kind)
    assert (table.get(np.zeros(1, np.int32), unit=True) == 0).all()
    out = np.empty((1, table.width), np.float32)
    read_rows(table.parts, np.zeros(1, np.int32), True, out)
    assert (out == 0).all()


def test_unknown_kinds_are_refused():
    with pytest.raises(InputError, match="features: expected one of float16, float32, uint8, found 'int8'"):
        VectorTable(DIM, "int8")
    with pytest.raises(InputError, match="found None"):
        VectorTable(DIM, None)


def test_full_arrays_grow_and_keep_their_rows():
    array = np.arange(6, dtype=np.int32).reshape(3, 2)
    assert grown(array, 3) is array
    longer = grown(array, 4, -1)
    assert longer.tolist() == [[0, 1], [2, 3], [4, 5], [-1, -1]]
    assert len(grown(np.zeros(800, np.int8), 801)) == 900
    assert len(grown(np.zeros(800, np.int8), 801, exact=True)) == 801
