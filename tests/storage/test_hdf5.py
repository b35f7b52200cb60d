"""HDF5 files: arrays come back unchanged, in memory or mapped, and what is damaged or another kind is refused.

Files of bits are tested with the memories, in ``tests/memory/test_base.py``.
"""

from __future__ import annotations

import os
import sys
import zlib

import h5py
import numpy as np
import pytest

from assocmem._storage import hdf5
from assocmem._storage.hdf5 import is_mapped, loaded_arrays, read_array, replacing, save_arrays, sync, write_arrays
from assocmem.errors import DamagedError, InputError, MismatchError, MissingFileError
from tests.processes import run_python

KIND, WAY_OUT = "test file", "make it again"
ABOUT = {"name": "naïve 猫", "size": 3, "parts": [1, 2.5, None]}
ARRAYS = {
    "bytes": np.arange(7, dtype=np.uint8),
    "floats": np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32),
    "nothing": np.empty((0, 4), np.int64),
    "strided": np.arange(20, dtype=np.int32).reshape(4, 5)[:, ::2],
    "large": np.random.default_rng(1).integers(0, 256, (5, 2**19 + 3), np.uint8),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arrays.h5"


@pytest.fixture
def saved(path):
    save_arrays(path, KIND, ABOUT, ARRAYS)
    return path


def load(path, kind=KIND, **options):
    with loaded_arrays(path, kind, WAY_OUT, **options) as (about, arrays):
        return about, arrays


def refused(path, error, message, **options):
    with pytest.raises(error, match=message):
        load(path, **options)


# Saving and loading


@pytest.mark.parametrize("mapped", [(), ("floats", "nothing", "large"), tuple(ARRAYS)])
def test_facts_and_arrays_are_loaded_unchanged(saved, mapped):
    about, arrays = load(saved, mapped=mapped)
    assert about == {"kind": KIND, **ABOUT}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()
        assert type(arrays[name]) is np.ndarray
        assert arrays[name].flags.c_contiguous
        assert is_mapped(arrays[name]) == (name in mapped and array.size > 0)


def test_views_of_mapped_arrays_are_mapped(saved):
    _, arrays = load(saved, mapped=("floats",))
    assert is_mapped(arrays["floats"][1:, ::2])
    assert not is_mapped(arrays["floats"].copy())
    assert not is_mapped(arrays["large"][1:])


def test_changing_a_mapped_array_does_not_change_the_file(saved):
    before = saved.read_bytes()
    _, arrays = load(saved, mapped=("floats",))
    arrays["floats"][:] = 7
    assert saved.read_bytes() == before
    assert load(saved)[1]["floats"].tobytes() == ARRAYS["floats"].tobytes()


def test_arrays_start_on_pages_so_that_they_can_be_mapped(saved):
    with h5py.File(saved) as file:
        assert file["large"].id.get_offset() % hdf5.PAGE == 0


def test_every_mebibyte_has_a_checksum(saved):
    data = ARRAYS["large"].tobytes()
    with h5py.File(saved) as file:
        found = file["large checksums"][:].tolist()
        assert file["nothing checksums"][:].tolist() == [zlib.crc32(b"")]
    assert found == [zlib.crc32(data[start : start + 2**20]) for start in range(0, len(data), 2**20)]
    assert len(found) == 3


def test_equal_contents_make_equal_files(saved, tmp_path):
    save_arrays(tmp_path / "other.h5", KIND, ABOUT, ARRAYS)
    assert (tmp_path / "other.h5").read_bytes() == saved.read_bytes()


def test_arrays_are_read_from_an_open_file_with_and_without_checks(path):
    with h5py.File(path, "w", libver=hdf5.LIBVER, alignment_threshold=hdf5.PAGE, alignment_interval=hdf5.PAGE) as file:
        write_arrays(file, {"floats": ARRAYS["floats"]})
        file["floats checksums"][0] ^= 1
    with h5py.File(path) as file:
        with pytest.raises(ValueError, match="the floats are not those that were written"):
            read_array(file, path, "floats")
        for mapped in (False, True):
            array = read_array(file, path, "floats", mapped=mapped, checked=False)
            assert array.tobytes() == ARRAYS["floats"].tobytes()


def test_a_path_may_start_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    save_arrays("~/arrays.h5", KIND, {}, {})
    assert load("~/arrays.h5") == ({"kind": KIND}, {})
    assert (tmp_path / "arrays.h5").is_file()


# Replacing


def test_the_target_of_a_link_is_replaced_and_the_link_stays(saved, tmp_path):
    link = tmp_path / "link.h5"
    link.symlink_to(saved)
    save_arrays(link, KIND, {"new": True}, {})
    assert link.is_symlink()
    assert load(saved)[0] == {"kind": KIND, "new": True}


