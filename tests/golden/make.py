"""Write the golden data of format v0.1: ``python -m tests.golden.make [FOLDER] [--overwrite]``.

A released format keeps its fixture for good: do not write ``v0.1`` again to make a test pass. A new format gets a new
folder (``v0.2``) made by that version, and the tests run on both. By default the folder is ``v0.1`` beside this file,
and a folder that exists is refused without ``--overwrite``. The seeds are fixed: what is asked for and the answers are
the same each time; only times differ, and the bytes of HDF5 and SQLite files.

All pictures are drawn here; nothing of third parties is in the fixture.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import assocmem
from tests.golden import arrays, collection, commands

HERE = Path(__file__).resolve().parent / "v0.1"
SIZE = (96, 72)
MTIME_NS = 1_700_000_000_000_000_000
CLEAR = 4e-3
"""Neighbouring scores of a ranked answer differ by more: their order is the same on every processor."""


# arrays


def make_inputs() -> dict[str, np.ndarray]:
    """Return vectors in clusters, messages, cues and sets; small integers, so that they are the same everywhere."""
    rng = np.random.Generator(np.random.PCG64(2026))
    centres = rng.integers(-60, 61, (24, 24))
    kinds = rng.integers(0, 12, 1410)
    vectors = centres[2 * kinds + rng.integers(0, 2, 1410)] + rng.integers(-40, 41, (1410, 24))
    queries = centres[rng.integers(0, 24, 12)] + rng.integers(-40, 41, (12, 24))
    messages = rng.integers(0, 32, (240, 8))
    cues = messages[::12].copy()
    cues[:, 5:] = -1
    cues[::3, 0] = (cues[::3, 0] + 1) % 32
    unused = np.argsort(rng.random((160, 10)), axis=1) >= 4
    sparse = np.where(unused, -1, rng.integers(0, 24, (160, 10)))
    sparse_cues = sparse[::8].copy()
    for row in sparse_cues:
        row[np.flatnonzero(row >= 0)[0]] = -1
    return {
        "vectors": vectors.astype(np.int8),
        "kinds": kinds.astype(np.int16),
        "queries": queries.astype(np.int8),
        "lacking": np.arange(4, 14, dtype=np.int16),
        "mean": centres.mean(axis=0).round().astype(np.int8),
        "ids": (7 + 10 * rng.permutation(1120)).astype(np.int64),
        "messages": messages.astype(np.int16),
        "cues": cues.astype(np.int16),
        "strange_messages": rng.integers(0, 32, (20, 8)).astype(np.int16),
        "sparse_messages": sparse.astype(np.int16),
        "sparse_cues": sparse_cues.astype(np.int16),
        "sparse_unused": unused[::8],
        "sparse_strange_messages": np.where(unused[:20], -1, rng.integers(0, 24, (20, 10))).astype(np.int16),
        "row_sets": rng.integers(0, 150, (200, 6)).astype(np.int16),
    }


def make_arrays(folder: Path) -> dict[str, Any]:
    """Write the files of the array classes; returns the answers of what was loaded from them."""
    np.savez_compressed(folder / "inputs.npz", **make_inputs())
    x = arrays.inputs_of(folder)
    answers = {}
    for name, (_, make) in arrays.MADE.items():
        make(x).save(folder / name)
        answers[name] = arrays.ask(name, arrays.load(folder / name), x)
    return answers


# pictures


def texture(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A textured picture in colours of its own."""
    rng = np.random.Generator(np.random.PCG64(seed))
    canvas = np.zeros((size[1], size[0], 3))
    for cells, weight in ((2, 1.0), (5, 0.6), (16, 0.4)):
        coarse = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        canvas += weight * np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), np.float64)
    return Image.fromarray((canvas / 2.0).astype(np.uint8))


