"""Batches for the trainer: augmented samples matched with the priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from engines.yolact.config import YolactConfig
from engines.yolact.priors import make_priors
from train.augment import AugmentOptions, Sample, make_sample
from train.coco import LabelledImage
from train.losses import Targets
from train.matching import Match, match


class TrainingSet(Dataset[tuple[Sample, Match]]):
    """Images that are augmented and matched anew each time they are asked for.

    An item's index carries the draw as well: item ``i + n * length`` is image ``i`` with its
    ``n``-th augmentation, so a resumed run sees what an uninterrupted one would have seen.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        config: YolactConfig,
        options: AugmentOptions,
        seed: int,
    ) -> None:
        self.images = images
        self._config = config
        self._options = options
        self._seed = seed
        self._priors = make_priors(config)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Sample, Match]:
        draw, row = divmod(index, len(self.images))
        sample = make_sample(
            self.images[row],
            input_size=self._config.input_size,
            mask_size=self._config.prototype_size,
            options=self._options,
            fill_rgb=self._config.normalization.mean_rgb,
            random=np.random.default_rng((self._seed, draw, row)),
        )
        return sample, match(
            self._priors,
            sample.boxes_xyxy_rel,
            sample.class_ids,
            sample.ignored_xyxy_rel,
            is_exhaustive=sample.is_exhaustive,
        )


class ShuffledBatches(Sampler[list[int]]):
    """Endless batches, each epoch in a new order, that can begin anywhere.

    Args:
        first: Number of the first batch, for a resumed run.
    """

    def __init__(self, image_count: int, batch_size: int, seed: int, first: int = 0) -> None:
        self._image_count = image_count
        self._batch_size = batch_size
        self._seed = seed
        self._first = first

    def __iter__(self) -> Iterator[list[int]]:
        position = self._first * self._batch_size
        epoch, offset = divmod(position, self._image_count)
        items = self._order(epoch)[offset:].tolist()
        while True:
            while len(items) < self._batch_size:
                epoch += 1
                items += self._order(epoch).tolist()
            yield items[: self._batch_size]
            items = items[self._batch_size :]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        order = np.random.default_rng((self._seed, epoch)).permutation(self._image_count)
        return order + epoch * self._image_count


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
