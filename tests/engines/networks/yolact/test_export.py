"""The exported graph of every configuration says what torch says."""

from dataclasses import replace
from typing import Any

import numpy as np
import openvino
import pytest
import torch

from maskstream.engines.files.manifest import Manifest
from maskstream.engines.networks.yolact.config import CONFIGS, YolactConfig
from maskstream.engines.networks.yolact.detect import YolactDetector
from maskstream.engines.networks.yolact.export import RAW_OUTPUT_NAMES, export_onnx, export_raw_onnx
from maskstream.engines.networks.yolact.network import Yolact

SIDES_PX = {True: 256, False: 96}
"""With mask scoring prototypes must have 63 cells at least, as its convolutions have no padding."""
COUNT = 2
SAME_GRAPH = ("yolact-im400", "yolact-im700")
OFTEN = ("yolact-resnet50",)
"""The backends' contract has a light one; the exporter takes half a minute over some others."""
WITH_TAIL = "yolact-plus-resnet50"
"""Compared as a whole, mask scores and all; the others up to the raw outputs, since the tail is the
same code for all."""


def small(name: str) -> YolactConfig:
    """Return a configuration at a small input size, its priors scaled with it."""
    config = CONFIGS[name]
    side = SIDES_PX[config.has_mask_scoring]
    factor = side / config.input_size
    scales = tuple(tuple(scale * factor for scale in level) for level in config.prior_scales)
    return replace(config, input_size=side, prior_scales=scales)


def noise(side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (COUNT, side, side, 3), np.uint8)


def lively_detector(config: YolactConfig) -> YolactDetector:
    """Return a network in which nothing is dead: offsets, attention, mask scores, sure classes."""
    torch.manual_seed(0)
    network = Yolact(config).train()
    for name, parameter in network.named_parameters():
        if "attention" in name:
            torch.nn.init.normal_(parameter, std=0.05)
        elif "conv_offset_mask" in name:
            # Offsets below a cell: with large ones over noise, a millionth more on the input moves
            # the output as much as its spread.
            torch.nn.init.normal_(parameter, std=0.003)
    with torch.no_grad():
        # Batch norms learn what passes through them, or deep networks fade away.
        for norm in network.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None
        network(torch.from_numpy(noise(config.input_size, 1)))
        network.eval()
        raw = network(torch.from_numpy(noise(config.input_size, 2)))
        # Boxes of ordinary size and classes that differ, whatever the depth before them.
        head: Any = network.prediction_layers[0]
        for layer, output, spread in (
            (head.bbox_layer, raw.locations, 1.0),
            (head.conf_layer, raw.logits, 2.0),
            (head.mask_layer, torch.atanh(raw.coefficients.clamp(-0.999, 0.999)), 1.0),
        ):
            gain = spread / float(output.std())
            layer.weight.mul_(gain)
            layer.bias.mul_(gain)
        if network.maskiou_net is not None:
            last: Any = network.maskiou_net.maskiou_net[10]
            torch.nn.init.uniform_(last.bias, 0.2, 0.8)
    return YolactDetector(network)


def run(path, frames):
    """Run a file in OpenVINO in float32; outputs by name."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    outputs = openvino.Core().compile_model(path, "CPU", settings)(frames)
    return {output.any_name: value for output, value in outputs.items()}


def test_other_sizes_have_the_graph_of_the_base():
    """So they need no export of their own below."""
    for name in SAME_GRAPH:
        config, base = CONFIGS[name], CONFIGS["yolact-base"]
        like_base = replace(
            config, name=base.name, input_size=base.input_size, prior_scales=base.prior_scales
        )
        assert like_base == base


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in OFTEN else pytest.mark.slow)
        for name in CONFIGS
        if name not in (*SAME_GRAPH, WITH_TAIL)
    ],
)
def test_onnx_equals_torch(name, tmp_path):
    config = small(name)
    network = lively_detector(config).network
    export_raw_onnx(network, tmp_path / "x.onnx")
    frames = noise(config.input_size, 3)
    with torch.inference_mode():
        ours = network(torch.from_numpy(frames))
    theirs = run(tmp_path / "x.onnx", frames)
    for output, values in zip(RAW_OUTPUT_NAMES, ours, strict=False):
        assert float(values.std()) > 0.1
        np.testing.assert_allclose(
            theirs[output], values.numpy(), atol=0.01 * float(values.std()), err_msg=output
        )


@pytest.mark.slow
def test_the_tail_with_mask_scores_equals_torch(tmp_path):
    config = small(WITH_TAIL)
    detector = lively_detector(config)
    manifest = Manifest(
        family="yolact",
        name=config.name,
        input_size=config.input_size,
        class_names=tuple(str(index) for index in range(config.class_count)),
        patch_px=config.prototype_size,
        metrics={},
        tools={},
    )
    export_onnx(detector, manifest, tmp_path / "x.onnx")
    frames = noise(config.input_size, 3)
    with torch.inference_mode():
        ours = detector(torch.from_numpy(frames))
    theirs = run(tmp_path / "x.onnx", frames)
    assert (np.diff(theirs["scores"]) <= 0).all()
    np.testing.assert_allclose(theirs["prototypes"], ours.prototypes.numpy(), atol=0.01)
    # Where an overlap is all but the limit, rounding decides whether a box stays: nearly every row
    # has its like, in whatever place.
    same = (
        (theirs["class_ids"][:, :, None] == ours.class_ids.numpy()[:, None])
        & (np.abs(theirs["scores"][:, :, None] - ours.scores.numpy()[:, None]) < 5e-3)
        & (np.abs(theirs["boxes"][:, :, None] - ours.boxes.numpy()[:, None]) < 5e-3).all(axis=-1)
    )
    assert same.any(axis=2).mean() > 0.95
