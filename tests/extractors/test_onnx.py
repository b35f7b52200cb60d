"""ONNX models as extractors: tiny models made here, and a plain-loop oracle of resizing and scaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from assocmem.errors import ExtractorError, InputError
from assocmem.extractors.base import Image
from assocmem.extractors.onnx import OnnxExtractor, open_session, to_features
from assocmem.extractors.preprocessing import Preprocessing

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLOAT = TensorProto.FLOAT
Shape = list[int | str | None]

POOL = [helper.make_node("GlobalAveragePool", ["image"], ["p"]), helper.make_node("Flatten", ["p"], ["f"])]


def model(
    nodes: list[onnx.NodeProto],
    outputs: dict[str, Shape | None],
    shape: Shape | None = None,
    dtype: int = FLOAT,
    constants: dict[str, np.ndarray[Any, Any]] | None = None,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", dtype, shape or ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(name, dtype, dims) for name, dims in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


def extractor(content: bytes, **options: str) -> OnnxExtractor:
    return OnnxExtractor(open_session(content, 1), "onnx:tiny", "onnx 0123", Preprocessing(), options)


def identity_model(shape: Shape | None = None, dtype: int = FLOAT) -> bytes:
    """Features are the input tensor itself, (n, pixels * 3)."""
    return model([helper.make_node("Flatten", ["image"], ["f"])], {"f": [None, None]}, shape, dtype)


def picture(height: int, width: int, seed: int = 7) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def cubic(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def naive_resample(
    line: npt.NDArray[np.float64], size: int, low: float, high: float, kernel: Callable[[float], float]
) -> npt.NDArray[np.float64]:
    """Resample the stretch low..high of axis 0 to size rows; the kernel widens when it shrinks."""
    scale = (high - low) / size
    wide = max(scale, 1.0)
    rows = []
    for i in range(size):
        centre = low + (i + 0.5) * scale
        weights = [kernel((j + 0.5 - centre) / wide) for j in range(len(line))]
        rows.append(sum(w * row for w, row in zip(weights, line, strict=True)) / sum(weights))
    return np.array(rows)


def naive_prepare(image: Image, how: Preprocessing) -> npt.NDArray[np.float64]:
    kernel = {"bilinear": triangle, "bicubic": cubic}[how.interpolation]
    height, width = image.shape[:2]
    boxes, sizes = [(0.0, height), (0.0, width)], [how.size, how.size]
    if how.resize == "crop":
        side = min(height, width) * how.crop
        boxes = [((length - side) / 2, (length + side) / 2) for length in (height, width)]
    if how.resize == "pad":
        sizes = [max(1, round(length * how.size / max(height, width))) for length in (height, width)]
    # Pillow goes along the rows first and rounds in between.
    values = naive_resample(image.astype(float).swapaxes(0, 1), sizes[1], *boxes[1], kernel).swapaxes(0, 1)
    values = naive_resample(np.clip(np.floor(values + 0.5), 0, 255), sizes[0], *boxes[0], kernel)
    canvas = np.full((how.size, how.size, 3), float(how.fill))
    top, left = ((how.size - size) // 2 for size in sizes)
    canvas[top : top + sizes[0], left : left + sizes[1]] = np.clip(values, 0, 255)
    return canvas


@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 30), (21, 47), (9, 10), (1, 30)])
def test_prepare_equals_plain_loops(resize: str, interpolation: str, height: int, width: int) -> None:
    how = Preprocessing(size=16, resize=resize, interpolation=interpolation, fill=31)
    image = picture(height, width)
    assert np.abs(how.prepare(image) - naive_prepare(image, how)).max() <= 1.0


@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    resize=st.sampled_from(["pad", "crop", "squash"]),
    size=st.integers(8, 64),
)
def test_prepare_gives_one_size_and_keeps_an_even_colour(height: int, width: int, resize: str, size: int) -> None:
    how = Preprocessing(size=size, resize=resize, fill=200)
    prepared = how.prepare(np.full((height, width, 3), 200, np.uint8))
    assert prepared.dtype == np.uint8
    assert prepared.flags.c_contiguous
    np.testing.assert_array_equal(prepared, np.full((size, size, 3), 200))


def test_a_large_picture_is_shrunk_as_the_full_filter_would() -> None:
    image = np.repeat(np.repeat(picture(20, 20), 40, 0), 40, 1)
    how = Preprocessing(size=16, resize="squash")
    assert np.abs(how.prepare(image) - naive_prepare(image, how)).mean() < 2.0


def test_prepare_takes_views_and_refuses_other_arrays() -> None:
    how = Preprocessing(size=16)
    image = picture(30, 40)
    np.testing.assert_array_equal(how.prepare(image[:, ::-1]), how.prepare(image[:, ::-1].copy()))
    for wrong in (image.astype(np.float32), image[..., 0], image[..., :2], image[:0]):
        with pytest.raises(InputError, match="expected a picture"):
            how.prepare(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("shape", [["n", 3, "h", "w"], ["n", "h", "w", 3], [1, 3, 8, 8], [1, 8, 8, 3]])
@pytest.mark.parametrize("dtype", [FLOAT, TensorProto.FLOAT16])
def test_the_network_gets_scaled_channels_in_its_layout(order: str, shape: Shape, dtype: int) -> None:
    image = picture(8, 8)
    found = extractor(identity_model(shape, dtype), order=order, size="8").extract([image]).features[0]
    scaled = (image / 255 - IMAGENET_MEAN) / IMAGENET_STD
    scaled = scaled[..., ::-1] if order == "bgr" else scaled
    expected = scaled if shape[3] == 3 else scaled.transpose(2, 0, 1)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-5 if dtype == FLOAT else 2e-3)


def test_a_uint8_model_gets_the_pixels() -> None:
    nodes = [helper.make_node("Cast", ["image"], ["c"], to=FLOAT), helper.make_node("Flatten", ["c"], ["f"])]
    content = model(nodes, {"f": [None, None]}, ["n", 8, 8, 3], TensorProto.UINT8)
    loaded = onnx.load_model_from_string(content)
    loaded.graph.output[0].type.tensor_type.elem_type = FLOAT
    made = extractor(loaded.SerializeToString())
    image = picture(8, 8)
    np.testing.assert_array_equal(made.extract([image]).features[0], image.ravel())
    assert "mean=" not in made.identity


def test_extraction_is_float32_rows_and_does_not_depend_on_the_company() -> None:
    made = extractor(model(POOL, {"f": ["n", 3]}), size="16")
    images = [made.prepare(picture(30, 20, seed)) for seed in range(5)]
    together = made.extract(images)
    assert together.features.dtype == np.float32
    assert together.features.flags.c_contiguous
    assert together.logits is None
    assert (made.dim, made.has_logits, made.name) == (3, False, "onnx:tiny")
    alone = np.concatenate([made.extract([image]).features for image in images])
    np.testing.assert_array_equal(together.features, alone)
    mean = (np.mean(images, axis=(1, 2)) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(together.features, mean, atol=1e-4)
    assert made.extract([]).features.shape == (0, 3)


@pytest.mark.parametrize(("layout", "axes"), [("nchw", (2, 3)), ("nhwc", (1, 2))])
def test_feature_maps_are_averaged_and_tokens_chosen(layout: str, axes: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    maps, tokens = rng.normal(size=(2, 3, 4, 5)).astype(np.float32), rng.normal(size=(2, 7, 5))
    np.testing.assert_allclose(to_features(maps, layout, "first"), maps.mean(axes), atol=1e-6)
    first = to_features(tokens.astype(np.float32), layout, "first")
    np.testing.assert_allclose(first, tokens[:, 0], atol=1e-6)
    assert first.flags.c_contiguous
    np.testing.assert_allclose(to_features(tokens, layout, "mean"), tokens.mean(1), atol=1e-6)
    for wrong in (maps[0, 0, 0], maps[None], np.ones((2, 5), np.int64)):
        with pytest.raises(ExtractorError, match="expected floats"):
            to_features(wrong, layout, "first")


def classifier() -> bytes:
    scores = helper.make_node("Gemm", ["f", "w"], ["scores"])
    weight = np.linspace(-1, 1, 3000, dtype=np.float32).reshape(3, 1000)
    return model([*POOL, scores], {"scores": ["n", 1000], "f": ["n", 3]}, constants={"w": weight})


def test_the_feature_is_by_default_the_output_that_is_not_scores() -> None:
    assert extractor(classifier()).dim == 3
    assert extractor(classifier(), output="scores").dim == 1000
    made = extractor(classifier(), logits="scores")
    found = made.extract([made.prepare(picture(250, 250))] * 2)
    assert made.has_logits
    assert found.logits is not None
    assert (found.features.shape, found.logits.shape) == ((2, 3), (2, 1000))
    weight = np.linspace(-1, 1, 3000).reshape(3, 1000)
    np.testing.assert_allclose(found.logits, found.features @ weight, atol=1e-4)
    empty = made.extract([])
    assert empty.logits is not None
    assert empty.logits.shape == (0, 1000)


def test_a_fixed_size_comes_before_the_default_and_cannot_be_changed() -> None:
    assert extractor(identity_model([1, 3, 8, 8])).prepare(picture(20, 20)).shape == (8, 8, 3)
    assert extractor(model(POOL, {"f": ["n", 3]})).prepare(picture(20, 20)).shape == (224, 224, 3)
    with pytest.raises(ExtractorError, match=r"option size: the model takes 8 pixels only, found 16"):
        extractor(identity_model([1, 3, 8, 8]), size="16")


def test_min_side_is_what_the_crop_leaves_unenlarged() -> None:
    content = model(POOL, {"f": ["n", 3]})
    assert extractor(content).min_side == 256
    assert extractor(content, resize="pad").min_side == 224
    assert extractor(content, size="300", crop="1").min_side == 300


def test_identity_changes_with_what_changes_features_only() -> None:
    changes = {
        "size": "48", "resize": "pad", "crop": "0.5", "interpolation": "bicubic", "mean": "0.4",
        "std": "0.5,0.5,0.6", "order": "bgr", "tokens": "mean", "output": "scores",
    }  # fmt: skip
    base = extractor(classifier()).identity
    seen = {base, *(extractor(classifier(), **{key: text}).identity for key, text in changes.items())}
    assert len(seen) == len(changes) + 1
    assert extractor(classifier(), resize="pad", fill="0").identity not in seen
    for key, text in (("fill", "0"), ("size", "224"), ("logits", "scores"), ("layout", "nchw")):
        assert extractor(classifier(), **{key: text}).identity == base


def test_what_is_not_a_model_is_refused() -> None:
    for content in (b"", b"GIF89a" * 50, classifier()[:-500]):
        with pytest.raises(ExtractorError, match=r"expected an ONNX model, found .*export it again"):
            extractor(content)


@pytest.mark.parametrize(
    ("shape", "message"),
    [([1, 1, 8, 8], "RGB"), ([4, 3, 8, 8], "RGB"), ([1, 3, 8, 16], "square"), ([1, 3, 8], "rank 4")],
)
def test_an_input_that_is_not_one_picture_is_refused(shape: Shape, message: str) -> None:
    with pytest.raises(ExtractorError, match=message):
        extractor(identity_model(shape))


def test_outputs_must_exist_and_fit() -> None:
    with pytest.raises(ExtractorError, match=r"no output 'x'; it has scores, f"):
        extractor(classifier(), output="x")
    with pytest.raises(ExtractorError, match="1000 logits"):
        extractor(classifier(), logits="f")
    rows = [helper.make_node("Reshape", ["image", "s"], ["f"])]
    with pytest.raises(ExtractorError, match=r"expected \(n, d\)"):
        extractor(model(rows, {"f": [None, None]}, constants={"s": np.array([-1, 3])}))
    with pytest.raises(ExtractorError, match="failed to run"):
        extractor(model(rows, {"f": [None, None]}, constants={"s": np.array([-1, 1001])}))


def test_a_vector_whose_length_varies_is_refused() -> None:
    nodes = [
        helper.make_node("Reshape", ["image", "s"], ["line"]),
        helper.make_node("Relu", ["line"], ["positive"]),
        helper.make_node("NonZero", ["positive"], ["places"]),
        helper.make_node("Cast", ["places"], ["f"], to=FLOAT),
    ]
    made = extractor(model(nodes, {"f": [None, None]}, [1, 3, 8, 8], constants={"s": np.array([-1])}))
    with pytest.raises(ExtractorError, match="another shape for every picture"):
        made.extract([picture(8, 8)])


def test_numbers_that_are_not_finite_are_refused() -> None:
    nodes = [helper.make_node("Log", ["image"], ["l"]), helper.make_node("Flatten", ["l"], ["f"])]
    content = model(nodes, {"f": [None, None]}, [1, 3, 8, 8])
    made = extractor(content, mean="-0.5")
    with pytest.raises(ExtractorError, match="not finite"):
        extractor(content, mean="0.9")
    assert np.isfinite(made.extract([picture(8, 8)]).features).all()


def test_pictures_that_are_not_prepared_are_refused() -> None:
    made = extractor(model(POOL, {"f": ["n", 3]}))
    for wrong in (picture(30, 30), picture(224, 224).astype(np.float32), picture(224, 224)[..., :1]):
        with pytest.raises(InputError, match=r"expected a picture from prepare\(\)"):
            made.extract([wrong])  # type: ignore[list-item]
