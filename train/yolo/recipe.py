"""How YOLO detectors are trained: Darknet's networks, and the light one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads
from torch.utils.data import Dataset

from maskstream.engines.errors import WeightsError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.interface.fit import PADDING_LEVEL, FitKind
from maskstream.engines.networks.yolo_fcn.config import DETECTORS, DetectorConfig, make_detector
from maskstream.engines.networks.yolo_fcn.export import export_detector
from maskstream.engines.networks.yolo_fcn.light import LightYoloBody
from maskstream.engines.networks.yolov3.darknet import DarknetNetwork
from maskstream.engines.networks.yolov3.detect import YoloDetector
from maskstream.engines.networks.yolov3.network import Yolo, make_cells
from maskstream.engines.networks.yolov3.weights import load_weights as load_darknet
from maskstream.train.errors import TrainError
from maskstream.train.evaluation.coco_ap import Metrics
from maskstream.train.loop.initial import fill_shufflenet, given_tensors, take_over
from maskstream.train.loop.recipe import Forward, Recipe
from maskstream.train.options import SCENE_OPTIONS
from maskstream.train.samples.augment import Sample
from maskstream.train.samples.coco import CocoSet, LabelledImage
from maskstream.train.samples.dataset import SampleSet
from maskstream.train.yolo.evaluate_boxes import evaluate_boxes
from maskstream.train.yolo.losses import YoloTargets, yolo_losses

STRIDE_MAX = 32
SIZE_PERIOD = 10
"""Iterations between two sizes of the input."""
SIZE_RANGE = (10 / 13, 19 / 13)
"""Of the drawn sizes, as shares of the usual one: Darknet's 320 to 608 around 416 pixels."""
_BODY_LAYERS = {"yolov3": 75, "yolov3-spp": 75, "yolov3-tiny": 15}
"""Layers that Darknet's own files of initial values hold."""
_CLASS_SHAPED = re.compile(r"body\.(heads\.\d+\.\d+|layers\.\d+\.conv)\.(weight|bias)")


