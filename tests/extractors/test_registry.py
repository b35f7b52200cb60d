"""Extractors are opened by name; what does not exist is answered with what does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from assocmem.errors import ExtractorError
from assocmem.extractors import registry
from assocmem.extractors.onnx import open_session
from assocmem.extractors.registry import open_extractor, parse_options
from tests.extractors.helpers import onnx_model


def save_model(path: Path, factor: float = 1.0, **options: object) -> Path:
    """Write a model whose feature is the scaled mean colour."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "factor"], ["feature"]),
    ]
    constants = {"factor": np.full(3, factor, np.float32)}
    model = onnx_model(nodes, {"feature": ["n", 3]}, ["n", 3, 16, 16], constants=constants)
    path.parent.mkdir(exist_ok=True)
    onnx.save(onnx.load_model_from_string(model), path, **options)
    return path


def save_in_two_files(path: Path, factor: float = 1.0) -> Path:
    return save_model(path, factor, save_as_external_data=True, location="weights.bin", size_threshold=0)


@pytest.mark.parametrize("spec", ["", "resnet", "onnx", "onnx:", "torchvision:", "efficientnet-lite0:x", "tf:x"])
def test_an_unknown_extractor_is_answered_with_the_known_ones(spec: str) -> None:
    with pytest.raises(ExtractorError, match=r"efficientnet-lite0, onnx:PATH, torchvision:NAME"):
        open_extractor(spec)


def test_importing_the_registry_loads_no_network_runtime() -> None:
    code = (
        "import sys, assocmem.extractors.registry; "
        "print([m for m in ('numpy', 'onnx', 'onnxruntime', 'torch', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_default_is_efficientnet_lite0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path))
    network = open_extractor()
    assert (network.name, network.dim, network.has_logits) == ("efficientnet-lite0", 1280, True)
    assert open_extractor(options={"size": "192"}).prepare(np.zeros((9, 9, 3), np.uint8)).shape == (192, 192, 3)


def test_options_are_split_at_the_first_equals_sign() -> None:
    assert parse_options(["size=384", "output=a=b", "logits="]) == {"size": "384", "output": "a=b", "logits": ""}
    for wrong, message in ((["size"], "KEY=VALUE"), (["=3"], "KEY=VALUE"), (["a=1", "a=1"], "twice")):
        with pytest.raises(ExtractorError, match=message):
            parse_options(wrong)


@pytest.mark.parametrize("save", [save_model, save_in_two_files], ids=["one file", "two files"])
def test_an_onnx_model_may_move_but_not_change(tmp_path: Path, save: Callable[..., Path]) -> None:
    here, there = save(tmp_path / "a" / "model.onnx"), save(tmp_path / "b" / "renamed.onnx")
    other = save(tmp_path / "c" / "model.onnx", 2.0)
    first, moved, changed = (open_extractor(f"onnx:{path}") for path in (here, there, other))
    assert first.name == f"onnx:{here}"
    assert first.identity == moved.identity
    assert first.identity != changed.identity
    assert str(tmp_path) not in first.identity
    white = [first.prepare(np.full((20, 20, 3), 255, np.uint8))]
    np.testing.assert_array_equal(first.extract(white).features, moved.extract(white).features)
    np.testing.assert_allclose(2 * first.extract(white).features, changed.extract(white).features)


def test_weights_in_another_file_must_exist(tmp_path: Path) -> None:
    path = save_in_two_files(tmp_path / "model.onnx")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ExtractorError, match=r"weights\.bin: cannot read .*in its folder"):
        open_extractor(f"onnx:{path}")


def test_weights_may_be_in_a_subfolder(tmp_path: Path) -> None:
    path = save_in_two_files(tmp_path / "model.onnx")
    (tmp_path / "deep").mkdir()
    (tmp_path / "weights.bin").rename(tmp_path / "deep" / "ts.bin")
    path.write_bytes(path.read_bytes().replace(b"weights.bin", b"deep/ts.bin"))
    assert open_extractor(f"onnx:{path}").dim == 3


@pytest.mark.parametrize("place", ["../ghts.bin", "a/../../t.b", "/eights.bin"])
def test_weights_outside_the_models_folder_are_refused(tmp_path: Path, place: str) -> None:
    path = save_in_two_files(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes().replace(b"weights.bin", place.encode()))
    with pytest.raises(ExtractorError, match=f"expected its weights in the model's folder, found them at {place}"):
        open_extractor(f"onnx:{path}")


@pytest.mark.parametrize("place", ["..\\ghts.bin", "c:ights.bin", "\\eights.bin", "c:\\ghts.bin"])
def test_weights_outside_the_models_folder_are_refused_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(registry, "PurePath", PureWindowsPath)
    path = save_in_two_files(tmp_path / "model.onnx")
    path.write_bytes(path.read_bytes().replace(b"weights.bin", place.encode()))
    with pytest.raises(ExtractorError, match="expected its weights in the model's folder"):
        open_extractor(f"onnx:{path}")


def test_the_home_folder_may_be_abbreviated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    save_model(tmp_path / "model.onnx")
    assert open_extractor("onnx:~/model.onnx").dim == 3


@pytest.mark.parametrize(("asked", "used"), [(None, 1), (3, 3)])
def test_networks_use_one_thread_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int | None, used: int
) -> None:
    seen = []

    def record(model: Path | bytes, threads: int) -> Any:
        session = open_session(model, threads)
        seen.append(session.get_session_options().intra_op_num_threads)
        return session

    monkeypatch.setenv("ASSOCMEM_CACHE", str(tmp_path))
    monkeypatch.setattr("assocmem.extractors.onnx.open_session", record)
    monkeypatch.setattr("assocmem.extractors.efficientnet.open_session", record)
    open_extractor(f"onnx:{save_model(tmp_path / 'model.onnx')}", threads=asked)
    open_extractor(threads=asked)
    assert seen == [used, used]


def test_onnx_options_reach_the_model_and_errors_name_its_file(tmp_path: Path) -> None:
    path = save_model(tmp_path / "model.onnx")
    grey = [np.full((16, 16, 3), 51, np.uint8)]
    plain = open_extractor(f"onnx:{path}", options={"mean": "0", "std": "1"}, threads=2)
    np.testing.assert_allclose(plain.extract(grey).features, [[0.2, 0.2, 0.2]], atol=1e-6)
    with pytest.raises(ExtractorError, match=r"model\.onnx: option size: the model takes 16"):
        open_extractor(f"onnx:{path}", options={"size": "32"})
    with pytest.raises(ExtractorError, match="leave --weights out"):
        open_extractor(f"onnx:{path}", weights=path)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "holiday.onnx"
    wrong.write_bytes(b"\xff\xd8\xff\xe0 a photograph")
    with pytest.raises(ExtractorError, match=r"holiday\.onnx: expected an ONNX model"):
        open_extractor(f"onnx:{wrong}")
    for missing in (tmp_path / "absent.onnx", tmp_path):
        with pytest.raises(ExtractorError, match=f"{missing.name}: cannot read the model"):
            open_extractor(f"onnx:{missing}")


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ExtractorError, match=r'pip install "assocmem\[torch\]"'):
        open_extractor("torchvision:resnet18")
