"""What all bit memories share: files that are loaded bit for bit, or refused if damaged; pickles; their size."""

from __future__ import annotations

import os
import pickle
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from assocmem.errors import DamagedError, InputError, MismatchError
from assocmem.memory.clique import CliqueMemory
from assocmem.memory.willshaw import WillshawMemory
from assocmem.search.clique_index import CliqueIndex
from tests.strategies import cues, messages, sets


def clique(*shape, seed=0):
    memory = CliqueMemory(shape[0], shape[1], active=shape[2])
    memory.store(messages(seed, shape, 20))
    return memory


def willshaw(*size, seed=0):
    memory = WillshawMemory(*size)
    memory.associate(sets(seed, 20, size[0]), sets(seed + 1, 20, size[1]))
    return memory


MAKERS = {
    "smallest clique": lambda **seed: clique(3, 5, 3, **seed),
    "clique": lambda **seed: clique(4, 64, 4, **seed),
    "sparse clique": lambda **seed: clique(6, 20, 3, **seed),
    "large clique": lambda **seed: clique(8, 256, 8, **seed),
    "smallest willshaw": lambda **seed: willshaw(1, 1, **seed),
    "willshaw": lambda **seed: willshaw(20, 65, **seed),
    "several checksums": lambda **seed: willshaw(100, 200_000, **seed),
}
SMALL = ["clique", "sparse clique", "willshaw"]
MAPPED = pytest.mark.parametrize("mmap", [False, True])


def answers(memory):
    """Return the answers of a memory to some questions, as arrays."""
    if isinstance(memory, WillshawMemory):
        asked = sets(5, 8, memory.rows)
        return [memory.poll(asked), *memory.top(asked, 3), *memory.recall(asked), memory.transposed().bits]
    shape = memory.clusters, memory.units, memory.active
    stored = messages(0, shape, 20)
    asked = cues(3, shape, stored[:6], erased=1, wrong=1)
    out = [memory.familiar(stored), memory.familiarity(messages(1, shape, 9))]
    for rule in ("sum-of-max", "sum-of-sum", "gwsta"):
        answer = memory.recall(asked, rule=rule, candidates=True)
        out += [answer.messages, answer.exact, answer.iterations, answer.candidates]
    return out


def edit(path, **attributes):
    """Change attributes of a file; None deletes one. The checksums of the bits stay valid."""
    with h5py.File(path, "r+") as file:
        for name, value in attributes.items():
            if value is None:
                del file.attrs[name]
            else:
                file.attrs[name] = value


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.h5"


# Saving and loading


@MAPPED
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_saved_is_loaded_bit_for_bit(path, name, mmap):
    memory = MAKERS[name]()
    memory.save(str(path))
    for again in (type(memory).load(path, mmap=mmap), type(memory).load(str(path), mmap=mmap)):
        assert type(again) is type(memory)
        assert again.shape == memory.shape
        assert again.bits.dtype == np.uint64
        assert again.bits.tobytes() == memory.bits.tobytes()
        assert (again.density, again.nbytes) == (memory.density, memory.nbytes)
    assert os.listdir(path.parent) == ["memory.h5"]


@pytest.mark.parametrize("name", SMALL)
def test_a_mapped_memory_answers_like_the_saved_one(path, name):
    memory = MAKERS[name]()
    memory.save(path)
    expected = answers(memory)
    assert any(answer.any() for answer in expected)
    for mmap in (False, True):
        found = answers(type(memory).load(path, mmap=mmap))
        assert all(map(np.array_equal, found, expected))


def test_a_mapped_memory_stays_in_its_file(path):
    memory = MAKERS["large clique"]()
    memory.save(path)
    base = CliqueMemory.load(path, mmap=True).bits
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    assert Path(base.filename).samefile(path)


@pytest.mark.parametrize("name", SMALL)
def test_a_loaded_memory_can_be_changed(path, name):
    memory, other = MAKERS[name](), MAKERS[name](seed=7)
    memory.save(path)
    again = type(memory).load(path)
    again |= other
    memory |= other
    assert again == memory
    assert again != type(memory).load(path)


