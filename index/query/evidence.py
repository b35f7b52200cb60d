"""What kind of copies two items are: identical bytes, one picture saved again, parts of one scene, or look-alikes.

Likeness proposes pairs; here they are looked at, the likeliest first. Contains no SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, get_args

import numpy as np

from assocmem._numerics.types import F32, I64, U8, AnyArray
from assocmem.codes.fine_detail import has_detail
from assocmem.copies.registration import register
from assocmem.copies.second_look import is_same
from assocmem.index.results import CopyKind
from assocmem.index.store.unlike import Unlike

KINDS: tuple[CopyKind, ...] = get_args(CopyKind)
"""The most certain first."""
LOOKS = 24
"""How many looks at an item may end with "no copy", its likeliest partners first.

A page of text is like every other page, but most like its copy; without a limit, n pages take n x n looks.
"""
SURE = 8
"""How many looks at an item must end with "the same" before what is one picture by way of others is believed unseen."""
REGISTRATIONS = 6
"""The same for the search for a common part, which takes ten times as long as a look."""
_AT_ONCE = 64


class Details(Protocol):
    """Fine detail of the items, uint8 (n, DETAIL_LENGTH), read by row."""

    def __getitem__(self, rows: I64) -> AnyArray: ...


Contents: TypeAlias = Callable[[I64], Sequence[object]]
"""Rows of items -> what is equal for those of equal bytes."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to judge n items by."""

    contents: Contents
    details: Details
    unlike: Unlike = frozenset()
    """pairs of contents that the user said are no copies"""

    def kinds(self, first: I64, second: I64, scores: F32, *, similar: bool) -> list[CopyKind | None]:
        """Return the kind of each pair of rows, None for look-alikes; ``similar``: look for common parts too.

        Pairs within what is known to be one picture by many looks are not looked at again: see ``SURE``.
        """
        found: list[CopyKind | None] = [None] * len(first)
        pairs = list(zip(first.tolist(), second.tolist(), strict=True))
        order = np.lexsort((second, first, -scores)).tolist()
        rows = np.unique(np.concatenate([first, second]))
        contents = dict(zip(rows.tolist(), self.contents(rows), strict=True))
        looks = _Looks(contents, self.details, self.unlike, similar)
        for start in range(0, len(order), _AT_ONCE):
            batch = order[start : start + _AT_ONCE]
            for pair, kind in zip(batch, looks.judged([pairs[pair] for pair in batch]), strict=True):
                found[pair] = kind
        return found

    def denies(self, a: int, b: int) -> bool:
        """Return whether the user said that two rows are no copies."""
        return bool(self.unlike) and frozenset(self.contents(np.array([a, b]))) in self.unlike


class _Looks:
    """Judges pairs, and remembers what it has seen."""

    def __init__(self, contents: dict[int, object], details: Details, unlike: Unlike, similar: bool) -> None:
        self._contents = contents
        self._unlike_by_user = unlike
        self._details = details
        self._similar = similar
        self._one = _Clusters()
        self._alike: Counter[int] = Counter()
        self._unlike: Counter[int] = Counter()
        self._apart: Counter[int] = Counter()

    def judged(self, pairs: list[tuple[int, int]]) -> list[CopyKind | None]:
        kinds = [self._known(*pair) for pair in pairs]
        self._look(pairs, kinds, self._unlike, LOOKS, "same", is_same)
        if self._similar:
            self._look(pairs, kinds, self._apart, REGISTRATIONS, "similar", register)
        return kinds

    def _known(self, a: int, b: int) -> CopyKind | None:
        if self._contents[a] == self._contents[b]:
            self._one.join(a, b)
            return "identical"
        sure = min(self._alike[a], self._alike[b]) >= SURE and self._one.has(a, b)
        return "same" if sure and not self._denied(a, b) else None

    def _denied(self, a: int, b: int) -> bool:
        return bool(self._unlike_by_user) and frozenset((self._contents[a], self._contents[b])) in self._unlike_by_user

    def _look(
        self,
        pairs: list[tuple[int, int]],
        kinds: list[CopyKind | None],
        in_vain: Counter[int],
        most: int,
        kind: CopyKind,
        compare: Callable[[U8, U8], object],
    ) -> None:
        """Compare the pairs without a kind, unless both items have been compared in vain too often."""
        asked = [
            n
            for n, (a, b) in enumerate(pairs)
            if kinds[n] is None and min(in_vain[a], in_vain[b]) < most and not self._denied(a, b)
        ]
        if not asked:
            return
        one, other = (list(self._details[np.array([pairs[n][side] for n in asked])]) for side in (0, 1))
        for n, a, b in zip(asked, one, other, strict=True):
            if not (has_detail(a) and has_detail(b)):
                kinds[n] = "unchecked"
            elif not compare(a, b):
                in_vain.update(pairs[n])
            else:
                kinds[n] = kind
                if kind == "same":
                    self._one.join(*pairs[n])
                    self._alike.update(pairs[n])


class _Clusters:
    """Rows that are known to be one picture (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def _root(self, row: int) -> int:
        while (parent := self._parents.get(row, row)) != row:
            self._parents[row] = self._parents.get(parent, parent)
            row = parent
        return row

    def has(self, a: int, b: int) -> bool:
        """Return whether two rows are one picture."""
        return self._root(a) == self._root(b)

    def join(self, a: int, b: int) -> None:
        """Note that they are."""
        self._parents[self._root(a)] = self._root(b)
