"""Results of a collection's methods: plain data for programs, printed by the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from assocmem.index.store.records import Failure

if TYPE_CHECKING:
    from assocmem.memory.familiarity_eval import FamiliarityReport


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer to a search."""

    rank: int
    item: int
    path: str
    kind: str
    """``image`` or ``shot``"""
    start: float | None
    """seconds, for shots"""
    end: float | None
    score: float
    """cosine similarity, or the probability of the concept asked for"""


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """Files that cannot be found, but are not known to be gone."""

    folder: str
    reason: str
    """why the folder says nothing about its files, such as ``an empty folder``"""
    files: int


@dataclass(frozen=True, slots=True)
class Gone:
    """What ``remove(missing=True)`` takes out, and what it keeps."""

    files: list[str]
    """files that no longer exist"""
    out_of_reach: list[OutOfReach]
    """folders that are missing as a whole, empty, or unreadable, as on a disk that is not mounted"""


CopyKind: TypeAlias = Literal["identical", "same", "unchecked", "similar"]
"""See ``Copies.kinds``."""
Ranked: TypeAlias = list[tuple[int, float]]
"""(item id, score), best first."""

COPY, SIMILAR = 1.0, 0.85
"""Similarity from which two items are copies of one picture, and from which they are similar.

Those of ``assocmem.copies.grouping``, which brings kernels that most commands do not need.
"""


@dataclass(frozen=True, slots=True)
class Copies:
    """Items that are near copies of one picture or shot."""

    original: Hit
    """the item that the copies are compared with: of a group the one that most others are similar to; its score is its
    similarity to itself"""
    copies: list[Hit]
    """by certainty, then similarity; scores are similarities to the original: the cosine similarity of the features,
    plus what that of the sketches exceeds 0.6 by; from 1.0 on a copy is likely, from 0.85 on a common part"""
    links: list[Hit] = field(default_factory=list)
    """other names of the same files, hard or symbolic links: removing what they lead to would lose it"""
    kinds: list[CopyKind] = field(default_factory=list)
    """of each copy, the most certain first: ``identical`` (the same bytes), ``same`` (one picture: saved again, scaled,
    or edited lightly), ``unchecked`` (alike, but indexed by a version that kept no detail to check it by), ``similar``
    (of one scene or form; cut, turned, framed, captioned, mirrored)"""
    stacked: list[Hit] = field(default_factory=list)
    """files of one shot with one of the others, no copies: a raw photograph beside its JPEG, a live photo's video"""


@dataclass(frozen=True, slots=True)
class ConceptHit:
    """One answer to "what is this?"."""

    rank: int
    concept: str
    score: float
    """probability"""
    source: str
    """``imagenet`` or ``taught``"""


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept that was taught."""

    concept: str
    parent: str | None
    examples: int
    """pictures and shots of it"""
    denied: int
    """pictures and shots that were only denied to be one"""
    confidence: float | None
    """probability that its examples would be recognised, had each been left out; None if unknown, as of a single
    example"""
    taught: str
    """last time: UTC, ISO 8601"""


@dataclass(slots=True)
class TeachReport:
    """Result of a teaching."""

    taught: int = 0
    """pictures and shots that are examples now and were not before"""
    known: int = 0
    """those with the same label before"""
    changed: int = 0
    """taught ones with another label before"""
    indexed: int = 0
    """new items, of files that were indexed first"""
    concepts: list[str] = field(default_factory=list)
    teachings: list[int] = field(default_factory=list)
    """ids of the teachings, for ``undo``"""
    failed: list[Failure] = field(default_factory=list)
    """files in folders that could not be read"""


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of an indexing run."""

    done: int
    """files finished"""
    total: int
    """files to be read"""
    items: int
    """pictures and shots stored, or waiting to be"""
    path: str
    """the file just finished"""


@dataclass(slots=True)
class AddReport:
    """Result of an indexing run."""

    indexed: int = 0
    """new items"""
    unchanged: int = 0
    """files that did not change"""
    moved: int = 0
    """files recognised by content under another path, not read by the network again"""
    failed: list[Failure] = field(default_factory=list)
    """files that could not be read, or not to their end; by path"""
    left_out: list[str] = field(default_factory=list)
    """companions of pictures that were passed over: thumbnails, previews, backups, unfinished downloads; whole folders
    of them, and those with a file ``.nomedia``, are one entry each"""
    known_failures: frozenset[str] = frozenset()
    """their paths if they failed before, have not changed, and were not tried again"""
    items: int = 0
    """items in the collection now"""
    elapsed_s: float = 0.0
    interrupted: bool = False
    """stopped by Ctrl-C; everything finished until then is stored"""


@dataclass(frozen=True, slots=True)
class MemoryInfo:
    """The clique memory, and how well it completes cues with ``erased`` symbols erased."""

    clusters: int
    units: int
    """per cluster"""
    bytes: int
    density: float
    erased: int
    predicted_error: float
    """share of cues that would fail, in one step, if the items were random messages of this density"""
    measured_error: float
    """share of ``sampled`` items that are not recalled, though they could be"""
    alike: float
    """share of them that agree with another item in all known symbols of the cue: nothing could distinguish the two"""
    sampled: int
    room: int
    """items that still fit before 1% fail, by theory and by measurement"""

    @property
    def full(self) -> bool:
        """Whether more than 1% of cues fail, predicted or measured."""
        return max(self.predicted_error, self.measured_error) > 0.01


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether a picture or video, or a near copy of it, is in a collection; true or false as a condition."""

    path: str
    """empty for an array"""
    seen: bool
    evidence: float
    """evidence in bits; of a video's shots, the median"""
    threshold: float
    """evidence from which on a picture or shot counts as seen"""
    parts: int
    """1 for a picture, else the video's shots"""
    parts_seen: int
    alike: int = 0
    """parts that the memory knows something like, before the items it names were looked at"""
    hit: Hit | None = None
    """the item that the first part seen is a copy of"""
    kind: CopyKind | None = None
    """what kind of copy, as in ``Copies.kinds``; ``unchecked`` if an earlier version indexed the item"""

    def __bool__(self) -> bool:
        return self.seen


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The engine that answers searches."""

    name: str
    """``exhaustive``: all codes are scanned; ``pools``: those in the pools nearest to the query"""
    bytes: int
    """of codes and their structures, in memory or mapped"""
    pools: int
    waiting: int
    """items that are in no pool yet, and are scanned"""
    effort: float
    """share of the codes that a search looks at by default"""


@dataclass(frozen=True, slots=True)
class Info:
    """The contents of a collection."""

    path: str
    format: int
    generation: int
    extractor: str
    """identity"""
    dim: int
    items: int
    images: int
    shots: int
    files: int
    failures: int
    segments: int
    concepts: int
    """taught concepts"""
    examples: int
    """pictures and shots with a label"""
    code_bytes: int
    """per item"""
    feature_bytes: int
    """per item"""
    disk_bytes: int
    """everything in the directory"""
    memory: MemoryInfo | None
    """None if the collection is damaged"""
    seen: FamiliarityReport | None
    """measured errors of the familiarity memory; None if the collection is damaged"""
    engine: EngineInfo | None
    """None if the collection is damaged"""
