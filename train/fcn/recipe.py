"""How FCNs are trained that say which of a crop's pixels are the object: FCN8s, and the light one.

Source: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015; the
fine-tuning of a two-class head alone is `--freeze-body` with Adam.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads
from torch.utils.data import Dataset

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.fcn.network import NEW_LAYERS, Fcn8s
from maskstream.engines.networks.fcn.weights import load_fcn8s
from maskstream.engines.networks.yolo_fcn.config import FCNS, FcnConfig, make_fcn
from maskstream.engines.networks.yolo_fcn.light import LightFcn
from maskstream.train.errors import TrainError
from maskstream.train.evaluation.coco_ap import Metrics
from maskstream.train.loop.initial import fill_shufflenet, given_tensors, take_over
from maskstream.train.loop.recipe import Forward, Recipe
from maskstream.train.samples.coco import CocoSet, LabelledImage
from maskstream.train.samples.crops import Crop, CropSet, true_crops
from maskstream.train.samples.targets import BatchTargets

LIGHT = "fcn-light"
LIGHT_SIDE_MIN_PX = 32
HISTOGRAM_NAME = "iou-histogram.png"
EVALUATION_BATCH = 16
_NONE = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class CropTargets(BatchTargets):
    """What one batch has to learn.

    Attributes:
        masks: (B, M, M) uint8, how much of each cell the object covers, 0..255.
    """

    masks: Tensor


class FcnRecipe(Recipe[FcnConfig, Any, CropTargets]):
    """Crops of objects, and the cross-entropy of their pixels."""

    family: ClassVar[str] = "fcn"
    default_network: ClassVar[str] = LIGHT
    best_by: tuple[str, str] = ("crops", "mean IoU")
    is_class_agnostic: ClassVar[bool] = True

    @classmethod
    def choose_config(cls, name: str, *, class_count: int, input_size: int | None) -> FcnConfig:
        """Return a network by its name; crops of the light one have a multiple of 16 pixels."""
        usual = FCNS.get(name)
        if usual is None:
            raise TrainError(f"--network: {name} is no FCN; use one of {', '.join(FCNS)}.")
        size = usual.input_size if input_size is None else input_size
        if size < 1 or (name == LIGHT and (size < LIGHT_SIDE_MIN_PX or size % 16)):
            raise TrainError(
                f"--input-size: {size} was given; crops of {name} have a multiple of 16, from "
                f"{LIGHT_SIDE_MIN_PX} on; {usual.input_size} is usual."
            )
        return replace(usual, input_size=size)

    @classmethod
    def read_config(cls, values: dict[str, Any]) -> FcnConfig:
        """Return a configuration from plain values."""
        return FcnConfig(**values)

    def make_network(self) -> nn.Module:
        """Return a network with its first values; all of it can learn."""
        network = make_fcn(self.config)
        if isinstance(network, Fcn8s):
            network.make_binary()
        return network.requires_grad_(True)

    def body(self, network: nn.Module) -> list[nn.Module]:
        """Return the light one's backbone, or everything before the six layers of the head."""
        if isinstance(network, LightFcn):
            return [network.backbone]
        return [part for name, part in network.named_children() if name not in NEW_LAYERS]

    def fill_backbone(self, network: nn.Module, path: Path) -> None:
        """Fill it as `fill_shufflenet` does, or with an FCN8s for any classes."""
        if isinstance(network, LightFcn):
            fill_shufflenet(network.backbone, path)
            return
        try:
            given = load_fcn8s(path).state_dict()
        except WeightsError as exc:
            raise TrainError(str(exc)) from exc
        kept = {k: v for k, v in given.items() if k.split(".")[0] not in NEW_LAYERS}
        network.load_state_dict({**network.state_dict(), **kept})

    def load_weights(self, network: nn.Module, path: Path) -> list[str]:
        """Fill a network from a checkpoint of ours, or the second stage of an engine."""
        return take_over(network, given_tensors(network, path), path, class_shaped=_NONE)

    def evaluated(self, network: nn.Module) -> nn.Module:
        """Return the network: it takes crops as they are collated."""
        return network

    def dataset(self, images: Sequence[LabelledImage]) -> Dataset[Crop]:
        """Return crops of all objects with a mask."""
        with torch.device("meta"):  # its sizes are wanted, not its weights
            network: Any = make_fcn(self.config)
        return CropSet(images, network, self.options.augment, self.options.seed)

    def collate(self, items: list[Crop]) -> tuple[Tensor, CropTargets]:
        """Join crops."""
        frames = torch.from_numpy(np.stack([crop.image for crop in items]))
        return frames, CropTargets(torch.from_numpy(np.stack([crop.mask for crop in items])))

    def counts(self, frames: Tensor, targets: CropTargets) -> list[int]:
        """Return the crops."""
        return [len(frames)]

    def losses(
        self,
        network: nn.Module,
        forward: Forward,
        frames: Tensor,
        targets: CropTargets,
        totals: list[int],
        iteration: int,
    ) -> dict[str, Tensor]:
        """Return the cross-entropy, a mean over pixels and crops."""
        pixels = crop_loss(forward(frames).float(), targets.masks)
        return {"pixels": pixels.sum() / totals[0]}

    def evaluate(self, network: nn.Module, dataset: CocoSet) -> Metrics:
        """Return the mean IoU over the crops of a set; as `crop_metrics`."""
        return {"crops": crop_metrics(crop_counts(network, dataset))}

    def draw(self, network: nn.Module, dataset: CocoSet, folder: Path) -> list[Path]:
        """Draw how many crops have which IoU."""
        from maskstream.train.loop.plot import plot_ious  # matplotlib takes a second to load

        path = folder / HISTOGRAM_NAME
        plot_ious(object_ious(crop_counts(network, dataset)), path)
        return [path]


