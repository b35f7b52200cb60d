"""Evidence: which of the pairs that likeness proposes are copies, and of what kind."""

from __future__ import annotations

import numpy as np

from assocmem.bench.duplicates.alterations import alterations, make_copy
from assocmem.bench.duplicates.documents import draw
from assocmem.codes.fine_detail import no_details
from assocmem.index.query import evidence
from assocmem.index.query.evidence import Evidence
from tests.copies.test_second_look import detail_of, photograph

BY_NAME = {alteration.name: alteration for alteration in alterations()}


def judged(pictures, pairs, *, contents=None, similar=False):
    details = np.stack([no_details(1)[0] if picture is None else detail_of(picture) for picture in pictures])
    first, second = np.array(pairs).T
    scores = np.linspace(1.4, 1.0, len(pairs)).astype(np.float32)
    known = contents or list(range(len(pictures)))
    return Evidence(lambda rows: [known[row] for row in rows], details).kinds(first, second, scores, similar=similar)


def test_each_kind_is_named():
    one = photograph(0)
    copies = [make_copy(one, BY_NAME[name], 0) for name in ("jpeg 50", "crop 15%")]
    pictures, contents = [one, one, *copies, photograph(1), None], [7, 7, 2, 3, 4, 5]
    pairs = [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]
    assert judged(pictures, pairs, contents=contents) == ["identical", "same", None, None, "unchecked"]
    assert judged(pictures, pairs, contents=contents, similar=True) == [
        "identical",
        "same",
        "similar",
        None,
        "unchecked",
    ]


def test_no_pairs_have_no_kinds():
    none = np.empty(0, np.int64)
    assert Evidence(lambda rows: [], no_details(0)).kinds(none, none, none.astype(np.float32), similar=True) == []


def test_what_is_one_picture_by_way_of_many_is_not_looked_at_again(monkeypatch):
    looked = []
    monkeypatch.setattr(evidence, "SURE", 1)
    monkeypatch.setattr(evidence, "is_same", lambda a, b: looked.append(1) or True)
    monkeypatch.setattr(evidence, "_AT_ONCE", 2)
    pairs = [(0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 3)]
    assert judged([photograph(n) for n in range(4)], pairs) == ["same"] * 6
    assert len(looked) < 6


def test_pages_that_are_like_all_others_do_not_take_a_look_at_all_pairs(monkeypatch):
    """The likeliest partners come first, so a true copy among many pages is still found."""
    pages = [draw("icon", number) for number in range(12)]
    looked = []
    monkeypatch.setattr(evidence, "is_same", lambda a, b: looked.append(1) or bool(np.array_equal(a, b)))
    monkeypatch.setattr(evidence, "LOOKS", 3)
    monkeypatch.setattr(evidence, "_AT_ONCE", 1)
    pairs = [(4, 12), *((a, b) for a in range(12) for b in range(a + 1, 12))]
    kinds = judged([*pages, pages[4]], pairs)
    assert kinds[0] == "same"
    assert not any(kinds[1:])
    assert len(looked) <= 1 + 3 * 12
