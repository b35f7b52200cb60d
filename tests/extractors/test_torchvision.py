"""Torchvision models with seeded weights, compared with plain hooks; and our own readers, compared with torch."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from assocmem.errors import ExtractorError, InputError
from assocmem.extractors.efficientnet import build, installed_weights
from assocmem.extractors.onnx import open_session
from assocmem.extractors.registry import open_extractor
from assocmem.extractors.state_dict import read_state_dict
from tests.extractors.helpers import noise, photograph_path

torch = pytest.importorskip("torch", reason="needs assocmem[torch]")
models = pytest.importorskip("torchvision.models", reason="needs assocmem[torch]")
functional = torch.nn.functional
pytestmark = pytest.mark.torch

NETWORKS = {
    "resnet18": 512, "mobilenet_v3_small": 1024, "efficientnet_b0": 1280, "vgg11": 4096, "squeezenet1_1": 512,
    "densenet121": 1024, "vit_b_16": 768, "swin_t": 768, "convnext_tiny": 768, "regnet_y_400mf": 440,
}  # fmt: skip


def seeded(name: str, path: Path) -> Any:
    """Make a model with random weights, save them, and return it."""
    torch.manual_seed(4)
    model = models.get_model(name, weights=None).eval()
    torch.save(model.state_dict(), path)
    return model


def picture(height: int = 40, width: int = 60, seed: int = 2) -> Any:
    return noise(height, width, seed)


def normalised(name: str, prepared: list[Any]) -> Any:
    how = models.get_model_weights(name).DEFAULT.transforms()
    pixels = (np.stack(prepared) / 255 - how.mean) / how.std
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    return seeded("resnet18", path), path


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Path]:
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub" / "checkpoints"
    torch.hub.set_dir(before)


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_what_enters_the_classifier(name: str, tmp_path: Path) -> None:
    model = seeded(name, tmp_path / "w.pth")
    entered: list[Any] = []
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d):
            layer.register_forward_hook(lambda _layer, inputs, _output: entered.append(inputs[0]))
    network = open_extractor(f"torchvision:{name}", weights=tmp_path / "w.pth")
    prepared = [network.prepare(picture(seed=seed)) for seed in (1, 2)]
    with torch.inference_mode():
        logits = model(normalised(name, prepared))
    expected = entered[-1].mean((2, 3)) if entered[-1].ndim == 4 else entered[-1]
    found = network.extract(prepared)
    assert (network.dim, network.has_logits) == (NETWORKS[name], True)
    assert found.features.dtype == np.float32
    np.testing.assert_allclose(found.features, expected, atol=1e-4)
    np.testing.assert_allclose(found.logits, logits, atol=1e-4)


def test_a_named_node_is_averaged_over_the_picture(resnet: tuple[Any, Path]) -> None:
    model, path = resnet
    network = open_extractor("torchvision:resnet18@layer3", weights=path)
    prepared = [network.prepare(picture())]
    maps: list[Any] = []
    handle = model.layer3.register_forward_hook(lambda _layer, _inputs, output: maps.append(output))
    with torch.inference_mode():
        model(normalised("resnet18", prepared))
    handle.remove()
    found = network.extract(prepared)
    np.testing.assert_allclose(found.features, maps[0].mean((2, 3)), atol=1e-5)
    assert found.logits is not None
    scores = open_extractor("torchvision:resnet18@fc", weights=path).extract(prepared)
    np.testing.assert_array_equal(scores.features, scores.logits)
    last = open_extractor("torchvision:resnet18", weights=path)
    assert len({last.identity, network.identity}) == 2


def test_features_do_not_depend_on_the_batch(resnet: tuple[Any, Path]) -> None:
    network = open_extractor("torchvision:resnet18", weights=resnet[1])
    prepared = [network.prepare(picture(seed=seed)) for seed in range(6)]
    alone = np.concatenate([network.extract([image]).features for image in prepared])
    np.testing.assert_allclose(network.extract(prepared).features, alone, atol=1e-4)
    empty = network.extract([])
    assert empty.logits is not None
    assert (empty.features.shape, empty.logits.shape) == ((0, 512), (0, 1000))
    with pytest.raises(InputError, match=r"expected a picture from prepare\(\)"):
        network.extract([picture()])


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0"])
def test_prepare_shows_the_network_what_the_published_transforms_would(name: str, tmp_path: Path) -> None:
    image = PIL.Image.open(photograph_path("chelsea.png"))
    seeded(name, tmp_path / "w.pth")
    network = open_extractor(f"torchvision:{name}", weights=tmp_path / "w.pth")
    expected = models.get_model_weights(name).DEFAULT.transforms()(image)
    found = normalised(name, [network.prepare(np.array(image))])[0]
    # Half a pixel of shift is the rounding of theirs; a standard deviation of the data is 1.
    assert float((found - expected).abs().mean()) < 0.05


def test_published_weights_are_taken_from_the_hub_folder(resnet: tuple[Any, Path], hub: Path) -> None:
    hub.mkdir(parents=True)
    (hub / "resnet18-f37072fd.pth").write_bytes(resnet[1].read_bytes())
    published = open_extractor("torchvision:resnet18")
    assert published.identity == open_extractor("torchvision:resnet18", weights=resnet[1]).identity


def test_missing_weights_without_a_network_say_what_to_download(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, timeout: float) -> None:
        assert timeout <= 10
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(ExtractorError) as caught:
        open_extractor("torchvision:resnet18")
    assert f"/resnet18-f37072fd.pth and save it as {hub / 'resnet18-f37072fd.pth'}" in str(caught.value)
    assert "--weights FILE" in str(caught.value)


def test_missing_weights_are_downloaded_quietly_and_checked(
    resnet: tuple[Any, Path], hub: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def download(url: str, target: str, checksum: str, *, progress: bool) -> None:
        asked.append((url.rpartition("/")[2], checksum, progress))
        Path(target).write_bytes(resnet[1].read_bytes())

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, timeout: nullcontext())
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert open_extractor("torchvision:resnet18").dim == 512
    assert asked == [("resnet18-f37072fd.pth", "f37072fd", False)]
    assert capfd.readouterr() == ("", "")


def test_unknown_names_are_answered_with_similar_ones(resnet: tuple[Any, Path]) -> None:
    with pytest.raises(ExtractorError, match=r"no classification model 'resnet19'.*resnet18"):
        open_extractor("torchvision:resnet19")
    with pytest.raises(ExtractorError, match=r"no node 'layr3'.*layer3"):
        open_extractor("torchvision:resnet18@layr3", weights=resnet[1])
    with pytest.raises(ExtractorError, match="torchvision:NAME@NODE"):
        open_extractor("torchvision:resnet18", weights=resnet[1], options={"output": "fc"})


def test_weights_that_do_not_fit_are_refused(resnet: tuple[Any, Path], tmp_path: Path) -> None:
    model, _ = resnet
    state = dict(model.state_dict())
    some = {key: value for key, value in state.items() if not key.startswith("layer4")}

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    for content, message in (
        (some, r"missing 25, as layer4\.0\.conv1\.weight"),
        ({**state, "neck.weight": torch.zeros(1)}, r"unexpected 1, as neck\.weight"),
        ({**state, "fc.bias": torch.zeros(10)}, r"of another model: .*fc\.bias"),
        ([1, 2], "found a list"),
        ({**state, "x": Trap()}, "expected a PyTorch state dict"),
    ):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(ExtractorError, match=rf"(?s)w\.pth: .*{message}"):
            open_extractor("torchvision:resnet18", weights=tmp_path / "w.pth")
    assert not (tmp_path / "sprung").exists()
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04 not really")
    for path, message in ((tmp_path / "w.pth", "damaged"), (tmp_path / "absent.pth", "cannot read")):
        with pytest.raises(ExtractorError, match=message):
            open_extractor("torchvision:resnet18", weights=path)


def test_the_old_names_in_published_densenets_are_understood(tmp_path: Path) -> None:
    model = seeded("densenet121", tmp_path / "new.pth")
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): v for key, v in
           model.state_dict().items()}  # fmt: skip
    assert set(old) != set(model.state_dict())
    torch.save(old, tmp_path / "old.pth")
    images = [picture(224, 224)]
    new, renamed = (
        open_extractor("torchvision:densenet121", weights=tmp_path / f).extract(images).features
        for f in ("new.pth", "old.pth")
    )
    np.testing.assert_array_equal(new, renamed)


def test_the_number_of_threads_changes_only_when_asked(resnet: tuple[Any, Path]) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        open_extractor("torchvision:resnet18", weights=resnet[1])
        assert torch.get_num_threads() == 2
        open_extractor("torchvision:resnet18", weights=resnet[1], threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("zipped", [False, True])
def test_what_torch_saves_reads_the_same_without_torch(tmp_path: Path, *, zipped: bool) -> None:
    shared = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = {
        "plain": shared, "transposed": shared.permute(2, 0, 1), "part": shared[1, 1:, ::2], "row": shared[:1, 0, 0],
        "repeated": torch.ones(1, 3).expand(5, 3), "parameter": torch.nn.Parameter(torch.randn(3, 2)),
        "scalar": torch.tensor(7), "flags": torch.tensor([True, False]), "empty": torch.zeros(0, 3),
        **{str(kind): torch.arange(5).to(kind) for kind in (torch.float64, torch.float16, torch.int32,
                                                            torch.int16, torch.int8, torch.uint8)},
    }  # fmt: skip
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    found = read_state_dict(tmp_path / "w.pth")
    assert list(found) == list(state)
    for name, tensor in state.items():
        expected = tensor.detach().numpy()
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)


def plain_lite0(state: dict[str, Any], x: Any) -> tuple[Any, Any]:
    """EfficientNet-Lite0 in PyTorch's own operations, nothing folded."""

    def layer(x: Any, conv: str, norm: str, stride: int = 1, *, clip: bool = True) -> Any:
        weight = state[f"{conv}.weight"]
        size = weight.shape[-1]
        pads = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[:1:-1]]
        x = functional.pad(x, [half for pad in pads for half in (pad // 2, pad - pad // 2)])
        x = functional.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        parts = (state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        x = functional.batch_norm(x, *parts, eps=1e-3)
        return functional.relu6(x) if clip else x

    x = layer(x, "_conv_stem", "_bn0", 2)
    for index in range(16):
        block, y = f"_blocks.{index}.", x
        if index:
            y = layer(y, f"{block}_expand_conv", f"{block}_bn0")
        y = layer(y, f"{block}_depthwise_conv", f"{block}_bn1", 2 if index in (1, 3, 5, 11) else 1)
        y = layer(y, f"{block}_project_conv", f"{block}_bn2", clip=False)
        x = x + y if x.shape == y.shape else y
    features = layer(x, "_conv_head", "_bn1").mean((2, 3))
    return features, functional.linear(features, state["_fc.weight"], state["_fc.bias"])


def test_the_default_graph_equals_the_network_in_torch() -> None:
    path = installed_weights()
    image = np.random.default_rng(8).normal(size=(2, 3, 224, 224)).astype(np.float32)
    with torch.inference_mode():
        expected = plain_lite0(torch.load(path, weights_only=True), torch.from_numpy(image))
    session = open_session(build(read_state_dict(path)), 1)
    features, logits = session.run(["features", "logits"], {"image": image})
    np.testing.assert_allclose(features, expected[0], atol=1e-4)
    np.testing.assert_allclose(logits, expected[1], atol=1e-4)
