"""Batches for Mask R-CNN: pictures, and the truth in pixels of the network's input."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig
from maskstream.train.augment_options import AugmentOptions
from maskstream.train.mask_rcnn.augment import change, make_changes
from maskstream.train.samples.coco import LabelledImage
from maskstream.train.samples.dataset import SampleSet
from maskstream.train.samples.targets import BatchTargets

FILL_RGB = (123.675, 116.28, 103.53)
"""What fills a canvas: the pictures' mean, which the network sees as zero."""


@dataclass(frozen=True, slots=True)
class Truths(BatchTargets):
    """What one batch has to learn; of each list an entry a picture.

    Attributes:
        boxes: (N, 4) corners in pixels.
        labels: (N,) int64, class + 1.
        masks: (N, S, S) uint8, how much of each pixel the object covers, 0..255.
        has_mask: (N,) bool.
        ignored: (I, 4) corners of what is neither taught nor background.
        is_exhaustive: (B,) bool, what is not labelled is background.
        seeds: (B,) int64, of what is drawn among a picture's anchors and regions: the same, however
            the batch is shared by processes or taken in parts.
    """

    boxes: list[Tensor]
    labels: list[Tensor]
    masks: list[Tensor]
    has_mask: list[Tensor]
    ignored: list[Tensor]
    is_exhaustive: Tensor
    seeds: Tensor

    def mapped(self, class_map: Sequence[int]) -> Truths:
        """Return the truths with the network's classes in place of a set's.

        Args:
            class_map: The network's class of each of the set's; -1 for one that it does not know,
                whose objects are background to it.
        """
        table = torch.tensor(class_map) + 1
        labels = [table[labels - 1] for labels in self.labels]
        is_known = [rows > 0 for rows in labels]

        def known(values: list[Tensor]) -> list[Tensor]:
            return [value[rows] for value, rows in zip(values, is_known, strict=True)]

        return replace(
            self,
            boxes=known(self.boxes),
            labels=known(labels),
            masks=known(self.masks),
            has_mask=known(self.has_mask),
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One picture with its truth, as in `Truths`."""

    picture: Tensor
    boxes: Tensor
    labels: Tensor
    masks: Tensor
    has_mask: Tensor
    ignored: Tensor
    is_exhaustive: bool
    seed: int


class MaskRcnnSet(Dataset[Item]):
    """Pictures that are cut, moved and changed anew each time they are asked for.

    Args:
        options: Its light is left alone, as `train.mask_rcnn.augment` has its own.
        is_changed: Whether those changes are made.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        config: MaskRcnnConfig,
        options: AugmentOptions,
        seed: int,
        *,
        is_changed: bool = True,
    ) -> None:
        plain = replace(
            options, fit="letterbox", brightness=0.0, contrast=1.0, saturation=1.0, hue_deg=0.0
        )
        side = config.input_size
        self._samples = SampleSet(
            images, plain, seed, input_size=side, mask_size=side, fill_rgb=FILL_RGB
        )
        self._changes = (
            make_changes(vertical_flip=options.vertical_mirror_probability) if is_changed else None
        )
        self._side, self._seed = side, seed

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Item:
        sample = self._samples[index]
        picture, masks = torch.from_numpy(sample.image), torch.from_numpy(sample.masks)
        ignored = torch.from_numpy(sample.ignored_xyxy_rel) * self._side
        boxes = torch.cat([torch.from_numpy(sample.boxes_xyxy_rel) * self._side, ignored])
        seed = zlib.crc32(f"{self._seed} {index}".encode())
        if self._changes is not None:
            picture, boxes, masks = change(self._changes, picture, boxes, masks, seed)
        count = len(sample.class_ids)
        return Item(
            picture=picture,
            boxes=boxes[:count],
            labels=torch.from_numpy(sample.class_ids) + 1,
            masks=masks,
            has_mask=torch.from_numpy(sample.has_mask),
            ignored=boxes[count:],
            is_exhaustive=sample.is_exhaustive,
            seed=seed,
        )


def collate(items: Sequence[Item]) -> tuple[Tensor, Truths]:
    """Join items into (B, S, S, 3) uint8 frames and their truths."""
    return torch.stack([item.picture for item in items]), Truths(
        boxes=[item.boxes for item in items],
        labels=[item.labels for item in items],
        masks=[item.masks for item in items],
        has_mask=[item.has_mask for item in items],
        ignored=[item.ignored for item in items],
        is_exhaustive=torch.tensor([item.is_exhaustive for item in items]),
        seeds=torch.tensor([item.seed for item in items]),
    )
