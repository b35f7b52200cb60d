"""The reader of PyTorch's state dicts, on files written opcode by opcode: torch is neither needed nor trusted."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assocmem.errors import ExtractorError
from assocmem.extractors.state_dict import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGES = {
    "<f4": "FloatStorage",
    "<f8": "DoubleStorage",
    "<f2": "HalfStorage",
    "<i8": "LongStorage",
    "<i4": "IntStorage",
    "<i2": "ShortStorage",
    "|i1": "CharStorage",
    "|u1": "ByteStorage",
    "|b1": "BoolStorage",
}


def plain(value: object) -> bytes:
    """Return the opcodes that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def storage(key: str, kind: str, length: int, *, view: bytes = b"") -> bytes:
    return (
        b"("
        + plain("storage")
        + f"ctorch\n{kind}\n".encode()
        + plain(key)
        + plain("cpu")
        + plain(length)
        + view
        + b"tQ"
    )


def tensor(store: bytes, offset: object, shape: object, strides: object) -> bytes:
    return REBUILD + b"(" + store + plain(offset) + plain(shape) + plain(strides) + b"\x89" + ORDERED_DICT + b"tR"


def state_dict(**tensors: bytes) -> bytes:
    return ORDERED_DICT + b"(" + b"".join(plain(name) + value for name, value in tensors.items()) + b"u"


def write_legacy(path: Path, body: bytes, *storages: tuple[str, np.ndarray], little: bool = True) -> Path:
    content = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": little}, 2)
    content += b"\x80\x02" + body + b"." + pickle.dumps([key for key, _ in storages], 2)
    for _, numbers in storages:
        content += struct.pack("<q", len(numbers)) + numbers.tobytes()
    path.write_bytes(content)
    return path


def write_zip(path: Path, body: bytes, *storages: tuple[str, np.ndarray], little: bool = True) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("net/byteorder", "little" if little else "big")
        for key, numbers in storages:
            archive.writestr(f"net/data/{key}", numbers.tobytes())
    return path


Writer = Callable[..., Path]


@pytest.fixture(params=[write_legacy, write_zip], ids=["legacy", "zip"])
def write(request: pytest.FixtureRequest) -> Writer:
    writer: Writer = request.param
    return writer


NUMBERS = np.arange(6, dtype="<f4")
SIX = storage("0", "FloatStorage", 6)


@pytest.mark.parametrize("dtype", STORAGES)
def test_every_dtype_comes_back(tmp_path: Path, write: Writer, dtype: str) -> None:
    numbers = np.array([0, 1, 1, 0, 1], dtype)
    body = state_dict(x=tensor(storage("7", STORAGES[dtype], 5), 0, (5,), (1,)))
    found = read_state_dict(write(tmp_path / "w.pth", body, ("7", numbers)))["x"]
    assert found.dtype == numbers.dtype
    np.testing.assert_array_equal(found, numbers)


