"""A labelled set on one page: some of its pictures with their masks, and its distributions."""

from __future__ import annotations

import math
import random
import warnings
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from maskstream.train.errors import AnnotationError
from maskstream.train.samples.coco import CocoSet, LabelledImage

CELL_PX = 256
COLUMNS = 6
COLUMNS_MIN = 4
"""A picture alone fills this share of the sheet's width, and not all of it."""
BARS_MAX = 30
"""Classes with a bar of their own."""
SMALL_PX, LARGE_PX = 32, 96
"""COCO calls objects small and large below and above squares of these sides."""
_OPACITY = 0.45
_GAP_PX = 4

Color = tuple[int, int, int]


def draw_sheet(dataset: CocoSet, path: Path, *, count: int, seed: int) -> None:
    """Write a PNG.

    Args:
        count: Pictures on it at most, chosen by chance.
        seed: Of that chance.

    Raises:
        AnnotationError: There are no pictures, or one cannot be read.
    """
    if not dataset.images:
        raise AnnotationError(f"{dataset.path}: lists no pictures; there is nothing to show.")
    chosen = random.Random(seed).sample(dataset.images, min(count, len(dataset.images)))
    chosen.sort(key=lambda image: image.image_id)
    colors = class_colors(len(dataset.class_names))
    sheet = _tiled([_cell(image, colors) for image in chosen])
    height_in = 14 * sheet.shape[0] / sheet.shape[1]
    figure = Figure(figsize=(14, height_in + 5), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(height_in, 5))
    axes = figure.add_subplot(grid[0, :])
    axes.imshow(sheet)
    axes.set_axis_off()
    title = f"{dataset.path.name}: {len(chosen)} of {len(dataset.images)} pictures"
    axes.set_title(title, parse_math=False)
    _plot_classes(figure.add_subplot(grid[1, 0]), dataset, colors)
    _plot_sizes(figure.add_subplot(grid[1, 1]), dataset)
    _plot_counts(figure.add_subplot(grid[1, 2]), dataset)
    with warnings.catch_warnings():
        # Class names may be of any script; what the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=110, format="png")


def class_colors(count: int) -> list[Color]:
    """Return an RGB colour for each class, neighbours far apart in hue."""
    hues = [int(180 * ((number * 0.618034) % 1)) for number in range(count)]
    hsv = np.array([[(hue, 200, 255) for hue in hues]], np.uint8)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0]
    return [(int(r), int(g), int(b)) for r, g, b in rgb]


def _cell(image: LabelledImage, colors: list[Color]) -> NDArray[np.uint8]:
    """Return a picture at the size of a cell, with masks filled and boxes without masks drawn."""
    scale = CELL_PX / max(image.width, image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    picture = cv2.resize(image.read(), size, interpolation=cv2.INTER_AREA)
    for annotation in image.annotations:
        color = (128, 128, 128) if annotation.is_crowd else colors[annotation.class_id]
        if annotation.rle is None:
            left, top, width, height = (value * scale for value in annotation.box_xywh_src)
            corners = (int(left), int(top)), (int(left + width), int(top + height))
            cv2.rectangle(picture, *corners, color, 1)
            continue
        share = cv2.resize(annotation.mask() * 255, size, interpolation=cv2.INTER_AREA)
        mask = np.asarray(share >= 128, np.uint8)
        inside = mask > 0
        picture[inside] = (1 - _OPACITY) * picture[inside] + _OPACITY * np.array(color)
        outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, color, 1)
    cell = np.full((CELL_PX, CELL_PX, 3), 255, np.uint8)
    top, left = (CELL_PX - size[1]) // 2, (CELL_PX - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = picture
    return cell


def _tiled(cells: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    step = CELL_PX + _GAP_PX
    columns = max(COLUMNS_MIN, min(COLUMNS, len(cells)))
    rows = math.ceil(len(cells) / columns)
    sheet = np.full((rows * step, columns * step, 3), 255, np.uint8)
    for number, cell in enumerate(cells):
        top, left = number // columns * step, number % columns * step
        sheet[top : top + CELL_PX, left : left + CELL_PX] = cell
    return sheet


def _plot_classes(axes: Axes, dataset: CocoSet, colors: list[Color]) -> None:
    counts = Counter(a.class_id for image in dataset.images for a in image.annotations)
    shown = sorted(range(len(dataset.class_names)), key=lambda c: -counts[c])[:BARS_MAX]
    names = [dataset.class_names[class_id] for class_id in shown]
    bars = axes.barh(
        range(len(shown)),
        [counts[class_id] for class_id in shown],
        color=[[part / 255 for part in colors[class_id]] for class_id in shown],
    )
    axes.bar_label(bars, fontsize=7)
    size = 7 if len(shown) > 12 else 9
    axes.set_yticks(range(len(shown)), names, fontsize=size, parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlim(0, max(1.0, axes.get_xlim()[1]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    more = len(dataset.class_names) - len(shown)
    axes.set(title=f"{more} classes more, with fewer" if more else "classes", xlabel="objects")


def _plot_sizes(axes: Axes, dataset: CocoSet) -> None:
    sides = [
        math.sqrt(width * height)
        for image in dataset.images
        for _, _, width, height in (a.box_xywh_src for a in image.annotations)
        if width > 0 and height > 0
    ]
    if sides:
        # At least two octaves, or sides that are all alike would have a bar too thin to be seen.
        middle = math.sqrt(min(sides) * max(sides))
        bins = np.geomspace(min(*sides, middle / 2) * 0.99, max(*sides, middle * 2) * 1.01, 30)
        axes.hist(sides, bins=bins.tolist(), color="0.4")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(lambda side, _: f"{side:g}")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    for side in (SMALL_PX, LARGE_PX):
        axes.axvline(side, color="C3", linestyle="--", linewidth=1)
    axes.set(title="boxes", xlabel="side of the square of their area, px", ylabel="objects")


def _plot_counts(axes: Axes, dataset: CocoSet) -> None:
    counts = [len(image.annotations) for image in dataset.images]
    axes.hist(counts, bins=(np.arange(max(*counts, 1) + 2) - 0.5).tolist(), color="0.4")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set(title="objects of a picture", xlabel="objects", ylabel="pictures")
