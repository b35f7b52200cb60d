"""``assocmem bench partial``: recall when part of the query is missing, by share, for every way to deal with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.common import DEFAULT_OUT, OutOption, current_load, keep
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say

if TYPE_CHECKING:
    from assocmem.bench.tables import Section

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
PICTURES = 100


@guarded
def partial(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Vectors in ann-benchmarks' HDF5 layout, angular or euclidean.",
            exists=True,
            dir_okay=False,
        ),
    ],
    items: Annotated[int, typer.Option(min=100, metavar="N", help="At most so many vectors are stored.")] = 20_000,
    queries: Annotated[int, typer.Option(min=10, metavar="N", help="At most so many are asked.")] = 200,
    shares: Annotated[
        list[float] | None,
        typer.Option(
            "--share",
            metavar="SHARE",
            min=0.01,
            max=0.99,
            help="Share of the numbers that is missing; may be repeated.",
        ),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Photographs, to mask parts of too.", exists=True, file_okay=False),
    ] = None,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure recall@10 against the share of the query's numbers that is missing.

    Numbers are missing at random, and in one piece. Ways to deal with them: zeros; the known numbers alone, with the
    right normalisation; blocks of dimensions that are known whole; linear regression; the mean of the nearest in the
    known numbers; and both, as `search` does. Every way ranks all items exactly; `search` is also measured as it is.
    Of photographs, a rectangle is covered by another one, and the original asked for among all and FILE's vectors: what
    was covered is left in, painted grey (as `search --mask` does) or in the mean colour, or cut off.
    The folder of --out gets partial-NAME.md, a picture and the raw figures.

    Example: assocmem bench partial photos-angular.hdf5
    """
    from assocmem.bench.partial import missing_numbers as ways
    from assocmem.bench.tables import machine_lines, write_sections

    load = current_load()
    task = ways.read_task(file, items, queries)
    rows = []
    for pattern in ways.PATTERNS:
        for share in sorted(set(shares or SHARES)):
            say(f"{share:.0%} missing, {pattern} ...")
            rows.append(ways.measure(task, pattern, share))
    about = {"file": file.name, "items": len(task.base), "queries": len(task.queries), "cosine": task.cosine}
    masks = [] if pictures is None else _masks(pictures, file)
    path = keep(out, f"partial-{file.stem}", {"load": load, **about, "rows": rows, "masks": masks})
    picture = _draw(out / f"partial-{file.stem}.png", rows, about)
    tables = [_table(rows, pattern) for pattern in ways.PATTERNS]
    tables += [_masks_table(masks)] if masks else []
    told = f"`assocmem bench partial {file.name}`: {about['items']:,} items, {about['queries']} queries."
    heading, shown = [told, *machine_lines(load)], picture.name if picture else ""
    page = write_sections(out / f"partial-{file.stem}.md", "Partial cues", heading, tables, shown)
    for table in tables:
        table.show()
    emit(f"\ntables: {page}; raw figures: {path}" + (f"; picture: {picture}" if picture else ""))


def _table(rows: list[dict[str, Any]], pattern: str) -> Section:
    from assocmem.bench.partial import missing_numbers as ways
    from assocmem.bench.tables import Section

    mine = [row for row in rows if row["pattern"] == pattern]
    names = [name for name in ways.WAYS if any(name in row["recall"] for row in mine)]
    cells = [
        (f"{row['share']:.0%}", *(f"{row['recall'][n]:.3f}" if n in row["recall"] else "" for n in names))
        for row in mine
    ]
    times = [row["complete_ms"] for row in mine]
    note = f"Completing a batch took {min(times):.1f} to {max(times):.1f} ms per query, the search of it not counted."
    return Section(f"Recall@10, numbers missing {pattern}", ("missing", *names), cells, [note])


def _masks(folder: Path, file: Path) -> list[dict[str, Any]]:
    import numpy as np

    from assocmem.bench.capacity.real_features import read
    from assocmem.bench.partial import covered_pictures as partial_masks
    from assocmem.bench.seen.near_copies import read_pictures
    from assocmem.extractors.registry import open_extractor

    say("photographs with a part covered ...")
    photographs = [np.asarray(picture) for picture in read_pictures(folder, PICTURES)]
    return partial_masks.measure(photographs, open_extractor(), read(file))


def _masks_table(rows: list[dict[str, Any]]) -> Section:
    from assocmem.bench.partial.covered_pictures import WAYS
    from assocmem.bench.tables import Section

    cells = [(f"{row['area']:.0%}", *(f"{row['recall'][way]:.3f}" for way in WAYS)) for row in rows]
    note = f"{rows[0]['pictures']} photographs, each asked for among {rows[0]['items']:,} items."
    return Section("Recall@1 of the original, part of the picture covered", ("covered", *WAYS), cells, [note])


def _draw(path: Path, rows: list[dict[str, Any]], about: dict[str, Any]) -> Path | None:
    if importlib.util.find_spec("matplotlib") is None:
        say('no picture is drawn; `pip install "assocmem[bench]"` brings matplotlib')
        return None
    from assocmem.bench.partial.missing_numbers import draw

    return draw(path, rows, about)
