"""Results are plain data: their repr shows every field by name, and stays as it is."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import assocmem
from assocmem.copies import grouping
from assocmem.index import results
from assocmem.index.store.records import Failure, Teaching

CLASSES = [one for _, one in inspect.getmembers(results, dataclasses.is_dataclass)]


def test_the_repr_of_a_hit():
    hit = results.Hit(1, 42, "/photos/castle.jpg", "image", None, None, 0.875)
    expected = "Hit(rank=1, item=42, path='/photos/castle.jpg', kind='image', start=None, end=None, score=0.875)"
    assert repr(hit) == expected
    assert eval(expected, {"Hit": results.Hit}) == hit
    shot = results.Hit(2, 43, "/clips/harbour.mp4", "shot", 1.5, 3.0, 0.5)
    group = results.Copies(hit, [shot], [], ["same"])
    assert repr(group) == f"Copies(original={expected}, copies=[{shot!r}], links=[], kinds=['same'], stacked=[])"


@pytest.mark.parametrize("kind", [*CLASSES, Failure, Teaching], ids=lambda kind: kind.__name__)
def test_the_repr_of_a_result_is_that_of_a_plain_dataclass(kind):
    names = [field.name for field in dataclasses.fields(kind)]
    result = kind(**dict.fromkeys(names, "value"))
    assert repr(result) == f"{kind.__name__}({', '.join(f'{name}={chr(39)}value{chr(39)}' for name in names)})"
    assert dataclasses.replace(result) == result


def test_results_are_exported():
    exported = {name for name in assocmem.__all__ if dataclasses.is_dataclass(getattr(assocmem, name))}
    assert exported >= {one.__name__ for one in [*CLASSES, Teaching]}
    for one in CLASSES:
        assert getattr(assocmem, one.__name__) is one


def test_a_seen_is_a_condition():
    assert results.Seen("", True, 20.0, 10.0, 1, 1)
    assert not results.Seen("", False, 1.0, 10.0, 1, 0)


def test_the_similarities_of_copies_are_those_that_find_them():
    assert (results.COPY, results.SIMILAR) == (grouping.COPY, grouping.SIMILAR)
