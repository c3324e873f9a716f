"""What each further box costs in an engine of two stages, beside an FCN8s once a box."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from maskstream.engines.decoding.crops import crop_extents
from maskstream.engines.engine import Engine
from maskstream.errors import ConfigError
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.colors import LIMITED_RANGE
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.tools.measuring.tables import table
from maskstream.tools.measuring.timing import medians_ms

BOX_COUNTS = (0, 1, 2, 4, 8, 16)
BOX_PX = (240, 600)
"""Width and height of the boxes: people over half the height of a 1080p frame."""
_NATIVE_REPEATS = 3
_TORCH_KINDS = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
"""What PyTorch calls what an engine can be computed in."""
_BT601 = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFigures:
    """The recipe's way beside the engine's, in the same turns.

    Attributes:
        box_ms: Of a box through FCN8s in PyTorch as the recipe does it, by itself and at the size
            that it has, by what is computed in: fp32, and what the engine computes in.
        batch_ms: Of the engine's second graph, by how many boxes it is given at once.
    """

    box_ms: Mapping[str, float]
    batch_ms: Mapping[int, float]

    def times(self, precision: str, count: int) -> float:
        """Return how many times longer so many boxes take the recipe's way."""
        return count * self.box_ms[precision] / self.batch_ms[count]


@dataclass(frozen=True, slots=True)
class CropFigures:
    """Median times, all in one run.

    Attributes:
        precision: That the second graph is computed in.
        box_px: Width and height of the boxes.
        box_counts: In a frame, rising.
        frame_ms: Of the whole frame with so many boxes: detect, cut, mask.
        cut_ms: Of cutting so many boxes out of the frame alone; 0 for none.
        masks_ms: Of the second graph alone on so many crops; 0 for none.
        native: None if not asked for.
    """

    engine: str
    precision: str
    width: int
    height: int
    box_px: tuple[int, int]
    box_counts: tuple[int, ...]
    frame_ms: tuple[float, ...]
    cut_ms: tuple[float, ...]
    masks_ms: tuple[float, ...]
    native: NativeFigures | None = None

    @property
    def box_ms(self) -> float:
        """What a box adds to a frame: the slope of a line through the frame's times."""
        return _slope(self.box_counts, self.frame_ms)

    @property
    def cut_box_ms(self) -> float:
        """What a box adds in cutting alone."""
        return _slope(self.box_counts, self.cut_ms)

    @property
    def mask_ms(self) -> float:
        """What a box adds in the second graph alone."""
        return _slope(self.box_counts, self.masks_ms)


def measure_crops(
    engine: Engine,
    *,
    width: int = 1920,
    height: int = 1080,
    box_px: tuple[int, int] = BOX_PX,
    box_counts: Sequence[int] = BOX_COUNTS,
    repeats: int = 15,
    has_native: bool = False,
) -> CropFigures:
    """Return the figures of an engine.

    Args:
        engine: Of a family of two stages.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
        box_px: Width and height of its boxes.
        box_counts: How many they are, each measured.
        repeats: Of each.
        has_native: Whether to measure FCN8s once a box too, which needs torch and 0.6 GB.

    Raises:
        ConfigError: The engine has one stage.
    """
    if engine.manifest.crop_px is None or engine.manifest.crop_share_max is not None:
        raise ConfigError(
            f"{engine.manifest.name}: its first stage masks boxes too; an engine of the family "
            "yolo-fcn is needed."
        )
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, height * width * 3 // 2, np.uint8)
    picture = PlanesPicture(planes_of(pixels, width, height), LIMITED_RANGE, _BT601)
    crop_side = engine.manifest.crop_px
    crops = random.integers(0, 256, (max(box_counts), crop_side, crop_side, 3), np.uint8)
    rows = {count: _rows(count, (width, height), box_px, random) for count in box_counts}

    # Boxes all over the frame, as those of the frames are: what lies in no cache takes longer.
    edges = random.uniform(0, 1, (max(box_counts), 2)) * (np.array([width, height]) - box_px)
    boxes = np.concatenate([edges, edges + box_px], axis=1).astype(np.float32)
    extents = crop_extents(boxes, engine.manifest.crop_margin, width, height)
    calls = _calls(engine, picture, (width, height), rows, extents, crops)
    taken_ms = medians_ms(calls, repeats=repeats)
    return CropFigures(
        engine=engine.manifest.name,
        precision=engine.crop_precision,
        width=width,
        height=height,
        box_px=box_px,
        box_counts=tuple(box_counts),
        frame_ms=tuple(taken_ms[f"frame {count}"] for count in box_counts),
        cut_ms=tuple(taken_ms.get(f"cut {count}", 0.0) for count in box_counts),
        masks_ms=tuple(taken_ms.get(f"masks {count}", 0.0) for count in box_counts),
        native=_measure_native(engine, box_px, crops) if has_native else None,
    )


