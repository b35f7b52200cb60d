"""What Windows lacks or refuses, simulated: no POSIX modules, no open folders, no removing of files that are in use.

`make lint` also runs mypy for Windows, which finds names that Python has on POSIX systems only.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import filelock  # noqa: F401 - before a test changes the platform: it chooses its code by that
import numpy as np
import pytest

import assocmem
from assocmem._storage.hdf5 import replacing, sync
from assocmem.errors import MediaError
from assocmem.index.query.searcher import read_query
from assocmem.index.store.catalog import Catalog
from assocmem.index.store.disk import remove_file
from assocmem.memory.base import physical_memory
from tests.fakes import ColourExtractor, picture, pictures

ROOT = Path(__file__).resolve().parents[1]
IMPORT_EVERYTHING = """if 1:
    import importlib, pkgutil, sys
    blocked = ("fcntl", "grp", "pwd", "resource", "syslog", "termios")
    sys.modules.update(dict.fromkeys(blocked))
    import assocmem
    for module in pkgutil.walk_packages(assocmem.__path__, "assocmem."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError as error:  # an extra that is not installed, such as faiss
            if error.name in blocked:
                raise
        print(module.name)
"""


def in_use(path):
    """Whether this process has a file open or mapped."""
    real = os.path.realpath(path)
    with open("/proc/self/maps") as maps:
        mapped = any(line.rstrip("\n").endswith(f" {real}") for line in maps)
    descriptors = (os.path.join("/proc/self/fd", number) for number in os.listdir("/proc/self/fd"))
    return mapped or any(os.path.realpath(descriptor) == real for descriptor in descriptors)


def sparing(function, count, refused):
    """Wrap a function of ``count`` paths so that it refuses files that are in use, and lists their names."""

    def call(*arguments, **options):
        for path in arguments[:count]:
            if os.path.exists(path) and in_use(path):
                refused.append(os.path.basename(path))
                raise PermissionError(errno.EACCES, "Access is denied", os.fspath(path))
        return function(*arguments, **options)

    return call


def files_only(function):
    """Wrap ``os.open`` so that it refuses folders."""

    def call(path, flags, *arguments, **options):
        if os.path.isdir(path) and not flags & getattr(os, "O_DIRECTORY", 0):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return function(path, flags, *arguments, **options)

    return call


@pytest.fixture
def windows(monkeypatch):
    """Refuse what Windows refuses; returns the names of the files that were refused."""
    if not os.path.exists("/proc/self/maps"):
        pytest.skip("needs Linux")
    refused = []
    monkeypatch.setattr(os, "unlink", sparing(os.unlink, 1, refused))
    monkeypatch.setattr(os, "replace", sparing(os.replace, 2, refused))
    monkeypatch.setattr(os, "rename", sparing(os.rename, 2, refused))
    monkeypatch.setattr(os, "open", files_only(os.open))
    monkeypatch.setattr(sys, "platform", "win32")
    return refused


def test_no_module_needs_what_only_posix_has():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", IMPORT_EVERYTHING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"assocmem.index.store.lock", "assocmem.cli.main", "assocmem.bench.commands"} <= set(done.stdout.split())


def test_files_are_flushed_and_folders_are_passed_over(tmp_path, windows, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    fsync, flushed = os.fsync, []

    def writable_only(descriptor):
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        os.write(descriptor, b"x")  # fails where the file was opened for reading only
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", writable_only)
    sync(path)
    sync(tmp_path)
    assert flushed == [str(path)]
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes()[1:] == b"ew"


def test_a_file_in_use_stays_on_windows_and_goes_elsewhere(tmp_path, windows, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"mapped")
    mapped = np.memmap(path, np.uint8, "r")
    remove_file(path)
    assert windows == ["file"]
    assert path.exists()
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PermissionError):  # there it means a folder that cannot be written
        remove_file(path)
    del mapped
    remove_file(path)
    remove_file(path)
    assert not path.exists()


def test_a_machine_that_does_not_tell_its_memory_has_no_limit(monkeypatch):
    assert physical_memory() > 10**8
    monkeypatch.delattr(os, "sysconf")
    assert physical_memory() is None
    assert assocmem.CliqueMemory(8, 64).shape


def test_both_separators_make_a_path(monkeypatch):
    monkeypatch.setattr(os, "altsep", "\\")
    assert read_query("tabby cat", ColourExtractor).words == "tabby cat"
    for text in ("holiday/tabby cat", "holiday\\tabby cat"):
        with pytest.raises(MediaError, match="no such file"):
            read_query(text, ColourExtractor)


def test_a_collection_works_while_its_segments_are_in_use(tmp_path, windows):
    folder = tmp_path / "photos.amem"
    with assocmem.open(folder, extractor=ColourExtractor()) as photos:
        for number in range(12):  # enough segments for a merge
            photos.add(pictures(tmp_path / "in", [number]))
            found = [hit.path for hit in photos.search(np.asarray(picture(number)), 1)]
            assert found == [str(tmp_path / "in" / f"{number:04d}.png")]
        photos.teach("first", [tmp_path / "in" / "0000.png"])
        photos.remove([tmp_path / "in" / "0001.png"])
    assert windows
    assert set(windows) <= {f"{number:08d}.h5" for number in range(1, 13)}
    with assocmem.open(folder, extractor=ColourExtractor()) as photos:
        photos.add(pictures(tmp_path / "in", [20]))
        assert photos.verify() == []
        assert photos.info().items == 12
    with closing(Catalog(folder)) as catalog:  # what was in use then has been swept away since
        live = {f"{number:08d}.h5" for number in catalog.segments()}
    assert {path.name for path in (folder / "segments").iterdir()} == live
