"""Exporting a network with a second one that masks small boxes, and what cannot be joined."""

from typing import Any

import numpy as np
import onnx
import pytest

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.errors import ConfigError
from tests.helpers.engines.hand_made import CROP_PX, hand_made_file
from tests.helpers.engines.tiny import CLASS_NAMES, tiny_engine_file
from tests.tools.engine_files.test_export_command import run, run_folder

__all__ = ["run_folder"]

SHARE_MAX = 0.02


@pytest.fixture(scope="module")
def joined(run_folder, tmp_path_factory):
    """The tiny network as it was trained, with a second one from another engine."""
    path = tmp_path_factory.mktemp("joined") / "joined.onnx"
    run(run_folder, "--crops", hand_made_file(), "--crop-share-max", SHARE_MAX, "-o", path)
    return path


@pytest.mark.slow
def test_it_says_what_it_is_made_of(joined):
    manifest = read_manifest(joined)
    assert (manifest.family, manifest.class_names) == ("yolact", CLASS_NAMES)
    assert (manifest.crop_px, manifest.crop_margin) == (CROP_PX, 0.25)
    assert (manifest.crop_share_max, manifest.patch_px) == (SHARE_MAX, CROP_PX)
    assert manifest.source.startswith("tiny trained on shapes.json (4 images); ")
    assert manifest.tools["onnx"] == onnx.__version__
    onnx.checker.check_model(onnx.load(joined))


@pytest.mark.slow
def test_small_boxes_have_masks_of_the_second_and_large_ones_of_the_first(joined):
    """Every pixel is bright, so the second says of all that they belong to the object."""
    rgb = np.random.default_rng(0).integers(180, 256, (64, 64, 3), np.uint8)
    wanted: dict[str, Any] = {"score_min": 0.01, "top_k": 50}
    with open_engine(str(joined), threads=1) as engine:
        outputs = engine.infer(rgb[None])
        (expected,) = engine.assemble(outputs, [(64, 64)], **wanted)
        (found,) = engine.assemble(outputs, [(64, 64)], pictures=[RgbPicture(rgb)], **wanted)
    np.testing.assert_array_equal(found.boxes_xyxy_src, expected.boxes_xyxy_src)
    sizes = found.boxes_xyxy_src[:, 2:] - found.boxes_xyxy_src[:, :2]
    is_small = sizes.prod(axis=1) <= SHARE_MAX * 64 * 64
    assert 0 < is_small.sum() < len(found)
    for row, small in enumerate(is_small):
        if small:
            assert found.patches[row].shape == (CROP_PX, CROP_PX)
            assert found.mask(row).all()
        else:
            assert found.patches[row].shape == expected.patches[row].shape


@pytest.mark.slow
def test_an_engine_file_is_as_good_as_a_run(joined, tmp_path):
    run(tiny_engine_file(), "--crops", joined, "-o", tmp_path / "again.onnx", "--source", "both")
    manifest = read_manifest(tmp_path / "again.onnx")
    assert (manifest.source, manifest.crop_px) == ("both", CROP_PX)
    names = [node.name for node in onnx.load(tmp_path / "again.onnx").graph.node]
    assert not any(name.startswith("crops/crops/") for name in names)
    with open_engine(str(tmp_path / "again.onnx"), threads=1) as engine:
        assert engine.crop_precision


@pytest.mark.slow
def test_what_cannot_be_joined_is_refused(joined, tmp_path):
    output = tmp_path / "x.onnx"
    with pytest.raises(ConfigError, match="is of yolact and of two stages already"):
        run(joined, "--crops", joined, "-o", output)
    with pytest.raises(ConfigError, match="has one stage; an engine of two is needed"):
        run(tiny_engine_file(), "--crops", tiny_engine_file(), "-o", output)
    with pytest.raises(ConfigError, match="a run's folder is needed without --crops"):
        run(tiny_engine_file(), "-o", output)
    assert not output.exists()
