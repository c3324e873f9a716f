"""The exported graph says what torch says, on every runtime that is here."""

import importlib.util

import numpy as np
import onnx
import pytest
from PIL import Image

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.engine import Engine
from maskstream.engines.errors import EngineError
from maskstream.engines.interface.fit import fitted
from maskstream.engines.networks.mask_rcnn.detect import MaskRcnnDetector
from maskstream.engines.networks.mask_rcnn.export import export_onnx
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn
from maskstream.engines.runtimes.torch_backend import TorchBackend
from tests.helpers.engines.tiny_mask_rcnn import (
    CLASS_NAMES,
    SIDE,
    blocks,
    tiny_config,
    tiny_detector,
    tiny_engine_file,
    tiny_manifest,
)

PICTURE_COUNT = 20
SCORE_MIN = 0.05


def photographs(shared_dir):
    paths = sorted((shared_dir / "data" / "coco80" / "images").glob("*.jpg"))[:PICTURE_COUNT]
    assert len(paths) == PICTURE_COUNT
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def squares(_):
    return [np.kron(picture, np.ones((2, 3, 1), np.uint8)) for picture in blocks(20).numpy()]


def detected(engine, pictures):
    frames = np.stack([fitted(picture, SIDE, "letterbox") for picture in pictures])
    sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
    return [
        instances
        for start in range(0, len(frames), 4)
        for instances in engine.detect(
            frames[start : start + 4], sizes[start : start + 4], score_min=SCORE_MIN, top_k=100
        )
    ]


def check_same(ours, theirs):
    """Each instance has one of the same class, score and box, whose mask overlaps by 0.99."""
    assert len(ours) == len(theirs) > 0
    for row in range(len(ours)):
        same = (theirs.class_ids == ours.class_ids[row]) & (
            np.abs(theirs.boxes_xyxy_src - ours.boxes_xyxy_src[row]) < 0.5
        ).all(axis=1)
        other = int(np.argmax(same))
        assert same.any()
        assert abs(theirs.scores[other] - ours.scores[row]) < 1e-3
        first, second = ours.mask(row), theirs.mask(other)
        assert first.shape == second.shape
        assert (first & second).sum() >= 0.99 * (first | second).sum()


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("source", [pytest.param(photographs, marks=pytest.mark.slow), squares])
def test_onnx_equals_torch_on_twenty_pictures(backend, source, request):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    shared = request.getfixturevalue("shared_dir") if source is photographs else None
    pictures = source(shared)
    eager = Engine(TorchBackend(tiny_detector(), SIDE), tiny_manifest())
    with open_engine(str(tiny_engine_file()), backend=backend, precision="fp32") as engine:
        for ours, theirs in zip(detected(eager, pictures), detected(engine, pictures), strict=True):
            check_same(ours, theirs)


def test_everything_but_the_batch_is_static():
    graph = onnx.load(tiny_engine_file()).graph
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "frames": ["batch", SIDE, SIDE, 3],
        "boxes": ["batch", 10, 4],
        "scores": ["batch", 10],
        "class_ids": ["batch", 10],
        "masks": ["batch", 10, 28, 28],
    }
    assert {opset.domain for opset in onnx.load(tiny_engine_file()).opset_import} <= {"", "ai.onnx"}


def test_the_file_carries_its_manifest():
    manifest = read_manifest(tiny_engine_file())
    assert (manifest.family, manifest.class_names) == ("mask-rcnn", CLASS_NAMES)
    assert (manifest.fit, manifest.patch_px) == ("letterbox", 28)


def test_a_network_with_roi_pool_is_not_exported(tmp_path):
    detector = MaskRcnnDetector(MaskRcnn(tiny_config("mask-rcnn-mini-strided+roipool")))
    with pytest.raises(EngineError, match="RoIAlign"):
        export_onnx(detector, tiny_manifest(), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []
