"""``assocmem info``: what the collection contains, and which errors to expect of its memories."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import CollectionOption, JsonOption, guarded, open_collection
from assocmem.cli.output import count, emit, emit_json, emit_table, one_line, say, size

if TYPE_CHECKING:
    from assocmem.index.results import EngineInfo, Info, MemoryInfo
    from assocmem.memory.familiarity_eval import FamiliarityReport


@guarded
def info(
    collection: CollectionOption = None,
    failures: Annotated[bool, typer.Option("--failures", help="List the files that could not be read.")] = False,
    json_: JsonOption = False,
) -> None:
    """Show what the collection contains.

    The number of items, the network, the size on disk, how a search works, and how often the memories fail: measured
    and predicted.

    Example: assocmem info

    Example: assocmem info --failures
    """
    with open_collection(collection) as photos:
        about = photos.info()
        failed = photos.failures() if failures else []
    if json_:
        listed = {"failed": [{"path": f.path, "reason": f.reason} for f in failed]} if failures else {}
        emit_json(dataclasses.asdict(about) | listed)
        return
    emit_table(("", ""), _rows(about, listed=failures))
    for failure in failed:
        emit(f"{one_line(failure.path)}\t{failure.reason}")
    if about.memory is not None and about.memory.full:
        say(
            "the clique memory cannot distinguish all of its items: more than 1% of such cues fail "
            "(only the completion of partial cues depends on it, a search does not)"
        )


def _rows(about: Info, *, listed: bool) -> list[tuple[str, str]]:
    """Return the rows of the table; ``listed``: the failures are printed below it."""
    hint = " (--failures lists them)" if about.failures and not listed else ""
    kinds = f"{count(about.images, 'picture')}, {count(about.shots, 'shot')}"
    return [
        ("collection", about.path),
        ("items", f"{about.items} ({kinds}) of {count(about.files, 'file')}"),
        ("not readable", f"{count(about.failures, 'file')}{hint}"),
        *([("taught", _describe_taught(about))] if about.examples else []),
        ("extractor", about.extractor),
        ("per item", f"{about.code_bytes} bytes of code, {size(about.feature_bytes)} of features"),
        *([] if about.engine is None else [("searched", _describe_engine(about.engine))]),
        *([] if about.memory is None else _memory_rows(about.memory)),
        *([] if about.seen is None else _seen_rows(about.seen)),
        ("on disk", f"{size(about.disk_bytes)} in {count(about.segments, 'segment')}, generation {about.generation}"),
    ]


def _describe_taught(about: Info) -> str:
    return f"{count(about.concepts, 'concept')} by {count(about.examples, 'example')}"


def _describe_engine(engine: EngineInfo) -> str:
    """Describe which part of the collection a search compares."""
    if engine.name == "exhaustive":
        return f"all codes, {size(engine.bytes)}"
    waiting = f"; {count(engine.waiting, 'item')} in none yet" if engine.waiting else ""
    share = f"about {engine.effort:.1%} of the codes, in the nearest of {count(engine.pools, 'pool')}"
    return f"{share}, {size(engine.bytes)}{waiting}"


def _memory_rows(memory: MemoryInfo) -> list[tuple[str, str]]:
    """Describe the clique memory, and how often cues fail that lack some symbols."""
    shape = f"{memory.clusters} clusters of {memory.units} units, {size(memory.bytes)}, density {memory.density:.3g}"
    lacking = f"when {memory.erased} of {memory.clusters} symbols are lost"
    measured = f"measured {memory.measured_error:.2%} of {count(memory.sampled, 'item')}, " if memory.sampled else ""
    alike = f"; {memory.alike:.1%} are too alike to tell" if memory.alike else ""
    return [
        ("clique memory", shape),
        ("recall fails", f"{measured}predicted {memory.predicted_error:.2%} of random ones {lacking}{alike}"),
        ("room for", f"at most {memory.room:,} more items before 1% fail, fewer if they resemble each other"),
    ]


def _seen_rows(judged: FamiliarityReport) -> list[tuple[str, str]]:
    """Describe the memory of `assocmem seen`, and how often it is expected to be wrong."""
    shape = f"{judged.units} units per cluster, {size(judged.bytes)}, density {judged.density:.3g}"
    from assocmem.memory.familiarity_eval import KEPT_SYMBOLS

    half = KEPT_SYMBOLS.index(8)
    return [
        ("seen", f"{shape}; yes from {judged.threshold:.1f} bits of evidence on"),
        (
            "false alarms",
            f"predicted {_percent(judged.theory_false)} of random messages, {_percent(judged.held_false)} of half "
            f"of the {count(judged.held, 'item')} held out (the other half chose the threshold)",
        ),
        (
            "near copies missed",
            f"of those that keep half of the symbols: predicted {_percent(judged.theory_miss[half])}, "
            f"measured {_percent(judged.measured_miss[half])}",
        ),
    ]


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.2%}"
