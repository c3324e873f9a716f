"""A whole run with an engine of two stages: crops out of the frames, masks back into them."""

import json

import cv2
import numpy as np
import pytest

from tests.helpers.clips import make_clip
from tests.helpers.engines.hand_made import hand_made_file

pytestmark = pytest.mark.system
SQUARES = ((32, 16), (96, 64))
"""Left and top of the two red squares of 16 x 16 pixels."""


def red_squares(_number, width, height):
    rgb = np.zeros((height, width, 3), np.uint8)
    for left, top in SQUARES:
        rgb[top : top + 16, left : left + 16] = (255, 0, 0)
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("squares") / "squares.mp4"
    make_clip(path, size=(128, 96), paint=red_squares)
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_frame_has_its_objects_masked(maskstream, clip, tmp_path):
    results = tmp_path / "r.ndjson"
    done = maskstream(
        "run", clip, "--engine", hand_made_file(), "--score", 0.6, "-o", tmp_path / "out.mp4",
        "--results", results,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frames = [line for line in lines_of(results) if "instances" in line]
    assert len(frames) == 5
    for frame in frames:
        boxes = sorted(instance["box"] for instance in frame["instances"])
        np.testing.assert_allclose(boxes, [[24, 8, 32, 32], [88, 56, 32, 32]], atol=4)
        assert all(instance["class"] == "red" for instance in frame["instances"])


def test_boxes_beyond_the_limit_are_told(maskstream, clip, tmp_path):
    results = tmp_path / "r.ndjson"
    done = maskstream(
        "run", clip, "--engine", hand_made_file(), "--score", 0.6, "--batch", 1,
        "--max-crops", 1, "--results", results,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "5 boxes were left out" in done.stderr
    assert "raise --max-crops to keep them" in done.stderr
