"""Find ImageNet concepts by words: exact names first, then kinds, then whole words, then similar spellings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cache

from assocmem.data.imagenet import Label, category_names, imagenet_labels, labels_in_category
from assocmem.errors import UnknownConceptError

# A label's name goes before a kind's of the same name; but a plane is an aircraft before it is a tool, and an
# amphibian a frog before it is a vehicle.
_BOTH = {("plane",), ("amphibian",)}
_IRREGULAR = {"buse": "bus", "geese": "goose", "knive": "knife", "loave": "loaf", "mice": "mouse", "people": "person",
              "wolve": "wolf"}  # fmt: skip


def match_words(words: str) -> list[Label]:
    """Concepts meant by words, in the order of their indices: by name, else those that have all the words in one name.

    By name are meant the concept that goes by this name; else those that have it as a synonym together with all those
    of a kind that has it: "lion" is the lion alone, "bird" all birds, "crane" the bird and the machine.

    Raises
    ------
    UnknownConceptError
        Nothing matches; the error names what is spelt alike.
    """
    found = named_labels(words)
    wanted = set(_tokens(words))
    if not found and wanted:
        names = _label_names()
        found = [label for label in imagenet_labels() if any(wanted <= set(name) for name in names[label.index])]
    if found:
        return found
    raise UnknownConceptError(words, nearest_names(words))


def named_labels(words: str) -> list[Label]:
    """Concepts that go by these words as a name, in the order of their indices; see ``match_words``."""
    wanted = _tokens(words)
    if not wanted:
        return []
    labels = imagenet_labels()
    shown = [label for label in labels if "(" in label.name and _tokens(label.name) == wanted]
    if shown:  # "crane (bird)", as answers and hints write it
        return shown
    kind = kind_named(words)
    below = labels_in_category(kind) if kind else frozenset()
    names = _label_names()
    return [label for label in labels if label.index in below or wanted in names[label.index]]


def classes_named(names: Iterable[str]) -> set[int]:
    """Return the indices of all ImageNet concepts that any of these names means."""
    return {label.index for name in names for label in named_labels(name)}


def kind_named(words: str) -> str | None:
    """Name of the kind of concepts that words are taken to mean, such as "bird" for "Birds".

    None where they name no kind, or a concept first: "mask" is the concept of this name.
    """
    wanted = _tokens(words)
    if wanted not in _BOTH and any(names[0] == wanted for names in _label_names()):
        return None
    return _kinds().get(wanted)


def nearest_names(words: str, count: int = 5) -> list[str]:
    """Names of concepts with a name, or a word in it, spelt like these words, and of such kinds; best first."""
    asked = " ".join(_tokens(words))
    spellings = {kind: {" ".join(name)} for name, kind in _kinds().items()}
    for label, names in zip(imagenet_labels(), _label_names(), strict=True):
        spellings[label.name] = {part for name in names for part in (" ".join(name), *name)}
    ranked: list[tuple[float, float, str]] = []
    for name, spelt in spellings.items():
        likeness = max(_likeness(asked, spelling) for spelling in spelt)
        if likeness >= 0.6:
            ranked.append((-likeness, -_likeness(asked, name), name))  # "vehicle" before "recreational vehicle"
    return [name for _, _, name in sorted(ranked)[:count]]


def _likeness(asked: str, spelling: str) -> float:
    return difflib.SequenceMatcher(None, asked, spelling).ratio()


@cache
def _label_names() -> tuple[tuple[tuple[str, ...], ...], ...]:
    return tuple(tuple(map(_tokens, label.synonyms)) for label in imagenet_labels())


@cache
def _kinds() -> dict[tuple[str, ...], str]:
    # Names of the same words, such as "make up" and "make-up", are of one kind; a test holds it.
    return {_tokens(name): name for name in reversed(category_names())}


def _tokens(text: str) -> tuple[str, ...]:
    """Lower-case words, plurals as the singular, so that "retrievers" finds the retriever.

    What comes out need not be a word, if only it is the same for both: "collies" and "collie" are "colly".
    """
    return tuple(map(_singular, re.findall(r"\w+", text.casefold())))


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 3 and word.endswith("ie"):
        return word[:-2] + "y"
    if len(word) > 3 and word.endswith(("xe", "che", "she")):
        return word[:-1]
    return _IRREGULAR.get(word, word)
