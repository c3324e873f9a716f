"""Engines of others in the commands: the line, and pictures."""

import json

import cv2
import numpy as np
import pytest

from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.options import RunOptions, RuntimeOptions
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.tools.images.command import images
from tests.helpers.engines.foreign import CLASS_NAMES, changed_file


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """A file whose shapes do not tell what it is."""
    shapes = {"output0": ["a", "b", "c"], "output1": ["a", "d", "e", "f"]}
    return changed_file(tmp_path_factory.mktemp("engines") / "theirs.onnx", shapes=shapes)


def _classes_seen(results):
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    return len(lines), {each["class"] for line in lines for each in line["instances"]}


def test_the_line_runs_a_file_of_the_family_that_is_named(engine, tmp_path):
    results = tmp_path / "seen.ndjson"
    options = RunOptions(
        sources=("synthetic:numbered?size=160x120&fps=30&frames=6",),
        engine=str(engine),
        runtime=RuntimeOptions(backend="openvino", precision="fp32", family="yolo-seg"),
        deliveries=parse_deliveries(results=[str(results)]),
        score_min=0.0,
    )
    result = run_pipeline(options, on_event=lambda _: None, on_tick=lambda _: None)
    assert (result.exit_code, result.message) == (0, "")
    count, classes = _classes_seen(results)
    assert count == 6
    assert classes
    assert classes <= set(CLASS_NAMES)


def test_pictures_are_masked_by_it(engine, tmp_path):
    picture = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    cv2.imwrite(str(picture), noise)
    results = tmp_path / "seen.ndjson"
    images(
        picture, output=tmp_path / "out.png", engine=str(engine), score=0.1, results=results,
        backend="openvino", family="yolo-seg",
    )  # fmt: skip
    assert _classes_seen(results)[1] <= set(CLASS_NAMES)
    drawn = cv2.imread(str(tmp_path / "out.png"))
    assert drawn is not None
    assert not np.array_equal(drawn, noise)
