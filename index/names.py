"""Words -> ImageNet concepts: exact names first, then whole words, then what the user may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from assocmem.data.labels import Label, imagenet_labels
from assocmem.errors import AssocmemError


class UnknownConceptError(AssocmemError):
    """No concept goes by these words.

    Attributes
    ----------
    nearest : tuple of str
        Names that are spelt alike.
    """

    def __init__(self, words: str, nearest: Sequence[str]) -> None:
        hint = f"; the nearest names are: {', '.join(nearest)}" if nearest else ""
        super().__init__(f"no concept is called {words!r}, and no file either{hint}")
        self.nearest = tuple(nearest)


def match_words(words: str) -> list[Label]:
    """Concepts meant by words: those of exactly this name, else those that have all the words in one name.

    "crane" finds the bird and the machine, "retriever" all five retrievers.

    Raises
    ------
    UnknownConceptError
        Nothing matches; the error names what is spelt alike.
    """
    wanted = _tokens(words)
    labels = imagenet_labels()
    if wanted:
        shown = [label for label in labels if _tokens(label.name) == wanted and "(" in label.name]
        if shown:  # "crane (bird)", as answers and hints write it
            return shown
        for test in (lambda name: name == wanted, lambda name: set(wanted) <= set(name)):
            found = [label for label in labels if any(test(_tokens(name)) for name in label.synonyms)]
            if found:
                return found
    raise UnknownConceptError(words, nearest_names(words))


def nearest_names(words: str, count: int = 5) -> list[str]:
    """Display names of concepts with a name, or a word in it, spelt like these words; best first."""
    asked = " ".join(_tokens(words))
    ranked: list[tuple[float, str]] = []
    for label in imagenet_labels():
        spellings = {part for name in label.synonyms for part in (" ".join(_tokens(name)), *_tokens(name))}
        likeness = max(difflib.SequenceMatcher(None, asked, spelling).ratio() for spelling in spellings)
        if likeness >= 0.6:
            ranked.append((-likeness, label.name))
    return [name for _, name in sorted(ranked)[:count]]


def _tokens(text: str) -> tuple[str, ...]:
    """Lower-case words; a plural "s" is dropped, so that "retrievers" finds the retriever."""
    words = re.findall(r"\w+", text.casefold())
    return tuple(
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words
    )
