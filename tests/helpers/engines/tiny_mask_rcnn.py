"""Tiny Mask R-CNNs with random weights, and an engine file of one."""

import functools
from dataclasses import replace
from pathlib import Path

import torch

from maskstream.engines.files.manifest import Manifest
from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig, get_config
from maskstream.engines.networks.mask_rcnn.detect import MaskRcnnDetector
from maskstream.engines.networks.mask_rcnn.export import export_onnx
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn
from tests.helpers.kept import kept_file

SIDE = 96
CLASS_NAMES = ("circle", "square", "star")


def tiny_config(name: str = "mask-rcnn-mini-strided", **changes) -> MaskRcnnConfig:
    """Return a network of 96 x 96 pixels with 16 channels above its body."""
    small = {
        "input_size": SIDE,
        "class_count": len(CLASS_NAMES),
        "channels": 16,
        "candidate_count": 60,
        "proposal_count": 30,
        "detection_count": 10,
    }
    return replace(get_config(name), **{**small, **changes})


def blocks(count: int, seed: int = 0, side: int = SIDE) -> torch.Tensor:
    """Return pictures of coloured squares, which say more than noise after a few strides."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(
        0, 256, (count, side // 16, side // 16, 3), dtype=torch.uint8, generator=generator
    )
    return cells.repeat_interleave(16, dim=1).repeat_interleave(16, dim=2)


def lively_model(config: MaskRcnnConfig) -> MaskRcnn:
    """Return a network in which nothing is dead: its norms have seen pictures, classes are sure."""
    torch.manual_seed(0)
    model = MaskRcnn(config).train()
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                norm.momentum = None
        for seed in range(3):
            model.pyramid(blocks(4, seed, config.input_size))
        heads = model.network.roi_heads
        heads.box_predictor.cls_score.weight.mul_(30)
        heads.mask_predictor.mask_fcn_logits.weight.mul_(10)
    return model.eval()


def tiny_manifest() -> Manifest:
    return Manifest(
        family="mask-rcnn",
        name="tiny-mask-rcnn",
        input_size=SIDE,
        class_names=CLASS_NAMES,
        patch_px=28,
        fit="letterbox",
        metrics={},
        tools={},
    )


@functools.cache
def tiny_detector() -> MaskRcnnDetector:
    return MaskRcnnDetector(lively_model(tiny_config()))


@functools.cache
def tiny_light_detector() -> MaskRcnnDetector:
    return MaskRcnnDetector(lively_model(tiny_config("mask-rcnn-light")))


def tiny_engine_file() -> Path:
    """Return an engine file."""
    return kept_file(
        "tiny-mask-rcnn.onnx", lambda path: export_onnx(tiny_detector(), tiny_manifest(), path)
    )


def tiny_light_file() -> Path:
    """Return an engine file of the light network."""
    return kept_file(
        "light-mask-rcnn.onnx",
        lambda path: export_onnx(tiny_light_detector(), tiny_manifest(), path),
    )
