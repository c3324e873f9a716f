"""Mask R-CNN as torchvision builds it, with predictors for our classes and the family's options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

from maskstream.engines.networks.mask_rcnn.bodies import STAGE_CHANNELS, make_mini_body
from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig
from maskstream.engines.networks.mask_rcnn.light import (
    LightMaskHead,
    LightProposalHead,
    make_light_backbone,
)
from maskstream.engines.networks.mask_rcnn.regions import RegionPool

REGIONS_MAX = 512
"""Of one picture, that a step learns from."""
BOX_CELLS, MASK_CELLS = 7, 14
"""Sides of the maps that a region's box and mask are told from; masks come out twice as large."""


class Looked(NamedTuple):
    """What the proposal network says of one level's anchors.

    ``logits`` (B, n) of "an object"; ``shifts`` (B, n, 4) of the boxes; ``anchors`` (n, 4) in
    pixels of the input.
    """

    logits: Tensor
    shifts: Tensor
    anchors: Tensor


class Chosen(Protocol):
    """The regions to learn from, B tensors (n, 4) in pixels each: for boxes, and for masks."""

    @property
    def boxes(self) -> Sequence[Tensor]:
        """Return the regions that the box head learns from."""

    @property
    def mask_boxes(self) -> Sequence[Tensor]:
        """Return the regions that the mask head learns from."""


class RawOutputs(NamedTuple):
    """What a network in training says, for the losses.

    ``looked``, a level each; ``chosen``, what the regions below are; ``class_logits``
    (N, 1 + classes), background first; ``shifts`` (N, 4 * (1 + classes)); ``mask_logits``
    (M, channels, 28, 28).
    """

    looked: list[Looked]
    chosen: Any
    class_logits: Tensor
    shifts: Tensor
    mask_logits: Tensor


