"""Files of concept memories: what is saved is loaded, damage is reported, and other files are a mismatch."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from assocmem.concepts.memory import ConceptMemory
from assocmem.errors import DamagedError, InputError, MismatchError
from assocmem.search.clique_index import CliqueIndex
from tests.concepts.sample_memories import DIM, KINDS, answers, clusters, content, few_frequencies, memory_of, vectors


def filled(kind=KINDS[0], **settings):
    """A memory with denials, removed and corrected examples, and a name beyond ASCII."""
    memory = memory_of(kind, clusters(1, 3, 8), **settings)
    memory.deny(vectors(2, 2), ["ant", "yak"], [5000, 5001])
    memory.unteach(clusters(1, 3, 8)[2][::5])
    memory.teach(vectors(3, 1), "Café 猫", [2**63 - 1], when=77)
    memory.deny(vectors(3, 1), "bee", [2**63 - 1])
    return memory


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.h5"


# saving and loading


@pytest.mark.parametrize("mean", [None, np.full(DIM, 0.01)])
@pytest.mark.parametrize("kind", [*KINDS, ("cosine", 1), ("l2", 3), ("cosine", 512)])
def test_a_loaded_memory_gives_the_same_answers(path, kind, mean):
    with few_frequencies():
        memory = filled(kind, mean=mean, seed=4)
        memory.save(str(path))
        again = ConceptMemory.load(path)
        assert type(again) is ConceptMemory
        assert again.settings == memory.settings
        assert content(again) == content(memory)
        assert answers(again, vectors(9, 5)) == answers(memory, vectors(9, 5))
    assert os.listdir(path.parent) == ["memory.h5"]


def test_a_loaded_memory_is_saved_as_the_same_file(path):
    filled().save(path)
    before = path.read_bytes()
    ConceptMemory.load(path).save(path)
    assert path.read_bytes() == before


def test_the_file_does_not_depend_on_the_order_of_teaching(path):
    x, names, ids = clusters(1)
    one, other = memory_of(), memory_of()
    one.teach(x, names, ids, when=3)
    other.teach(x[::-1].copy(), names[::-1], ids[::-1], when=3)
    one.save(path)
    before = path.read_bytes()
    other.save(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("emptied", [False, True])
def test_an_empty_memory_can_be_saved(path, emptied):
    memory = memory_of(KINDS[0], *([clusters(1)] if emptied else []))
    memory.unteach(clusters(1)[2] if emptied else [])
    memory.save(path)
    again = ConceptMemory.load(path)
    assert (len(again), again.concepts) == (0, ())
    again.teach(vectors(1, 1), "ant")
    memory.teach(vectors(1, 1), "ant")
    assert content(again) == content(memory)


def test_settings_of_numpy_types_can_be_saved(path):
    ConceptMemory(np.int64(DIM), code_bytes=np.int64(4), seed=np.int64(3)).save(path)
    assert ConceptMemory.load(path).settings == ConceptMemory(DIM, code_bytes=4, seed=3).settings


@pytest.mark.parametrize("name", ["nowhere/memory.h5", "."])
def test_a_path_that_cannot_be_a_file_is_an_error(tmp_path, name):
    with pytest.raises(InputError, match="expected a file name in an existing folder"):
        filled().save(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch):
    memory = filled()
    memory.save(path)
    before = path.read_bytes()
    memory.forget("ant")

    def replace(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="no space left"):
        memory.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["memory.h5"]


# damage

NAMES = ["about", "ids", "whens", "concepts", "values", "mean"]


def saved(path):
    filled(mean=np.full(DIM, 0.01)).save(path)


def test_a_missing_file_is_not_found(path):
    with pytest.raises(FileNotFoundError, match="expected the file of a concept memory, found nothing"):
        ConceptMemory.load(path)
    with pytest.raises(FileNotFoundError, match="found a folder"):
        ConceptMemory.load(path.parent)


def test_a_file_that_is_cut_short_is_damaged(path):
    saved(path)
    whole = path.read_bytes()
    lengths = np.random.default_rng(0).integers(0, len(whole), 30)
    for length in [0, 1, 8, 64, 512, len(whole) // 2, len(whole) - 1, *lengths]:
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedError, match=r"memory\.h5: expected a complete concept memory, .* or teach again"):
            ConceptMemory.load(path)


def test_a_flipped_bit_is_found_or_changes_nothing(path):
    saved(path)
    expected = content(ConceptMemory.load(path))
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng, found = np.random.default_rng(1), 0
    for place in rng.choice(np.flatnonzero(whole), 120):  # most of a small file is padding
        altered = whole.copy()
        altered[place] ^= 1 << rng.integers(0, 8)
        path.write_bytes(altered.tobytes())
        try:
            again = ConceptMemory.load(path)
        except (DamagedError, MismatchError):
            found += 1
        else:
            assert content(again) == expected, place
    assert found > 80


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_of_an_array_is_always_found(path, name):
    saved(path)
    with h5py.File(path) as file:
        assert sorted(key for key in file if not key.endswith(" checksums")) == sorted(NAMES)
        start, size = file[name].id.get_offset(), file[name].nbytes
    whole = bytearray(path.read_bytes())
    for place in [0, size - 1, *np.random.default_rng(2).integers(0, size, 5)]:
        whole[start + place] ^= 16
        path.write_bytes(whole)
        with pytest.raises(DamagedError, match=f"the {name} are not those that were written"):
            ConceptMemory.load(path)
        whole[start + place] ^= 16
    path.write_bytes(whole)
    assert len(ConceptMemory.load(path)) > 0


@pytest.mark.parametrize("content", [b"", b"memory", bytes(5000), np.random.default_rng(0).bytes(20_000)])
def test_a_file_that_is_not_hdf5_is_damaged(path, content):
    path.write_bytes(content)
    with pytest.raises(DamagedError, match="expected a complete concept memory, found damage"):
        ConceptMemory.load(path)


@pytest.mark.parametrize("name", [*NAMES[1:], *(f"{name} checksums" for name in NAMES), "format"])
def test_a_file_without_one_of_its_parts_is_damaged(path, name):
    saved(path)
    with h5py.File(path, "r+") as file:
        del (file.attrs if name == "format" else file)[name]
    with pytest.raises(DamagedError, match="expected a complete concept memory, found damage"):
        ConceptMemory.load(path)


def rewrite(path, name, array):
    """Replace an array, with valid checksums."""
    with h5py.File(path, "r+") as file:
        del file[name], file[f"{name} checksums"]
        file[name] = array
        file[f"{name} checksums"] = np.array([zlib.crc32(np.ascontiguousarray(array).tobytes())], np.uint32)


@pytest.mark.parametrize(
    "facts",
    [
        {"dim": 11},
        {"dim": None},
        {"dim": "12"},
        {"metric": "dot"},
        {"code_bytes": 8},
        {"code_bytes": 0},
        {"seed": None},
        {"seed": -1},
        {"names": None},
        {"names": ["ant"]},
        {"names": []},
        {"denied": None},
        {"clock": None},
        {"clock": "late"},
    ],
)
def test_facts_that_do_not_fit_the_arrays_are_damage(path, facts):
    saved(path)
    with h5py.File(path) as file:
        about = json.loads(file["about"][:].tobytes())
    about = {name: value for name, value in (about | facts).items() if value is not None}
    rewrite(path, "about", np.frombuffer(json.dumps(about).encode(), np.uint8))
    with pytest.raises(DamagedError, match="expected a complete concept memory, found damage"):
        ConceptMemory.load(path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("ids", lambda a: a[:-1]),
        ("ids", lambda a: a * 0),
        ("ids", lambda a: a - 10**6),
        ("ids", lambda a: a.astype(np.float64)),
        ("whens", lambda a: a[:-1]),
        ("concepts", lambda a: a[:-1]),
        ("concepts", lambda a: a + 10),
        ("concepts", lambda a: a - 1),
        ("values", lambda a: a[:-1]),
        ("values", lambda a: a[:, :-1]),
        ("values", lambda a: a.astype(np.float64)),
        ("values", lambda a: a.view(np.uint16)),
        ("mean", lambda a: a[:-1]),
        ("mean", lambda a: a * np.float32(np.nan)),
    ],
)
def test_arrays_that_cannot_be_those_of_a_memory_are_damage(path, name, change):
    """With valid checksums: written by a program with an error."""
    saved(path)
    with h5py.File(path) as file:
        array = file[name][:]
    rewrite(path, name, change(array))
    with pytest.raises(DamagedError, match="expected a complete concept memory, found damage"):
        ConceptMemory.load(path)


# other files


def test_another_kind_of_file_is_a_mismatch(path):
    index = CliqueIndex(DIM)
    index.add(vectors(1, 5))
    index.save(path)
    with pytest.raises(MismatchError, match="expected a concept memory, found a clique index; load it as that"):
        ConceptMemory.load(path)
    filled().save(path)
    with pytest.raises(MismatchError, match="expected a clique index, found a concept memory; load it as that"):
        CliqueIndex.load(path)


def test_a_newer_format_is_a_mismatch(path):
    filled().save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = 2
    with pytest.raises(MismatchError, match="expected format 1, found 2; it was written by a newer assocmem: update"):
        ConceptMemory.load(path)