@given(shape=st.lists(st.integers(1, 4), max_size=4), offset=st.integers(0, 5), data=st.data(), zipped=st.booleans())
def test_any_transposition_and_offset_comes_back(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], offset: int, data: st.DataObject, zipped: bool
) -> None:
    axes = data.draw(st.permutations(range(len(shape))))
    whole = np.arange(offset + int(np.prod(shape)), dtype="<i4")
    view = whole[offset:].reshape(shape).transpose(axes)
    strides = tuple(step // 4 for step in view.strides)
    body = state_dict(x=tensor(storage("0", "IntStorage", len(whole)), offset, view.shape, strides))
    path = tmp_path_factory.getbasetemp() / "transposed.pth"
    found = read_state_dict((write_zip if zipped else write_legacy)(path, body, ("0", whole)))["x"]
    np.testing.assert_array_equal(found, view)


def test_tensors_share_a_storage_scalars_and_empty_ones_work(tmp_path: Path, write: Writer) -> None:
    body = state_dict(
        all=tensor(SIX, 0, (2, 3), (3, 1)), one=tensor(SIX, 4, (), ()), none=tensor(SIX, 0, (0, 3), (3, 1))
    )
    found = read_state_dict(write(tmp_path / "w.pth", body, ("0", NUMBERS)))
    assert list(found) == ["all", "one", "none"]
    np.testing.assert_array_equal(found["all"], NUMBERS.reshape(2, 3))
    assert found["one"].shape == ()
    assert found["one"] == 4
    assert found["none"].shape == (0, 3)


def test_a_repeated_row_costs_no_memory(tmp_path: Path, write: Writer) -> None:
    body = state_dict(x=tensor(SIX, 2, (10**12, 2), (0, 1)))
    found = read_state_dict(write(tmp_path / "w.pth", body, ("0", NUMBERS)))["x"]
    np.testing.assert_array_equal(found[10**11], NUMBERS[2:4])
    assert not found.flags.writeable


def test_a_parameter_is_its_tensor(tmp_path: Path, write: Writer) -> None:
    wrapped = b"ctorch._utils\n_rebuild_parameter\n(" + tensor(SIX, 0, (6,), (1,)) + b"\x88" + ORDERED_DICT + b"tR"
    found = read_state_dict(write(tmp_path / "w.pth", state_dict(x=wrapped), ("0", NUMBERS)))
    np.testing.assert_array_equal(found["x"], NUMBERS)


@pytest.mark.parametrize("module", ["os", "posix", "nt", "subprocess", "builtins"])
def test_a_call_hidden_in_the_pickle_is_named_and_not_executed(tmp_path: Path, write: Writer, module: str) -> None:
    trap = tmp_path / "sprung"
    call = f"c{module}\nsystem\n".encode() + b"(" + plain(f"echo > {trap}") + b"tR"
    for body in (call, state_dict(x=call), state_dict(x=tensor(SIX, 0, (6,), (1,)), y=call)):
        with pytest.raises(ExtractorError, match=rf"{module}\.system.*not allowed"):
            read_state_dict(write(tmp_path / "w.pth", body, ("0", NUMBERS)))
    assert not trap.exists()


@pytest.mark.parametrize(
    "trick",
    [
        b"ctorch\nload\n",
        b"ctorch.storage\n_load_from_bytes\n",
        b"ctorch._utils\n_rebuild_wrapper_subclass\n",
        b"ctorch.hub\nload\n",
        b"ctorch\nBFloat16Storage\n",
        b"cnumpy.core.multiarray\n_reconstruct\n",
        b"ccollections\nOrderedDict.fromkeys\n",
        b"\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93",
        b"ccopyreg\n_reconstructor\n",
    ],
)
def test_names_other_than_tensors_and_dicts_are_refused(tmp_path: Path, write: Writer, trick: bytes) -> None:
    with pytest.raises(ExtractorError, match="not allowed"):
        read_state_dict(write(tmp_path / "w.pth", state_dict(x=trick)))


STATE = plain({"__call__": 1})
SLOTS = b"N" + STATE + b"\x86"


@pytest.mark.parametrize("target", [REBUILD, b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", SIX])
@pytest.mark.parametrize("update", [STATE, SLOTS], ids=["dict", "slots"])
def test_a_pickle_cannot_change_the_objects_it_reaches(
    tmp_path: Path, write: Writer, target: bytes, update: bytes
) -> None:
    body = target + update + b"b0" + state_dict(x=tensor(SIX, 0, (6,), (1,)))
    with pytest.raises(ExtractorError, match="damaged"):
        read_state_dict(write(tmp_path / "evil.pth", body, ("0", NUMBERS)))
    good = write(tmp_path / "good.pth", state_dict(x=tensor(SIX, 0, (6,), (1,))), ("0", NUMBERS))
    np.testing.assert_array_equal(read_state_dict(good)["x"], NUMBERS)


@pytest.mark.parametrize("argument", [b"}", b"N", plain("0"), REBUILD])
def test_a_tensor_without_a_storage_is_refused(tmp_path: Path, write: Writer, argument: bytes) -> None:
    with pytest.raises(ExtractorError, match="without a storage"):
        read_state_dict(write(tmp_path / "w.pth", state_dict(x=tensor(argument, 0, (6,), (1,)))))


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "message"),
    [
        (1, (6,), (1,), "beyond"),
        (0, (2, 3), (4, 1), "beyond"),
        (6, (), (), "beyond"),
        (0, (2**62, 4), (2**62, 1), "beyond"),
        (-1, (6,), (1,), "expected sizes"),
        (0, (6,), (-1,), "expected sizes"),
        (0, (True,), (1,), "expected sizes"),
        (0, [6], (1,), "expected sizes"),
        (0, (6,), (1, 1), "strides"),
    ],
)
def test_a_tensor_reaching_outside_its_storage_is_refused(
    tmp_path: Path, write: Writer, offset: int, shape: object, strides: object, message: str
) -> None:
    path = write(tmp_path / "w.pth", state_dict(x=tensor(SIX, offset, shape, strides)), ("0", NUMBERS))
    with pytest.raises(ExtractorError, match=message):
        read_state_dict(path)


def test_storages_must_have_the_announced_length_and_be_described_once(tmp_path: Path, write: Writer) -> None:
    body = state_dict(x=tensor(SIX, 0, (6,), (1,)))
    with pytest.raises(ExtractorError, match="5 elements instead of 6"):
        read_state_dict(write(tmp_path / "short.pth", body, ("0", NUMBERS[:5])))
    other = storage("0", "FloatStorage", 5)
    body = state_dict(x=tensor(SIX, 0, (6,), (1,)), y=tensor(other, 0, (5,), (1,)))
    with pytest.raises(ExtractorError, match="described twice"):
        read_state_dict(write(tmp_path / "twice.pth", body, ("0", NUMBERS)))
    body = state_dict(x=tensor(storage("0", "FloatStorage", 6, view=plain(("1", 0, 3))), 0, (3,), (1,)))
    with pytest.raises(ExtractorError, match="views"):
        read_state_dict(write(tmp_path / "view.pth", body, ("0", NUMBERS)))


def test_every_beginning_of_a_file_is_refused(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path / "w.pth", state_dict(x=tensor(SIX, 0, (6,), (1,))), ("0", NUMBERS))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ExtractorError, match=r"w\.pth"):
            read_state_dict(path)


