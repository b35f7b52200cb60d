"""Fine detail: a picture as 128 x 128 grey cells and 8 x 8 colours, kept with its item for a second look at copies.

A sketch says where a picture is dark and light; that is the same for every page of text. 128 cells a side tell one page
from another, and are still there after compression, shrinking and blur.
"""

from __future__ import annotations

import numpy as np

from assocmem._numerics.types import U8
from assocmem.errors import InputError

DETAIL_SIDE = 128
"""Grey cells per side, whatever the shape of the picture."""
COLOUR_SIDE = 8
"""Coloured cells per side."""
_GREYS = DETAIL_SIDE * DETAIL_SIDE
DETAIL_LENGTH = 1 + _GREYS + COLOUR_SIDE * COLOUR_SIDE * 3
"""Bytes per item: 1 (0 if the item has no detail), the grey cells, the colours."""


def fine_detail(grey: U8, colours: U8) -> U8:
    """Return the detail of one picture, uint8 (DETAIL_LENGTH,).

    Parameters
    ----------
    grey : uint8 (DETAIL_SIDE, DETAIL_SIDE)
    colours : uint8 (COLOUR_SIDE, COLOUR_SIDE, 3)

    Raises
    ------
    InputError
        Another shape or dtype.
    """
    expected = ((DETAIL_SIDE, DETAIL_SIDE), (COLOUR_SIDE, COLOUR_SIDE, 3))
    if (grey.shape, colours.shape) != expected or grey.dtype != np.uint8 or colours.dtype != np.uint8:
        found = f"{grey.dtype} {grey.shape}, {colours.dtype} {colours.shape}"
        raise InputError(f"grey, colours: expected uint8 {expected[0]}, uint8 {expected[1]}; found {found}")
    return np.concatenate([np.ones(1, np.uint8), grey.ravel(), colours.ravel()])


def no_details(count: int) -> U8:
    """Return the details of items that have none, uint8 (count, DETAIL_LENGTH), read-only."""
    return np.broadcast_to(np.uint8(0), (count, DETAIL_LENGTH))


def has_detail(details: U8) -> bool:
    """Return whether an item, uint8 (DETAIL_LENGTH,), has detail: earlier versions stored none."""
    return bool(details[0])


def greys_of(detail: U8) -> U8:
    """Return the grey cells of an item, uint8 (DETAIL_SIDE, DETAIL_SIDE)."""
    return detail[1 : 1 + _GREYS].reshape(DETAIL_SIDE, DETAIL_SIDE)


def colours_of(detail: U8) -> U8:
    """Return the colours of an item, uint8 (COLOUR_SIDE, COLOUR_SIDE, 3)."""
    return detail[1 + _GREYS :].reshape(COLOUR_SIDE, COLOUR_SIDE, 3)
