"""Batches for the trainer: augmented samples, for YOLACT matched with the priors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from maskstream.train.augment_options import AugmentOptions
from maskstream.train.samples.augment import Partners, Sample, make_sample
from maskstream.train.samples.coco import LabelledImage


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