def test_no_changed_byte_raises_anything_but_an_extractor_error(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path / "w.pth", state_dict(x=tensor(SIX, 0, (2, 3), (3, 1))), ("0", NUMBERS))
    content = path.read_bytes()
    refused = 0
    for position, noise in enumerate(np.random.default_rng(5).integers(1, 256, len(content))):
        damaged = bytearray(content)
        damaged[position] ^= int(noise)
        path.write_bytes(damaged)
        try:
            read_state_dict(path)
        except ExtractorError:
            refused += 1
    assert refused > len(content) / 3


def test_what_is_not_a_state_dict_is_refused(tmp_path: Path, write: Writer) -> None:
    for body, message in (
        (plain([1, 2]), "found a list"),
        (plain({"epoch": 3}), "'epoch': int"),
        (plain({3: "x"}), "found 3"),
        (state_dict(x=plain({"y": 1})), "'x': dict"),
    ):
        with pytest.raises(ExtractorError, match=message):
            read_state_dict(write(tmp_path / "w.pth", body))
    with pytest.raises(ExtractorError, match="little-endian"):
        read_state_dict(write(tmp_path / "w.pth", state_dict(), little=False))
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"x": 1}))
    with pytest.raises(ExtractorError, match="another pickle"):
        read_state_dict(tmp_path / "w.pth")
    with pytest.raises(ExtractorError, match="cannot read"):
        read_state_dict(tmp_path / "absent.pth")


def test_an_archive_of_something_else_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("letter.txt", "hello")
    with pytest.raises(ExtractorError, match=r"expected one data\.pkl"):
        read_state_dict(tmp_path / "w.pth")
