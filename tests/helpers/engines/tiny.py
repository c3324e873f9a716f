"""Tiny YOLACT networks with random weights, and engine files of them."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from maskstream.engines.files.manifest import Manifest
from maskstream.engines.networks.yolact.config import YolactConfig, get_config
from maskstream.engines.networks.yolact.detect import YolactDetector
from maskstream.engines.networks.yolact.export import export_onnx
from maskstream.engines.networks.yolact.light import LightHead
from maskstream.engines.networks.yolact.network import Yolact
from tests.helpers.kept import kept_file

CLASS_NAMES = ("circle", "square", "star")


def tiny_config(class_count: int = 3) -> YolactConfig:
    """Return a light network of 64 x 64 pixels with 16 channels."""
    return replace(
        get_config("yolact-light"),
        name="tiny",
        input_size=64,
        class_count=class_count,
        channels=16,
        prototype_count=8,
        prior_scales=((8,), (16,), (24,), (40,), (60,)),
    )


def tiny_detector(seed: int = 0) -> YolactDetector:
    """Return a network whose batch norms have seen noise, so that its outputs vary."""
    torch.manual_seed(seed)
    network = Yolact(tiny_config())
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network(torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8))
        head = cast(LightHead, network.prediction_layers[0])
        head.conf_layer.weight.mul_(4)
        head.mask_layer.weight.mul_(4)
    return YolactDetector(network)


def tiny_manifest() -> Manifest:
    return Manifest(
        family="yolact",
        name="tiny",
        input_size=64,
        class_names=CLASS_NAMES,
        patch_px=tiny_config().prototype_size,
        metrics={},
        tools={},
    )


def tiny_engine_file() -> Path:
    """Return an engine file."""
    return kept_file("tiny.onnx", lambda path: export_onnx(tiny_detector(), tiny_manifest(), path))
