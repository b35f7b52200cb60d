"""The 1,000 ImageNet labels, and the categories above them, such as bird and vehicle (WordNet's hypernyms).

``imagenet.tsv`` has a line for each label, in the order of the logits: index, WordNet id, synonyms. ``wordnet.tsv`` has
a line for each label and each category: WordNet id, the ids directly above it, and its names (for labels they are in
``imagenet.tsv``). ``python -m tests.wordnet_table`` writes ``wordnet.tsv``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# For labels that share their first synonym with another label and have no second one to tell them apart.
_QUALIFIERS = {"n02012849": "bird", "n03126707": "machine"}


@dataclass(frozen=True, slots=True)
class Label:
    """One of the classes that a network trained on ImageNet distinguishes."""

    index: int
    """Position of its logit, 0 to 999."""
    wnid: str
    """WordNet's id of the meaning, such as n02123045."""
    name: str
    """For display; unique, also if case is ignored."""
    synonyms: tuple[str, ...]
    """WordNet's names for it, the most usual first."""


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    above: dict[str, list[str]]
    """Id of a label or category -> ids directly above it."""
    below: dict[str, list[str]]
    """Id of a category -> ids directly below it."""
    names: dict[str, tuple[str, ...]]
    """Id of a category -> its names, the most usual first."""
    ids: dict[str, list[str]]
    """Name of a category, in lower case -> ids of the categories with this name."""


@cache
def imagenet_labels() -> tuple[Label, ...]:
    """Return all labels, ``imagenet_labels()[i].index == i``.

    A label's name is its first synonym. If several labels share it (ignoring case), their second synonym follows in
    brackets; if there is none, a qualifying word.

    Examples
    --------
    >>> [imagenet_labels()[i].name for i in (281, 517, 639)]
    ['tabby', 'crane (machine)', 'maillot (tank suit)']
    """
    rows = _read_table("imagenet.tsv")
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


def is_category(name: str) -> bool:
    """Return whether a category has exactly this name, ignoring case.

    Examples
    --------
    >>> is_category("bird"), is_category("Musical instrument"), is_category("birds"), is_category("entity")
    (True, True, False, False)
    """
    return name.casefold() in _hierarchy().ids


def category_names() -> tuple[str, ...]:
    """Return every name of a category, without repetition, in the order of WordNet's ids."""
    return tuple(dict.fromkeys(name for names in _hierarchy().names.values() for name in names))


def labels_in_category(name: str) -> frozenset[int]:
    """Return the indices of all labels below the categories with this name, ignoring case; empty if there are none.

    A name may have more than one meaning: a vessel is a ship or a bowl.

    Examples
    --------
    >>> [imagenet_labels()[index].name for index in sorted(labels_in_category("shark"))]
    ['great white shark', 'tiger shark', 'hammerhead']
    """
    return _labels_in_category(name.casefold())


@cache
def ancestors(index: int) -> tuple[str, ...]:
    """Return the usual names of all categories above a label, without repetition, the nearest first.

    Parameters
    ----------
    index : int
        Position of the label's logit, 0 to 999.

    Examples
    --------
    >>> ancestors(2)[:4]
    ('mackerel shark', 'shark', 'elasmobranch', 'cartilaginous fish')
    """
    tree = _hierarchy()
    reached = list(tree.above[imagenet_labels()[index].wnid])
    for wnid in reached:  # the list grows during the loop, level by level
        reached += [upper for upper in tree.above[wnid] if upper not in reached]
    return tuple(dict.fromkeys(tree.names[wnid][0] for wnid in reached))


@cache
def _labels_in_category(name: str) -> frozenset[int]:
    tree = _hierarchy()
    reached: set[str] = set()
    waiting = list(tree.ids.get(name, ()))
    while waiting:
        wnid = waiting.pop()
        if wnid not in reached:
            reached.add(wnid)
            waiting += tree.below.get(wnid, ())
    return frozenset(label.index for label in imagenet_labels() if label.wnid in reached)


@cache
def _hierarchy() -> _Hierarchy:
    tree = _Hierarchy({}, {}, {}, {})
    for wnid, above, names in _read_table("wordnet.tsv"):
        tree.above[wnid] = above.split()
        for upper in tree.above[wnid]:
            tree.below.setdefault(upper, []).append(wnid)
        if names:
            tree.names[wnid] = tuple(names.split(", "))
            for name in tree.names[wnid]:
                tree.ids.setdefault(name.casefold(), []).append(wnid)
    return tree


def _read_table(name: str) -> list[list[str]]:
    text = files("assocmem.data").joinpath(name).read_text("utf-8")
    return [line.split("\t") for line in text.splitlines()]


def _shared(names: Iterable[str]) -> set[str]:
    """Return the names that occur more than once, in lower case."""
    return {name for name, count in Counter(map(str.casefold, names)).items() if count > 1}
