"""Batches for the trainer: augmented samples, for YOLACT matched with the priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from engines.yolact.config import YolactConfig
from engines.yolact.priors import make_priors
from train.augment import Partners, Sample, make_sample
from train.augment_options import AugmentOptions
from train.coco import LabelledImage
from train.losses import Targets
from train.matching import Match, match


class SampleSet(Dataset[Sample]):
    """Images that are augmented anew each time they are asked for.

    An item's index carries the draw as well: item ``i + n * length`` is image ``i`` with its
    ``n``-th augmentation, so a resumed run sees what an uninterrupted one would have seen.

    Args:
        mask_size: Side of the samples' masks, in pixels.
        fill_rgb: What fills a zoomed-out canvas.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        options: AugmentOptions,
        seed: int,
        *,
        input_size: int,
        mask_size: int,
        fill_rgb: tuple[float, float, float],
    ) -> None:
        self._images, self._options, self._seed = images, options, seed
        self._input_size, self._mask_size, self._fill_rgb = input_size, mask_size, fill_rgb
        self._partners = Partners(images)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        draw, row = divmod(index, len(self._images))
        return make_sample(
            self._images[row],
            input_size=self._input_size,
            mask_size=self._mask_size,
            options=self._options,
            fill_rgb=self._fill_rgb,
            random=np.random.default_rng((self._seed, draw, row)),
            partners=self._partners,
        )


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


class ShuffledBatches(Sampler[list[int]]):
    """Batches, each epoch in a new order, that can begin and end anywhere.

    Args:
        first: Number of the first batch, for a resumed run.
        last: Number of the batch after the last one; None for no end.
        share: The part of each batch that is given out; all of it if None.
    """

    def __init__(
        self,
        image_count: int,
        batch_size: int,
        seed: int,
        *,
        first: int = 0,
        last: int | None = None,
        share: slice | None = None,
    ) -> None:
        self._image_count = image_count
        self._batch_size = batch_size
        self._seed = seed
        self._first, self._last = first, last
        self._share = slice(None) if share is None else share

    def __iter__(self) -> Iterator[list[int]]:
        number = self._first
        epoch, offset = divmod(number * self._batch_size, self._image_count)
        items = self._order(epoch)[offset:].tolist()
        while self._last is None or number < self._last:
            while len(items) < self._batch_size:
                epoch += 1
                items += self._order(epoch).tolist()
            yield items[: self._batch_size][self._share]
            items = items[self._batch_size :]
            number += 1

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