CHANGES = {
    "store": lambda memory: memory.store(messages(9, (4, 64, 4), 3)),
    "store nothing": lambda memory: memory.store(np.empty((0, 4), int)),
    "forget": lambda memory: memory.forget(messages(0, (4, 64, 4), 1), messages(0, (4, 64, 4), 20)[1:]),
    "merge": lambda memory: memory.merge(MAKERS["clique"](seed=9)),
    "merge with |=": lambda memory: memory.__ior__(MAKERS["clique"](seed=9)),
    "associate": lambda memory: memory.associate([[1]], [2]),
    "merge pairs": lambda memory: memory.merge(MAKERS["willshaw"](seed=9)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_mapped_memory_cannot_be_changed(path, change):
    memory = MAKERS["willshaw" if change in ("associate", "merge pairs") else "clique"]()
    memory.save(path)
    before = path.read_bytes()
    mapped = type(memory).load(path, mmap=True)
    with pytest.raises(InputError, match=r"expected a memory that can be changed, .* load it without mmap"):
        CHANGES[change](mapped)
    assert mapped == memory
    assert path.read_bytes() == before
    CHANGES[change](type(memory).load(path))


def test_a_mapped_memory_merges_into_others_and_can_be_saved(path):
    memory, other = MAKERS["clique"](), MAKERS["clique"](seed=9)
    memory.save(path)
    mapped = CliqueMemory.load(path, mmap=True)
    merged = MAKERS["clique"](seed=9)
    merged |= mapped
    other |= memory
    assert merged == other
    mapped.save(path)
    assert CliqueMemory.load(path) == memory


@pytest.mark.parametrize("name", SMALL)
def test_a_mapped_memory_keeps_its_bits_when_its_file_is_replaced(path, name):
    old, new = MAKERS[name](), MAKERS[name](seed=9)
    old.save(path)
    mapped = type(old).load(path, mmap=True)
    new.save(path)
    assert mapped == old != new
    assert type(new).load(path, mmap=True) == new


# Writing that fails


def failing(monkeypatch, owner, name, calls):
    """Let a function work for this many calls, and then raise the error of a full disk."""
    real, left = getattr(owner, name), iter([True] * calls)

    def fail(*args, **kwargs):
        if next(left, False):
            return real(*args, **kwargs)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(owner, name, fail)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("name", ["clique", "willshaw"])
@pytest.mark.parametrize(
    ("owner", "function", "calls"),
    [
        (h5py, "File", 0),
        (h5py.Group, "create_dataset", 0),
        (h5py.Group, "create_dataset", 1),
        (os, "fsync", 0),
        (Path, "replace", 0),
    ],
)
def test_a_file_stays_whole_when_writing_fails(path, monkeypatch, owner, function, calls, name, existing):
    old, new = MAKERS[name](), MAKERS[name](seed=9)
    if existing:
        old.save(path)
    with monkeypatch.context() as patch:
        failing(patch, owner, function, calls)
        with pytest.raises(OSError, match="No space left"):
            new.save(path)
    assert os.listdir(path.parent) == ["memory.h5"] * existing
    if existing:
        assert type(old).load(path) == old != new
    new.save(path)
    assert type(new).load(path) == new


def test_a_file_is_complete_when_syncing_its_folder_fails(path, monkeypatch):
    old, new = MAKERS["clique"](), MAKERS["clique"](seed=9)
    old.save(path)
    with monkeypatch.context() as patch:
        failing(patch, os, "fsync", 1)
        with pytest.raises(OSError, match="No space left"):
            new.save(path)
    assert CliqueMemory.load(path) == new
    assert os.listdir(path.parent) == ["memory.h5"]


def test_bits_are_synced_before_the_name_exists(path, monkeypatch):
    seen = []
    real = os.fsync

    def fsync(descriptor):
        seen.append(path.exists())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    MAKERS["clique"]().save(path)
    assert seen == [False, True]


# Damage


@MAPPED
@pytest.mark.parametrize("kind", [CliqueMemory, WillshawMemory])
def test_a_file_that_is_missing_is_not_found(path, kind, mmap):
    with pytest.raises(FileNotFoundError, match=r"memory\.h5"):
        kind.load(path, mmap=mmap)


@MAPPED
@pytest.mark.parametrize("name", SMALL)
def test_a_file_that_is_cut_short_is_damaged(path, name, mmap):
    memory = MAKERS[name]()
    memory.save(path)
    whole = path.read_bytes()
    lengths = np.random.default_rng(0).integers(0, len(whole), 50)
    for length in [0, 1, 8, 64, 512, len(whole) // 2, len(whole) - 8, len(whole) - 1, *lengths]:
        path.write_bytes(whole[:length])
        with pytest.raises(
            DamagedError, match=r"memory\.h5: expected a complete \w+ memory, found damage .* store again"
        ):
            type(memory).load(path, mmap=mmap)


@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_stored_in_a_heap_for_which_hdf5_has_no_checksum(path, name):
    # A flipped bit in the lengths of such a heap can make HDF5 search it forever.
    MAKERS[name]().save(path)
    assert b"GCOL" not in path.read_bytes()


@MAPPED
@pytest.mark.parametrize("name", [*SMALL, "smallest clique"])
def test_a_flipped_bit_is_detected_or_does_not_matter(path, name, mmap):
    memory = MAKERS[name]()
    memory.save(path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(1)
    filled = rng.choice(np.flatnonzero(whole), 100)  # most of a small file is padding
    found = 0
    for place in (*filled, *rng.integers(0, len(whole), 100)):
        altered = whole.copy()
        altered[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(altered.tobytes())
        try:
            again = type(memory).load(path, mmap=mmap)
        except (DamagedError, MismatchError):
            found += 1
        else:
            assert again == memory, place
    assert found > 80


@MAPPED
@pytest.mark.parametrize("name", ["clique", "willshaw", "several checksums"])
def test_a_flipped_bit_of_the_matrix_is_always_detected(path, name, mmap):
    memory = MAKERS[name]()
    memory.save(path)
    with h5py.File(path) as file:
        start, size = file["bits"].id.get_offset(), file["bits"].nbytes
    for place in [0, size - 1, *np.random.default_rng(2).integers(0, size, 20)]:
        with path.open("r+b") as file:
            file.seek(start + place)
            byte = file.read(1)[0]
            file.seek(start + place)
            file.write(bytes([byte ^ 16]))
        with pytest.raises(DamagedError, match="the bits are not those that were written"):
            type(memory).load(path, mmap=mmap)
        with path.open("r+b") as file:
            file.seek(start + place)
            file.write(bytes([byte]))
    assert type(memory).load(path, mmap=mmap) == memory


@MAPPED
@pytest.mark.parametrize("content", [b"", b"memory", bytes(5000), np.random.default_rng(0).bytes(20_000)])
def test_a_file_that_is_not_hdf5_is_damaged(path, content, mmap):
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="expected a complete clique memory, found damage"):
        CliqueMemory.load(path, mmap=mmap)


@MAPPED
@pytest.mark.parametrize("missing", ["bits", "checksums", "kind", "format", "everything"])
def test_a_file_that_lacks_a_part_is_damaged(path, missing, mmap):
    MAKERS["clique"]().save(path)
    with h5py.File(path, "w" if missing == "everything" else "r+") as file:
        if missing in ("kind", "format"):
            del file.attrs[missing]
        elif missing != "everything":
            del file[missing]
    with pytest.raises(DamagedError, match="expected a complete clique memory, found damage"):
        CliqueMemory.load(path, mmap=mmap)


# Other files


def test_the_file_of_an_index_is_not_taken_for_damage(tmp_path):
    CliqueIndex(16).save(tmp_path / "index.h5")
    with pytest.raises(MismatchError, match="expected a clique memory, found another kind of file; load it as that"):
        CliqueMemory.load(tmp_path / "index.h5")


@MAPPED
def test_a_memory_of_another_kind_is_a_mismatch(path, mmap):
    MAKERS["willshaw"]().save(path)
    with pytest.raises(MismatchError, match="expected a clique memory, found a willshaw memory; load it as that"):
        CliqueMemory.load(path, mmap=mmap)
    MAKERS["clique"]().save(path)
    with pytest.raises(MismatchError, match="expected a willshaw memory, found a clique memory; load it as that"):
        WillshawMemory.load(path, mmap=mmap)


@MAPPED
@pytest.mark.parametrize("name", SMALL)
def test_a_newer_format_is_a_mismatch(path, name, mmap):
    memory = MAKERS[name]()
    memory.save(path)
    edit(path, format=2)
    with pytest.raises(MismatchError, match="expected format 1, found 2; it was written by a newer assocmem: update"):
        type(memory).load(path, mmap=mmap)
    edit(path, format=1)
    assert type(memory).load(path, mmap=mmap) == memory


FOUND = r"memory\.h5: expected the shape of a \w+ memory, found {.*} "


@MAPPED
@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("clique", {"clusters": 5}, r"memory\.h5: expected 320 x 5 words, found \(256, 4\); store again"),
        ("clique", {"units": 65}, r"memory\.h5: expected 260 x 5 words, found \(256, 4\)"),
        ("clique", {"units": 2**20}, r"memory\.h5: expected 4194304 x 65536 words, found \(256, 4\)"),
        ("willshaw", {"rows": 21}, r"memory\.h5: expected 21 x 2 words, found \(20, 2\)"),
        ("willshaw", {"columns": 64}, r"memory\.h5: expected 20 x 1 words, found \(20, 2\)"),
        ("willshaw", {"columns": 2**62}, r"memory\.h5: expected 20 x \d+ words, found \(20, 2\)"),
        ("clique", {"clusters": 1}, rf"{FOUND}\(clusters: expected a whole number of at least 2, found 1\)"),
        ("clique", {"units": 0}, rf"{FOUND}\(units: expected a whole number of at least 1, found 0\)"),
        ("clique", {"units": 2**40}, rf"{FOUND}\(expected at most 2\*\*31 units in all"),
        ("clique", {"active": 5}, rf"{FOUND}\(active: expected at most the 4 clusters there are, found 5\)"),
        ("clique", {"units": 64.0}, rf"{FOUND}\(units: expected a whole number of at least 1, found 64\.0\)"),
        ("clique", {"active": None}, rf"{FOUND}\(.*'active'\)"),
        ("willshaw", {"rows": "20"}, rf"{FOUND}\(rows: expected a whole number of at least 1, found '20'\)"),
        ("willshaw", {"rows": -20}, rf"{FOUND}\(rows: expected a whole number of at least 1, found -20\)"),
        ("willshaw", {"columns": None}, rf"{FOUND}\(.*'columns'\)"),
        ("willshaw", {"more": 1}, rf"{FOUND}\(.*'more'\)"),
    ],
)
def test_a_shape_that_does_not_fit_the_matrix_is_damage(path, name, attributes, message, mmap):
    memory = MAKERS[name]()
    memory.save(path)
    edit(path, **attributes)
    with pytest.raises(DamagedError, match=message):
        type(memory).load(path, mmap=mmap)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("dtype", ["<f8", ">u8"])
def test_a_matrix_of_another_dtype_is_damage(path, dtype, mmap):
    memory = MAKERS["willshaw"]()
    memory.save(path)
    with h5py.File(path, "r+") as file:
        del file["bits"]
        file["bits"] = memory.bits.astype(dtype)
        file["checksums"][0] = zlib.crc32(memory.bits.astype(dtype).tobytes())
    with pytest.raises(DamagedError, match=r"found damage \((float64|>u8) instead of 64-bit words\)"):
        type(memory).load(path, mmap=mmap)


# Copies in memory


@pytest.mark.parametrize("name", SMALL)
def test_a_pickled_memory_is_the_same(name):
    memory, other = MAKERS[name](), MAKERS[name](seed=7)
    again = pickle.loads(pickle.dumps(memory))
    assert again == memory
    again |= other
    assert again != memory


# The machine


@pytest.mark.parametrize("error", [AttributeError, ValueError, OSError])
def test_where_the_system_does_not_tell_its_memory_the_allocation_decides(monkeypatch, error):
    def sysconf(name):
        raise error(name)

    def full(*args):
        raise MemoryError

    monkeypatch.setattr(os, "sysconf", sysconf, raising=False)
    assert WillshawMemory(10, 10).density == 0
    monkeypatch.setattr(np, "zeros", full)
    message = r"fits into this machine's memory, found 1\.6e-07 GB \(rows 10, columns 65\); take fewer$"
    with pytest.raises(InputError, match=message):
        WillshawMemory(10, 65)
