"""Segments: what is written is read; damage is named, and damaged values are never returned."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assocmem.codes.dct_sketches import SKETCH_LENGTH
from assocmem.codes.fine_detail import DETAIL_LENGTH
from assocmem.errors import CollectionError, DamagedError, MismatchError
from assocmem.index.store.segments import (
    SegmentData,
    checked_chunks,
    living_parts,
    read_segment,
    segment_path,
    write_segment,
)
from tests.processes import run_python

COLUMNS = SegmentData.__slots__


def make(rows, *, dim=12, code_bytes=8, labels=5, seed=0):
    rng = np.random.default_rng(seed)
    return SegmentData(
        np.sort(rng.choice(10 * rows, rows, replace=False)).astype(np.int64),
        rng.integers(0, 256, (rows, code_bytes), dtype=np.uint8),
        rng.standard_normal((rows, dim)).astype(np.float16),
        rng.integers(0, 1000, (rows, labels)).astype(np.int16),
        rng.random((rows, labels)).astype(np.float16),
        rng.integers(-127, 128, (rows, SKETCH_LENGTH)).astype(np.int8),
        rng.integers(0, 256, (rows, DETAIL_LENGTH), dtype=np.uint8),
    )


def cut(data, start, stop):
    return SegmentData(*(getattr(data, name)[start:stop] for name in COLUMNS))


def same(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def assert_holds(folder, number, data):
    segment = read_segment(folder, number)
    for name in ("ids", "codes", "labels", "label_scores"):
        assert same(getattr(segment, name), getattr(data, name)), name
    for name in ("features", "sketches", "details"):
        assert getattr(segment, name).shape == getattr(data, name).shape
        assert same(getattr(segment, name)[np.arange(len(data.ids))], getattr(data, name))
    assert same(np.concatenate([features for features, _, _ in checked_chunks(folder, number)]), data.features)


@pytest.mark.parametrize("labels", [0, 5])
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 1000])
def test_what_is_written_is_read(tmp_path, rows, labels):
    data = make(rows, dim=37, labels=labels)
    path = write_segment(tmp_path, 42, rows, [data])
    assert path == tmp_path / "00000042.h5"
    assert_holds(tmp_path, 42, data)
    assert os.listdir(tmp_path) == ["00000042.h5"]


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 300),
    dim=st.integers(1, 70),
    labels=st.sampled_from([0, 5]),
    cuts=st.lists(st.integers(0, 300), max_size=4),
    seed=st.integers(0, 99),
)
def test_parts_of_any_size_make_one_segment(tmp_path_factory, rows, dim, labels, cuts, seed):
    folder = tmp_path_factory.mktemp("segments")
    data = make(rows, dim=dim, labels=labels, seed=seed)
    edges = [0, *sorted(min(c, rows) for c in cuts), rows]
    write_segment(folder, 1, rows, [cut(data, a, b) for a, b in pairwise(edges)])
    assert_holds(folder, 1, data)
    picked = np.random.default_rng(seed).integers(0, rows, 20)
    with h5py.File(segment_path(folder, 1)) as file:
        plain = file["features"][:]
    assert same(read_segment(folder, 1).features[picked], plain[picked])


def test_a_segment_of_a_version_without_sketches_and_details_has_zeros(tmp_path):
    data = make(30)
    with h5py.File(write_segment(tmp_path, 1, 30, [data]), "r+") as file:
        del file["sketches"], file["details"]
    none, no_detail = np.zeros((30, SKETCH_LENGTH), np.int8), np.zeros((30, DETAIL_LENGTH), np.uint8)
    rows = np.arange(30)
    segment = read_segment(tmp_path, 1)
    assert same(segment.sketches[rows], none)
    assert same(segment.data(rows).sketches, none)
    assert same(segment.data(rows).details, no_detail)
    assert same(np.concatenate([sketches for _, sketches, _ in checked_chunks(tmp_path, 1)]), none)
    assert same(np.concatenate([details for _, _, details in checked_chunks(tmp_path, 1)]), no_detail)
    assert same(np.concatenate([part.features for part in living_parts(tmp_path, segment, rows)]), data.features)


def test_chunks_have_as_many_rows_as_are_read_at_once(tmp_path):
    """A few features are read at a time, all codes at once."""
    with h5py.File(write_segment(tmp_path, 1, 300, [make(300)])) as file:
        rows = {name: file[name].chunks[0] for name in COLUMNS}
        checked = {name: file[name].fletcher32 for name in COLUMNS}
    small = dict.fromkeys(("ids", "codes", "labels", "label_scores"), 300)
    assert rows == small | {"features": 256, "sketches": 256, "details": 64}
    assert all(checked.values())


def test_rows_outside_are_refused(tmp_path):
    write_segment(tmp_path, 1, 65, [make(65)])
    features = read_segment(tmp_path, 1).features
    assert features[np.empty(0, np.int64)].shape == (0, 12)
    for row in (-1, 65):
        with pytest.raises(IndexError, match=f"expected 0 to 64, found {row}"):
            features[np.array([0, row, 70])]


def test_living_rows_are_complete_and_in_order(tmp_path):
    data = make(2500)
    write_segment(tmp_path, 1, 2500, [data])
    segment = read_segment(tmp_path, 1)
    assert same(np.concatenate([features for features, _, _ in checked_chunks(tmp_path, 1)]), data.features)
    for rows in ([], [0], [2499], [1023, 1024, 2047, 2048], sorted({*range(0, 2500, 3)})):
        wanted = np.array(rows, np.int64)
        parts = list(living_parts(tmp_path, segment, wanted))
        for name in COLUMNS:
            found = [getattr(part, name) for part in parts] or [getattr(data, name)[:0]]
            assert same(np.concatenate(found), getattr(data, name)[wanted]), (name, rows[:3])


@pytest.mark.parametrize("rows", [99, 101])
def test_parts_that_do_not_add_up_are_refused(tmp_path, rows):
    with pytest.raises(ValueError, match="expected"):
        write_segment(tmp_path, 1, rows, [make(50), make(50)])
    assert os.listdir(tmp_path) == []


def test_parts_whose_columns_do_not_fit_are_refused(tmp_path):
    good = make(50)
    short = replace(good, codes=good.codes[:1])
    wide = make(50, dim=13)
    typed = replace(good, features=good.features.astype(np.float32))
    found = (
        r"codes: expected uint8 rows \(8,\), at most 100 in all, found uint8 \(1, 8\) after 50",
        r"features: expected float16 rows \(12,\), at most 100 in all, found float16 \(50, 13\) after 50",
        r"features: expected float16 rows \(12,\), at most 100 in all, found float32 \(50, 12\) after 50",
    )
    for bad, message in zip((short, wide, typed), found, strict=True):
        with pytest.raises(ValueError, match=message):
            write_segment(tmp_path, 1, 100, [good, bad])
        assert os.listdir(tmp_path) == []


def test_what_is_written_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch):
    """A kill cannot show this: only a power failure distinguishes a file that was not synced."""
    events = []
    replace_file = Path.replace
    monkeypatch.setattr("assocmem._storage.hdf5.sync", lambda path: events.append(("sync", path.name)))
    monkeypatch.setattr(
        Path, "replace", lambda path, to: events.append(("replace", path.name, to.name)) or replace_file(path, to)
    )
    write_segment(tmp_path, 1, 50, [make(50)])
    temporary = events[0][1]
    assert re.fullmatch(rf"\.00000001\.h5\.{os.getpid()}-\d+\.tmp", temporary)
    assert events == [("sync", temporary), ("replace", temporary, "00000001.h5"), ("sync", tmp_path.name)]


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    old = make(70, seed=1)
    write_segment(tmp_path, 1, 70, [old])

    def parts():
        yield make(50)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_segment(tmp_path, 2, 100, parts())

    def no_sync(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("assocmem._storage.hdf5.sync", no_sync)
    with pytest.raises(CollectionError, match=r"cannot be written \(Input/output error\)"):
        write_segment(tmp_path, 1, 50, [make(50)])
    assert os.listdir(tmp_path) == ["00000001.h5"]
    assert_holds(tmp_path, 1, old)


def test_room_is_asked_for_all_rows_of_all_columns(tmp_path, monkeypatch):
    data, asked = make(50), []
    monkeypatch.setattr("assocmem.index.store.segments.check_room", lambda folder, needed: asked.append(needed))
    write_segment(tmp_path, 1, 50, [cut(data, 0, 20), cut(data, 20, 50)])
    assert asked == [sum(getattr(data, name).nbytes for name in COLUMNS)]


def test_a_disk_without_room_is_noticed_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("assocmem.index.store.disk.SPARE_BYTES", 2**70)
    with pytest.raises(CollectionError, match=r"MB of free space, found .* MB; make room"):
        write_segment(tmp_path, 1, 50, [make(50)])
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_up_on_the_way_is_named(tmp_path):
    # A child process: the limit is for all its files, and HDF5 can crash when a process ends.
    script = """if 1:
        import resource, sys
        from pathlib import Path
        from assocmem.errors import CollectionError
        from assocmem.index.store.segments import write_segment
        from tests.index.store.test_segments import make
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
        try:
            write_segment(Path(sys.argv[1]), 1, 3000, [make(3000)])
        except CollectionError as error:
            print(error)
    """
    done = run_python(script, tmp_path, timeout=120)
    assert done.returncode == 0, done
    assert "cannot be written (File too large)" in done.stdout, done.stderr
    assert done.stderr == ""  # HDF5 complains there, and only there, about datasets that it closes without a flush
    assert os.listdir(tmp_path) == []


def test_a_reader_keeps_a_segment_whose_file_is_gone(tmp_path):
    data = make(200)
    path = write_segment(tmp_path, 1, 200, [data])
    segment = read_segment(tmp_path, 1)
    path.unlink()
    rows = np.array([199, 0, 64])
    assert same(segment.features[rows], data.features[rows])
    assert same(segment.data(rows).codes, data.codes[rows])
    with pytest.raises(FileNotFoundError):
        read_segment(tmp_path, 1)


def test_a_newer_format_is_refused(tmp_path):
    path = write_segment(tmp_path, 1, 5, [make(5)])
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 2
    with pytest.raises(MismatchError, match="expected segment format 1, found 2"):
        read_segment(tmp_path, 1)


def test_a_file_cut_short_anywhere_is_named(tmp_path):
    path = write_segment(tmp_path, 1, 150, [make(150)])
    whole = path.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError, match=r"00000001\.h5: expected a complete segment, found damage \(.+\); res"):
            read_segment(tmp_path, 1)
        with pytest.raises(DamagedError):
            list(checked_chunks(tmp_path, 1))


def test_other_files_are_refused(tmp_path):
    path = segment_path(tmp_path, 1)
    for content in (b"", b"not HDF5", b"\x89HDF\r\n\x1a\n", bytes(5000)):
        path.write_bytes(content)
        with pytest.raises(DamagedError):
            read_segment(tmp_path, 1)
    with h5py.File(path, "w") as file:
        file["ids"] = [1, 2]
    with pytest.raises(DamagedError):
        read_segment(tmp_path, 1)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = 1
        for name in COLUMNS:
            file.create_group(name)  # where datasets should be
    with pytest.raises(DamagedError):
        read_segment(tmp_path, 1)
    with pytest.raises(DamagedError):
        list(checked_chunks(tmp_path, 1))


@pytest.mark.parametrize(("error", "detail"), [(OSError("one\ntwo"), "one"), (KeyError(), "KeyError")])
def test_damage_is_named_in_one_line(tmp_path, monkeypatch, error, detail):
    def no_file(*arguments, **options):
        raise error

    monkeypatch.setattr(h5py, "File", no_file)
    with pytest.raises(DamagedError, match=rf"found damage \({detail}\); restore"):
        read_segment(tmp_path, 1)


def test_a_flipped_bit_never_changes_what_is_read(tmp_path):
    data = make(150)
    path = write_segment(tmp_path, 1, 150, [data])
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    outcomes = Counter()
    # All bytes would take too long: some of the first, which are all structure, and random ones.
    for place in [*range(0, 600, 3), *rng.integers(0, len(whole), 600).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            segment = read_segment(tmp_path, 1)
        except (DamagedError, MismatchError):
            outcomes["named"] += 1
        else:
            small = set(COLUMNS) - {"features", "sketches", "details"}
            assert all(same(getattr(segment, c), getattr(data, c)) for c in small), place
        try:
            chunks = list(checked_chunks(tmp_path, 1))
        except DamagedError:
            outcomes["features named"] += 1
        else:
            features, sketches, details = (np.concatenate(column) for column in zip(*chunks, strict=True))
            assert same(features, data.features), place
            assert same(sketches, data.sketches), place
            assert same(details, data.details), place
    assert outcomes["named"] > 200
    assert outcomes["features named"] > 200
