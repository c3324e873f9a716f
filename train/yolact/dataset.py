"""Training samples of YOLACT: each with the prior that every object is matched to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from maskstream.engines.networks.yolact.config import YolactConfig
from maskstream.engines.networks.yolact.priors import make_priors
from maskstream.train.augment_options import AugmentOptions
from maskstream.train.samples.augment import Sample
from maskstream.train.samples.coco import LabelledImage
from maskstream.train.samples.dataset import SampleSet
from maskstream.train.yolact.losses import Targets
from maskstream.train.yolact.matching import Match, match


class TrainingSet(Dataset[tuple[Sample, Match]]):
    """Samples that are matched with YOLACT's priors."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        config: YolactConfig,
        options: AugmentOptions,
        seed: int,
    ) -> None:
        self._samples = SampleSet(
            images,
            options,
            seed,
            input_size=config.input_size,
            mask_size=config.prototype_size,
            fill_rgb=config.normalization.mean_rgb,
        )
        self._priors = make_priors(config)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Sample, Match]:
        sample = self._samples[index]
        return sample, match(
            self._priors,
            sample.boxes_xyxy_rel,
            sample.class_ids,
            sample.ignored_xyxy_rel,
            is_exhaustive=sample.is_exhaustive,
        )


def collate(items: list[tuple[Sample, Match]]) -> tuple[Tensor, Targets]:
    """Join samples into (B, S, S, 3) uint8 frames and their targets."""
    samples = [sample for sample, _ in items]
    matches = [match_ for _, match_ in items]
    frames = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return frames, Targets(
        labels=torch.from_numpy(np.stack([m.labels for m in matches])),
        locations=torch.from_numpy(np.stack([m.locations for m in matches])),
        owners=torch.from_numpy(np.stack([m.owners for m in matches])),
        boxes_xyxy_rel=[torch.from_numpy(sample.boxes_xyxy_rel) for sample in samples],
        class_ids=[torch.from_numpy(sample.class_ids) for sample in samples],
        masks=[torch.from_numpy(sample.masks) for sample in samples],
        has_mask=[torch.from_numpy(sample.has_mask) for sample in samples],
        knows_all_masks=torch.tensor(
            [bool(sample.has_mask.all()) and sample.is_exhaustive for sample in samples]
        ).float(),
    )
