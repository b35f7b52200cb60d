"""ONNX models as extractors, shown with tiny models that are made here."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from assocmem.errors import ExtractorError, InputError
from assocmem.extractors.onnx import OnnxExtractor, open_session, to_features
from assocmem.extractors.preprocessing import Preprocessing
from tests.extractors.helpers import Shape, noise, onnx_model

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FLOAT = TensorProto.FLOAT

POOL = [helper.make_node("GlobalAveragePool", ["image"], ["p"]), helper.make_node("Flatten", ["p"], ["f"])]


def extractor(content: bytes, **options: str) -> OnnxExtractor:
    return OnnxExtractor(open_session(content, 1), "onnx:tiny", "onnx 0123", Preprocessing(), options)


def identity_model(shape: Shape | None = None, dtype: int = FLOAT) -> bytes:
    """Return a model whose features are its input tensor, (n, pixels * 3)."""
    return onnx_model([helper.make_node("Flatten", ["image"], ["f"])], {"f": [None, None]}, shape, dtype)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("shape", [["n", 3, "h", "w"], ["n", "h", "w", 3], [1, 3, 8, 8], [1, 8, 8, 3]])
@pytest.mark.parametrize("dtype", [FLOAT, TensorProto.FLOAT16])
def test_the_network_gets_scaled_channels_in_its_layout(order: str, shape: Shape, dtype: int) -> None:
    image = noise(8, 8)
    found = extractor(identity_model(shape, dtype), order=order, size="8").extract([image]).features[0]
    scaled = (image / 255 - IMAGENET_MEAN) / IMAGENET_STD
    scaled = scaled[..., ::-1] if order == "bgr" else scaled
    expected = scaled if shape[3] == 3 else scaled.transpose(2, 0, 1)
    np.testing.assert_allclose(found, expected.ravel(), atol=1e-5 if dtype == FLOAT else 2e-3)


def test_a_uint8_model_gets_the_pixels() -> None:
    nodes = [helper.make_node("Cast", ["image"], ["c"], to=FLOAT), helper.make_node("Flatten", ["c"], ["f"])]
    content = onnx_model(nodes, {"f": [None, None]}, ["n", 8, 8, 3], TensorProto.UINT8)
    loaded = onnx.load_model_from_string(content)
    loaded.graph.output[0].type.tensor_type.elem_type = FLOAT
    made = extractor(loaded.SerializeToString())
    image = noise(8, 8)
    np.testing.assert_array_equal(made.extract([image]).features[0], image.ravel())
    assert "mean=" not in made.identity


def test_extraction_is_float32_rows_and_does_not_depend_on_the_batch() -> None:
    made = extractor(onnx_model(POOL, {"f": ["n", 3]}), size="16")
    images = [made.prepare(noise(30, 20, seed)) for seed in range(5)]
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
    return onnx_model([*POOL, scores], {"scores": ["n", 1000], "f": ["n", 3]}, constants={"w": weight})


def test_the_feature_is_by_default_the_output_that_is_not_scores() -> None:
    assert extractor(classifier()).dim == 3
    assert extractor(classifier(), output="scores").dim == 1000
    made = extractor(classifier(), logits="scores")
    found = made.extract([made.prepare(noise(250, 250))] * 2)
    assert made.has_logits
    assert found.logits is not None
    assert (found.features.shape, found.logits.shape) == ((2, 3), (2, 1000))
    weight = np.linspace(-1, 1, 3000).reshape(3, 1000)
    np.testing.assert_allclose(found.logits, found.features @ weight, atol=1e-4)
    empty = made.extract([])
    assert empty.logits is not None
    assert empty.logits.shape == (0, 1000)


def test_a_fixed_size_comes_before_the_default_and_cannot_be_changed() -> None:
    assert extractor(identity_model([1, 3, 8, 8])).prepare(noise(20, 20)).shape == (8, 8, 3)
    assert extractor(onnx_model(POOL, {"f": ["n", 3]})).prepare(noise(20, 20)).shape == (224, 224, 3)
    with pytest.raises(ExtractorError, match=r"option size: the model takes 8 pixels only, found 16"):
        extractor(identity_model([1, 3, 8, 8]), size="16")


def test_min_side_is_what_the_crop_leaves_unenlarged() -> None:
    content = onnx_model(POOL, {"f": ["n", 3]})
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


def test_files_that_are_not_models_are_refused() -> None:
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
        extractor(onnx_model(rows, {"f": [None, None]}, constants={"s": np.array([-1, 3])}))
    with pytest.raises(ExtractorError, match="failed to run"):
        extractor(onnx_model(rows, {"f": [None, None]}, constants={"s": np.array([-1, 1001])}))


def test_a_vector_whose_length_varies_is_refused() -> None:
    nodes = [
        helper.make_node("Reshape", ["image", "s"], ["line"]),
        helper.make_node("Relu", ["line"], ["positive"]),
        helper.make_node("NonZero", ["positive"], ["places"]),
        helper.make_node("Cast", ["places"], ["f"], to=FLOAT),
    ]
    made = extractor(onnx_model(nodes, {"f": [None, None]}, [1, 3, 8, 8], constants={"s": np.array([-1])}))
    with pytest.raises(ExtractorError, match="another shape for every picture"):
        made.extract([noise(8, 8)])


def test_numbers_that_are_not_finite_are_refused() -> None:
    nodes = [helper.make_node("Log", ["image"], ["l"]), helper.make_node("Flatten", ["l"], ["f"])]
    content = onnx_model(nodes, {"f": [None, None]}, [1, 3, 8, 8])
    made = extractor(content, mean="-0.5")
    with pytest.raises(ExtractorError, match="not finite"):
        extractor(content, mean="0.9")
    assert np.isfinite(made.extract([noise(8, 8)]).features).all()


def test_pictures_that_are_not_prepared_are_refused() -> None:
    made = extractor(onnx_model(POOL, {"f": ["n", 3]}))
    for wrong in (noise(30, 30), noise(224, 224).astype(np.float32), noise(224, 224)[..., :1]):
        with pytest.raises(InputError, match=r"expected a picture from prepare\(\)"):
            made.extract([wrong])  # type: ignore[list-item]
