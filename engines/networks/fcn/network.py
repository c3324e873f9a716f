"""FCN8s on VGG16: a class for each pixel, from skips at strides 32, 16 and 8.

Source: Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR
2015, section 4; Shelhamer et al., TPAMI 2017, for the variant that is trained at once. Parameter
names are those of the weights that were converted from Caffe.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

MEAN_RGB = (122.67891434, 116.66876762, 104.00698793)
"""What is taken off, in the order in which crops come: one normalisation, inside the network."""
Stages = tuple[tuple[int, int], ...]
VGG_STAGES: Stages = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Channels and convolutions of each stage; a pool stands behind each."""
FIRST_PADDING = 100
"""Rows and columns of nothing around the picture, so that the crops below never run out."""
POOL4_SCALE, POOL3_SCALE = 0.01, 0.0001
"""What the variant that is trained at once multiplies its skips by."""
NEW_LAYERS = (
    "score_fr",
    "score_pool3",
    "score_pool4",
    "upscore2",
    "upscore8",
    "upscore_pool4",
)
"""What depends on the number of classes; the recipe for two classes trains these alone."""
_POOL4_CROP, _POOL3_CROP, _FINAL_CROP = 5, 9, 31


class Fcn8s(nn.Module):
    """FCN8s.

    Args:
        class_count: With the background.
        is_at_once: Skips are scaled, as where all three strides are trained together; the staged
            network, whose stride 8 is trained last, takes them as they are.
        crop_px: Side of the crops; any from 1 can be run.
        stages: As `VGG_STAGES`; narrower ones for trials.
        fc_channels: Likewise.
    """

    crop_margin = 0.0

    def __init__(
        self,
        class_count: int = 2,
        *,
        is_at_once: bool = False,
        crop_px: int = 224,
        stages: Stages = VGG_STAGES,
        fc_channels: int = 4096,
    ) -> None:
        super().__init__()
        self.stages = stages
        self.crop_px = self.mask_px = crop_px
        self.is_at_once = is_at_once
        channels = 3
        for stage, (width, depth) in enumerate(stages, 1):
            for layer in range(1, depth + 1):
                padding = FIRST_PADDING if (stage, layer) == (1, 1) else 1
                conv = nn.Conv2d(channels, width, 3, padding=padding)
                self.add_module(f"conv{stage}_{layer}", conv)
                channels = width
        self.fc6 = nn.Conv2d(channels, fc_channels, 7)
        self.fc7 = nn.Conv2d(fc_channels, fc_channels, 1)
        self._make_scores(class_count)
        self.register_buffer("mean_rgb", torch.tensor(MEAN_RGB).view(1, 3, 1, 1), False)
        self._initialize()

    def forward(self, crops: Tensor) -> Tensor:
        """Return (B, classes, H, W) logits, background first, of (B, H, W, 3) uint8 RGB crops."""
        pool3, pool4 = self.pools(self.normalized(crops), 4)[2:]
        return self.scores(pool3, pool4, crops.shape[1], crops.shape[2])

    def normalized(self, crops: Tensor) -> Tensor:
        """Return crops as the first convolution takes them: (B, 3, H, W), BGR as VGG's."""
        # The cast comes first: TensorRT refuses to permute uint8.
        rgb = crops.float().permute(0, 3, 1, 2) - cast(Tensor, self.mean_rgb)
        return rgb.flip(1)

    def pools(self, x: Tensor, stage_count: int) -> list[Tensor]:
        """Return what the first stages' pools give for normalised crops."""
        found = []
        for stage in range(1, stage_count + 1):
            x = self._stage(x, stage)
            found.append(x)
        return found

    def scores(self, pool3: Tensor, pool4: Tensor, height: int, width: int) -> Tensor:
        """Return the logits for crops of a size, from two of their pools."""
        pool5 = self._stage(pool4, 5)
        if self.is_at_once:
            pool3, pool4 = pool3 * POOL3_SCALE, pool4 * POOL4_SCALE
        fc6 = F.dropout2d(F.relu(self.fc6(pool5)), 0.5, self.training)
        fc7 = F.dropout2d(F.relu(self.fc7(fc6)), 0.5, self.training)
        up2 = self.upscore2(self.score_fr(fc7))
        up4 = self.upscore_pool4(up2 + _cropped(self.score_pool4(pool4), up2, _POOL4_CROP))
        up8 = self.upscore8(up4 + _cropped(self.score_pool3(pool3), up4, _POOL3_CROP))
        window = slice(_FINAL_CROP, _FINAL_CROP + height), slice(_FINAL_CROP, _FINAL_CROP + width)
        return cast(Tensor, up8[:, :, window[0], window[1]])

    def make_binary(self) -> None:
        """Turn a network for any classes into the recipe's: object or not, all else frozen.

        The last six layers are replaced and begin as He et al. say; they alone are trained.

        Source:
            He et al., "Delving Deep into Rectifiers", ICCV 2015.
        """
        self.requires_grad_(False)
        self._make_scores(2)
        for name in NEW_LAYERS:
            layer = cast(nn.Conv2d, self.get_submodule(name))
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def _stage(self, x: Tensor, stage: int) -> Tensor:
        for layer in range(1, self.stages[stage - 1][1] + 1):
            x = F.relu(self.get_submodule(f"conv{stage}_{layer}")(x))
        return F.max_pool2d(x, 2, 2, ceil_mode=True)

    def _make_scores(self, class_count: int) -> None:
        """Make the six layers of `NEW_LAYERS`, in place of those that there are."""
        self.score_fr = nn.Conv2d(self.fc7.out_channels, class_count, 1)
        self.score_pool3 = nn.Conv2d(self.stages[2][0], class_count, 1)
        self.score_pool4 = nn.Conv2d(self.stages[3][0], class_count, 1)
        self.upscore2 = _deconv(class_count, 4, 2)
        self.upscore_pool4 = _deconv(class_count, 4, 2)
        self.upscore8 = _deconv(class_count, 16, 8)

    def _initialize(self) -> None:
        """Scores begin at zero, and what scales them up as bilinear interpolation."""
        for name in NEW_LAYERS:
            layer = self.get_submodule(name)
            if isinstance(layer, nn.ConvTranspose2d):
                with torch.no_grad():
                    layer.weight.copy_(bilinear_kernel(layer.in_channels, layer.kernel_size[0]))
            elif isinstance(layer, nn.Conv2d):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(cast(Tensor, layer.bias))


def bilinear_kernel(channels: int, size: int) -> Tensor:
    """Return (channels, channels, size, size) weights that scale each channel up by itself."""
    factor = (size + 1) // 2
    center = factor - 1.0 if size % 2 else factor - 0.5
    taps = 1 - (torch.arange(size, dtype=torch.float32) - center).abs() / factor
    return torch.eye(channels)[:, :, None, None] * torch.outer(taps, taps)


def _deconv(channels: int, size: int, stride: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, size, stride, bias=False)


def _cropped(x: Tensor, like: Tensor, start: int) -> Tensor:
    """Return a window of ``x`` as large as another map."""
    height, width = like.shape[-2:]
    return x[:, :, start : start + height, start : start + width]