def _calls(
    engine: Engine,
    picture: PlanesPicture,
    size_px: tuple[int, int],
    rows: Mapping[int, Mapping[str, NDArray[Any]]],
    extents: NDArray[np.int32],
    crops: NDArray[np.uint8],
) -> dict[str, Callable[[], object]]:
    """Return what is measured for each count of boxes: the frame, cutting alone, masks alone."""
    side = engine.manifest.input_size
    frames = np.random.default_rng(1).integers(0, 256, (1, side, side, 3), np.uint8)

    def frame(count: int) -> None:
        engine.infer(frames)  # what it finds in noise does not matter
        engine.assemble(rows[count], [size_px], score_min=0.5, top_k=count + 1, pictures=[picture])

    calls: dict[str, Callable[[], object]] = {
        f"frame {count}": partial(frame, count) for count in rows
    }
    for count in filter(None, rows):
        calls[f"cut {count}"] = partial(picture.cut, extents[:count], crops.shape[1])
        calls[f"masks {count}"] = partial(engine.mask_crops, crops[:count])
    return calls


def crops_table(figures: CropFigures) -> Group:
    """Return the figures as they are shown."""
    made = table(
        f"{figures.engine}, {figures.precision}: boxes of {figures.box_px[0]}x{figures.box_px[1]} "
        f"in {figures.width}x{figures.height}",
        ("boxes", "frame, ms", "cutting alone, ms", "masks alone, ms"),
    )
    columns = zip(figures.frame_ms, figures.cut_ms, figures.masks_ms, strict=True)
    for count, times_ms in zip(figures.box_counts, columns, strict=True):
        made.add_row(str(count), *(f"{time_ms:.1f}" for time_ms in times_ms))
    made.add_section()
    slopes_ms = figures.box_ms, figures.cut_box_ms, figures.mask_ms
    made.add_row("each adds", *(f"{slope_ms:.2f}" for slope_ms in slopes_ms))
    return Group(made) if figures.native is None else Group(made, _native_table(figures.native))


def _native_table(native: NativeFigures) -> Table:
    counts = list(native.batch_ms)
    made = table(
        "FCN8s (VGG16) in PyTorch, once a box at the box's own size",
        ("computed in", "a box, ms", *(f"beside {count} at once" for count in counts)),
    )
    made.add_row(
        "the engine", "", *(f"{native.batch_ms[count] / count:.1f} ms a box" for count in counts)
    )
    for precision, box_ms in native.box_ms.items():
        times = (f"{native.times(precision, count):.1f} times" for count in counts)
        made.add_row(precision, f"{box_ms:.0f}", *times)
    return made


def plot_crops(figures: CropFigures, path: Path) -> None:
    """Write a PNG: the frame's time by its boxes, beside what the masks alone account for."""
    from matplotlib.figure import Figure

    counts, frame_ms = np.array(figures.box_counts), np.array(figures.frame_ms)
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(counts, frame_ms, "o-", label="whole frame")
    without = frame_ms[0] - figures.masks_ms[0]
    masks_ms, cut_ms = np.array(figures.masks_ms), np.array(figures.cut_ms)
    axes.plot(counts, without + masks_ms + cut_ms, "^--", label="no box + cutting + masks alone")
    axes.plot(counts, without + masks_ms, "s--", label="no box + masks alone")
    title = (
        f"{figures.engine}: a box adds {figures.box_ms:.2f} ms; alone, its cutting takes "
        f"{figures.cut_box_ms:.2f} and its mask {figures.mask_ms:.2f}"
    )
    axes.set(xlabel="boxes", ylabel="ms", title=title)
    axes.title.set_fontsize("small")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def _rows(
    count: int, size_px: tuple[int, int], box_px: tuple[int, int], random: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Return a detector's outputs with boxes of one size, in a letterboxed input."""
    size, box, side = np.array(size_px), np.array(box_px), max(size_px)
    starts = random.uniform(0, 1, (count, 2)) * (size - box)
    bars = (side - size) / 2
    edges = np.concatenate([starts, starts + box], axis=1)
    return {
        "boxes": ((edges + np.tile(bars, 2)) / side)[None].astype(np.float32),
        "scores": np.full((1, count), 0.9, np.float32),
        "class_ids": np.zeros((1, count), np.int32),
    }


def _measure_native(
    engine: Engine, box_px: tuple[int, int], crops: NDArray[np.uint8]
) -> NativeFigures:
    """Return the times of a box cut out at its own size, and of crops in the engine, by turns."""
    import torch

    from maskstream.engines.networks.fcn.network import Fcn8s

    network = Fcn8s(2).eval()
    shape = (1, box_px[1], box_px[0], 3)
    crop = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))

    def box(precision: str) -> None:
        kind = getattr(torch, _TORCH_KINDS[precision])
        with torch.inference_mode(), torch.autocast("cpu", kind, enabled=precision != "fp32"):
            network(crop).argmax(dim=1)

    # A graph in a precision that PyTorch lacks is compared with fp32 alone.
    precisions = [name for name in _TORCH_KINDS if name in ("fp32", engine.crop_precision)]
    counts = (1, len(crops))
    calls: dict[str, Callable[[], object]] = {name: partial(box, name) for name in precisions}
    calls |= {str(count): partial(engine.mask_crops, crops[:count]) for count in counts}
    taken_ms = medians_ms(calls, repeats=_NATIVE_REPEATS)
    return NativeFigures(
        box_ms={name: taken_ms[name] for name in precisions},
        batch_ms={count: taken_ms[str(count)] for count in counts},
    )


def _slope(counts: Sequence[int], values_ms: Sequence[float]) -> float:
    return float(np.polyfit(counts, values_ms, 1)[0])
