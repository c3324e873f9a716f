"""How networks of the Mask R-CNN family are trained."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from maskstream.engines.errors import WeightsError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.interface.fit import FitKind
from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig, get_config
from maskstream.engines.networks.mask_rcnn.detect import MaskRcnnDetector
from maskstream.engines.networks.mask_rcnn.export import export_onnx
from maskstream.engines.networks.mask_rcnn.network import MASK_CELLS, MaskRcnn
from maskstream.engines.networks.mask_rcnn.weights import (
    COCO,
    IMAGENET,
    coco_rows,
    fetch_state,
    load_classifier,
    load_coco,
    released,
)
from maskstream.train.augment_options import NO_AUGMENTATION
from maskstream.train.errors import TrainError
from maskstream.train.evaluation.coco_ap import Metrics, category_ids_of, evaluate
from maskstream.train.loop.initial import fill_shufflenet, given_tensors, take_over
from maskstream.train.loop.log import LOG_NAME, read_log
from maskstream.train.loop.plot_epochs import EPOCHS_PLOT_NAME, plot_epochs
from maskstream.train.loop.recipe import Forward, Recipe
from maskstream.train.mask_rcnn.data import Item, MaskRcnnSet, Truths, collate
from maskstream.train.mask_rcnn.losses import counts, mask_rcnn_losses
from maskstream.train.mask_rcnn.validate import accuracy, validation_losses
from maskstream.train.samples.coco import CocoSet, LabelledImage

INPUT_SIDE_MULTIPLE = 32
_PREDICTORS = re.compile(r"_predictor\.(cls_score|bbox_pred|mask_fcn_logits)\.")


class MaskRcnnRecipe(Recipe[MaskRcnnConfig, MaskRcnn, Truths]):
    """Proposals matched with boxes, and the losses of Mask R-CNN."""

    family: ClassVar[str] = "mask-rcnn"
    engine_family: ClassVar[str] = "mask-rcnn"
    default_network: ClassVar[str] = "mask-rcnn-resnet50"
    measures_losses: ClassVar[bool] = True
    own_options: ClassVar[frozenset[str]] = frozenset({"vertical_mirror_probability"})
    fit: ClassVar[FitKind] = "letterbox"

    @classmethod
    def choose_config(
        cls, name: str, *, class_count: int, input_size: int | None
    ) -> MaskRcnnConfig:
        """Return a network by its name; the anchors are scaled with the input."""
        config = replace(get_config(name), class_count=class_count)
        side = config.input_size if input_size is None else input_size
        if side < 2 * INPUT_SIDE_MULTIPLE or side % INPUT_SIDE_MULTIPLE:
            raise TrainError(f"--input-size: {side} was given; it must be 64, 96, 128, ...")
        return replace(config, input_size=side)

    @classmethod
    def read_config(cls, values: dict[str, Any]) -> MaskRcnnConfig:
        """Return a configuration from plain values."""
        plain = MaskRcnnConfig(**values)
        return replace(plain, aspect_ratios=tuple(plain.aspect_ratios))

    def make_network(self) -> MaskRcnn:
        """Return a network with its first values."""
        return MaskRcnn(self.config)

    def body(self, network: MaskRcnn) -> list[nn.Module]:
        """Return what is below the pyramid."""
        return [network.body]

    def fill_backbone(self, network: MaskRcnn, path: Path) -> None:
        """Fill the body with torchvision's classifier ("imagenet"), or a file of its tensors.

        That of a light network is filled as `fill_shufflenet` does.
        """
        if str(path) == IMAGENET:
            load_classifier(network, fetch_state(released(self.config, IMAGENET)))
            return
        if self.config.body == "shufflenet_v2_x1_0":
            fill_shufflenet(network.body, path)
            return
        try:
            load_classifier(network, torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, AttributeError, WeightsError, pickle.UnpicklingError) as exc:
            reason = str(exc).splitlines()[0]
            raise TrainError(
                f"{path}: does not fit the body of {self.config.name} ({reason}); a file of a "
                f"ResNet-50's tensors as torchvision names them, or the word {IMAGENET}, is needed."
            ) from exc

    def load_weights(self, network: MaskRcnn, path: Path) -> list[str]:
        """Fill a network with torchvision's own ("coco"), or from ours, checkpoint or engine."""
        if str(path) == COCO:
            weights = released(self.config, COCO)
            return load_coco(network, fetch_state(weights), coco_rows(weights))
        given = given_tensors(network, path)
        return take_over(network, given, path, class_shaped=_PREDICTORS)

    def dataset(self, images: Sequence[LabelledImage]) -> Dataset[Item]:
        """Return pictures with their truth."""
        options = self.options.augment
        return MaskRcnnSet(
            images,
            self.config,
            options,
            self.options.seed,
            is_changed=options != NO_AUGMENTATION,
        )

    def collate(self, items: list[Any]) -> tuple[Tensor, Truths]:
        """Join items."""
        return collate(items)

    def counts(self, frames: Tensor, targets: Truths) -> list[int]:
        """Return the pictures, and those with a mask."""
        return counts(frames, targets)

    def losses(
        self,
        network: MaskRcnn,
        forward: Forward,
        frames: Tensor,
        targets: Truths,
        totals: list[int],
        iteration: int,
    ) -> dict[str, Tensor]:
        """Return the losses of proposals, classes, boxes and masks."""
        return mask_rcnn_losses(network, forward, frames, targets, totals)

    def evaluate(self, network: MaskRcnn, dataset: CocoSet) -> Metrics:
        """Return box and mask AP, the accuracy, and the losses; of the test set the last two."""
        metrics = {**evaluate(self.engine(network), dataset), **self._measure(network, dataset)}
        if self.test is not None:
            of_test = self._measure(network, self.test)
            metrics |= {f"test {kind}": figures for kind, figures in of_test.items()}
        return metrics

    def _measure(self, network: MaskRcnn, dataset: CocoSet) -> Metrics:
        class_map = self.class_map(dataset)
        losses = validation_losses(network.eval(), dataset.images, class_map)
        # The best checkpoint has the largest of a figure, so there is one that falls with the loss.
        return {
            "hits": {"accuracy": accuracy(self.engine(network), dataset, class_map)},
            "loss": {**losses, "score": 1 / (1 + losses["total"])},
        }

    def class_map(self, dataset: CocoSet) -> list[int]:
        """Return the network's class of each of a set's classes; -1 for one that it does not know.

        Raises:
            TrainError: The set has not all of the network's classes.
        """
        ids = category_ids_of(self.class_names, dataset)
        return [ids.index(i) if i in ids else -1 for i in dataset.category_ids]

    def draw(self, network: MaskRcnn, dataset: CocoSet, folder: Path) -> list[Path]:
        """Draw losses and accuracy by epoch."""
        path = folder / EPOCHS_PLOT_NAME
        return [path] if plot_epochs(read_log(folder / LOG_NAME), path) else []

    def detector(self, network: MaskRcnn) -> MaskRcnnDetector:
        """Return a network with decoding and NMS."""
        return MaskRcnnDetector(network)

    def patch_px(self) -> int:
        """Return the side of a mask as the mask head says it."""
        return 2 * MASK_CELLS

    def export(self, network: MaskRcnn, manifest: Manifest, path: Path) -> None:
        """Write an engine file."""
        export_onnx(self.detector(network), manifest, path)
