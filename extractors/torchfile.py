"""Reads the tensors of a PyTorch state-dict file as numpy arrays, without PyTorch or running code from it.

Knows the two containers that ``torch.save`` has ever written: a chain of pickles and, since 1.6, a zip
archive. Must not know any network: what the tensors mean is the caller's business.
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
import numpy.typing as npt

from assocmem.errors import ExtractorError

Array = npt.NDArray[np.generic]

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


def read_state_dict(path: Path) -> dict[str, Array]:
    """Read a file that holds nothing but a state dict: names and tensors.

    The pickle inside may name ordered dicts, tensors and their storages; anything else is refused before it
    is looked up, so that a file from a stranger cannot run code.

    Parameters
    ----------
    path : Path
        A ``.pth`` or ``.pt`` file, in the zip format or the one before it.

    Returns
    -------
    dict of str to ndarray
        Read-only arrays in the shape and dtype they were saved with. Tensors that shared memory still share
        it, and they need not be contiguous.

    Raises
    ------
    ExtractorError
        The file cannot be read, is damaged, is not a state dict, or names something that is not allowed.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(4) == b"PK\x03\x04"
            file.seek(0)
            state = _read_zip(file) if zipped else _read_chain(file)
        return _tensors_of(state)
    except ExtractorError as error:
        raise ExtractorError(f"{path}: {error}") from error
    except OSError as error:
        raise ExtractorError(f"{path}: cannot read the weights: {error.strerror or error}") from error
    except Exception as error:
        # A damaged pickle can make the unpickler raise nearly anything; which one tells the user nothing.
        raise ExtractorError(
            f"{path}: expected a PyTorch state dict, found a damaged or different file ({error!r}); fetch it again"
        ) from error


class _StorageType(NamedTuple):
    """Stands for a class such as ``torch.FloatStorage``; not callable, so a pickle can only mention it."""

    dtype: str


class _StorageRef(NamedTuple):
    """A stretch of numbers that the file holds somewhere else, under ``key``."""

    key: str
    dtype: str
    length: int


class _TensorRef(NamedTuple):
    """A tensor before its numbers are read: offsets and strides count elements, as PyTorch does."""

    storage: _StorageRef
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


# The callables a pickle gets hold of have no attributes it could set (slots, no __setstate__), nor have the
# named tuples above: the pickle opcode BUILD writes to whatever object it is given.
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
    """Builds plain containers and references to tensors; keeps the storages it met, by key."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, _StorageRef] = {}

    def find_class(self, module: str, name: str) -> object:
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise ExtractorError(
                f"names {module}.{name}, which is not allowed in a file of weights; "
                "save only the state dict: torch.save(model.state_dict(), ...)"
            ) from None

    def persistent_load(self, pid: object) -> _StorageRef:
        match pid:
            case ("storage", _StorageType(dtype), str(key), str(), int(length), *view):
                if any(part is not None for part in view):
                    raise ExtractorError("storage views of very old PyTorch versions are not supported")
                ref = _StorageRef(key, dtype, length)
                if self.storages.setdefault(key, ref) != ref:
                    raise ExtractorError(f"storage {key} is described twice, differently")
                return ref
        raise ExtractorError(f"expected the description of a storage, found {pid!r}")


def _read_chain(file: BinaryIO) -> object:
    """Read the format before zip: magic number, version, byte order, the object, storage keys, storages."""
    if _Unpickler(file).load() != _MAGIC or _Unpickler(file).load() != _PROTOCOL:
        raise ExtractorError("expected a PyTorch file, found another pickle")
    system = _Unpickler(file).load()
    if not (isinstance(system, dict) and system.get("little_endian") is True):
        raise ExtractorError("expected little-endian numbers; save the file again on a common machine")
    unpickler = _Unpickler(file)
    state = unpickler.load()
    arrays: dict[str, Array] = {}
    for key in _Unpickler(file).load():
        ref = unpickler.storages[key]
        (length,) = struct.unpack("<q", file.read(8))
        if length != ref.length:
            raise ExtractorError(f"storage {key} has {length} elements instead of {ref.length}")
        arrays[key] = _storage(ref, file.read(length * np.dtype(ref.dtype).itemsize))
    return _resolve(state, lambda ref: arrays[ref.key])


def _read_zip(file: BinaryIO) -> object:
    """Read the zip format: one folder with ``data.pkl``, a file per storage and perhaps ``byteorder``."""
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


def _storage(ref: _StorageRef, content: bytes) -> Array:
    array: Array = np.frombuffer(content, ref.dtype)
    if len(array) != ref.length:
        raise ExtractorError(f"storage {ref.key} has {len(array)} elements instead of {ref.length}")
    return array


def _resolve(value: object, storage: Callable[[_StorageRef], Array]) -> object:
    """Put arrays in the place of tensor references at the top level, where a state dict has them."""
    if not isinstance(value, dict):
        return value
    return {k: _view(storage(v.storage), v) if isinstance(v, _TensorRef) else v for k, v in value.items()}


def _view(numbers: Array, ref: _TensorRef) -> Array:
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


def _tensors_of(state: object) -> dict[str, Array]:
    if not isinstance(state, dict):
        raise ExtractorError(f"expected a state dict, found a {type(state).__name__}")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray):
            raise ExtractorError(
                f"expected a state dict of names and tensors, found {name!r}: {type(value).__name__}; "
                "save only the state dict: torch.save(model.state_dict(), ...)"
            )
    return state