class YoloRecipe(Recipe[DetectorConfig, Yolo, YoloTargets]):
    """Boxes assigned to cells and anchors, and the losses of YOLOv3."""

    family: ClassVar[str] = "yolov3"
    engine_family: ClassVar[str] = "yolo"
    default_network: ClassVar[str] = "yolo-light"
    best_by: tuple[str, str] = ("bbox", "AP")
    own_options: ClassVar[frozenset[str]] = frozenset(
        {"anchor_iou_min", "is_multi_scale", *SCENE_OPTIONS}
    )
    fit: ClassVar[FitKind] = "letterbox"

    @classmethod
    def choose_config(
        cls, name: str, *, class_count: int, input_size: int | None
    ) -> DetectorConfig:
        """Return a detector by its name."""
        usual = DETECTORS.get(name)
        if usual is None:
            raise TrainError(
                f"--network: {name} is no detector; use one of {', '.join(DETECTORS)}."
            )
        size = usual.input_size if input_size is None else input_size
        if size < STRIDE_MAX or size % STRIDE_MAX:
            raise TrainError(f"--input-size: {size} was given; it must be 32, 64, 96, ...")
        return replace(usual, input_size=size, class_count=class_count)

    @classmethod
    def read_config(cls, values: dict[str, Any]) -> DetectorConfig:
        """Return a configuration from plain values."""
        return DetectorConfig(**values)

    def make_network(self) -> Yolo:
        """Return a detector with its first values."""
        return make_detector(self.config)

    def body(self, network: Yolo) -> list[nn.Module]:
        """Return the light one's backbone, or the layers for which Darknet has initial values."""
        if isinstance(network.body, LightYoloBody):
            return [network.body.backbone]
        return list(cast(DarknetNetwork, network.body).layers[: _BODY_LAYERS[self.config.name]])

    def fill_backbone(self, network: Yolo, path: Path) -> None:
        """Fill it as `fill_shufflenet` does, or from a file such as darknet53.conv.74."""
        if isinstance(network.body, LightYoloBody):
            fill_shufflenet(network.body.backbone, path)
            return
        count = _BODY_LAYERS[self.config.name]
        try:
            load_darknet(cast(DarknetNetwork, network.body), path, layer_count=count)
        except WeightsError as exc:
            raise TrainError(str(exc)) from exc

    def load_weights(self, network: Yolo, path: Path) -> list[str]:
        """Fill a detector from a checkpoint or an engine of ours."""
        state = given_tensors(network, path)
        return take_over(network, state, path, class_shaped=_CLASS_SHAPED)

    def dataset(self, images: Sequence[LabelledImage]) -> Dataset[Sample]:
        """Return letterboxed pictures."""
        return SampleSet(
            images,
            replace(self.options.augment, fit=self.fit),
            self.options.seed,
            input_size=self.config.input_size,
            mask_size=1,  # masks are not learnt here
            fill_rgb=(PADDING_LEVEL,) * 3,
        )

    def collate(self, items: list[Sample]) -> tuple[Tensor, YoloTargets]:
        """Join samples."""
        return torch.from_numpy(np.stack([sample.image for sample in items])), YoloTargets(
            boxes_xyxy_rel=[torch.from_numpy(sample.boxes_xyxy_rel) for sample in items],
            class_ids=[torch.from_numpy(sample.class_ids) for sample in items],
            ignored_xyxy_rel=[torch.from_numpy(sample.ignored_xyxy_rel) for sample in items],
            is_exhaustive=torch.tensor([sample.is_exhaustive for sample in items]),
        )

    def counts(self, frames: Tensor, targets: YoloTargets) -> list[int]:
        """Return the pictures."""
        return [len(frames)]

    def losses(
        self,
        network: Yolo,
        forward: Forward,
        frames: Tensor,
        targets: YoloTargets,
        totals: list[int],
        iteration: int,
    ) -> dict[str, Tensor]:
        """Return the losses of boxes, objectness and classes."""
        side_px = self.config.input_size
        if self.options.is_multi_scale:
            side_px = drawn_size(side_px, self.options.seed, iteration)
            frames = _resized(frames, side_px)
        if len(frames) == 1 and side_px == STRIDE_MAX and not self.options.freeze_bn:
            raise TrainError(
                f"--batch: one picture of {STRIDE_MAX} pixels ends in a single cell, of which "
                "batch norms have no variance; take two or more at a time, or a larger "
                "--input-size."
            )
        raw = forward(frames)
        cells = make_cells(network.heads, side_px)
        return yolo_losses(
            raw,
            targets,
            network.heads,
            type(cells)(*(part.to(raw.device) for part in cells)),
            side_px,
            anchor_iou_min=self.options.anchor_iou_min,
            image_count=totals[0],
        )

    def evaluate(self, network: Yolo, dataset: CocoSet) -> Metrics:
        """Return the box AP."""
        return evaluate_boxes(network, self.class_names, dataset)

    def detector(self, network: Yolo) -> YoloDetector:
        """Return a network with decoding and NMS."""
        return YoloDetector(network)

    def patch_px(self) -> int:
        """Return 1: the masks of a detector alone are its boxes."""
        return 1

    def export(self, network: Yolo, manifest: Manifest, path: Path) -> None:
        """Write an engine of boxes alone."""
        export_detector(self.detector(network), manifest, path)


def drawn_size(usual_px: int, seed: int, iteration: int) -> int:
    """Return the input's side at an iteration, a multiple of 32 that changes now and then."""
    low, high = (round(usual_px * share / STRIDE_MAX) for share in SIZE_RANGE)
    random = np.random.default_rng((seed, iteration // SIZE_PERIOD))
    return STRIDE_MAX * int(random.integers(max(low, 1), high + 1))


def _resized(frames: Tensor, side_px: int) -> Tensor:
    """Return (B, S, S, 3) uint8 frames at another size."""
    images = frames.permute(0, 3, 1, 2).float()
    scaled = F.interpolate(images, size=(side_px, side_px), mode="bilinear", align_corners=False)
    return scaled.round().to(torch.uint8).permute(0, 2, 3, 1)