def drawing(name: str, shade: int = 0) -> Image.Image:
    """A simple drawing; ``shade`` makes others of its kind."""
    image = Image.new("RGB", SIZE, (120 + shade, 180, 230 - shade))
    draw = ImageDraw.Draw(image)
    if name == "clock":
        draw.ellipse((18, 4, 78, 64), fill=(255, 255, 255 - shade), outline=0, width=3)
        draw.line((48, 34, 48, 12), fill=0, width=2)
        draw.line((48, 34, 64, 40 + shade // 4), fill=0, width=2)
    elif name == "honey":
        _draw_honeycomb(draw, shade)
    elif name == "kite":
        draw.polygon([(48, 6), (70, 30), (48, 58), (26, 30)], fill=(230, 40 + shade, 30), outline=0)
        draw.line([(48, 58), (40, 64), (52, 68), (44, 72)], fill=0)
    elif name == "flag":
        for row in range(6):
            draw.rectangle((20, 8 + 8 * row, 84, 15 + 8 * row), fill=((200, 30, 30), (240, 240, 240))[row % 2])
        draw.rectangle((16, 4, 19, 72), fill=(90, 60, 30 + shade))
    elif name == "screen":
        for x in range(0, SIZE[0], 8):
            draw.line((x, 0, x, SIZE[1]), fill=(shade, shade, shade))
        for y in range(0, SIZE[1], 8):
            draw.line((0, y, SIZE[0], y), fill=(shade, shade, shade))
    return image


def _draw_honeycomb(draw: ImageDraw.ImageDraw, shade: int) -> None:
    draw.rectangle((0, 0, *SIZE), fill=(200, 140, 20 + shade))
    for row in range(9):
        for column in range(10):
            cell = (column * 10 + (row % 2) * 5, row * 9, 5)
            draw.regular_polygon(cell, 6, rotation=30, fill=(240, 190, 60 + shade), outline=(120, 70, 0))


def make_pictures(root: Path) -> None:
    """Write what is indexed (``pictures``, ``gone``) and what is only asked for or added later (``others``)."""
    for folder in ("pictures/copies", "others/sorted/screens", "others/sorted/ovals", "gone"):
        (root / folder).mkdir(parents=True)
    inside, others = root / "pictures", root / "others"
    for seed in range(1, 3):
        texture(seed).save(inside / f"photo{seed}.png")
    for seed in range(3, 8):
        texture(seed).save(inside / f"photo{seed}.jpg", quality=90)
    for name in ("clock", "honey", "kite"):
        drawing(name).save(inside / f"{name}.png")
    drawing("clock", 40).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(inside / "clock two.png")
    texture(1).save(inside / "copies" / "photo1.jpg", quality=80)
    texture(2).filter(ImageFilter.GaussianBlur(0.7)).save(inside / "copies" / "photo2 again.jpg", quality=85)
    (inside / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    write_clip(inside / "clip.mp4", (texture(31, (64, 48)), texture(32, (64, 48)), drawing("screen").resize((64, 48))))
    write_clip(others / "clip2.mp4", (drawing("screen", 10).resize((64, 48)), texture(31, (64, 48)).rotate(8)))
    texture(8).save(root / "gone" / "photo8.jpg", quality=90)
    texture(9).save(root / "gone" / "photo9.jpg", quality=90)
    drawing("kite").crop((3, 2, 94, 70)).filter(ImageFilter.GaussianBlur(0.5)).save(others / "altered.jpg", quality=75)
    texture(40).save(others / "stranger.jpg", quality=90)
    drawing("honey", 40).save(others / "honey2.png")
    drawing("kite", 60).save(others / "kite2.png")
    drawing("flag").save(others / "flag.png")
    drawing("screen", 20).save(others / "sorted" / "screens" / "a.png")
    drawing("screen", 120).save(others / "sorted" / "screens" / "b.png")
    texture(50).rotate(45).save(others / "sorted" / "ovals" / "c.jpg", quality=85)
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(MTIME_NS, MTIME_NS))


def write_clip(path: Path, stills: tuple[Image.Image, ...], frames: int = 30) -> None:
    """Write a video that shows each picture for a while: a shot each."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25, options={"g": "30"})
        stream.width, stream.height = stills[0].size
        stream.pix_fmt, stream.bit_rate = "yuv420p", 400_000
        for number in range(frames * len(stills)):
            frame = av.VideoFrame.from_image(stills[number // frames])
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


# the collection


def make_collection(root: Path) -> None:
    """Index, remove and teach; the catalog then says ``/golden`` and is one file."""
    inside = root / "pictures"
    with assocmem.open(root / "photos.amem") as photos:
        photos.add([inside / "photo1.png", inside / "photo2.png"], threads=1)
        photos.add([inside, root / "gone"], threads=1)
        photos.remove([root / "gone"])
        photos.teach("timer", [inside / "clock.png", inside / "clock two.png"])
        photos.teach("honey things", inside / "honey.png", parent="food")
        photos.teach("texture", [inside / "photo2.png", inside / "photo3.jpg", inside / "photo4.jpg"])
        photos.teach("cloth", [inside / "photo5.jpg", inside / "photo6.jpg"], parent="instrument")
        photos.teach("clip", inside / "clip.mp4")
        photos.teach("mistake", inside / "photo7.jpg")
        photos.correct(inside / "photo6.jpg", wrong="cloth", right="texture")
        photos.correct(inside / "kite.png", wrong="timer")
        photos.forget("clip")
        photos.undo(photos.teachings("mistake")[0].id)
        photos.rename("timer", "dial")
        photos.merge("cloth", "texture")
        photos.set_parent("dial", "instrument")
        photos.search(inside / "clock.png")
        photos.concepts(inside / "clock.png")
        if problems := photos.verify():
            raise SystemExit(f"expected a whole collection, found {problems}")
    collection.move_paths(root / "photos.amem", str(root), collection.GOLDEN)
    with closing(sqlite3.connect(root / "photos.amem" / "catalog.sqlite3")) as db:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def make_answers(fixture: Path) -> dict[str, Any]:
    """Ask copies of the collection: from Python, and by each group of commands."""
    answers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        answers["python"] = collection.ask_collection(collection.copied(fixture, Path(scratch).resolve()))
    for name in commands.GROUPS:
        with tempfile.TemporaryDirectory() as scratch:
            root = collection.copied(fixture, Path(scratch).resolve())
            answers[name] = list(commands.run_group(name, root))
            for place in ("photos.amem", "new.amem"):
                if (root / place).exists():
                    answers[f"layout of {place} after {name}"] = collection.layout(root / place)
    return answers


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Whose machine wrote it, and when, does not matter."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = MTIME_NS // 10**9
    return member


def shortened(value: Any) -> Any:
    """Floats to seven digits: what is below is not compared."""
    if isinstance(value, dict):
        return {name: shortened(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shortened(one) for one in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def as_lines(value: Any, depth: int = 2) -> str:
    """JSON in which an entry is a line, so that a difference can be read."""
    if depth == 0 or not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
    parts = (f"{json.dumps(name)}: {as_lines(one, depth - (name != 'arrays'))}" for name, one in value.items())
    return "{\n" + ",\n".join(parts) + "\n}"


def unclear(answer: Any, where: str = "") -> list[str]:
    """Ranked answers whose order another processor might change."""
    if isinstance(answer, dict):
        return [line for key, value in answer.items() for line in unclear(value, f"{where}/{key}")]
    if not isinstance(answer, list):
        return []
    found = [line for number, value in enumerate(answer) for line in unclear(value, f"{where}[{number}]")]
    scores = [(one.get("source"), one["score"]) for one in answer if isinstance(one, dict) and "score" in one]
    for (kind, one), (other_kind, other) in itertools.pairwise(scores):
        if kind == other_kind and abs(one - other) < CLEAR and not one == other == 1.0:
            found.append(f"{where}: scores {one} and {other}")
    return found


def close(answers: dict[str, Any]) -> list[str]:
    """Neighbours of vectors whose order another processor might change."""
    found = []
    for question, answer in answers.items():
        if question.startswith("search") and question != "search one":
            scores = np.array(answer[0])
            gaps = np.abs(np.diff(scores, axis=1)) / np.abs(scores[:, 1:])
            found += [
                f"{question}: {scores[row]}" for row in np.flatnonzero((gaps < 10 * arrays.TOLERANCE).any(axis=1))
            ]
    return found


def main() -> None:
    """Write a fixture and its answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=HERE)
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that exists")
    options = parser.parse_args()
    if options.folder.exists():
        if not options.overwrite:
            sys.exit(f"{options.folder} exists; a released format keeps its fixture (--overwrite replaces it)")
        shutil.rmtree(options.folder)
    os.environ["LOGNAME"] = "golden"
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch).resolve() / "v"
        root.mkdir()
        answers = {"arrays": make_arrays(root)}
        make_pictures(root)
        make_collection(root)
        (root / "photos.amem" / "writer.lock").unlink(missing_ok=True)
        with tarfile.open(root / "photos.amem.tar.xz", "w:xz") as archive:
            archive.add(root / "photos.amem", "photos.amem", filter=_anonymous)
        answers |= make_answers(root)
        (root / "answers.json").write_text(as_lines(shortened(answers)) + "\n")
        shutil.copytree(root, options.folder, ignore=shutil.ignore_patterns("photos.amem"))
    near = [line for name in ("index-cosine.h5", "index-l2.h5") for line in close(answers["arrays"][name])]
    for line in unclear(answers) + near:
        print(f"near tie in {line}", file=sys.stderr)


if __name__ == "__main__":
    main()
