"""The 1,000 ImageNet labels in the order of the logits. Knows its table only; no network, no pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# For labels that share their first synonym with another and have no second one to tell them apart.
_QUALIFIERS = {"n02012849": "bird", "n03126707": "machine"}


@dataclass(frozen=True, slots=True)
class Label:
    """One of the classes a network trained on ImageNet tells apart."""

    index: int
    """Position of its logit, 0 to 999."""
    wnid: str
    """WordNet's id of the meaning, such as n02123045."""
    name: str
    """For display; no two labels share one, whatever the case."""
    synonyms: tuple[str, ...]
    """What WordNet calls it, the most usual first."""


@cache
def imagenet_labels() -> tuple[Label, ...]:
    """Return all labels, ``imagenet_labels()[i].index == i``.

    A name is the first synonym. Where several labels share it (ignoring case), those with a second synonym
    bear it in brackets; where that leaves two alike, a word that says the kind of thing.

    Examples
    --------
    >>> [imagenet_labels()[i].name for i in (281, 517, 639)]
    ['tabby', 'crane (machine)', 'maillot (tank suit)']
    """
    table = files("assocmem.data").joinpath("imagenet.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in table.splitlines()]
    synonyms = [tuple(names.split(", ")) for _, _, names in rows]
    names = [names[0] for names in synonyms]
    shared = _shared(names)
    for i, name in enumerate(names):
        if name.casefold() in shared and len(synonyms[i]) > 1:
            names[i] = f"{name} ({synonyms[i][1]})"
    shared = _shared(names)
    for i, (name, (_, wnid, _)) in enumerate(zip(names, rows, strict=True)):
        if name.casefold() in shared:
            names[i] = f"{name} ({_QUALIFIERS[wnid]})"
    return tuple(
        Label(int(index), wnid, name, also) for (index, wnid, _), name, also in zip(rows, names, synonyms, strict=True)
    )


def _shared(names: Iterable[str]) -> set[str]:
    return {name for name, times in Counter(map(str.casefold, names)).items() if times > 1}