def crop_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Return (B,), the mean cross-entropy of each crop's pixels.

    Args:
        logits: (B, 2, M, M), background first.
        masks: (B, M, M) uint8, how much of each cell is the object, 0..255.
    """
    share = masks.float() / 255
    truth = torch.stack([1 - share, share], dim=1)
    return F.cross_entropy(logits, truth, reduction="none").mean(dim=(1, 2))


def crop_counts(network: nn.Module, dataset: CocoSet) -> NDArray[np.int64]:
    """Return how a network in evaluation sorts the pixels of each crop of a set.

    Returns:
        (N, 4) pixels: truly background, wrongly object, wrongly background, truly object.
    """
    shape: Any = network
    device = next(network.parameters()).device
    counts: list[NDArray[np.int64]] = []
    waiting: list[Crop] = []

    def look() -> None:
        frames = torch.from_numpy(np.stack([crop.image for crop in waiting])).to(device)
        with torch.inference_mode():
            found = network(frames).argmax(dim=1).cpu().numpy()
        truth = np.stack([crop.mask for crop in waiting]) >= 128
        kinds = 2 * truth + found
        counts.extend(np.bincount(kind.ravel(), minlength=4) for kind in kinds)
        waiting.clear()

    for crop in true_crops(dataset.images, shape):
        waiting.append(crop)
        if len(waiting) == EVALUATION_BATCH:
            look()
    if waiting:
        look()
    return np.stack(counts)


def object_ious(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return (N,) IoU of each crop's object, for counts as `crop_counts` gives them."""
    return np.asarray(counts[:, 3] / counts[:, 1:].sum(axis=1).clip(min=1))


def crop_metrics(counts: NDArray[np.int64]) -> dict[str, float]:
    """Return how well crops are sorted.

    Args:
        counts: As `crop_counts` gives them.

    Returns:
        ``mean IoU``: of background and object, over the pixels of all crops together, as FCN's
        authors count it; ``object IoU``: of the objects, each crop for itself, on average.
    """
    background, false_object, false_background, truly = counts.sum(axis=0)
    wrong = false_object + false_background
    ious = (background / max(background + wrong, 1), truly / max(truly + wrong, 1))
    return {"mean IoU": float(np.mean(ious)), "object IoU": float(object_ious(counts).mean())}
