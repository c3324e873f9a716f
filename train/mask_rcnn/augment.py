"""Changes of pictures that Mask R-CNN is fine-tuned with, on torchvision's transforms.

Source: the set of a course's fine-tuning project on a few hundred pictures: flips, brightness and
contrast, and twice one of compression, gamma, blur and equalised levels.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F  # noqa: N812 - as torchvision's pages have it

BRIGHTNESS, CONTRAST = 0.3, 0.2
"""Largest changes, as shares."""
LIGHT_PROBABILITY = 0.5
JPEG_QUALITY = (80, 100)
GAMMA = (0.8, 1.2)
BLUR_PX = (3, 5, 7)
BLUR_SIGMA_PX = (0.1, 2.0)


class RandomCompression(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Compress a picture as JPEG and read it again; torchvision gives its own coder up."""

    _transformed_types = (tv_tensors.Image,)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the quality."""
        low, high = JPEG_QUALITY
        return {"quality": int(torch.randint(low, high + 1, ()))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change one (3, H, W) picture."""
        pixels = np.ascontiguousarray(inpt.permute(1, 2, 0).numpy()[..., ::-1])
        _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, params["quality"]])
        decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1].copy()
        return tv_tensors.wrap(torch.from_numpy(decoded).permute(2, 0, 1), like=inpt)


class RandomGamma(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Raise a picture's levels to a power drawn from ``GAMMA``."""

    _transformed_types = (tv_tensors.Image,)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the power."""
        return {"gamma": float(torch.empty(1).uniform_(*GAMMA))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change one picture."""
        return F.adjust_gamma(inpt, **params)


class RandomBlur(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Blur a picture; torchvision's own blur takes 30 ms at 416 pixels, OpenCV's less than one."""

    _transformed_types = (tv_tensors.Image,)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the kernel."""
        side = BLUR_PX[int(torch.randint(len(BLUR_PX), ()))]
        return {"side": side, "sigma": float(torch.empty(1).uniform_(*BLUR_SIGMA_PX))}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Change one (3, H, W) picture."""
        pixels = np.ascontiguousarray(inpt.permute(1, 2, 0).numpy())
        blurred = cv2.GaussianBlur(pixels, (params["side"],) * 2, params["sigma"])
        return tv_tensors.wrap(torch.from_numpy(blurred).permute(2, 0, 1), like=inpt)


def make_changes(*, vertical_flip: float) -> v2.Transform:
    """Return the changes of a picture with its boxes and masks; the left-right flip is not here.

    Args:
        vertical_flip: Its chance. Half for things that lie on a table; 0 for those that stand.
    """
    light = v2.ColorJitter(brightness=BRIGHTNESS, contrast=CONTRAST)
    return v2.Compose(
        [
            v2.RandomVerticalFlip(vertical_flip),
            v2.RandomApply([light], LIGHT_PROBABILITY),
            _one_of_four(),
            _one_of_four(),
        ]
    )


def change(
    changes: v2.Transform, picture: Tensor, boxes: Tensor, masks: Tensor, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Change a picture and its truth alike; the same seed gives the same changes.

    Args:
        picture: (S, S, 3) uint8 RGB.
        boxes: (N, 4) corners in pixels.
        masks: (N, S, S) uint8.
    """
    height, width = picture.shape[:2]
    image = tv_tensors.Image(picture.permute(2, 0, 1))
    corners = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        image, corners, changed = changes(image, corners, tv_tensors.Mask(masks))
    return (
        image.as_subclass(Tensor).permute(1, 2, 0).contiguous(),
        corners.as_subclass(Tensor),
        changed.as_subclass(Tensor),
    )


def _one_of_four() -> v2.Transform:
    return v2.RandomChoice(
        [
            RandomCompression(),
            RandomGamma(),
            RandomBlur(),
            v2.RandomEqualize(p=1.0),
        ]
    )
