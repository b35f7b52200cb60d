"""What can be asked of an index besides its nearest items: yes, no or how. What is measured of it has rows elsewhere.

A row of ours names the method that does it, and says "not yet" while the class lacks it.
"""

from __future__ import annotations

from typing import NamedTuple

from assocmem.bench.tables import Section


class Row(NamedTuple):
    """A question, and each program's answer."""

    question: str
    method: str
    """Ours, of CliqueIndex."""
    how: str
    faiss: str
    hnswlib: str
    usearch: str
    pynndescent: str


_FILL = "no: what is missing must be filled in first"
_THRESHOLD = "no: a search and a threshold"
ROWS = (
    Row("add without training", "add", "yes", "Flat, HNSW, LSH: yes; IVF, PQ, SQ, PCA, OPQ: after `train`",
        "yes, up to a room set beforehand (`resize_index`)", "yes", "no: `update` prepares the search anew"),
    Row("remove an item", "remove", "yes", "Flat, IVF, PQ: yes, by going through all; HNSW, with refinement: no",
        "`mark_deleted`: hidden, its place may be used again", "yes: hidden, its place used again",
        "no: `update` replaces, and prepares anew"),
    Row("merge two indexes", "__ior__", "yes, `|=`", "`merge_from`: Flat, and IVF of one training; HNSW: no",
        "no: add the vectors again", "no: several can be searched as one", "no"),
    Row("exact at full effort", "search", "yes, `effort=1`", "Flat, and IVF-Flat with all lists; others: no",
        "no (`BFIndex` is another index)", "yes, `exact=True`", "no"),
    Row("partial cues: part of the vector missing", "search_partial", "yes, `search_partial`",
        _FILL, _FILL, _FILL, _FILL),
    Row("seen: is this, or a near copy of it, here?", "search", "yes, `SeenMemory`, `Collection.seen`",
        _THRESHOLD, _THRESHOLD, _THRESHOLD, _THRESHOLD),
    Row("duplicates: all groups of near copies", "search", "yes, `Collection.duplicates`",
        "no: a search per item, and a union of pairs", "no: likewise", "no: likewise",
        "its graph of neighbours, and a union of pairs"),
)  # fmt: skip


def section() -> Section:
    """Tabulate the answers."""
    import assocmem

    index = getattr(assocmem, "CliqueIndex", None)
    headers = ("", "assocmem", *(name for name in Row._fields if name not in ("question", "method", "how")))
    rows = [(row.question, row.how if hasattr(index, row.method) else "not yet", *row[3:]) for row in ROWS]
    return Section("What else can be asked", headers, rows)
