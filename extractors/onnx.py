"""Any ONNX model as an extractor: its output becomes one vector per picture.

ONNX Runtime is imported when a model is opened. Where a model comes from is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from assocmem._numerics.types import F32, AnyArray
from assocmem.errors import ExtractorError
from assocmem.extractors.base import Extraction, Image
from assocmem.extractors.preprocessing import Preprocessing

_INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


def to_features(output: AnyArray, layout: str, tokens: str) -> F32:
    """Reduce an output to one vector per picture: float32 (n, d), C-contiguous.

    Feature maps, (n, d, h, w) or (n, h, w, d) for the layout nhwc, are averaged; (n, tokens, d) becomes the first
    token or the mean. Raises `ExtractorError` for other shapes and for numbers that are not finite.
    """
    if not np.issubdtype(output.dtype, np.floating) or output.ndim not in (2, 3, 4):
        raise ExtractorError(f"expected floats (n, d) or a feature map, found {output.dtype} {output.shape}")
    features = output.astype(np.float32, copy=False)
    if output.ndim == 4:
        features = features.mean(axis=(1, 2) if layout == "nhwc" else (2, 3))
    elif output.ndim == 3:
        features = features[:, 0] if tokens == "first" else features.mean(axis=1)
    if not np.isfinite(features).all():
        raise ExtractorError("the network returned numbers that are not finite; is its preprocessing right?")
    return np.ascontiguousarray(features)


def open_session(model: Path | bytes, threads: int) -> Any:
    """Start ONNX Runtime on the CPU with a model, given as a file or as its content.

    Raises `ExtractorError` if it is not an ONNX model, is damaged, or is too new for this ONNX Runtime.
    """
    import onnxruntime as ort

    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Otherwise idle threads spin and take CPU time from the decoders.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # errors are raised; nothing else should appear on the terminal
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise ExtractorError(
            f"expected an ONNX model, found something else or a damaged file; export it again ({error})"
        ) from error


class OnnxExtractor:
    """An ONNX model with one image input, as an `Extractor`, which documents the attributes.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
    name : str
        What the user asked for.
    model_id : str
        First part of the identity: kind and hash of the model, never its path.
    defaults : Preprocessing
        A fixed input size of the model takes precedence over its ``size``.
    options : mapping of str to str
        Changes to the defaults, see `Preprocessing.with_options`.

    Raises
    ------
    ExtractorError
        The options, or the model's inputs and outputs, do not fit.
    """

    def __init__(
        self, session: Any, name: str, model_id: str, defaults: Preprocessing, options: Mapping[str, str]
    ) -> None:
        preprocessing = defaults.with_options(options)
        self._input, self._dtype, layout, side = _image_input(session, preprocessing.layout)
        if side and "size" not in options:
            preprocessing = replace(preprocessing, size=side)
        if side and side != preprocessing.size:
            raise ExtractorError(f"option size: the model takes {side} pixels only, found {preprocessing.size}")
        self.preprocessing = replace(preprocessing, layout=layout, output=_feature_output(session, preprocessing))
        self._session = session
        self._outputs = [self.preprocessing.output, *([preprocessing.logits] if preprocessing.logits else [])]
        self.name = name
        self.identity = f"{model_id} {self.preprocessing.canonical(normalised=self._dtype != np.uint8)}"
        self.min_side = preprocessing.min_side
        self.has_logits = bool(preprocessing.logits)
        # Running the network on one picture gives the dimension, and finds misfits before a long job starts.
        probe = self._run(np.full((preprocessing.size, preprocessing.size, 3), 127, np.uint8))
        self._shapes = [part.shape for part in probe]
        self.dim: int = self._shapes[0][1]
        if any(n != 1 for n, _ in self._shapes) or self._shapes[1:] not in ([], [(1, 1000)]):
            raise ExtractorError(f"expected (n, d) from {self._outputs}, 1000 logits; found {self._shapes}")

    def prepare(self, image: Image) -> Image:
        """Resize a picture to the input's size, see `Preprocessing.prepare`."""
        return self.preprocessing.prepare(image)

    def extract(self, images: Sequence[Image]) -> Extraction:
        """Run the network on n prepared pictures.

        Raises `InputError` if a picture is not prepared, and `ExtractorError` if the network fails or does not
        return finite numbers in the expected shape.
        """
        # One at a time: on a CPU, batches of 2 to 8 are no faster per picture and need more memory.
        rows = [self._run(image) for image in images]
        if any([part.shape for part in row] != self._shapes for row in rows):
            raise ExtractorError("the network returns another shape for every picture; choose another output")
        columns = ([row[i] for row in rows] for i in range(len(self._shapes)))
        empty = (np.empty((0, width), np.float32) for _, width in self._shapes)
        return Extraction(*(np.concatenate([e, *column]) for e, column in zip(empty, columns, strict=True)))

    def _run(self, image: Image) -> list[F32]:
        preprocessing = self.preprocessing
        tensor = preprocessing.tensor(image, self._dtype, preprocessing.layout)
        try:
            outputs = self._session.run(self._outputs, {self._input: tensor})
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise ExtractorError(f"the network failed to run: {error}") from error
        return [to_features(output, preprocessing.layout, preprocessing.tokens) for output in outputs]


def _image_input(session: Any, layout: str) -> tuple[str, npt.DTypeLike, str, int | None]:
    """Return the name, dtype, layout and fixed side (None if variable) of a model's only input."""
    ports = session.get_inputs()
    port = ports[0]
    shape = list(port.shape)
    if len(ports) != 1 or len(shape) != 4 or port.type not in _INPUT_TYPES:
        found = ", ".join(f"{p.name}: {p.type} {p.shape}" for p in ports)
        raise ExtractorError(f"expected one image input, float or uint8 of rank 4; the model has {found}")
    if layout == "auto":
        layout = "nhwc" if shape[3] == 3 and shape[1] != 3 else "nchw"
    batch, *sides = (axis if isinstance(axis, int) else None for axis in shape)
    channels = sides.pop(2 if layout == "nhwc" else 0)
    fixed = {side for side in sides if side}
    if channels not in (3, None) or batch not in (1, None) or len(fixed) > 1:
        raise ExtractorError(f"expected 1 or any number of square {layout} RGB pictures, found {shape}")
    return port.name, _INPUT_TYPES[port.type], layout, fixed.pop() if fixed else None


def _feature_output(session: Any, preprocessing: Preprocessing) -> str:
    """Return the name of the output that is the feature."""
    shapes = {output.name: list(output.shape) for output in session.get_outputs()}
    for name in (preprocessing.output, preprocessing.logits):
        if name and name not in shapes:
            raise ExtractorError(f"the model has no output {name!r}; it has {', '.join(shapes)}")
    others = [name for name, shape in shapes.items() if shape[1:] != [1000]]
    return preprocessing.output or next(iter(others or shapes))
