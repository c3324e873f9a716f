"""How a network is trained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from maskstream.train.augment_options import AugmentOptions
from maskstream.train.errors import TrainError
from maskstream.train.schedule import BurnInSchedule, ConstantThenDecay, StepSchedule

Precision = Literal["fp32", "bf16", "fp16"]
Schedule = Literal["step", "constant-decay", "burn-in"]

SCENE_OPTIONS = frozenset(
    {"expand_probability", "expand_max", "mosaic_probability", "copy_paste_probability"}
)
"""Of the augmentation: how pictures become scenes, for the families that learn from scenes."""
FAMILY_OPTIONS = SCENE_OPTIONS | {
    "max_masks",
    "dice_weight",
    "contextual_weight",
    "neighbor_weight",
    "anchor_iou_min",
    "is_multi_scale",
    "vertical_mirror_probability",
}
"""What not every family heeds; `train.loop.recipe.Recipe.own_options` has what one does."""
PUBLISHED_BATCH = 8
"""What YOLACT's learning rate, length and steps are meant for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train.

    Attributes:
        iterations: Of the whole run, a resumed one included.
        batch: Pictures of a step, over all processes.
        accumulate: Parts that a process takes its pictures in, one after another; the step is that
            of the whole batch, in less memory.
        lr_steps: Of the step schedule, iterations from which the rate is a tenth.
        learning_rate: The highest, for everything but the backbone.
        backbone_rate: The backbone's, as a factor of that.
        clip_norm: Largest norm of the gradient; 0 leaves it as it is.
        ema_decay: Of the averaged weights, which are the ones validated and exported.
        precision: Of the network, where that is safe; fp16 scales the loss.
        freeze_bn: Batch norms keep their statistics and weights, as YOLACT does it for batches of
            fewer than six.
        freeze_body: The body keeps its weights, and the statistics of its norms.
        max_masks: Positives of one image in the mask loss.
        dice_weight: Of the Dice loss in the mask loss.
        contextual_weight: Of the contextual loss between class maps.
        neighbor_weight: Of the loss between the prototypes of neighbouring cells.
        anchor_iou_min: A YOLO box is taught by its best anchor, and by each that fits its shape
            better than this; 1 for the best alone.
        is_multi_scale: YOLO is shown another size every ten iterations.
        workers: Processes that prepare batches.
        validate_every: Iterations between validations; 0 for only at the end.
        patience: Validations in a row without a better mask AP that end the run; 0 for never.
        save_every_s: Seconds between checkpoints.
        save_interval: Iterations between checkpoints that are kept under their number; 0 for none.
        keep_latest: Of these keep only the newest, and those of every ``keep_latest_interval``.
        channels_last: How maps lie in memory.
        is_compiled: Run the network through torch.compile.
        writes_tensorboard: Log for TensorBoard as well.
    """

    iterations: int
    batch: int = 8
    accumulate: int = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    schedule: Schedule = "step"
    lr_steps: tuple[int, ...] = StepSchedule().steps
    learning_rate: float = 1e-3
    backbone_rate: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip_norm: float = 0.0
    ema_decay: float = 0.999
    precision: Precision = "fp32"
    freeze_bn: bool = False
    freeze_body: bool = False
    max_masks: int = 100
    dice_weight: float = 0.0
    contextual_weight: float = 0.0
    neighbor_weight: float = 0.0
    anchor_iou_min: float = 1.0
    is_multi_scale: bool = False
    seed: int = 0
    workers: int = 1
    device: str = "cpu"
    validate_every: int = 1000
    patience: int = 0
    save_every_s: float = 120.0
    save_interval: int = 0
    keep_latest: bool = False
    keep_latest_interval: int = 100_000
    channels_last: bool = True
    is_compiled: bool = False
    writes_tensorboard: bool = False
    augment: AugmentOptions = field(default_factory=AugmentOptions)

    def __post_init__(self) -> None:
        if self.batch % self.accumulate:
            raise TrainError(
                f"--batch: {self.batch} cannot be taken in {self.accumulate} equal parts; "
                "a multiple of --accumulate is needed."
            )


def make_schedule(options: TrainOptions) -> StepSchedule | ConstantThenDecay | BurnInSchedule:
    """Return the learning rates of a run."""
    if options.schedule == "step":
        return StepSchedule(steps=options.lr_steps)
    if options.schedule == "burn-in":
        return BurnInSchedule(steps=options.lr_steps)
    return ConstantThenDecay(iterations=options.iterations)


def autoscaled(options: TrainOptions) -> TrainOptions:
    """Return options that are meant for a batch of 8, fitted to the batch that they have.

    The rate grows with the batch, and the iterations and steps shrink with it; the warm-up stays.

    Source:
        The rule of YOLACT's released code.
    """
    factor = options.batch / PUBLISHED_BATCH
    return replace(
        options,
        learning_rate=options.learning_rate * factor,
        iterations=max(1, int(options.iterations / factor)),
        lr_steps=tuple(int(step / factor) for step in options.lr_steps),
    )
