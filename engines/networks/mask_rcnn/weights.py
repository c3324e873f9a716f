"""torchvision's released weights: the whole of Mask R-CNN on COCO, or ResNet's body alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor
from torchvision.models import ResNet50_Weights, WeightsEnum
from torchvision.models.detection import (
    MaskRCNN_ResNet50_FPN_V2_Weights,
    MaskRCNN_ResNet50_FPN_Weights,
)

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.mask_rcnn.config import MaskRcnnConfig
from maskstream.engines.networks.mask_rcnn.network import MaskRcnn

COCO = "coco"
"""The word for the released weights of the whole network."""
IMAGENET = "imagenet"
"""The word for those of a ResNet-50 classifier."""

_WHOLE: Mapping[str, WeightsEnum] = {
    "resnet50": MaskRCNN_ResNet50_FPN_Weights.COCO_V1,
    "resnet50-v2": MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1,
}
_NORM_EPS = 1e-5


def released(config: MaskRcnnConfig, word: str) -> WeightsEnum:
    """Return which of torchvision's weights a word stands for.

    Args:
        word: `COCO` or `IMAGENET`.

    Raises:
        WeightsError: There are none for this body.
    """
    if config.body not in _WHOLE:
        raise WeightsError(
            f"{word}: there are no released weights for {config.name}; begin without, or with a "
            "checkpoint of your own."
        )
    return _WHOLE[config.body] if word == COCO else ResNet50_Weights.IMAGENET1K_V1


def fetch_state(weights: WeightsEnum) -> dict[str, Tensor]:
    """Return released weights, out of torch's cache folder or from torchvision's own address.

    Raises:
        WeightsError: The address cannot be reached, or gives something else.
    """
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as exc:
        host, name = urlsplit(weights.url).netloc, weights.url.rpartition("/")[2]
        folder = f"{torch.hub.get_dir()}/checkpoints"
        raise WeightsError(
            f"{name}: not had from {host} ({exc}); a connection to it is needed, or that file in "
            f"{folder}."
        ) from exc
    return state


def coco_rows(weights: WeightsEnum) -> tuple[int, ...]:
    """Return the rows of COCO's 80 classes among the released 91, of which others are unused."""
    names: Sequence[str] = weights.meta["categories"]
    return tuple(row for row, name in enumerate(names) if name not in ("__background__", "N/A"))


def load_coco(model: MaskRcnn, state: Mapping[str, Tensor], rows: Sequence[int]) -> list[str]:
    """Fill a network with the released weights of the whole.

    A network for 80 classes gets COCO's, in their order, so it is ready to use. For any other
    number the last layers begin anew.

    Args:
        state: torchvision's, 91 rows in the predictors.
        rows: Of the 80 classes, as `coco_rows` gives them.

    Returns:
        The names of the tensors that were left out.

    Raises:
        WeightsError: The others do not fit.
    """
    given = dict(state)
    if model.config.class_count == len(rows):
        given = _select_classes(given, [0, *rows])
    if model.config.body == "resnet50":
        # Its frozen norms were learnt without the small number that ours add to the variance.
        for name in [name for name in given if name.endswith("running_var")]:
            given[name] = given[name] - _NORM_EPS
    own: dict[str, Tensor] = model.network.state_dict()
    left_out = [
        name
        for name, value in own.items()
        if "_predictor." in name and (name not in given or given[name].shape != value.shape)
    ]
    _fill(model.network, {n: v for n, v in given.items() if n not in left_out}, left_out)
    return left_out


def load_classifier(model: MaskRcnn, state: Mapping[str, Tensor]) -> None:
    """Fill the body of a network with that of an ImageNet classifier.

    Args:
        state: Keys of torchvision's ResNet-50; the classifier's own layer is left out.

    Raises:
        WeightsError: They do not fit.
    """
    _fill(model.body, {name: v for name, v in state.items() if not name.startswith("fc.")}, [])


def _select_classes(state: dict[str, Tensor], rows: Sequence[int]) -> dict[str, Tensor]:
    """Return a state whose predictors know only some of the classes, the background among them."""
    selected = dict(state)
    index = torch.tensor(rows)
    for name, value in state.items():
        if "box_predictor.cls_score." in name or "mask_fcn_logits." in name:
            selected[name] = value[index]
        elif "box_predictor.bbox_pred." in name:
            selected[name] = value.view(-1, 4, *value.shape[1:])[index].flatten(0, 1)
    return selected


def _fill(module: Any, state: dict[str, Tensor], left_out: Sequence[str]) -> None:
    """Load a state; what is left out, and the norms' counters, keep their values.

    Raises:
        WeightsError: Anything else is absent, too much, or of another shape.
    """
    own = module.state_dict()
    kept = {n: v for n, v in own.items() if n in left_out or n.endswith("num_batches_tracked")}
    try:
        module.load_state_dict(kept | state, strict=True)
    except RuntimeError as exc:  # torch lists every key that does not fit, over many lines
        reason = str(exc).splitlines()[1].strip().partition(", ")[0]
        raise WeightsError(
            f"weights: they do not fit this network ({reason} ...); torchvision's are needed."
        ) from exc
