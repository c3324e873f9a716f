"""A Darknet network in PyTorch, layer by layer as its description lists them.

Source: Darknet's layers; shapes are those that its own arithmetic gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that everybody reads

from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.yolov3.cfg import Cfg, Section
from maskstream.engines.networks.yolov3.network import BOX_DEPTH, Yolo, YoloHead

_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "leaky": lambda: nn.LeakyReLU(0.1, inplace=True),
    "linear": nn.Identity,
    "logistic": nn.Sigmoid,
    "mish": lambda: nn.Mish(inplace=True),
    "relu": lambda: nn.ReLU(inplace=True),
    "swish": lambda: nn.SiLU(inplace=True),
}


class Convolution(nn.Module):
    """A convolution, its batch norm if it has one, and its activation."""

    def __init__(self, section: Section, in_channels: int) -> None:
        super().__init__()
        filters, size = section.integer("filters", 1), section.integer("size", 1)
        groups = section.integer("groups", 1)
        if in_channels % groups or filters % groups:
            raise WeightsError(
                f"{section.where}: {groups} groups of {in_channels} channels to {filters}; "
                "groups must divide both."
            )
        is_padded = section.integer("pad", 0)
        padding = size // 2 if is_padded else section.integer("padding", 0)
        has_norm = bool(section.integer("batch_normalize", 0))
        self.conv = nn.Conv2d(
            in_channels,
            filters,
            size,
            section.integer("stride", 1),
            padding,
            groups=groups,
            bias=not has_norm,
        )
        self.norm = nn.BatchNorm2d(filters) if has_norm else None
        self.activation = _activation(section, "logistic")

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, filters, H', W')."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        return cast(Tensor, self.activation(x))


class MaxPool(nn.Module):
    """A maximum over windows, padded as Darknet does: an odd pixel on the right and the bottom."""

    def __init__(self, section: Section) -> None:
        super().__init__()
        self.stride = section.integer("stride", 1)
        self.size = section.integer("size", self.stride)
        padding = section.integer("padding", self.size - 1)
        self.before, self.after = padding // 2, padding - padding // 2

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H', W')."""
        # The edge again changes no maximum: a window that reaches beyond it holds the edge itself.
        padded = F.pad(x, (self.before, self.after) * 2, mode="replicate")
        return F.max_pool2d(padded, self.size, self.stride)


class Route(nn.Module):
    """Channels of earlier layers, one after another, or one group of them."""

    def __init__(self, section: Section) -> None:
        super().__init__()
        self.groups = section.integer("groups", 1)
        self.group = section.integer("group_id", 0)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return (B, C, H, W)."""
        parts = [x.chunk(self.groups, dim=1)[self.group] if self.groups > 1 else x for x in maps]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


class Shortcut(nn.Module):
    """The sum of earlier layers."""

    def __init__(self, section: Section) -> None:
        super().__init__()
        self.activation = _activation(section, "linear")

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return (B, C, H, W)."""
        return cast(Tensor, self.activation(sum(maps[1:], start=maps[0])))


class Upsample(nn.Module):
    """Each value over ``stride`` x ``stride`` cells; ports that interpolate lose accuracy."""

    def __init__(self, section: Section) -> None:
        super().__init__()
        self.stride = section.integer("stride", 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, stride * H, stride * W)."""
        return F.interpolate(x, scale_factor=float(self.stride), mode="nearest")


class DarknetNetwork(nn.Module):
    """A network as its description lists it.

    Args:
        cfg: Of a detector: its ``yolo`` layers say what leaves it.

    Raises:
        WeightsError: The description asks for what is not known, or does not fit together.
    """

    def __init__(self, cfg: Cfg) -> None:
        super().__init__()
        self.sections = cfg.layers
        self.layers = nn.ModuleList()
        self._sources: list[tuple[int, ...]] = []
        self.outputs: list[int] = []
        channels: list[int] = []
        strides: list[float] = []
        self.heads: list[YoloHead] = []
        for index, section in enumerate(cfg.layers):
            sources = _sources(section, index)
            given = [channels[i] for i in sources if i >= 0] or [cfg.net.integer("channels", 3)]
            stride = strides[sources[0]] if sources[0] >= 0 else 1.0
            layer, depth, factor = _make_layer(section, given)
            self.layers.append(layer)
            self._sources.append(sources)
            channels.append(depth)
            strides.append(stride * factor)
            if section.kind == "yolo":
                self.heads.append(_head(section, round(stride), depth))
                self.outputs.append(index)
        if not self.heads:
            raise WeightsError(f"{cfg.net.where}: has no [yolo] layer; a YOLO detector is needed.")

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return what reaches each ``yolo`` layer: (B, A * (5 + classes), H, W), in their order.

        Args:
            images: (B, 3, S, S) RGB in [0, 1].
        """
        maps: list[Tensor] = []
        for layer, sources in zip(self.layers, self._sources, strict=True):
            given = [maps[i] if i >= 0 else images for i in sources]
            is_joint = isinstance(layer, (Route, Shortcut))
            maps.append(layer(given) if is_joint else layer(given[0]))
        return [maps[i] for i in self.outputs]


