"""A pair whose weights are set by hand: it finds what is bright, red or blue, and masks it."""

from pathlib import Path
from typing import Any, cast

import torch

from maskstream.engines.conversion.torch_to_onnx import write_graph
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.yolo_fcn.export import (
    CropProbabilities,
    export_pair,
    pair_manifest,
)
from maskstream.engines.networks.yolov3.cfg import parse_cfg
from maskstream.engines.networks.yolov3.darknet import make_yolo
from maskstream.engines.networks.yolov3.detect import YoloDetector
from tests.engines.networks.fcn.test_network import NARROW
from tests.helpers.kept import kept_file

SIDE_PX = 64
CELL_PX = 8
BOX_PX = 16
CROP_PX = 32
CLASS_NAMES = ("red", "blue")
_CFG = f"""
[net]
width={SIDE_PX}
height={SIDE_PX}
[convolutional]
filters=7
size={CELL_PX}
stride={CELL_PX}
activation=linear
[yolo]
anchors={BOX_PX},{BOX_PX}
classes=2
"""


def hand_made_detector():
    """Return a detector that sees an object of 16 x 16 pixels around every bright cell of 8 x 8."""
    network = make_yolo(parse_cfg(_CFG, where="hand-made.cfg"))
    conv: Any = network.body.get_submodule("layers.0.conv")
    mean = 1 / CELL_PX**2
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.zero_()
        # Red and blue together, 1 for a full colour: likely from one half on. Grey is neither.
        conv.weight[4] = torch.tensor([20 * mean, -40 * mean, 20 * mean])[:, None, None]
        conv.bias[4] = -10
        conv.weight[5, 0] = 40 * mean
        conv.weight[6, 2] = 40 * mean
        conv.bias[5], conv.bias[6] = -10, -10
    return YoloDetector(network)


class BrightPixels(torch.nn.Module):
    """Says of each pixel whether it is bright, as an FCN says it."""

    crop_px = mask_px = CROP_PX
    crop_margin = 0.25

    def __init__(self):
        super().__init__()
        self.colors = torch.nn.Conv2d(3, 3, 1)  # as they are; a network has layers with weights
        with torch.no_grad():
            self.colors.weight.copy_(torch.eye(3)[:, :, None, None])
            torch.nn.init.zeros_(cast(torch.Tensor, self.colors.bias))

    def forward(self, crops):
        bright = self.colors(crops.float().permute(0, 3, 1, 2) / 255.0).amax(dim=1)
        return torch.stack([torch.zeros_like(bright), 20 * bright - 10], dim=1)


def fcn8s_graph_file() -> Path:
    """Return the second graph of an engine alone: a narrow FCN8s, from crops to masks."""

    def write(path: Path) -> None:
        torch.manual_seed(0)
        fcn = Fcn8s(2, crop_px=CROP_PX, stages=NARROW, fc_channels=8)
        for parameter in fcn.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        write_graph(CropProbabilities(fcn), CROP_PX, ["masks"], {}, path)

    return kept_file("fcn8s.onnx", write)


def hand_made_file() -> Path:
    """Return the pair as an engine file."""

    def write(path: Path) -> None:
        detector, fcn = hand_made_detector(), BrightPixels()
        export_pair(detector, fcn, pair_manifest(detector, fcn, CLASS_NAMES), path)

    return kept_file("hand-made.onnx", write)
