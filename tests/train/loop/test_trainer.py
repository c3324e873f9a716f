"""Training for real, on a few small pictures."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from maskstream.engines.networks.yolact.config import get_config
from maskstream.train.augment_options import NO_AUGMENTATION, AugmentOptions
from maskstream.train.errors import DivergedError, TrainError
from maskstream.train.loop.checkpoint import CHECKPOINT_NAME
from maskstream.train.loop.step import MAX_BAD_STEPS
from maskstream.train.loop.trainer import Trainer
from maskstream.train.options import TrainOptions
from maskstream.train.samples.coco import read_coco
from maskstream.train.samples.dataset import ShuffledBatches
from maskstream.train.yolact.recipe import YolactRecipe
from tests.helpers.engines.tiny import tiny_config
from tests.helpers.shapes import write_shapes


def _trainer(folder, dataset, options, config=None, validation=None):
    recipe = YolactRecipe(config or tiny_config(), dataset.class_names, options)
    return Trainer(recipe, list(dataset.images), validation, folder)


def _options(iterations, **changes):
    plain = TrainOptions(iterations=iterations, batch=4, workers=0, validate_every=0)
    return replace(plain, **changes)


def _losses(folder):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [sum(json.loads(line)["losses"].values()) for line in lines]


@pytest.fixture
def shapes(tmp_path):
    return read_coco(write_shapes(tmp_path, 8))


MIXED = AugmentOptions(mosaic_probability=0.5, copy_paste_probability=0.5)


@pytest.mark.parametrize("augment", [AugmentOptions(), MIXED], ids=["plain", "mixed"])
def test_a_resumed_run_has_the_losses_of_one_that_was_not_interrupted(tmp_path, shapes, augment):
    _trainer(tmp_path / "whole", shapes, _options(6, augment=augment)).run()
    _trainer(tmp_path / "parts", shapes, _options(3, augment=augment)).run()
    second = _trainer(tmp_path / "parts", shapes, _options(6, augment=augment))
    second.resume(tmp_path / "parts" / CHECKPOINT_NAME)
    second.run()
    np.testing.assert_allclose(_losses(tmp_path / "parts"), _losses(tmp_path / "whole"), rtol=1e-5)


def test_a_checkpoint_of_another_network_is_refused(tmp_path, shapes):
    _trainer(tmp_path / "run", shapes, _options(1)).run()
    other = _trainer(tmp_path / "other", shapes, _options(1), get_config("yolact-light"))
    with pytest.raises(TrainError, match="is of tiny"):
        other.resume(tmp_path / "run" / CHECKPOINT_NAME)


@pytest.mark.parametrize("content", [b"", b"junk" * 100])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, shapes, content):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(TrainError, match=str(path)):
        _trainer(tmp_path / "run", shapes, _options(1)).resume(path)


def _run_until(iteration, folder, dataset, options):
    """A run with Ctrl-C after ``iteration``."""

    def interrupt(progress):
        if progress.iteration == iteration:
            raise KeyboardInterrupt

    recipe = YolactRecipe(tiny_config(), dataset.class_names, options)
    trainer = Trainer(recipe, list(dataset.images), None, folder, interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()


def test_interrupting_a_run_leaves_a_checkpoint_of_that_iteration_under_two_names(tmp_path, shapes):
    _run_until(2, tmp_path / "run", shapes, _options(9))
    # Two batches of four of eight pictures: one epoch.
    for name in (CHECKPOINT_NAME, "tiny_1_2_interrupt.pth"):
        again = _trainer(tmp_path / "run", shapes, _options(9))
        again.resume(tmp_path / "run" / name)
        assert again.iteration == 2


def test_numbered_checkpoints_are_kept_at_their_interval(tmp_path, shapes):
    _trainer(tmp_path / "run", shapes, _options(7, save_interval=2)).run()
    names = sorted(path.name for path in (tmp_path / "run").glob("*.pth"))
    assert names == ["tiny_1_2.pth", "tiny_2_4.pth", "tiny_3_6.pth"]
    again = _trainer(tmp_path / "run", shapes, _options(9))
    again.resume(tmp_path / "run" / "tiny_2_4.pth")
    assert again.iteration == 4


def test_of_numbered_checkpoints_only_the_newest_is_kept_on_request(tmp_path, shapes):
    options = _options(7, save_interval=2, keep_latest=True, keep_latest_interval=4)
    _trainer(tmp_path / "run", shapes, options).run()
    names = sorted(path.name for path in (tmp_path / "run").glob("*.pth"))
    assert names == ["tiny_2_4.pth", "tiny_3_6.pth"]


def test_a_run_that_gets_no_better_ends_early(tmp_path, shapes):
    # Nothing is learnt at a rate of zero, so every validation after the first is as good.
    options = _options(9, learning_rate=0.0, validate_every=1, patience=3)
    trainer = _trainer(tmp_path / "run", shapes, options, validation=shapes)
    trainer.run()
    assert trainer.iteration == 4
    again = _trainer(tmp_path / "run", shapes, options, validation=shapes)
    again.resume(tmp_path / "run" / CHECKPOINT_NAME)
    again.run()
    assert again.iteration == 5  # still none better


def test_a_loss_that_is_not_finite_stops_the_run_with_advice(tmp_path, shapes):
    trainer = _trainer(tmp_path / "run", shapes, _options(100))
    with torch.no_grad():
        next(trainer.network.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="--learning-rate"):
        trainer.run()
    assert trainer.iteration == MAX_BAD_STEPS


def test_batches_cover_every_image_once_an_epoch_and_can_begin_anywhere():
    batches = list(itertools.islice(ShuffledBatches(10, 4, seed=1), 10))
    flat = [index for batch in batches for index in batch]
    for epoch in range(4):
        part = flat[epoch * 10 : epoch * 10 + 10]
        assert sorted(part) == list(range(epoch * 10, epoch * 10 + 10))
    for first in range(6):
        later = list(itertools.islice(ShuffledBatches(10, 4, seed=1, first=first), 3))
        assert later == batches[first : first + 3]


def test_four_pictures_are_learnt_by_heart(tmp_path):
    dataset = read_coco(write_shapes(tmp_path, 4, side=128))
    config = replace(
        tiny_config(),
        input_size=128,
        channels=32,
        prior_scales=((16,), (32,), (48,), (64,), (96,)),
        aspect_ratios=(0.7, 1.0, 1.4),
    )
    options = TrainOptions(
        iterations=70,
        batch=4,
        optimizer="adamw",
        schedule="constant-decay",
        learning_rate=5e-3,
        weight_decay=0.0,
        clip_norm=10.0,
        ema_decay=0.9,
        augment=NO_AUGMENTATION,
        workers=0,
        validate_every=0,
    )
    metrics = _trainer(tmp_path / "run", dataset, options, config, dataset).run()
    assert metrics is not None
    assert metrics["segm"]["AP50"] >= 0.95
    assert metrics["bbox"]["AP50"] >= 0.95
