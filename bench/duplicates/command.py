"""``assocmem bench duplicates``: altered copies of photographs find their originals, compared with hashes and FAISS."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assocmem.bench.processes import installed, load_average
from assocmem.bench.records import DEFAULT_OUT, OutOption, write_json
from assocmem.cli.common import guarded
from assocmem.cli.output import emit, say

if TYPE_CHECKING:
    from assocmem.bench.tables import Section

FEW = 100
"""Originals below which methods are hard to compare: one of them is more than one per cent."""
INSTALL = {"imagehash": "imagehash", "faiss": '"assocmem[bench]"'}
"""Package -> what to install for it."""


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
    documents: Annotated[
        int, typer.Option(min=0, metavar="N", help="Pictures of each kind of document; 0 leaves look-alikes out.")
    ] = 16,
    no_grouping: Annotated[bool, typer.Option("--no-grouping", help="Leave the grouping out.")] = False,
    out: OutOption = DEFAULT_OUT,
) -> None:
    """Measure how well altered copies find their originals, and how quickly a collection is grouped.

    Each original is altered in some forty ways (compression, crops, scales, rotations, blur, noise, colours, captions,
    borders, occlusion, mirror) and asked for among all pictures. Documents that look alike (pages, receipts, chats,
    plots, skies; drawn, nothing is downloaded) must not be taken for copies. Also measured: perceptual hashes (package
    imagehash), FAISS on the same features, raw and at equal bytes, and imagededup's network if it is installed.

    In the folder of --out, duplicates.json keeps every figure, duplicates.md has the tables, duplicates.png is the
    picture.

    Example: assocmem bench duplicates ~/Pictures
    """
    from assocmem.bench.duplicates import grouping, look_alikes, methods, report, retrieval
    from assocmem.bench.duplicates.photographs import find_pictures, read_picture
    from assocmem.extractors.efficientnet import feature_mean
    from assocmem.extractors.registry import open_extractor

    for package, name in INSTALL.items():
        if importlib.util.find_spec(package) is None:
            say(f"{package} is not installed, so it is left out; pip install {name}")
    started, load = time.perf_counter(), load_average()
    extractor = open_extractor()
    mean = feature_mean(extractor.identity)
    task = retrieval.make_task(find_pictures(folder), extractor, originals, seed, say)
    asked, pictures = len(task.originals), len(task.base.features)
    rows = retrieval.ask_methods(task, list(methods.available_methods(extractor.dim, mean, pictures)), say)
    sections = [report.verdict_section(rows), report.methods_section(rows, "recall", "Recall@1, all methods")]
    sections.append(report.methods_section(rows, "precision", "Mean average precision, all methods"))
    alike: dict[str, Any] = {}
    if documents:
        chosen = {row: picture for row in task.originals.tolist() if (picture := read_picture(task.files[row]))}
        false = [*look_alikes.documents(extractor, max(2, documents), say)]
        false.append(look_alikes.unlike_photographs(list(chosen.values()), extractor))
        alike = {"false": false, "true": [*look_alikes.true_copies(chosen, task.alterations, extractor, say)]}
        sections += look_alikes.sections(alike["false"], alike["true"])
    timed: list[report.Row] = []
    if not no_grouping:
        with tempfile.TemporaryDirectory(prefix="assocmem-bench-") as scratch:
            vectors = Path(scratch) / "vectors.npz"
            real = retrieval.write_vectors(task, vectors, items, mean)
            timed = grouping.time_all(str(vectors), say)
        sections.append(report.grouping_section(timed, items, real))
    about = f"{asked} originals among {pictures:,} unlike pictures, "
    about += f"{len(task.alterations)} copies of each, seed {seed}."
    if asked < FEW:
        say(f"only {asked} originals: too few to compare methods; name a FOLDER of {FEW * 2} photographs or more")
    figures = {"about": about, "seconds": time.perf_counter() - started, "load": load, "copies": rows}
    _report({**figures, "look_alikes": alike, "grouping": timed}, sections, out)


def _report(figures: dict[str, Any], sections: list[Section], out: Path) -> None:
    from assocmem.bench.duplicates import report

    about, rows = figures["about"], figures["copies"]
    paths = [write_json(out, "duplicates", figures)]
    paths.append(report.write_markdown(out / "duplicates.md", sections, about, figures["load"]))
    for section in (sections[0], *sections[3:]):
        section.print()
    if installed("matplotlib", "no picture is drawn"):
        paths.append(report.draw(out / "duplicates.png", rows))
    emit(f"\n{about} Raw figures, all tables, picture: {', '.join(map(str, paths))}")