def make_yolo(cfg: Cfg, side_px: int | None = None) -> Yolo:
    """Return an untrained detector of a description.

    Args:
        side_px: Of the input; None for what the description says.

    Raises:
        WeightsError: The description does not fit together, or its input is no square.
    """
    width = side_px or cfg.net.integer("width")
    height = side_px or cfg.net.integer("height")
    body = DarknetNetwork(cfg)
    coarsest = max(head.stride for head in body.heads)
    if width != height or width % coarsest:
        raise WeightsError(
            f"{cfg.net.where}: its input is {width} x {height}; a square whose side is a multiple "
            f"of {coarsest} is needed."
        )
    class_counts = {
        section.integer("classes", 20) for section in cfg.layers if section.kind == "yolo"
    }
    if len(class_counts) > 1:
        raise WeightsError(f"{cfg.net.where}: its [yolo] layers differ in classes; one is needed.")
    return Yolo(body, body.heads, input_size=width, class_count=class_counts.pop())


def keep_classes(network: Yolo, class_ids: Sequence[int]) -> None:
    """Cut a detector down to some of its classes, which then have the numbers of their places.

    The others' weights go, so nothing is computed for them.

    Args:
        network: Of `make_yolo`, with its weights.
        class_ids: Rising.

    Raises:
        WeightsError: Something else than a linear convolution stands before a ``yolo`` layer.
    """
    depth = BOX_DEPTH + network.class_count
    body = cast(DarknetNetwork, network.body)
    for index, head in zip(body.outputs, body.heads, strict=True):
        layer = body.layers[index - 1]
        if not isinstance(layer, Convolution) or layer.norm is not None:
            where = body.sections[index].where
            raise WeightsError(
                f"{where}: [{body.sections[index - 1].kind}] stands before it; a convolution "
                "without batch norm is needed to keep only some classes."
            )
        kept = [*range(BOX_DEPTH), *(BOX_DEPTH + number for number in class_ids)]
        rows = [anchor * depth + row for anchor in range(len(head.anchors_px)) for row in kept]
        old = layer.conv
        layer.conv = _resized(old, len(rows))
        with torch.no_grad():
            layer.conv.weight.copy_(old.weight[rows])
            cast(Tensor, layer.conv.bias).copy_(cast(Tensor, old.bias)[rows])
    network.class_count = len(class_ids)


def _sources(section: Section, index: int) -> tuple[int, ...]:
    """Return the layers that a layer takes; -1 is the network's input."""
    given: tuple[int, ...] = (-1,)
    if section.kind == "route":
        given = section.integers("layers")
    elif section.kind == "shortcut":
        given = (-1, *section.integers("from"))
    sources = tuple(layer if layer >= 0 else index + layer for layer in given)
    takes_input = section.kind not in ("route", "shortcut") and index == 0
    for layer, source in zip(given, sources, strict=True):
        if source >= index or (source < 0 and not takes_input):
            raise WeightsError(
                f"{section.where}: [{section.kind}] is layer {index} and takes layer {layer}; an "
                "earlier one is needed."
            )
    return sources


def _make_layer(section: Section, channels: list[int]) -> tuple[nn.Module, int, float]:
    """Return a layer, the channels that leave it, and by what it multiplies the stride."""
    match section.kind:
        case "convolutional":
            layer = Convolution(section, channels[0])
            return layer, layer.conv.out_channels, section.integer("stride", 1)
        case "maxpool":
            return MaxPool(section), channels[0], section.integer("stride", 1)
        case "upsample":
            return Upsample(section), channels[0], 1 / section.integer("stride", 2)
        case "route":
            return Route(section), sum(channels) // section.integer("groups", 1), 1
        case "shortcut":
            if len(set(channels)) > 1:
                raise WeightsError(
                    f"{section.where}: adds maps of {' and '.join(map(str, channels))} channels; "
                    "equal numbers are needed."
                )
            return Shortcut(section), channels[0], 1
        case "dropout" | "yolo":
            return nn.Identity(), channels[0], 1
    raise WeightsError(
        f"{section.where}: [{section.kind}] cannot be read; convolutional, maxpool, upsample, "
        "route, shortcut, dropout and yolo can."
    )


def _head(section: Section, stride: int, depth: int) -> YoloHead:
    sizes = section.numbers("anchors")
    pairs = list(zip(sizes[::2], sizes[1::2], strict=False))
    chosen = section.integers("mask", ",".join(map(str, range(len(pairs) or 1))))
    if len(sizes) % 2 or not all(0 <= index < len(pairs) for index in chosen):
        raise WeightsError(
            f"{section.where}: its {len(sizes)} anchor numbers make {len(pairs)} pairs for mask "
            f"{', '.join(map(str, chosen))}; each must name a pair, from 0."
        )
    needed = len(chosen) * (BOX_DEPTH + section.integer("classes", 20))
    if depth != needed:
        raise WeightsError(
            f"{section.where}: {depth} channels reach [yolo]; {len(chosen)} anchors need {needed}."
        )
    scale = section.numbers("scale_x_y", "1")[0]
    return YoloHead(stride, tuple(pairs[index] for index in chosen), scale)


def _activation(section: Section, default: str) -> nn.Module:
    name = section.text("activation", default)
    if name not in _ACTIVATIONS:
        raise WeightsError(
            f"{section.where}: activation {name!r}; one of {', '.join(_ACTIVATIONS)} is needed."
        )
    return _ACTIVATIONS[name]()


def _resized(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Return a convolution like ``conv`` with another number of outputs."""
    size, stride, padding = cast(
        tuple[tuple[int, int], ...], (conv.kernel_size, conv.stride, conv.padding)
    )
    return nn.Conv2d(conv.in_channels, channels, size, stride, padding)
