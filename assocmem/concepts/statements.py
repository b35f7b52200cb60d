"""Statements about examples, and the one rule that decides between them: the later statement wins.

Each example is a last-writer-wins register: its statement does not depend on the order in which statements arrive, or
on how often they arrive (Shapiro et al., Conflict-free Replicated Data Types, 2011).

A statement that corrects another one is made from it: by ``taught``, ``denying`` or ``renamed``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Key: TypeAlias = Callable[[str], str]
"""Names with the same key are the same name; ``str`` compares names exactly, ``str.casefold`` ignores case."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is stated about an example: its concept, and concepts that it is not.

    Parameters
    ----------
    when : int
        Time of the statement.
    concept : str
        Empty if it is only stated what the example is not.
    denied : tuple of str
        Concepts that the example is not, sorted.
    """

    when: int
    concept: str = ""
    denied: tuple[str, ...] = ()

    def supersedes(self, other: Statement) -> bool:
        """Return whether this statement wins over another one about the same example: the later one does.

        Of two statements of the same time, one of them wins whichever comes first: the one with the greater name, then
        the one that denies more, so that denials of the same time add up.
        """
        return self._rank > other._rank

    @property
    def _rank(self) -> tuple[int, str, int, tuple[str, ...]]:
        return self.when, self.concept, len(self.denied), self.denied

    def taught(self, concept: str, when: int, *, key: Key = str) -> Statement:
        """Return the statement that the example is of a concept; denials of other concepts stay."""
        return Statement(when, concept, tuple(name for name in self.denied if key(name) != key(concept)))

    def denying(self, concept: str, when: int, *, key: Key = str) -> Statement:
        """Return the statement that the example is not of a concept; another concept and other denials stay."""
        still = "" if key(self.concept) == key(concept) else self.concept
        others = (name for name in self.denied if key(name) != key(concept))
        return Statement(when, still, tuple(sorted((*others, concept))))

    def renamed(self, concept: str, name: str | None) -> Statement | None:
        """Return this statement with another name for a concept, or without the concept for None.

        The time stays. Returns None if nothing is left of the statement.
        """
        new = name or ""
        mine = new if self.concept == concept else self.concept
        denied = {new if other == concept else other for other in self.denied} - {mine, ""}
        return Statement(self.when, mine, tuple(sorted(denied))) if mine or denied else None

    def mentions(self, concept: str) -> bool:
        """Return whether it is stated that the example is, or is not, of a concept."""
        return concept == self.concept or concept in self.denied