class MaskRcnn(nn.Module):
    """A network of the family.

    ``network`` is torchvision's own, with its parameter names; what differs is which predictors,
    anchors and region pooling it has.

    Args:
        config: What to build; nothing is downloaded.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: MaskRcnnConfig) -> None:
        super().__init__()
        self.config = config
        self.network: Any = _build(config)
        heads = self.network.roi_heads
        self.network.rpn.anchor_generator = _anchors(config)
        heads.box_roi_pool = RegionPool(config, BOX_CELLS)
        heads.mask_roi_pool = RegionPool(config, MASK_CELLS)
        replace_predictors(self.network, config.class_count, mask_channels=config.mask_channels)
        for name, values in (("mean", _MEAN_RGB), ("std", _STD_RGB)):
            self.register_buffer(name, 255 * torch.tensor(values).view(1, 3, 1, 1), False)

    @property
    def body(self) -> nn.Module:
        """What is below the pyramid, and what a classifier's weights are for."""
        body: nn.Module = self.network.backbone.body
        return body

    def forward(self, frames: Tensor, choose: Callable[[list[Tensor]], Chosen]) -> RawOutputs:
        """Return what there is to learn from; `MaskRcnnDetector` is for detecting.

        Args:
            frames: (B, S, S, 3) uint8 RGB.
            choose: Given the B tensors (n, 4) of proposals in pixels, says which to learn from.
        """
        heads, levels = self.network.roi_heads, self.pyramid(frames)
        looked = self.look(levels)
        chosen = choose(self._proposals(looked))
        features = heads.box_head(heads.box_roi_pool(levels, chosen.boxes))
        class_logits, shifts = heads.box_predictor(features)
        mask_features = heads.mask_head(heads.mask_roi_pool(levels, chosen.mask_boxes))
        mask_logits = heads.mask_predictor(mask_features)
        return RawOutputs(looked, chosen, class_logits, shifts, mask_logits)

    def pyramid(self, frames: Tensor) -> dict[str, Tensor]:
        """Return the five levels of (B, S, S, 3) uint8 RGB frames, by name, fine to coarse.

        torchvision's own transform, which scales each picture by its own factor, is not gone
        through: frames have the input's size already.
        """
        pixels = frames.to(torch.float32).permute(0, 3, 1, 2)
        levels: dict[str, Tensor] = self.network.backbone((pixels - self.mean) / self.std)
        return levels

    def look(self, levels: Mapping[str, Tensor]) -> list[Looked]:
        """Return what the proposal network says, a level each."""
        maps = list(levels.values())
        logits, shifts = self.network.rpn.head(maps)
        return [
            Looked(
                level_logits.float().permute(0, 2, 3, 1).flatten(1),
                level_shifts.float().unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3),
                anchors,
            )
            for level_logits, level_shifts, anchors in zip(
                logits, shifts, self._level_anchors(maps), strict=True
            )
        ]

    def _level_anchors(self, maps: Sequence[Tensor]) -> list[Tensor]:
        generator = self.network.rpn.anchor_generator
        sizes = [[level.shape[-2], level.shape[-1]] for level in maps]
        strides = [[self.config.input_size // side for side in size] for size in sizes]
        generator.set_cell_anchors(torch.float32, maps[0].device)
        anchors: list[Tensor] = generator.grid_anchors(sizes, strides)
        return anchors

    @torch.no_grad()
    def _proposals(self, looked: Sequence[Looked]) -> list[Tensor]:
        rpn, side = self.network.rpn, self.config.input_size
        logits = torch.cat([level.logits for level in looked], dim=1)
        anchors = torch.cat([level.anchors for level in looked])
        shifts = torch.cat([level.shifts for level in looked], dim=1)
        boxes = rpn.box_coder.decode(shifts.flatten(0, 1), [anchors] * len(logits))
        found, _ = rpn.filter_proposals(
            boxes.view(len(logits), -1, 4),
            logits,
            [(side, side)] * len(logits),
            [len(level.anchors) for level in looked],
        )
        proposals: list[Tensor] = found
        return proposals


_MEAN_RGB = (0.485, 0.456, 0.406)
_STD_RGB = (0.229, 0.224, 0.225)


def replace_predictors(
    network: MaskRCNN, class_count: int, *, mask_channels: int | None = None
) -> None:
    """Give a network new last layers, for boxes **and** masks; nothing else of it changes.

    Args:
        class_count: Without the background.
        mask_channels: Of the mask predictor; one for each class and one for the background if None,
            as torchvision's losses and inference expect.
    """
    heads = network.roi_heads
    width = heads.box_predictor.cls_score.in_features
    heads.box_predictor = FastRCNNPredictor(width, class_count + 1)
    last = heads.mask_predictor.conv5_mask
    channels = class_count + 1 if mask_channels is None else mask_channels
    heads.mask_predictor = MaskRCNNPredictor(last.in_channels, last.out_channels, channels)


def _build(config: MaskRcnnConfig) -> MaskRCNN:
    """Return torchvision's network without weights, with all its parts but ours."""
    any_count = config.class_count + 1  # predictors are replaced anyhow
    proposals = {
        "rpn_pre_nms_top_n_train": 2 * config.candidate_count,
        "rpn_post_nms_top_n_train": 2 * config.proposal_count,
        "rpn_pre_nms_top_n_test": config.candidate_count,
        "rpn_post_nms_top_n_test": config.proposal_count,
        "box_detections_per_img": config.detection_count,
        "box_batch_size_per_image": min(REGIONS_MAX, config.proposal_count),
    }
    match config.body:
        case "resnet50-v2":
            return maskrcnn_resnet50_fpn_v2(
                weights=None, weights_backbone=None, num_classes=any_count, **proposals
            )
        case "resnet50":
            return MaskRCNN(
                resnet_fpn_backbone(
                    backbone_name="resnet50",
                    weights=None,
                    norm_layer=nn.BatchNorm2d,
                    trainable_layers=5,
                ),
                any_count,
                **proposals,
            )
        case "mini" | "mini-strided":
            return _build_mini(config, proposals)
        case "shufflenet_v2_x1_0":
            return _build_light(config, proposals)


def _build_mini(config: MaskRcnnConfig, proposals: Mapping[str, int]) -> MaskRCNN:
    body = make_mini_body(has_strides=config.body == "mini-strided")
    outputs = [out_channels for _, _, out_channels in STAGE_CHANNELS]
    names = {f"layer{number}": str(number - 1) for number in range(1, 5)}
    channels = config.channels
    return MaskRCNN(
        BackboneWithFPN(body, names, outputs, channels),
        mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1),
        **_narrow_parts(config),
        **proposals,
    )


def _build_light(config: MaskRcnnConfig, proposals: Mapping[str, int]) -> MaskRCNN:
    return MaskRCNN(
        make_light_backbone(config.channels),
        rpn_head=LightProposalHead(config.channels, len(config.aspect_ratios)),
        mask_head=LightMaskHead(config.channels),
        **_narrow_parts(config),
        **proposals,
    )


def _narrow_parts(config: MaskRcnnConfig) -> dict[str, nn.Module]:
    """Return torchvision's own parts that are as wide as the pyramid, or four times as wide."""
    channels, width = config.channels, 4 * config.channels
    return {
        "box_head": TwoMLPHead(channels * BOX_CELLS**2, width),
        "box_predictor": FastRCNNPredictor(width, config.class_count + 1),
        "mask_predictor": MaskRCNNPredictor(channels, channels, config.class_count + 1),
    }


def _anchors(config: MaskRcnnConfig) -> AnchorGenerator:
    sides = tuple((side,) for side in config.anchor_sides)
    return AnchorGenerator(sides, (config.aspect_ratios,) * len(sides))
