"""Reads the tensors of a PyTorch state-dict file as numpy arrays, without PyTorch and without running code from it.

``torch.save`` has written two formats: a sequence of pickles and, since PyTorch 1.6, a zip archive. Both are read.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from assocmem._numerics.types import AnyArray, Arrays
from assocmem.errors import ExtractorError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def read_state_dict(path: Path) -> Arrays:
    """Read a file that holds only a state dict: names and tensors.

    The pickle inside may name ordered dicts, tensors and their storages. Everything else is refused before it is
    looked up, so that a file from an untrusted source cannot run code.

    Parameters
    ----------
    path : Path
        A ``.pth`` or ``.pt`` file, in the zip format or the older one.

    Returns
    -------
    dict of str to ndarray
        Read-only arrays with the shape and dtype that were saved. Tensors that shared memory still share it.
        Arrays need not be contiguous.

    Raises
    ------
    ExtractorError
        The file cannot be read, is damaged, is not a state dict, or names something that is not allowed.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            state = _read_zip(file) if zipped else _read_legacy(file)
        return _tensors_of(state)
    except ExtractorError as error:
        raise ExtractorError(f"{path}: {error}") from error
    except OSError as error:
        raise ExtractorError(f"{path}: cannot read the weights: {error.strerror or error}") from error
    except Exception as error:
        # For a damaged pickle, the unpickler may raise nearly anything.
        raise ExtractorError(
            f"{path}: expected a PyTorch state dict, found a damaged or different file ({error!r}); fetch it again"
        ) from error


class _StorageType(NamedTuple):
    """Stands for a class such as ``torch.FloatStorage``; not callable, so a pickle can only refer to it."""

    dtype: str


class _StorageRef(NamedTuple):
    """A one-dimensional array of numbers that is stored elsewhere in the file, under ``key``."""

    key: str
    dtype: str
    length: int


class _TensorRef(NamedTuple):
    """A tensor whose numbers are not read yet; offset and strides count elements, as in PyTorch."""

    storage: _StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


# The pickle opcode BUILD sets attributes of any object that the pickle can reach. So the callables below have no
# attributes that could be set (slots, no __setstate__), and neither have the named tuples above.
class _RebuildTensor:
    __slots__ = ()

    def __call__(
        self, storage: object, offset: object, shape: object, strides: object, *_autograd: object
    ) -> _TensorRef:
        if not isinstance(storage, _StorageRef):
            raise ExtractorError(f"a tensor without a storage: {storage!r}")
        sizes, steps = _naturals(shape), _naturals(strides)
        (start,) = _naturals((offset,))
        if len(sizes) != len(steps):
            raise ExtractorError(f"a tensor of shape {sizes} with strides {steps}")
        return _TensorRef(storage, start, sizes, steps)


class _RebuildParameter:
    __slots__ = ()

    def __call__(self, data: object, *_autograd: object) -> object:
        return data


_GLOBALS: Mapping[tuple[str, str], object] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
    **{("torch", name): _StorageType(dtype) for name, dtype in _DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Builds plain containers and references to tensors; collects the storages that it finds, by key."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _StorageRef] = {}

    def find_class(self, module: str, name: str) -> object:
        """Return the stand-in for an allowed name."""
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise ExtractorError(
                f"names {module}.{name}, which is not allowed in a file of weights; "
                "save only the state dict: torch.save(model.state_dict(), ...)"
            ) from None

    def persistent_load(self, pid: object) -> _StorageRef:
        """Read the description of a storage."""
        match pid:
            case ("storage", _StorageType(dtype), str(key), str(), int(length), *view):
                if any(part is not None for part in view):
                    raise ExtractorError("storage views of very old PyTorch versions are not supported")
                ref = _StorageRef(key, dtype, length)
                if self.storages.setdefault(key, ref) != ref:
                    raise ExtractorError(f"storage {key} is described twice, differently")
                return ref
        raise ExtractorError(f"expected the description of a storage, found {pid!r}")


def _read_legacy(file: BinaryIO) -> object:
    """Read the older format: magic number, version, byte order, the object, storage keys, storages."""
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ExtractorError("expected a PyTorch file, found another pickle")
    system = _Unpickler(file).load()
    if not (isinstance(system, dict) and system.get("little_endian") is True):
        raise ExtractorError("expected little-endian numbers; save the file again on a common machine")
    unpickler = _Unpickler(file)
    state = unpickler.load()
    arrays: Arrays = {}
    for key in _Unpickler(file).load():
        ref = unpickler.storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        if length != ref.length:
            raise ExtractorError(f"storage {key} has {length} elements instead of {ref.length}")
        arrays[key] = _storage(ref, file.read(length * np.dtype(ref.dtype).itemsize))
    return _resolve(state, lambda ref: arrays[ref.key])


def _read_zip(file: BinaryIO) -> object:
    """Read the zip format: one folder with ``data.pkl``, one file per storage and, in newer files, ``byteorder``."""
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ExtractorError("expected one data.pkl in the archive; is it a zip file of something else?")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ExtractorError("expected little-endian numbers; save the file again on a common machine")
        with archive.open(pickles[0]) as stream:
            unpickler = _Unpickler(stream)  # type: ignore[arg-type]  # it only reads, as IO[bytes] does
            state = unpickler.load()
        arrays = {key: _storage(ref, archive.read(f"{folder}data/{key}")) for key, ref in unpickler.storages.items()}
    return _resolve(state, lambda ref: arrays[ref.key])


def _storage(ref: _StorageRef, content: bytes) -> AnyArray:
    array: AnyArray = np.frombuffer(content, ref.dtype)
    if len(array) != ref.length:
        raise ExtractorError(f"storage {ref.key} has {len(array)} elements instead of {ref.length}")
    return array


def _resolve(value: object, storage: Callable[[_StorageRef], AnyArray]) -> object:
    """Replace the tensor references of a state dict with arrays."""
    if not isinstance(value, dict):
        return value
    return {k: _view(storage(v.storage), v) if isinstance(v, _TensorRef) else v for k, v in value.items()}


def _view(numbers: AnyArray, ref: _TensorRef) -> AnyArray:
    last = ref.offset + sum((size - 1) * step for size, step in zip(ref.shape, ref.strides, strict=True))
    if 0 not in ref.shape and last >= len(numbers):
        raise ExtractorError(f"a tensor of shape {ref.shape} reaches beyond its {len(numbers)} numbers")
    if 0 in ref.shape:
        return np.empty(ref.shape, numbers.dtype)
    return np.lib.stride_tricks.as_strided(
        numbers[ref.offset :], ref.shape, [step * numbers.itemsize for step in ref.strides], writeable=False
    )


def _naturals(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple) or any(type(v) is not int or v < 0 for v in values):
        raise ExtractorError(f"expected sizes or strides, found {values!r}")
    return values


def _tensors_of(state: object) -> Arrays:
    if not isinstance(state, dict):
        raise ExtractorError(f"expected a state dict, found a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise ExtractorError(
                f"expected a state dict of names and tensors, found {name!r}: {type(value).__name__}; "
                "save only the state dict: torch.save(model.state_dict(), ...)"
            )
    return state
