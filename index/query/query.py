"""A question -> features: a picture, a video, an array, or words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from assocmem._numerics.types import F32, I8
from assocmem.codes.dct_sketches import LENGTH
from assocmem.errors import InputError, MediaError
from assocmem.extractors.base import Extractor, Image
from assocmem.extractors.sniff import claims_media, sniff
from assocmem.index.ingest.decode import Part, picture_part, read_parts
from assocmem.index.ingest.describe import Item, describe_parts
from assocmem.index.ingest.walk import absolute


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: words, or features of a picture or of a video's shots."""

    words: str | None
    features: F32
    """float32 (m, dim); (0, 0) for words"""
    logits: F32 | None
    """float32 (m, 1000), where the extractor gives them"""
    sketches: I8
    """int8 (m, LENGTH); (0, LENGTH) for words"""


def read_query(
    query: str | os.PathLike[str] | Image, extractor: Callable[[], Extractor], *, words: bool = True
) -> Query:
    """Turn a question into features; ``extractor`` is called only when a network is needed.

    Raises
    ------
    MediaError
        A file that is missing, or neither picture nor video, or cannot be read.
    InputError
        An array that is no picture.
    """
    if isinstance(query, np.ndarray):
        if query.dtype != np.uint8 or query.ndim != 3 or query.shape[2] != 3 or not query.size:
            raise InputError(f"query: expected a uint8 array (height, width, 3), found {query.dtype} {query.shape}")
        return _described([picture_part(query, extractor())], extractor())
    if not isinstance(query, str | os.PathLike):
        raise InputError(
            "query: expected a path, words, or a uint8 array (height, width, 3), "
            f"found {type(query).__name__}; of a Pillow picture, numpy.asarray(picture.convert('RGB'))"
        )
    path = absolute(query)
    text = os.fspath(query)
    may_be_words = words and isinstance(query, str) and os.sep not in text and not claims_media(text)
    if may_be_words and not (os.path.isfile(path) and sniff(path)):
        # A folder or a text file of that name is no question; ./NAME asks for the file all the same.
        return words_query(text)
    if not os.path.lexists(path):
        raise MediaError(f"{text}: no such file", lasting=False)
    try:
        kind = sniff(path)
        if kind is None:
            raise MediaError("neither a picture nor a video")
        return _described(read_parts(path, kind, extractor()), extractor())
    except MediaError as error:
        raise MediaError(f"{os.fspath(query)}: {error.reason}", lasting=error.lasting) from error


def words_query(text: str) -> Query:
    """Ask by words."""
    return Query(text, np.empty((0, 0), np.float32), None, np.empty((0, LENGTH), np.int8))


def _described(parts: Iterable[Part], extractor: Extractor) -> Query:
    items: list[Item] = []
    try:
        for part in parts:  # one at a time: a long video's frames never lie in memory together
            items += describe_parts([part], extractor)
    except MediaError:
        if not items:  # a video that breaks in the middle can be asked about as far as it goes
            raise
    logits = [item.logits for item in items if item.logits is not None]
    sketches = [np.zeros(LENGTH, np.int8) if item.sketch is None else item.sketch for item in items]
    features = np.stack([item.feature for item in items])
    return Query(None, features, np.stack(logits) if logits else None, np.stack(sketches))


def check_k(k: int) -> None:
    """Raise InputError unless so many hits can be asked for."""
    if not isinstance(k, int) or k < 1:
        raise InputError(f"k: expected a whole number, at least 1, found {k!r}")
