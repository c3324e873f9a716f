"""The light network: its parts, its size, and that its graph says what it says."""

import importlib.util

import onnx
import pytest
import torch

from maskstream.engines import open_engine
from maskstream.engines.conversion.fp16 import to_fp16
from maskstream.engines.engine import Engine
from maskstream.engines.networks.mask_rcnn.config import get_config
from maskstream.engines.networks.mask_rcnn.light import (
    LightMaskHead,
    LightProposalHead,
    make_light_backbone,
)
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn
from maskstream.engines.networks.yolact.backbones import ShuffleNetBackbone
from maskstream.engines.networks.yolact.config import get_config as get_yolact_config
from maskstream.engines.runtimes.tensorrt.builder import BuildSettings, build_plan
from maskstream.engines.runtimes.tensorrt.flavors import get_flavor
from maskstream.engines.runtimes.torch_backend import TorchBackend
from maskstream.tools.engine_files.agreement import InstanceAgreement
from tests.engines.networks.mask_rcnn.test_export import check_same, detected, squares
from tests.helpers.engines.tiny_mask_rcnn import (
    CLASS_NAMES,
    SIDE,
    tiny_config,
    tiny_light_detector,
    tiny_light_file,
    tiny_manifest,
)


def parameter_count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def separable(channels):
    """A 5 x 5 depthwise and a 1 x 1 convolution without biases, and a norm behind each."""
    return 25 * channels + 2 * channels + channels * channels + 2 * channels


def test_the_body_gives_what_it_gives_yolact():
    torch.manual_seed(0)
    ours = make_light_backbone(16).eval()
    body = ShuffleNetBackbone(get_yolact_config("yolact-light")).eval()
    body.load_state_dict(ours.body.state_dict())
    pictures = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for seen, expected in zip(ours.body(pictures).values(), body(pictures), strict=True):
            assert torch.equal(seen, expected)


def test_levels_have_true_strides_and_one_width():
    with torch.inference_mode():
        levels = make_light_backbone(16).eval()(torch.zeros(1, 3, 128, 128))
    assert [tuple(level.shape) for level in levels.values()] == [
        (1, 16, side, side) for side in (32, 16, 8, 4, 2)
    ]


def test_parameter_counts():
    network = MaskRcnn(get_config("mask-rcnn-light")).network
    n, heads = 64, network.roi_heads
    laterals = sum(width * n + 2 * n for width in (24, 116, 232, 464))
    assert parameter_count(network.backbone.fpn) == laterals + 4 * separable(n)
    # The convolutions are shared, the norms are not.
    tower = 25 * n + n * n + 5 * 4 * n
    assert parameter_count(network.rpn) == tower + (n + 1) * 3 * (1 + 4)
    assert parameter_count(heads.mask_head) == 4 * separable(n)
    assert parameter_count(network) == 1_774_015


def test_each_level_has_norms_of_its_own():
    head = LightProposalHead(8, 3).train()
    head([torch.randn(2, 8, 4, 4) * 3**level for level in range(5)])
    state = head.tower.state_dict()
    variances = [state[f"norms.{level}.0.running_var"] for level in range(5)]
    assert not any(torch.allclose(variances[0], other) for other in variances[1:])


def test_no_region_leaves_the_norms_as_they_are():
    head = LightMaskHead(8).train()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head(torch.zeros(0, 8, 14, 14)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    assert all(weight.grad is not None and not weight.grad.any() for weight in head.parameters())


def test_upright_anchors():
    model = MaskRcnn(tiny_config("mask-rcnn-light", input_size=800, channels=8)).eval()
    with torch.inference_mode():
        levels = model.pyramid(torch.zeros(1, 800, 800, 3, dtype=torch.uint8))
        anchors = model.look(levels)[1].anchors[:3]
    # Of 64 * 64 pixels around a corner: as high as wide, twice, and four times.
    assert anchors.tolist() == [[-32, -32, 32, 32], [-23, -45, 23, 45], [-16, -64, 16, 64]]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_onnx_equals_torch(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    pictures = squares(None)
    eager = Engine(TorchBackend(tiny_light_detector(), SIDE), tiny_manifest())
    with open_engine(str(tiny_light_file()), backend=backend, precision="fp32") as engine:
        for ours, theirs in zip(detected(eager, pictures), detected(engine, pictures), strict=True):
            check_same(ours, theirs)


@pytest.mark.slow
def test_it_builds_for_a_gpu_in_fp16():
    flavor = get_flavor("tensorrt-rtx")
    if flavor.why_not() is not None:
        pytest.skip(f"tensorrt-rtx: {flavor.why_not()}")
    plan = build_plan(
        to_fp16(onnx.load(tiny_light_file())).SerializeToString(),
        flavor,
        BuildSettings(batches=(1, 2), sm="sm89"),
        subject="mask-rcnn-light",
    )
    assert plan


@pytest.mark.slow
def test_float16_keeps_the_masks(tmp_path):
    half = tmp_path / "half.onnx"
    onnx.save(to_fp16(onnx.load(tiny_light_file())), half)
    pictures = squares(None)
    with open_engine(str(tiny_light_file()), backend="onnxruntime") as engine:
        expected = detected(engine, pictures)
    with open_engine(str(half), backend="onnxruntime") as engine:
        found = detected(engine, pictures)
    seen = InstanceAgreement()
    for ours, theirs in zip(expected, found, strict=True):
        seen.add(ours, theirs, (CLASS_NAMES, CLASS_NAMES))
    assert sum(seen.counts) > 0
    assert seen.matched >= 0.95
    assert seen.iou(5) >= 0.95
