"""Opens an extractor by its name. The module of an extractor is imported only when it is opened."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from assocmem.errors import ExtractorError

if TYPE_CHECKING:
    from assocmem.extractors.base import Extractor

DEFAULT = "efficientnet-lite0"

_CHOICES = f"{DEFAULT}, onnx:PATH, torchvision:NAME or torchvision:NAME@NODE"
# The protobuf encoding of the key "location" of a tensor that is stored in another file; the file's name follows.
_LOCATION = re.compile(rb"\n\x08location\x12([\x01-\x7f])")


def open_extractor(
    spec: str = DEFAULT,
    *,
    weights: Path | None = None,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Extractor:
    """Open a pretrained network.

    Parameters
    ----------
    spec : str
        ``efficientnet-lite0``; ``onnx:PATH``, any ONNX model of pictures; ``torchvision:NAME``, the input of
        that model's classifier; or ``torchvision:NAME@NODE``, the output of a named node of its graph.
    weights : Path, optional
        A state dict to use instead of the published one; not for ``onnx:``.
    options : mapping of str to str, optional
        Changes to the preprocessing, see `assocmem.extractors.preprocessing.Preprocessing`.
    threads : int, optional
        Threads that the network may use. By default 1; for torchvision, PyTorch's own setting.

    Raises
    ------
    ExtractorError
        There is no such extractor; its model is missing, damaged or does not fit; an option is invalid.
    """
    kind, _, rest = spec.partition(":")
    if spec == DEFAULT:
        from assocmem.extractors.efficientnet import open_efficientnet

        return open_efficientnet(weights, options, threads or 1)
    if kind == "onnx" and rest:
        if weights is not None:
            raise ExtractorError("an ONNX model brings its own weights; leave --weights out")
        return _open_onnx(spec, Path(rest).expanduser(), options or {}, threads or 1)
    if kind == "torchvision" and rest:
        from assocmem.extractors.torchvision import open_torchvision

        return open_torchvision(rest, weights, options, threads)
    raise ExtractorError(f"unknown extractor {spec!r}; there are {_CHOICES}")


def parse_options(pairs: Iterable[str]) -> dict[str, str]:
    """Split texts such as ``size=384``. The extractor checks keys and values.

    Raises
    ------
    ExtractorError
        A text without ``=``, or a key that is given twice.

    Examples
    --------
    >>> parse_options(["size=384", "mean=0.5,0.5,0.5"])
    {'size': '384', 'mean': '0.5,0.5,0.5'}
    """
    options: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ExtractorError(f"extractor option: expected KEY=VALUE, found {pair!r}")
        if key in options:
            raise ExtractorError(f"the extractor option {key} is given twice")
        options[key] = value
    return options


def _open_onnx(spec: str, path: Path, options: Mapping[str, str], threads: int) -> Extractor:
    from assocmem.extractors.onnx import OnnxExtractor, open_session
    from assocmem.extractors.preprocessing import Preprocessing

    try:
        content = path.read_bytes()
        digest = hashlib.sha256(content)
        parts = _external_parts(content)
        for part in parts:
            with path.parent.joinpath(part).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        # ONNX Runtime needs the model's path to find the other files.
        session = open_session(path if parts else content, threads)
        return OnnxExtractor(session, spec, f"onnx {digest.hexdigest()[:16]}", Preprocessing(), options)
    except OSError as error:
        raise ExtractorError(
            f"{error.filename}: cannot read the model: {error.strerror}; "
            "a model with weights in other files needs them in its folder"
        ) from error
    except ExtractorError as error:
        raise ExtractorError(f"{path}: {error}") from error


def _external_parts(content: bytes) -> list[str]:
    """Return the files with tensors of the model, relative to the model's folder; ExtractorError if outside it."""
    parts = set()
    for match in _LOCATION.finditer(content):
        name = content[match.end() : match.end() + match[1][0]].decode("utf-8", "replace")
        if PurePath(name).anchor or ".." in PurePath(name).parts:
            raise ExtractorError(f"expected its weights in the model's folder, found them at {name}")
        parts.add(name)
    return sorted(parts)
