"""What pools, queries and coded items look like to the kernels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from assocmem._numerics.types import F32, I32, LANES, U8, U16

POOL_BLOCKS = 4
POOL_ITEMS = LANES * POOL_BLOCKS
"""Items of a full pool."""

NOTHING = np.uint16(0xFF80)
"""Bias of an empty lane: minus infinity as bfloat16."""


class Blocks(NamedTuple):
    """Codes in blocks of 16, and which pools they belong to."""

    codes: U8
    """uint8 (blocks, code_bytes, 16); pool p has the blocks 4 p to 4 p + 3, in one piece, as that is read quickest"""
    scales: U16
    """bfloat16 as uint16 (blocks, 16)"""
    biases: U16
    """bfloat16 as uint16 (blocks, 16); NOTHING in an empty lane"""
    members: I32
    """int32 (slots,): who is here; a slot is 16 * block + lane"""
    sizes: I32
    """int32 (pools,): items of a pool, in its first slots"""
    places: I32
    """int32 (members,): slot of each; -1 for none"""
    made: I32
    """int32 (1,): pools that were made"""


class Tables(NamedTuple):
    """Queries, as ``SymbolCoder.tables`` makes them."""

    entries: U8
    """uint8 (n, 2, code_bytes, 16)"""
    terms: F32
    """float32 (n, 2)"""


class Coded(NamedTuple):
    """Items to be put into pools."""

    codes: U8
    """uint8 (n, code_bytes)"""
    scales: U16
    """bfloat16 as uint16 (n,)"""
    biases: U16
    """bfloat16 as uint16 (n,)"""
    members: I32
    """int32 (n,)"""
