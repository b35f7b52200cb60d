"""``assocmem bench partial``: recall by the share of the query that is missing, for every strategy to deal with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from assocmem.bench.processes import installed, load_average
from assocmem.bench.records import DEFAULT_OUT, OutOption, machine_lines, write_json
from assocmem.bench.tables import write_page
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say

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
    items: Annotated[int, typer.Option(min=100, metavar="N", help="At most N vectors are stored.")] = 20_000,
    queries: Annotated[int, typer.Option(min=10, metavar="N", help="At most N are asked.")] = 200,
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

    Numbers are missing at random, and in one piece. Strategies: zeros; the known numbers alone, with the right
    normalisation; blocks of dimensions that are completely known; linear regression; the mean of the nearest in the
    known numbers; and both, as `search` does. Each ranks all items exactly; `search` is also measured as it is.
    Of photographs, a rectangle is covered by another one, and the original asked for among all and FILE's vectors: what
    was covered is left in, painted grey (as `search --mask` does) or in the mean colour, or cut off.
    The folder of --out gets partial-NAME.md, a picture and the raw figures.

    Example: assocmem bench partial photos-angular.hdf5
    """
    from assocmem.bench.partial import missing_numbers

    load = load_average()
    task = missing_numbers.read_task(file, items, queries)
    rows = []
    for pattern in missing_numbers.PATTERNS:
        for share in sorted(set(shares or SHARES)):
            say(f"{share:.0%} missing, {pattern} ...")
            rows.append(missing_numbers.measure(task, pattern, share))
    about = {"file": file.name, "items": len(task.base), "queries": len(task.queries), "cosine": task.angular}
    covered = [] if pictures is None else _measure_covered(pictures, file)
    _report(rows, covered, about, load, out)


def _report(
    rows: list[dict[str, Any]], covered: list[dict[str, Any]], about: dict[str, Any], load: float, out: Path
) -> None:
    from assocmem.bench.partial import covered_pictures, missing_numbers

    name = f"partial-{Path(about['file']).stem}"
    path = write_json(out, name, {"load": load, **about, "rows": rows, "masks": covered})
    picture = ""
    if installed("matplotlib", "no picture is drawn"):
        picture = missing_numbers.draw(out / f"{name}.png", rows, about).name
    sections = [missing_numbers.section(rows, pattern) for pattern in missing_numbers.PATTERNS]
    sections += [covered_pictures.section(covered)] if covered else []
    line = f"`assocmem bench partial {about['file']}`: {about['items']:,} items, {about['queries']} queries."
    heading = [line, *machine_lines(load)]
    page = write_page(out / f"{name}.md", "Partial cues", heading, sections, picture)
    for section in sections:
        section.print()
    emit(f"\ntables: {page}; raw figures: {path}" + (f"; picture: {out / picture}" if picture else ""))


def _measure_covered(folder: Path, file: Path) -> list[dict[str, Any]]:
    import numpy as np

    from assocmem.bench.inputs import read_photographs, read_vectors
    from assocmem.bench.partial import covered_pictures
    from assocmem.extractors.registry import open_extractor

    say("photographs with a part covered ...")
    photographs = [np.asarray(picture) for picture in read_photographs(folder, PICTURES)]
    return covered_pictures.measure(photographs, open_extractor(), read_vectors(file))
