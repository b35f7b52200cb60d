"""``assocmem bench duplicates``: altered copies of photographs find their originals, beside hashes and FAISS."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from assocmem.bench.common import DEFAULT_OUT, OutOption, keep
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say

FEW = 100
"""Originals below which methods are hardly told apart: one of them is more than a percent."""


@guarded
def duplicates(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="Photographs. Default: those of installed packages (scikit-image, scikit-learn; of Debian's "
            "tuxpaint-stamps-default, opencv-doc).",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    originals: Annotated[
        int, typer.Option(min=1, metavar="N", help="Pictures that copies are made of; the rest are distractors.")
    ] = 100,
    items: Annotated[int, typer.Option(min=100, metavar="N", help="Items whose grouping is timed.")] = 10_000,
    seed: Annotated[int, typer.Option(metavar="N", help="Chooses the originals.")] = 0,
    no_grouping: Annotated[bool, typer.Option("--no-grouping", help="Leave the grouping out.")] = False,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure how well altered copies find their originals, and how quickly a collection is grouped.

    Each original is altered in some forty ways (compression, crops, scales, turns, blur, noise, colours, captions,
    borders, occlusion, mirror) and asked for among all pictures. Beside ours: perceptual hashes (package imagehash),
    FAISS on the same features, raw and at equal bytes, and imagededup's network where it is installed.

    In the folder of --out, duplicates.json keeps every figure, duplicates.md has the tables, duplicates.png is the
    picture.

    Example: assocmem bench duplicates ~/Pictures
    """
    from assocmem.bench.duplicates import report
    from assocmem.bench.duplicates import retrieval as runs
    from assocmem.bench.duplicates.grouping import time_all
    from assocmem.bench.duplicates.methods import methods
    from assocmem.bench.duplicates.photographs import picture_paths
    from assocmem.data.mean import feature_mean
    from assocmem.extractors.registry import open_extractor

    for package in ("imagehash", "faiss"):
        if importlib.util.find_spec(package) is None:
            say(f"{package} is not installed, so it is left out; pip install {_PROVIDERS[package]}")
    started, load = time.perf_counter(), runs.busy()
    extractor = open_extractor()
    mean = feature_mean(extractor.identity)
    material = runs.gather(picture_paths(folder), extractor, originals, seed, say)
    rows = runs.ask(material, list(methods(extractor.dim, mean, len(material.base.features))), say)
    tables = [report.verdict(rows), report.everything(rows, "recall", "Recall@1, all methods")]
    tables.append(report.everything(rows, "precision", "Mean average precision, all methods"))
    timed: list[report.Row] = []
    if not no_grouping:
        with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
            vectors = Path(scratch) / "vectors.npz"
            real = runs.keep_vectors(material, vectors, items, mean)
            timed = time_all(str(vectors), say)
        tables.append(report.grouping(timed, items, real))
    asked, pictures = len(material.originals), len(material.base.features)
    about = f"{asked} originals among {pictures:,} unlike pictures, {len(material.copies)} copies of each, seed {seed}."
    if asked < FEW:
        say(
            f"only {asked} originals: too few to tell the methods apart; name a FOLDER of {FEW * 2} photographs or more"
        )
    taken = {"seconds": time.perf_counter() - started, "load": load}
    paths = [keep(out, "duplicates", {"about": about, **taken, "copies": rows, "grouping": timed})]
    paths.append(report.write_markdown(out / "duplicates.md", tables, about, load))
    for table in (tables[0], *tables[3:]):
        table.show()
    if importlib.util.find_spec("matplotlib"):
        paths.append(report.draw(out / "duplicates.png", rows))
    emit(f"\n{about} Raw figures, all tables, picture: {', '.join(map(str, paths))}")


_PROVIDERS = {"imagehash": "imagehash", "faiss": '"assocmem[bench]"'}
