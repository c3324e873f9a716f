"""What a further box costs: which figures are taken, and what they say."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from maskstream.engines import open_engine
from maskstream.errors import ConfigError
from maskstream.tools.bench.crops import (
    CropFigures,
    NativeFigures,
    crops_table,
    measure_crops,
    plot_crops,
)
from tests.helpers.engines.hand_made import hand_made_file
from tests.helpers.engines.tiny import tiny_engine_file

FIGURES = CropFigures(
    engine="x", precision="bf16", width=1920, height=1080, box_px=(160, 400),
    box_counts=(0, 1, 2), frame_ms=(10.0, 12.0, 14.0), cut_ms=(0.0, 0.25, 0.5),
    masks_ms=(0.0, 1.5, 3.0),
    native=NativeFigures(box_ms={"fp32": 100.0, "bf16": 60.0}, batch_ms={1: 4.0, 16: 32.0}),
)  # fmt: skip


def test_a_box_costs_the_slope_of_the_frames_times():
    assert FIGURES.box_ms == pytest.approx(2.0)
    assert FIGURES.mask_ms == pytest.approx(1.5)
    assert FIGURES.cut_box_ms == pytest.approx(0.25)


def test_the_recipes_way_is_compared_in_each_precision_and_number():
    native = FIGURES.native
    assert native is not None
    assert native.times("fp32", 1) == pytest.approx(25)
    assert native.times("bf16", 16) == pytest.approx(30)


def test_the_figures_are_drawn_and_shown(tmp_path):
    plot_crops(FIGURES, tmp_path / "crops.png")
    assert (tmp_path / "crops.png").read_bytes().startswith(b"\x89PNG")
    written = io.StringIO()
    Console(file=written, width=120).print(crops_table(FIGURES))
    shown = written.getvalue()
    for words in ("x, bf16", "each adds", "25.0 times", "50.0 times", "30.0 times"):
        assert words in shown
    assert len(crops_table(replace(FIGURES, native=None)).renderables) == 1


def test_each_number_of_boxes_is_measured():
    with open_engine(str(hand_made_file()), threads=1, batch=1) as engine:
        figures = measure_crops(
            engine, width=320, height=240, box_px=(20, 40), box_counts=(0, 3), repeats=1
        )
        assert engine.left_out_count == 0
    assert np.array([figures.frame_ms, figures.cut_ms, figures.masks_ms]).shape == (3, 2)
    assert figures.masks_ms[0] == 0 < figures.masks_ms[1]
    assert figures.cut_ms[0] == 0 < figures.cut_ms[1]
    assert figures.native is None
    assert figures.precision


def test_an_engine_whose_first_stage_masks_is_refused():
    with (
        open_engine(str(tiny_engine_file()), threads=1, batch=1) as engine,
        pytest.raises(ConfigError, match=r"tiny: its first stage masks boxes too; .* yolo-fcn"),
    ):
        measure_crops(engine)
