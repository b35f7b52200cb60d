"""Indexes in files: a loaded index equals the saved one, mapped or not; damage is always found."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.errors import DamagedError, InputError, MismatchError
from assocmem.memory.clique import CliqueMemory
from assocmem.search.clique_index import CliqueIndex
from tests.search.index_helpers import DIM, KINDS, METRICS, answers, check_structure, facts_of, item_codes, vectors
from tests.strategies import law, messages, seeds

MAPPED = pytest.mark.parametrize("mmap", [False, True])


def filled(n=1300, metric="cosine", kind="float16", *, named=True, removed=True, seed=1):
    """An index with a history: with ``named`` explicit ids, and with ``removed`` gaps and rows that are used again."""
    index = CliqueIndex(DIM, metric, features=kind, mean=np.full(DIM, 0.01))
    index.add(vectors(seed, n, kind), ids=np.arange(n) * 3 + 5 if named else None)
    if removed and n > 3:
        index.remove(index.ids()[1::3])
        index.add(vectors(seed + 1, n // 5, kind))
    return index


def small():
    return filled(80)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.h5"


# saving and loading


@law
@given(
    seed=seeds,
    sort=st.tuples(st.sampled_from(METRICS), st.sampled_from(KINDS)),
    n=st.sampled_from([1, 60, 1300]),
    named=st.booleans(),
    removed=st.booleans(),
)
def test_a_loaded_index_gives_identical_answers_at_every_effort(tmp_path_factory, seed, sort, n, named, removed):
    path = tmp_path_factory.mktemp("saved") / "index.h5"
    index = filled(n, *sort, named=named, removed=removed, seed=seed)
    index.save(str(path))
    q, ids = vectors(seed + 9, 5, sort[1]), index.ids()
    for mmap in (False, True):
        again = CliqueIndex.load(path, mmap=mmap)
        assert type(again) is CliqueIndex
        assert again.kind == index.kind
        assert again.mean.tobytes() == index.mean.tobytes()
        assert again.ids().tolist() == ids.tolist()
        assert again.reconstruct(ids).tobytes() == index.reconstruct(ids).tobytes()
        assert answers(again, q) == answers(index, q)
        assert [part.tobytes() for part in again.range_search(q, 0.5)] == [
            part.tobytes() for part in index.range_search(q, 0.5)
        ]
        assert item_codes(again) == item_codes(index)
        assert (again.mapped_bytes > 0) == mmap
        check_structure(again)
    assert os.listdir(path.parent) == ["index.h5"]


@MAPPED
def test_the_tuned_promise_is_saved(path, mmap):
    index = filled(3000)
    assert index.tune(vectors(9, 50), recall=0.8) < 1
    index.save(path)
    again = CliqueIndex.load(path, mmap=mmap)
    assert facts_of(again) == facts_of(index)
    assert answers(again, vectors(8, 5), efforts=[None]) == answers(index, vectors(8, 5), efforts=[None])


@MAPPED
def test_a_loaded_index_saves_the_same_file(path, mmap):
    index = filled(1300)
    index.save(path)
    before = path.read_bytes()
    CliqueIndex.load(path, mmap=mmap).save(path)
    assert path.read_bytes() == before


@MAPPED
@pytest.mark.parametrize("named", [False, True])
def test_a_loaded_index_can_be_changed_like_the_saved_one(path, named, mmap):
    index = filled(1300, named=named)
    index.save(path)
    file, q = path.read_bytes(), vectors(9, 5)
    again = CliqueIndex.load(path, mmap=mmap)
    for one in (index, again):
        ids = one.ids()
        one.remove(ids[::5])
        one.update(ids[1:40:5], vectors(3, 8))
        assert one.add(vectors(4, 900)).tolist() == list(range(ids[-1] + 1, ids[-1] + 901))
        one.add(vectors(5, 3), ids=[ids[0], ids[1], 10**6], on_conflict="replace")
        check_structure(one)
    assert answers(again, q, efforts=[1.0]) == answers(index, q, efforts=[1.0])
    assert item_codes(again) == item_codes(index)
    assert path.read_bytes() == file
    again.save(path)  # replaces the mapped file
    assert answers(again, q) == answers(CliqueIndex.load(path), q)
    assert answers(again, q, efforts=[1.0]) == answers(index, q, efforts=[1.0])


@MAPPED
def test_loaded_indexes_merge(path, mmap):
    one, two = filled(300), CliqueIndex(DIM, mean=np.full(DIM, 0.01))
    two.add(vectors(7, 300), ids=np.arange(10**6, 10**6 + 300))
    two.save(path)
    codes = item_codes(one) | item_codes(two)
    one |= CliqueIndex.load(path, mmap=mmap)
    assert item_codes(one) == codes
    check_structure(one)
    other = CliqueIndex.load(path, mmap=mmap)
    other |= filled(300)
    assert item_codes(other) == codes
    assert answers(one, vectors(8, 5), efforts=[1.0]) == answers(other, vectors(8, 5), efforts=[1.0])


@MAPPED
@pytest.mark.parametrize("emptied", [False, True])
def test_an_empty_index_can_be_saved(path, emptied, mmap):
    index = filled(50) if emptied else CliqueIndex(DIM)
    index.remove(index.ids())
    index.save(path)
    again = CliqueIndex.load(path, mmap=mmap)
    assert len(again) == 0
    assert again.add(vectors(1, 3)).tolist() == index.add(vectors(1, 3)).tolist()
    assert answers(again, vectors(1, 3), efforts=[1.0]) == answers(index, vectors(1, 3), efforts=[1.0])
    check_structure(again)


def test_a_mapped_index_keeps_its_vectors_in_the_file(path):
    index = filled(1300)
    index.save(path)
    mapped, loaded = CliqueIndex.load(path, mmap=True), CliqueIndex.load(path)
    assert mapped.mapped_bytes == loaded.stats().memory["vectors"] >= 1300 * DIM * 2
    assert mapped.memory_bytes + mapped.mapped_bytes == pytest.approx(loaded.memory_bytes, rel=0.2)
    assert loaded.mapped_bytes == 0


@pytest.mark.parametrize("name", ["nowhere/index.h5", "."])
def test_a_path_that_cannot_be_a_file_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="expected a file name in an existing folder, found none"):
        small().save(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_failed_save_leaves_the_old_file(path, monkeypatch):
    index = small()
    index.save(path)
    before = path.read_bytes()
    index.add(vectors(1, 5))

    def replace(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="no space left"):
        index.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["index.h5"]


# damage


@MAPPED
def test_a_missing_file_raises(path, mmap):
    with pytest.raises(FileNotFoundError, match="expected the file of a clique index, found nothing"):
        CliqueIndex.load(path, mmap=mmap)
    with pytest.raises(FileNotFoundError):
        CliqueIndex.load(path.parent, mmap=mmap)


@MAPPED
def test_a_file_that_is_cut_short_is_damaged(path, mmap):
    small().save(path)
    whole = path.read_bytes()
    lengths = np.random.default_rng(0).integers(0, len(whole), 40)
    for length in [0, 1, 8, 64, 512, len(whole) // 2, len(whole) - 8, len(whole) - 1, *lengths]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError, match=r"\.h5: expected a complete clique index, found damage .* restore it"):
            CliqueIndex.load(path, mmap=mmap)


def test_nothing_is_stored_in_a_heap_where_hdf5_has_no_checksum(path):
    small().save(path)
    assert b"GCOL" not in path.read_bytes()


@MAPPED
def test_a_flipped_bit_is_found_or_changes_nothing(path, mmap):
    index, q = small(), vectors(9, 5)
    index.save(path)
    whole, expected = np.frombuffer(path.read_bytes(), np.uint8), answers(index, q)
    rng = np.random.default_rng(1)
    filled_places = rng.choice(np.flatnonzero(whole), 150)  # most of a small file is padding
    found = 0
    for place in (*filled_places, *rng.integers(0, len(whole), 50)):
        altered = whole.copy()
        altered[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(altered.tobytes())
        try:
            again = CliqueIndex.load(path, mmap=mmap)
        except (DamagedError, MismatchError):
            found += 1
        else:
            assert answers(again, q) == expected, place
            assert again.ids().tolist() == index.ids().tolist()
    assert found > 120


NAMES = ["about", "mean", "ids", "vectors", *(f"{level} {part}" for level in ("items", "pools", "groups")
         for part in ("codes", "scales", "biases", "members", "sizes")),
         *(f"centres {part}" for part in ("values", "scales", "spreads", "radii"))]  # fmt: skip


@MAPPED
@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_of_an_array_is_always_found(path, name, mmap):
    small().save(path)
    with h5py.File(path) as file:
        assert sorted(key for key in file if not key.endswith(" checksums")) == sorted(NAMES)
        start, size = file[name].id.get_offset(), file[name].nbytes
    whole = bytearray(path.read_bytes())
    for place in [0, size - 1, *np.random.default_rng(2).integers(0, size, 5)]:
        whole[start + place] ^= 16
        path.write_bytes(whole)
        with pytest.raises(DamagedError, match=f"the {name} are not those that were written"):
            CliqueIndex.load(path, mmap=mmap)
        whole[start + place] ^= 16
    path.write_bytes(whole)
    assert len(CliqueIndex.load(path, mmap=mmap)) > 0


@MAPPED
@pytest.mark.parametrize("content", [b"", b"index", bytes(5000), np.random.default_rng(0).bytes(20_000)])
def test_a_file_that_is_not_hdf5_is_damaged(path, content, mmap):
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="expected a complete clique index, found damage"):
        CliqueIndex.load(path, mmap=mmap)


@MAPPED
@pytest.mark.parametrize("name", [*NAMES[1:], *(f"{name} checksums" for name in NAMES), "format"])
def test_a_file_with_a_missing_part_is_damaged(path, name, mmap):
    small().save(path)
    with h5py.File(path, "r+") as file:
        del (file.attrs if name == "format" else file)[name]
    with pytest.raises(DamagedError, match="expected a complete clique index, found damage"):
        CliqueIndex.load(path, mmap=mmap)


def rewrite(path, name, array):
    """Replace an array, with right checksums."""
    with h5py.File(path, "r+") as file:
        del file[name], file[f"{name} checksums"]
        file[name] = array
        data = np.ascontiguousarray(array).tobytes()
        sums = [zlib.crc32(data[i : i + 2**20]) for i in range(0, len(data), 2**20)]
        file[f"{name} checksums"] = np.array(sums, np.uint32)


def edit(path, **facts):
    """Change facts of an index; None deletes one."""
    with h5py.File(path) as file:
        about = json.loads(file["about"][:].tobytes())
    about = {name: value for name, value in (about | facts).items() if value is not None}
    rewrite(path, "about", np.frombuffer(json.dumps(about).encode(), np.uint8))


@MAPPED
@pytest.mark.parametrize(
    "facts",
    [
        {"dim": 25},
        {"dim": 200},
        {"dim": None},
        {"dim": "24"},
        {"metric": "dot"},
        {"features": "int8"},
        {"stored": "float32"},
        {"stored": "uint8"},
        {"clusters": 8},
        {"clusters": 12},
        {"seed": None},
        {"rows": 3},
        {"rows": 10**6},
        {"rows": -1},
        {"rows": None},
        {"next_id": None},
        {"promise": 2},
        {"promise": "much"},
    ],
)
def test_facts_that_do_not_match_the_arrays_are_damage(path, facts, mmap):
    small().save(path)
    edit(path, **facts)
    with pytest.raises(DamagedError, match="expected a complete clique index, found damage"):
        CliqueIndex.load(path, mmap=mmap)


@MAPPED
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("items sizes", lambda a: a + 65),
        ("items sizes", lambda a: a - 65),
        ("items sizes", lambda a: a[:-1]),
        ("items members", lambda a: a + 10**6),
        ("items members", lambda a: a - 10**6),
        ("items members", lambda a: np.zeros_like(a)),
        ("items codes", lambda a: a.astype(np.uint16)),
        ("items scales", lambda a: a.astype(np.float32)),
        ("items codes", lambda a: a[:, :4]),
        ("pools members", lambda a: a + 100),
        ("pools sizes", lambda a: a * 0),
        ("groups members", lambda a: a + 1),
        ("ids", lambda a: a[:-1]),
        ("ids", lambda a: a * 0),
        ("ids", lambda a: a.astype(np.float64)),
        ("vectors", lambda a: a[:-1]),
        ("vectors", lambda a: a.view(np.int16)),
        ("mean", lambda a: a * np.float32(np.nan)),
        ("mean", lambda a: a[:-1]),
        ("mean", lambda a: a.astype(np.float64)),
        ("centres values", lambda a: a[:-1]),
        ("centres values", lambda a: a | np.uint16(0x7C00)),
        ("centres scales", lambda a: -a - 1),
        ("centres spreads", lambda a: a * np.float32(np.nan)),
        ("centres radii", lambda a: a.astype(np.float64)),
    ],
)
def test_impossible_arrays_are_damage(path, name, change, mmap):
    """The checksums are right, as if a faulty program had written the file. A kernel must never follow such numbers."""
    small().save(path)
    with h5py.File(path) as file:
        array = file[name][:]
    rewrite(path, name, change(array))
    with pytest.raises(DamagedError, match="expected a complete clique index, found damage"):
        CliqueIndex.load(path, mmap=mmap)


# other files


@MAPPED
def test_another_kind_of_file_is_a_mismatch(path, mmap):
    memory = CliqueMemory(4, 64, active=4)
    memory.store(messages(0, (4, 64, 4), 20))
    memory.save(path)
    with pytest.raises(MismatchError, match="expected a clique index, found another kind of file; load it as that"):
        CliqueIndex.load(path, mmap=mmap)


@MAPPED
def test_a_newer_format_is_a_mismatch(path, mmap):
    small().save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 4
    with pytest.raises(MismatchError, match="expected format 3, found 4; it was written by a newer assocmem: update"):
        CliqueIndex.load(path, mmap=mmap)
