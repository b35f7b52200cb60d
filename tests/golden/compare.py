"""Strict comparison of two JSON values: keys, lengths, types, integers and words exactly, floats with a tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any


def differences(expected: Any, found: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """Yield a line for each difference.

    Parameters
    ----------
    expected, found : JSON values
    tolerance : float
        Floats may differ by ``tolerance * max(1, |expected|)``.
    where : str
        The place of the values, for the messages.
    """
    if type(expected) is not type(found):
        yield f"{where}: expected {expected!r}, found {found!r}"
    elif isinstance(expected, dict):
        yield from _in_dicts(expected, found, tolerance, where)
    elif isinstance(expected, list):
        if len(expected) != len(found):
            yield f"{where}: expected {len(expected)} entries, found {len(found)}: {found!r}"
        for position, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from differences(one, other, tolerance, f"{where}[{position}]")
    elif not (_near(expected, found, tolerance) if isinstance(expected, float) else expected == found):
        yield f"{where}: expected {expected!r}, found {found!r}"


def _in_dicts(expected: dict[str, Any], found: dict[str, Any], tolerance: float, where: str) -> Iterator[str]:
    if missing := expected.keys() - found.keys():
        yield f"{where}: missing {sorted(missing)}"
    if extra := found.keys() - expected.keys():
        yield f"{where}: not expected: {sorted(extra)}"
    for key in expected:
        if key in found:
            yield from differences(expected[key], found[key], tolerance, f"{where}/{key}")


def _near(expected: float, found: float, tolerance: float) -> bool:
    if math.isnan(expected) or math.isnan(found):
        return math.isnan(expected) and math.isnan(found)
    return expected == found or abs(expected - found) <= tolerance * max(1.0, abs(expected))
