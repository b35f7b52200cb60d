"""``assocmem bench seen``: time, bytes, false alarms and misses of the memory of what was seen, beside its theory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem._numerics.types import U16
from assocmem.bench.common import DEFAULT_OUT, OutOption, current_load, keep, run_function
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say

if TYPE_CHECKING:
    from assocmem.bench.tables import Section

ITEMS = (10_000, 100_000, 1_000_000, 10_000_000)
PICTURES = 400


@guarded
def seen(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Photographs, to measure near copies of.", exists=True, file_okay=False),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Real vectors in ann-benchmarks' HDF5 layout, for messages that follow them.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    items: Annotated[
        list[int] | None,
        typer.Option(min=1000, metavar="N", help="Messages stored; may be repeated. Default: 10,000 to 10 million."),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=20, metavar="N", help="At most so many photographs of FOLDER are taken.")
    ] = PICTURES,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure `seen`: microseconds, bytes, false alarms and misses, predicted and measured.

    Messages are random, and drawn to follow those of real vectors, up to 10 million; each memory is built in a process
    of its own. Of photographs, every other one is stored; the rest must not be seen, and near copies of those stored,
    by distortion, must be. The folder of --out gets seen.md and the raw figures.

    Example: assocmem bench seen ~/Pictures --features photos-angular.hdf5 --items 100000
    """
    from assocmem.bench.seen import growth
    from assocmem.bench.tables import machine_lines, write_sections

    load = current_load()
    real = None if features is None else growth.real_messages(features)
    runs = _grow(sorted(set(items or ITEMS)), real)
    tables = [_growth_table(runs)]
    figures: dict[str, Any] = {"growth": runs}
    if folder is not None:
        figures["copies"] = _copies(folder, pictures, features)
        tables.append(_copies_table(figures["copies"]))
    path = keep(out, "seen", {"load": load, **figures})
    heading = ["`assocmem bench seen`.", *machine_lines(load)]
    page = write_sections(out / "seen.md", "Have I seen this?", heading, tables)
    for table in tables:
        table.show()
    emit(f"\ntables: {page}; raw figures: {path}")


def _grow(counts: list[int], real: U16 | None) -> list[dict[str, Any]]:
    import numpy as np

    from assocmem.bench.seen import growth

    runs = []
    with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
        kinds = {growth.RANDOM: ""}
        if real is not None:
            kinds[growth.LIKE_REAL] = f"{scratch}/real.npy"
            np.save(kinds[growth.LIKE_REAL], real)
        for count in counts:
            for kind, file in kinds.items():
                say(f"{count:,} messages, {kind} ...")
                runs.append(run_function(growth.HOME, "grow", count, kind, file))
    return runs


def _growth_table(runs: list[dict[str, Any]]) -> Section:
    from assocmem.bench.seen import growth
    from assocmem.bench.tables import Section

    notes = [
        "Microseconds of one core per message, in batches; near copies keep half of the symbols of a stored one. False "
        f"alarms are wanted below 1%. Of what was stored, {max(run['stored_missed'] for run in runs):.0%} was missed.",
        f"Messages like real ones take {growth.SHARED:.0%} of their symbols from one real message, and each other "
        "symbol from another, so that symbols are as popular as they are, and some go together.",
    ]
    return Section("Growth", growth.HEADERS, [growth.tell(run) for run in runs], notes)


def _copies(folder: Path, most: int, features: Path | None) -> dict[str, Any]:
    from assocmem.bench.capacity.real_features import read
    from assocmem.bench.seen import near_copies as copies
    from assocmem.extractors.registry import open_extractor

    say("near copies of photographs ...")
    others = None if features is None else read(features)
    return copies.measure(copies.read_pictures(folder, most), open_extractor(), others)


def _copies_table(figures: dict[str, Any]) -> Section:
    from assocmem.bench.seen import near_copies as copies
    from assocmem.bench.seen.growth import percent
    from assocmem.bench.tables import Section

    expected, alarms = percent(figures["held_false"]) or "too few to say", percent(figures["false"])
    note = (
        f"{figures['stored']} photographs stored among {figures['items']:,} items; the threshold is "
        f"{figures['threshold']:.1f} bits. Of {figures['asked']} others {alarms} were taken for seen; of the "
        f"{figures['unlike']} among them that are like nothing stored, {percent(figures['unlike_false']) or 'none'} "
        f"(predicted {percent(figures['theory_false'])}; of items held out {expected})."
    )
    return Section("Near copies of photographs", copies.HEADERS, copies.tell(figures), [note])
