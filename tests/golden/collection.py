"""The collection of a fixture: copied to a place of its own, asked from Python, and how its files are laid out."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

import assocmem

GOLDEN = "/golden"
"""Stands for the folder of the pictures and the collection, in the fixture's catalog and in answers."""
PATHS = (("files", "path"), ("failures", "path"), ("teachings", "path"))
"""Where the catalog stores absolute paths."""


def copied(fixture: Path, root: Path) -> Path:
    """Copy a fixture's collection and pictures, put its paths right, and restore the files' times."""
    for name in ("pictures", "others", "gone"):
        shutil.copytree(fixture / name, root / name)
    with tarfile.open(fixture / "photos.amem.tar.xz") as archive:
        archive.extractall(root, filter="data")
    move_paths(root / "photos.amem", GOLDEN, str(root))
    with closing(sqlite3.connect(root / "photos.amem" / "catalog.sqlite3")) as db:
        for table in ("files", "failures"):
            for path, mtime in db.execute(f"SELECT path, mtime_ns FROM {table}"):
                os.utime(path, ns=(mtime, mtime))
    return root


def move_paths(collection: Path, old: str, new: str) -> None:
    """Replace the beginning of all paths in a catalog; leaves one file."""
    with closing(sqlite3.connect(collection / "catalog.sqlite3")) as db:
        for table, column in PATHS:
            rows = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?"
            db.execute(rows, (new, len(old) + 1, len(old), old))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def ask_collection(root: Path) -> dict[str, Any]:
    """Ask a copy of the collection from Python; JSON values."""
    inside, others = root / "pictures", root / "others"
    array = np.asarray(Image.open(inside / "clock.png").convert("RGB"))
    hit = ("rank", "item", "path", "kind", "start", "end", "score")
    with assocmem.open(root / "photos.amem") as photos:
        seen = {name: photos.seen(what) for name, what in (("array", array), ("no", others / "flag.png"))}
        info = photos.info()
        answers = {
            "len": len(photos),
            "search": _fields(photos.search(str(inside / "clock.png"), k=3), hit),
            "search array": _fields(photos.search(array, 3), hit),
            "search mask": _fields(photos.search(inside / "kite.png", 2, mask=[(0.0, 0.0, 0.5, 0.5)]), hit),
            "search effort": _fields(photos.search(inside / "kite.png", 2, effort=1.0), hit),
            "search words": _fields(photos.search("analog clock"), hit),
            "search taught": _fields(photos.search("dial", 4), hit),
            "concepts": _fields(photos.concepts(array, 1), ("rank", "concept", "score", "source")),
            "seen": {name: _fields([one], ("path", "seen", "evidence", "threshold", "parts", "parts_seen"))
                for name, one in seen.items()},
            "seen as condition": {name: bool(one) for name, one in seen.items()},
            "duplicates": [[_fields([one.original], hit), _fields(one.copies, hit)] for one in photos.duplicates()],
            "originals": _fields(photos.originals(others / "altered.jpg", 1), hit),
            "taught concepts": _fields(
                photos.taught_concepts(), ("concept", "parent", "examples", "denied", "confidence")
            ),
            "teachings": _fields(
                photos.teachings(), ("id", "example", "concept", "is_one", "said", "who", "path", "start", "end")
            ),
            "undone": [one.undone is not None for one in photos.teachings()],
            "failures": _fields(photos.failures(), ("path", "reason")),
            "missing": photos.missing(),
            "info": _fields([info], ("items", "images", "shots", "files", "failures", "concepts", "examples")),
            "seen memory": dataclasses.asdict(info.seen) if info.seen else None,
            "verify": photos.verify(),
        }  # fmt: skip
    return {name: _relative(answer, root) for name, answer in answers.items()}


def _fields(found: Iterable[Any], names: Iterable[str]) -> list[dict[str, Any]]:
    return [{name: getattr(one, name) for name in names} for one in found]


def _relative(value: Any, root: Path) -> Any:
    if isinstance(value, dict):
        return {name: _relative(one, root) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_relative(one, root) for one in value]
    return value.replace(str(root), GOLDEN) if isinstance(value, str) else value


def layout(collection: Path) -> dict[str, Any]:
    """What a collection's files are called and how they are laid out: tables and columns, datasets and dtypes."""
    found: dict[str, Any] = {}
    for path in sorted(collection.rglob("*")):
        name = re.sub(r"\d{8}", "<number>", path.relative_to(collection).as_posix())
        if path.suffix == ".h5" and h5py.is_hdf5(path):
            with h5py.File(path) as file:
                found[name] = {"attributes": sorted(file.attrs), "datasets": {
                    dataset: f"{file[dataset].dtype.str}, {file[dataset].ndim} dimensions" for dataset in sorted(file)
                }}  # fmt: skip
        elif path.suffix == ".sqlite3":
            found[name] = _tables(path)
        elif path.is_file() and not name.endswith(("-wal", "-shm", ".lock")):
            found[name] = "bytes"
    return found


def _tables(path: Path) -> dict[str, Any]:
    with closing(sqlite3.connect(path)) as db:
        named = "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%' ORDER BY name"
        tables = [name for (name,) in db.execute(named, ("table",))]
        return {
            "tables": {table: [list(row) for row in db.execute(f"PRAGMA table_info({table})")] for table in tables},
            "indexes": [name for (name,) in db.execute(named, ("index",))],
            "meta": sorted(key for (key,) in db.execute("SELECT key FROM meta")),
        }