@pytest.mark.parametrize("name", ["missing/arrays.h5", "folder", "file/arrays.h5"])
def test_names_that_no_file_can_have_are_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="expected a file name in an existing folder, found none"):
        save_arrays(tmp_path / name, KIND, ABOUT, ARRAYS)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(saved, error):
    before = saved.read_bytes()

    def write_half():
        with replacing(saved) as temporary:
            temporary.write_bytes(b"half")
            assert saved.read_bytes() == before
            raise error

    with pytest.raises(error):
        write_half()
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_fact_that_json_cannot_represent_leaves_the_old_file(saved):
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        save_arrays(saved, KIND, {"array": np.zeros(2)}, ARRAYS)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_files_and_folders_are_synced_and_missing_ones_are_errors(saved):
    sync(saved)
    sync(saved.parent)
    with pytest.raises(FileNotFoundError):
        sync(saved.parent / "missing")


def test_windows_syncs_files_that_are_open_for_writing_and_no_folders(saved, monkeypatch):
    opened = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: opened.append((path, flags)) or real(path, flags))
    monkeypatch.setattr(hdf5.sys, "platform", "win32")
    try:
        sync(saved)
        sync(saved.parent)
    finally:
        monkeypatch.undo()
    assert opened == [(saved, os.O_RDWR)]


# Refused files


def test_missing_files_and_folders_are_named(tmp_path):
    refused(tmp_path / "none.h5", MissingFileError, r"none\.h5: expected the file of a test file, found nothing; name")
    refused(tmp_path, FileNotFoundError, "expected the file of a test file, found a folder")


def test_other_kinds_of_files_are_named(saved, path):
    refused(saved, MismatchError, "expected an ant hill, found a test file; load it as that", kind="ant hill")
    hdf5.save_bits(path, "clique", {"clusters": 2}, np.zeros((2, 1), np.uint64))
    refused(path, MismatchError, "expected a test file, found another kind of file; load it as that")


def test_a_newer_format_is_named(saved):
    with h5py.File(saved, "r+") as file:
        file.attrs["format"] = 2
    refused(saved, MismatchError, "expected format 1, found 2; it was written by a newer assocmem: update this one")


@pytest.mark.parametrize("mapped", [(), ("floats", "large")])
@pytest.mark.parametrize(("name", "place"), [("floats", 0), ("floats", 59), ("large", 0), ("large", 2**21)])
def test_a_flipped_bit_is_detected(saved, name, place, mapped):
    with h5py.File(saved) as file:
        start = file[name].id.get_offset()
    content = bytearray(saved.read_bytes())
    content[start + place] ^= 4
    saved.write_bytes(content)
    message = rf"expected a complete test file, found damage \(the {name} are not those that were written\); restore it"
    refused(saved, DamagedError, message, mapped=mapped)


@pytest.mark.parametrize("missing", ["floats", "floats checksums", "about checksums"])
def test_a_file_that_lacks_a_part_is_damaged(saved, missing):
    with h5py.File(saved, "r+") as file:
        del file[missing]
    refused(
        saved, DamagedError, "expected a complete test file, found damage .*; restore it from a copy, or make it again"
    )


def test_a_file_without_facts_is_of_another_kind(saved):
    with h5py.File(saved, "r+") as file:
        del file["about"]
    refused(saved, MismatchError, "found another kind of file")


@pytest.mark.parametrize("length", [0, 8, 100, 5000])
def test_a_file_that_is_cut_short_is_damaged(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    refused(saved, DamagedError, "expected a complete test file, found damage")


def test_an_error_while_the_arrays_are_used_is_damage(saved):
    with (
        pytest.raises(
            DamagedError, match=r"found damage \('missing'\); restore it from a copy, or make it again"
        ) as info,
        loaded_arrays(saved, KIND, WAY_OUT) as (_, arrays),
    ):
        arrays["missing"]
    assert isinstance(info.value.__cause__, KeyError)


@pytest.mark.parametrize("error", [PermissionError, MemoryError, MismatchError])
def test_errors_that_say_more_are_not_damage(saved, error):
    with pytest.raises(error), loaded_arrays(saved, KIND, WAY_OUT):
        raise error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
@pytest.mark.parametrize("limit", [0, 4_000, 50_000])
def test_a_disk_that_fills_up_is_an_error_and_no_crash(tmp_path, limit):
    target = tmp_path / "arrays.h5"
    save_arrays(target, "test", {}, {"x": np.arange(3)})
    before = target.read_bytes()
    script = """if 1:
        import resource, sys
        import numpy as np
        from assocmem._storage.hdf5 import save_arrays
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        try:
            save_arrays(sys.argv[1], "test", {}, {"x": np.arange(30_000), "y": np.arange(30_000)})
        except (OSError, RuntimeError) as error:
            print("an error:", error)
    """
    done = run_python(script, target, limit, timeout=120)
    assert done.returncode == 0, done  # HDF5 can crash when a process ends with a file that it could not close
    assert done.stdout.startswith("an error:")
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["arrays.h5"]
