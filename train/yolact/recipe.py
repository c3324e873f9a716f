"""How networks of the YOLACT family are trained."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from maskstream.engines.files.manifest import Manifest
from maskstream.engines.networks.yolact.backbones import load_classifier
from maskstream.engines.networks.yolact.config import Normalization, YolactConfig, get_config
from maskstream.engines.networks.yolact.detect import YolactDetector
from maskstream.engines.networks.yolact.export import export_onnx
from maskstream.engines.networks.yolact.network import Yolact
from maskstream.train.errors import TrainError
from maskstream.train.evaluation.coco_ap import Metrics, evaluate
from maskstream.train.loop.initial import fill_shufflenet, load_weights
from maskstream.train.loop.recipe import Forward, Recipe
from maskstream.train.options import SCENE_OPTIONS
from maskstream.train.samples.augment import Sample
from maskstream.train.samples.coco import CocoSet, LabelledImage
from maskstream.train.yolact.dataset import TrainingSet, collate
from maskstream.train.yolact.losses import Targets, yolact_losses
from maskstream.train.yolact.matching import Match

SCORED_SIZE_MIN = 256
"""Of an input, so that its prototypes are as many cells wide as mask scoring needs: 63."""


class YolactRecipe(Recipe[YolactConfig, Yolact, Targets]):
    """Priors matched with boxes, and the losses of YOLACT."""

    family: ClassVar[str] = "yolact"
    engine_family: ClassVar[str] = "yolact"
    default_network: ClassVar[str] = "yolact-light"
    own_options: ClassVar[frozenset[str]] = frozenset(
        {
            "max_masks",
            "dice_weight",
            "contextual_weight",
            "neighbor_weight",
            *SCENE_OPTIONS,
        }
    )

    @classmethod
    def choose_config(cls, name: str, *, class_count: int, input_size: int | None) -> YolactConfig:
        """Return a network by our name or YOLACT's own; the priors are scaled with the input."""
        config = replace(get_config(_own_name(name)), class_count=class_count)
        if input_size is None:
            return config
        if input_size < 64 or input_size % 32:
            raise TrainError(f"--input-size: {input_size} was given; it must be 64, 96, 128, ...")
        if config.has_mask_scoring and input_size < SCORED_SIZE_MIN:
            raise TrainError(
                f"--input-size: {input_size} was given; {config.name} scores masks, which needs "
                f"{SCORED_SIZE_MIN} or more."
            )
        factor = input_size / config.input_size
        scales = tuple(tuple(side * factor for side in level) for level in config.prior_scales)
        return replace(config, input_size=input_size, prior_scales=scales)

    @classmethod
    def read_config(cls, values: dict[str, Any]) -> YolactConfig:
        """Return a configuration from plain values."""
        unknown = sorted(set(values) - {field.name for field in fields(YolactConfig)})
        if unknown:
            raise ValueError(f"unknown keys {unknown}")
        normalization = {key: tuple(value) for key, value in values["normalization"].items()}
        changed = {
            "prior_scales": tuple(tuple(level) for level in values["prior_scales"]),
            "aspect_ratios": tuple(values["aspect_ratios"]),
            "normalization": Normalization(**normalization),
        }
        return YolactConfig(**{**values, **changed})

    def make_network(self) -> Yolact:
        """Return a network with its first values."""
        return Yolact(self.config)

    def body(self, network: Yolact) -> list[nn.Module]:
        """Return the backbone."""
        return [network.backbone]

    def fill_backbone(self, network: Yolact, path: Path) -> None:
        """Fill the backbone with an ImageNet classifier's, the light one as `fill_shufflenet`."""
        if self.config.backbone == "shufflenet_v2_x1_0":
            fill_shufflenet(network.backbone, path)
            return
        try:
            load_classifier(
                network.backbone, torch.load(path, map_location="cpu", weights_only=True)
            )
        except (OSError, RuntimeError, KeyError, AttributeError, pickle.UnpicklingError) as exc:
            reason = str(exc).splitlines()[0]
            raise TrainError(
                f"{path}: does not fit a {self.config.backbone} ({reason}); a file of its tensors "
                "as torchvision or YOLACT's authors name them is needed."
            ) from exc

    def load_weights(self, network: Yolact, path: Path) -> list[str]:
        """Fill a network from a checkpoint of ours or of YOLACT, perhaps for other classes."""
        return load_weights(network, path)

    def dataset(self, images: Sequence[LabelledImage]) -> Dataset[tuple[Sample, Match]]:
        """Return pictures matched with the priors."""
        return TrainingSet(images, self.config, self.options.augment, self.options.seed)

    def collate(self, items: list[Any]) -> tuple[Tensor, Targets]:
        """Join samples."""
        return collate(items)

    def counts(self, frames: Tensor, targets: Targets) -> list[int]:
        """Return the positives and the pictures."""
        return [int((targets.labels > 0).sum()), len(frames)]

    def losses(
        self,
        network: Yolact,
        forward: Forward,
        frames: Tensor,
        targets: Targets,
        totals: list[int],
        iteration: int,
    ) -> dict[str, Tensor]:
        """Return the losses of boxes, classes, masks, the semantic map, and used context."""
        losses = yolact_losses(
            forward(frames),
            targets,
            max_masks=self.options.max_masks,
            dice_weight=self.options.dice_weight,
            contextual_weight=self.options.contextual_weight,
            neighbor_weight=self.options.neighbor_weight,
            scorer=network.maskiou_net,
            positive_count=totals[0],
            image_count=totals[1],
        )
        named: dict[str, Tensor] = losses._asdict()
        if not self.options.contextual_weight and not self.options.neighbor_weight:
            del named["context"]
        return named

    def evaluate(self, network: Yolact, dataset: CocoSet) -> Metrics:
        """Return box and mask AP."""
        return evaluate(self.engine(network), dataset)

    def detector(self, network: Yolact) -> YolactDetector:
        """Return a network with decoding and NMS."""
        return YolactDetector(network)

    def patch_px(self) -> int:
        """Return the side of the prototypes."""
        return self.config.prototype_size

    def export(self, network: Yolact, manifest: Manifest, path: Path) -> None:
        """Write an engine file."""
        export_onnx(self.detector(network), manifest, path)


def _own_name(name: str) -> str:
    """Return our name of a network; YOLACT's own is `yolact_base_config`."""
    return name.removesuffix("_config").replace("_", "-")
