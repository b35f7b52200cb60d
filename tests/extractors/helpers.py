"""Models, pictures and comparisons that several tests of the extractors share."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
import PIL.Image
from onnx import TensorProto, helper, numpy_helper

from assocmem._numerics.types import U8, AnyArray
from assocmem.extractors.base import Image

Shape: TypeAlias = list[int | str | None]
"""Axes of a tensor: fixed, named or unknown."""


def onnx_model(
    nodes: list[onnx.NodeProto],
    outputs: Mapping[str, Shape | None],
    shape: Shape | None = None,
    dtype: int = TensorProto.FLOAT,
    constants: Mapping[str, AnyArray] | None = None,
) -> bytes:
    """Return a model with the input ``image``; inputs and outputs have the same dtype."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", dtype, shape or ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(name, dtype, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def noise(height: int, width: int, seed: int = 7) -> Image:
    """Return a picture of independent random pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photograph_path(name: str) -> Path:
    """Return the path of one of scikit-image's photographs."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None, "install the extra assocmem[demo]: its photographs are needed here"
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / name


def photograph(name: str) -> Image:
    """Read one of scikit-image's photographs."""
    with PIL.Image.open(photograph_path(name)) as image:
        return np.array(image.convert("RGB"))


def difference(a: U8, b: U8) -> float:
    """Return the mean absolute difference of two pictures, in grey levels."""
    return float(np.abs(a.astype(float) - b.astype(float)).mean())
