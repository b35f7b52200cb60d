"""Any classification model of torchvision as an extractor: the input of its classifier, or a named node.

PyTorch and torchvision are imported when a model is opened.
"""

from __future__ import annotations

import difflib
import hashlib
import http.client
import re
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assocmem.errors import ExtractorError
from assocmem.extractors.base import Extraction, Image
from assocmem.extractors.onnx import to_features
from assocmem.extractors.preprocessing import Preprocessing

# By default these two spend seconds on random weights, and lack the scaling that their published weights need.
_ARGUMENTS: Mapping[str, Mapping[str, bool]] = {
    "googlenet": {"init_weights": False, "transform_input": True},
    "inception_v3": {"init_weights": False, "transform_input": True},
}
_PROBE_SECONDS = 5.0
# On a CPU, batches make small networks faster, by up to a half; large networks become slower from about 8 on.
_BATCH = 4


def open_torchvision(
    spec: str,
    weights: Path | None = None,
    options: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> TorchvisionExtractor:
    """Open a model with its published weights, or with those in a file.

    Parameters
    ----------
    spec : str
        ``NAME`` or ``NAME@NODE``, with a node's name as in `torchvision.models.feature_extraction`. Feature maps
        are averaged (``layout=nhwc`` for maps with channels last); of tokens, the first is used.
    weights : Path, optional
        A state dict of the model. By default torchvision's own, from the checkpoints folder of the torch hub;
        it is downloaded if missing.
    options : mapping of str to str, optional
        Changes to the preprocessing of the published weights.
    threads : int, optional
        Number of PyTorch's threads, a setting of the whole process; None does not change it.

    Raises
    ------
    ExtractorError
        PyTorch is not installed; there is no such model or node; the weights are missing or do not fit.
    """
    name, _, node = spec.partition("@")
    try:
        import torch
        from torchvision import models
    except ImportError as error:
        raise ExtractorError(
            f'torchvision:{spec} needs PyTorch; install it: pip install "assocmem[torch]" ({error})'
        ) from error
    names = models.list_models(module=models)
    if name not in names:
        near = ", ".join(difflib.get_close_matches(name, names, 5, 0.3) or names)
        raise ExtractorError(f"torchvision has no classification model {name!r}; did you mean one of {near}?")
    published = models.get_model_weights(name).DEFAULT
    preprocessing = _preprocessing(published.transforms(), options or {})
    path = weights or _published_file(torch.hub, published.url)
    model = models.get_model(name, weights=None, **_ARGUMENTS.get(name, {}))
    _load(model, path)
    if threads is not None:
        torch.set_num_threads(threads)
    network, output = _cut(model.eval(), node)
    categories = models.ResNet18_Weights.DEFAULT.meta["categories"]
    return TorchvisionExtractor(
        network,
        name=f"torchvision:{spec}",
        model_id=f"torchvision:{name} {_digest(path)}",
        preprocessing=replace(preprocessing, output=output),
        has_logits=published.meta["categories"] == categories,
    )


class TorchvisionExtractor:
    """A torchvision model as an `Extractor`, which documents the attributes.

    Parameters
    ----------
    network : callable
        Maps a float32 tensor (n, 3, size, size) to a pair of tensors, features and class scores.
    name : str
        What the user asked for.
    model_id : str
        First part of the identity.
    preprocessing : Preprocessing
        Its ``output`` names the place in the network where the features are taken.
    has_logits : bool
        Whether the class scores are the 1,000 ImageNet logits.
    """

    def __init__(
        self,
        network: Callable[[Any], tuple[Any, Any]],
        *,
        name: str,
        model_id: str,
        preprocessing: Preprocessing,
        has_logits: bool,
    ) -> None:
        self._network = network
        self.preprocessing = preprocessing
        self.name = name
        self.identity = f"{model_id} {preprocessing.canonical()}"
        self.min_side = preprocessing.min_side
        self.has_logits = has_logits
        # Running the network on one picture gives the dimension, and finds misfits before a long job starts.
        grey = np.full((preprocessing.size, preprocessing.size, 3), 127, np.uint8)
        self.dim: int = self._run([grey]).features.shape[1]

    def prepare(self, image: Image) -> Image:
        """Resize a picture to the input's size, see `Preprocessing.prepare`."""
        return self.preprocessing.prepare(image)

    def extract(self, images: Sequence[Image]) -> Extraction:
        """Run the network on n prepared pictures.

        Raises `InputError` if a picture is not prepared, and `ExtractorError` if the network fails or does not
        return finite numbers in the expected shape.
        """
        parts = [self._run(images[i : i + _BATCH]) for i in range(0, len(images), _BATCH)]
        features = np.concatenate([np.empty((0, self.dim), np.float32), *(part.features for part in parts)])
        if not self.has_logits:
            return Extraction(features)
        logits = (part.logits for part in parts if part.logits is not None)
        return Extraction(features, np.concatenate([np.empty((0, 1000), np.float32), *logits]))

    def _run(self, images: Sequence[Image]) -> Extraction:
        import torch

        preprocessing = self.preprocessing
        batch = torch.from_numpy(np.concatenate([preprocessing.tensor(image, np.float32, "nchw") for image in images]))
        try:
            with torch.inference_mode():
                features, logits = (output.numpy() for output in self._network(batch))
        except (AttributeError, RuntimeError, TypeError) as error:
            raise ExtractorError(f"the network failed to run: {error}") from error
        pooled = to_features(features, preprocessing.layout, preprocessing.tokens)
        if len(pooled) != len(images):
            raise ExtractorError(f"expected one vector per picture from {preprocessing.output}, found {features.shape}")
        return Extraction(
            pooled, to_features(logits, preprocessing.layout, preprocessing.tokens) if self.has_logits else None
        )


def _preprocessing(transforms: Any, options: Mapping[str, str]) -> Preprocessing:
    for key in ("output", "logits"):
        if key in options:
            raise ExtractorError(f"option {key} is for onnx:PATH; choose a node: torchvision:NAME@NODE")
    (size,), (resized,) = transforms.crop_size, transforms.resize_size
    defaults = Preprocessing(
        size=size,
        resize="crop",
        crop=min(1.0, size / resized),
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )
    return defaults.with_options(options)


def _published_file(hub: Any, url: str) -> Path:
    """Return the path of torchvision's own weights; they are downloaded if missing."""
    path = Path(hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if path.is_file():
        return path
    try:
        # Without a network the hub would wait until the system gives up; this request has a short timeout.
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PROBE_SECONDS):
            path.parent.mkdir(parents=True, exist_ok=True)
        checksum = re.search(r"-([0-9a-f]{8,})\.", path.name)
        hub.download_url_to_file(url, str(path), checksum and checksum[1], progress=False)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        raise ExtractorError(
            f"the weights are not on this machine and cannot be fetched ({error}); "
            f"fetch {url} and save it as {path}, or pass --weights FILE"
        ) from error
    return path


def _load(model: Any, path: Path) -> None:
    """Read weights into a model; ExtractorError if they do not fit."""
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ExtractorError(f"{path}: cannot read the weights: {error.strerror or error}") from error
    except Exception as error:  # for a damaged file, the loader may raise nearly anything
        raise ExtractorError(
            f"{path}: expected a PyTorch state dict, found a damaged or different file; fetch it again"
        ) from error
    if not isinstance(state, dict):
        raise ExtractorError(f"{path}: expected a state dict, found a {type(state).__name__}")
    for key in [key for key in state if isinstance(key, str)]:
        # DenseNet's published files still have the names from before 2018.
        renamed = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", key)
        if renamed != key:
            state[renamed] = state.pop(key)
    try:
        result = model.load_state_dict(state, strict=False)
    except (AttributeError, RuntimeError, TypeError) as error:
        raise ExtractorError(f"{path}: the weights are of another model: {error}") from error
    for what, keys in (("missing", result.missing_keys), ("unexpected", result.unexpected_keys)):
        if keys:
            few = ", ".join(map(str, keys[:3]))
            raise ExtractorError(f"{path}: the weights are of another model: {what} {len(keys)}, as {few}")


def _cut(model: Any, node: str) -> tuple[Callable[[Any], tuple[Any, Any]], str]:
    """Return a network that computes features and class scores, and the name of the place of the features."""
    from torch import nn
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    train, nodes = get_graph_node_names(model, suppress_diff_warning=True)
    last = nodes[-1]
    try:
        graph = create_feature_extractor(
            model,
            train_return_nodes=[train[-1]],
            eval_return_nodes=[node, last] if node and node != last else [last],
            suppress_diff_warning=True,
        ).eval()
    except ValueError as error:
        near = ", ".join(difflib.get_close_matches(node, nodes, 5, 0.3) or nodes[-5:])
        raise ExtractorError(f"the model has no node {node!r}; among its nodes are {near}") from error
    *steps, output = graph.graph.nodes
    found = output.args[0]
    if node:
        place, features = node, found[node]
    else:
        layers = [(step, graph.get_submodule(step.target)) for step in steps if step.op == "call_module"]
        classifier = [step for step, layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
        place, features = f"before:{classifier.target}", classifier.args[0]
    output.args = ((features, found[last]),)
    graph.recompile()
    return graph, place


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
