"""The kinds above the 1,000 ImageNet labels, such as bird and vehicle. Knows its table only; no words but exact names.

``wordnet.tsv`` has a line for each label and each kind: WordNet's id, the ids right above it, its names (for labels
they are in ``imagenet.tsv``). ``python -m tests.wordnet_table`` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from assocmem.data.labels import imagenet_labels


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    above: dict[str, list[str]]
    """Id of a label or kind -> ids right above it."""
    below: dict[str, list[str]]
    """Id of a kind -> ids right below it."""
    names: dict[str, tuple[str, ...]]
    """Id of a kind -> its names, the most usual first."""
    kinds: dict[str, list[str]]
    """Name of a kind, in lower case -> ids of the kinds that have it."""


def is_kind(name: str) -> bool:
    """Whether a kind has exactly this name, whatever the case.

    Examples
    --------
    >>> is_kind("bird"), is_kind("Musical instrument"), is_kind("birds"), is_kind("entity")
    (True, True, False, False)
    """
    return name.casefold() in _hierarchy().kinds


def kind_names() -> tuple[str, ...]:
    """Return every name of a kind, each once, in the order of WordNet's ids."""
    return tuple(dict.fromkeys(name for names in _hierarchy().names.values() for name in names))


def labels_of_kind(name: str) -> frozenset[int]:
    """Return the indices of all labels below the kinds of this name, whatever the case; empty where there is none.

    A name may have more than one meaning: a vessel is a ship or a bowl.

    Examples
    --------
    >>> [imagenet_labels()[index].name for index in sorted(labels_of_kind("shark"))]
    ['great white shark', 'tiger shark', 'hammerhead']
    """
    return _labels_of_kind(name.casefold())


@cache
def ancestors(index: int) -> tuple[str, ...]:
    """Return the usual names of all kinds above a label, each once, the nearest first.

    Parameters
    ----------
    index : int
        Position of its logit, 0 to 999.

    Examples
    --------
    >>> ancestors(2)[:4]
    ('mackerel shark', 'shark', 'elasmobranch', 'cartilaginous fish')
    """
    tree = _hierarchy()
    reached = list(tree.above[imagenet_labels()[index].wnid])
    for wnid in reached:  # which grows as it is read, level by level
        reached += [upper for upper in tree.above[wnid] if upper not in reached]
    return tuple(dict.fromkeys(tree.names[wnid][0] for wnid in reached))


@cache
def _labels_of_kind(name: str) -> frozenset[int]:
    tree = _hierarchy()
    reached: set[str] = set()
    waiting = list(tree.kinds.get(name, ()))
    while waiting:
        wnid = waiting.pop()
        if wnid not in reached:
            reached.add(wnid)
            waiting += tree.below.get(wnid, ())
    return frozenset(label.index for label in imagenet_labels() if label.wnid in reached)


@cache
def _hierarchy() -> _Hierarchy:
    tree = _Hierarchy({}, {}, {}, {})
    for line in files("assocmem.data").joinpath("wordnet.tsv").read_text("utf-8").splitlines():
        wnid, above, names = line.split("\t")
        tree.above[wnid] = above.split()
        for upper in tree.above[wnid]:
            tree.below.setdefault(upper, []).append(wnid)
        if names:
            tree.names[wnid] = tuple(names.split(", "))
            for name in tree.names[wnid]:
                tree.kinds.setdefault(name.casefold(), []).append(wnid)
    return tree
