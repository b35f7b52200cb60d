"""What the collection answers with: plain data for programs, printed by the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assocmem.index.store.records import Failure

if TYPE_CHECKING:
    from assocmem.memory.familiarity_eval import Judgement


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


COPY, SIMILAR = 1.0, 0.85
"""Likeness from which two items are copies of one picture, and from which they are similar."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Items that are near copies of one picture or shot."""

    original: Hit
    """what the copies are held against: of a group the item that most others are like; its score is that of itself"""
    copies: list[Hit]
    """the likest first; scores are likenesses to the original: the cosine similarity of the features, plus what that
    of the sketches exceeds 0.6 by; from 1.0 on they are copies, from 0.85 on similar"""


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
    """pictures and shots that stand for it"""
    denied: int
    """those that were said not to be one, and nothing else"""
    confidence: float | None
    """probability that its examples would be taken for it had each not been taught; None where that is not known, as of
    a single example"""
    taught: str
    """when last: UTC, ISO 8601"""


@dataclass(slots=True)
class TeachReport:
    """What a teaching did."""

    taught: int = 0
    """pictures and shots that are now examples, and were not so before"""
    known: int = 0
    """those of which the same was said before"""
    changed: int = 0
    """those among the taught of which something else was said before"""
    indexed: int = 0
    """new items: files that were not in the collection were indexed first"""
    concepts: list[str] = field(default_factory=list)
    teachings: list[int] = field(default_factory=list)
    """numbers of the teachings, by which they can be undone"""
    failed: list[Failure] = field(default_factory=list)
    """files in folders that could not be read"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an indexing run is."""

    done: int
    """files finished"""
    total: int
    """files to be read"""
    items: int
    """pictures and shots stored or waiting to be"""
    path: str
    """the file just finished"""


@dataclass(slots=True)
class AddReport:
    """What an indexing run did."""

    indexed: int = 0
    """new items"""
    unchanged: int = 0
    """files left alone because nothing about them changed"""
    moved: int = 0
    """files recognised by content under another path, not read by the network again"""
    failed: list[Failure] = field(default_factory=list)
    """files that could not be read, or not to their end; by path"""
    known_failures: frozenset[str] = frozenset()
    """paths among them that failed before, have not changed, and were not tried again"""
    items: int = 0
    """items in the collection now"""
    elapsed_s: float = 0.0
    interrupted: bool = False
    """stopped by Ctrl-C; what was finished until then is stored"""


@dataclass(frozen=True, slots=True)
class MemoryInfo:
    """What the clique memory holds, and how well it completes cues that lack ``erased`` of their symbols."""

    clusters: int
    units: int
    """per cluster"""
    bytes: int
    density: float
    erased: int
    predicted_error: float
    """share of cues that fail, in one step, were the items random messages of this density"""
    measured_error: float
    """share of ``sampled`` items that do not come back, and could"""
    alike: float
    """share of them that agree with another item in all that was left of the cue, so that nothing could tell"""
    sampled: int
    room: int
    """items that still fit before 1% fail, by theory and by what was measured"""

    @property
    def full(self) -> bool:
        """Whether more than 1% of cues fail, predicted or measured."""
        return max(self.predicted_error, self.measured_error) > 0.01


@dataclass(frozen=True, slots=True)
class Seen:
    """Whether something, or a near copy of it, is in a collection; true or false when taken for a condition."""

    path: str
    """empty for an array"""
    seen: bool
    evidence: float
    """bits that speak for it; of a video's shots, the median"""
    threshold: float
    """bits from which on a picture or shot counts as seen"""
    parts: int
    """1 for a picture, else the video's shots"""
    parts_seen: int

    def __bool__(self) -> bool:
        return self.seen


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What answers searches."""

    name: str
    """``exhaustive``: all codes are scanned; ``pools``: those in the pools nearest to the query"""
    bytes: int
    """of codes and what belongs to them, in memory or mapped"""
    pools: int
    waiting: int
    """items that are in no pool yet and are scanned"""
    effort: float
    """share of the codes that a search looks at which does not say"""


@dataclass(frozen=True, slots=True)
class Info:
    """What a collection holds."""

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
    """that were taught"""
    examples: int
    """pictures and shots that something is taught by"""
    code_bytes: int
    """per item"""
    feature_bytes: int
    """per item"""
    disk_bytes: int
    """everything in the directory"""
    memory: MemoryInfo | None
    """None when the collection is damaged"""
    seen: Judgement | None
    """how well the memory of what was seen answers; None when the collection is damaged"""
    engine: EngineInfo | None
    """what answers searches; None when the collection is damaged"""
