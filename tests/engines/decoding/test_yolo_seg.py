"""Files of others: what they are taken for, and what becomes of their rows."""

import numpy as np
import pytest
import torch
import torchvision

from maskstream.engines import open_engine
from maskstream.engines.decoding.prototypes import Selection
from maskstream.engines.decoding.yolo_seg import assemble, nms
from maskstream.engines.errors import EngineFileError
from maskstream.engines.files.zoo import read_manifest
from maskstream.engines.interface.fit import make_fit
from tests.helpers.engines.foreign import CELL_COUNT, CLASS_NAMES, SIDE, changed_file, foreign_file

MASKS = 2


def _outputs(rows):
    """A frame whose cells have nothing but ``rows``: box, scores of two classes, coefficients."""
    cells = np.zeros((4 + 2 + MASKS, CELL_COUNT), np.float32)
    for place, row in enumerate(rows):
        cells[:, 7 * place] = row
    prototypes = np.full((MASKS, 16, 16), -10, np.float32)
    prototypes[0, :, :8] = 10  # the left half of the input
    prototypes[1, :8] = 10  # its upper half
    return {"output0": cells[None], "output1": prototypes[None]}


def test_boxes_are_brought_back_from_the_letterbox_to_the_frame():
    # A frame of 128 x 64 lies in rows 16 to 48 of the input, at half its size.
    outputs = _outputs([(32, 32, 16, 8, 0.1, 0.9, 1, 0)])
    found = assemble(outputs, 0, make_fit("letterbox", 128, 64, SIDE), Selection())
    np.testing.assert_allclose(found.boxes_xyxy_src, [[48, 24, 80, 40]], atol=1e-3)
    assert found.class_ids.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.9])


def test_a_mask_is_its_prototypes_weighed_inside_its_box():
    rows = [(32, 32, 32, 32, 0.9, 0, 1, 0), (32, 32, 32, 32, 0, 0.8, 0, 1)]
    found = assemble(_outputs(rows), 0, make_fit("letterbox", 64, 64, SIDE), Selection())
    assert found.extents_xyxy_src.tolist() == [[16, 16, 48, 48]] * 2
    left, upper = found.mask(0), found.mask(1)
    assert left[:, :14].all()
    assert not left[:, 18:].any()
    assert upper[:14].all()
    assert not upper[18:].any()


def test_rows_are_chosen_by_score_class_and_count():
    rows = [
        (10, 10, 8, 8, 0.5, 0, 1, 0),
        (30, 30, 8, 8, 0, 0.7, 1, 0),
        (50, 50, 8, 8, 0.9, 0.2, 1, 0),
        (50, 10, 8, 8, 0.2, 0.1, 1, 0),
    ]
    fit = make_fit("letterbox", 64, 64, SIDE)

    def scores(**selection):
        found = assemble(_outputs(rows), 0, fit, Selection(**selection))
        return [round(float(score), 3) for score in found.scores]

    assert scores() == [0.9, 0.7, 0.5]
    assert scores(score_min=0.6) == [0.9, 0.7]
    assert scores(class_ids=frozenset({0})) == [0.9, 0.5]
    assert scores(top_k=1) == [0.9]
    assert scores(score_min=0.95) == []


def test_nms_keeps_what_an_independent_one_keeps():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 40, (300, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 25, (300, 2))], 1).astype(np.float32)
    class_ids = rng.integers(0, 2, 300)
    scores = torch.linspace(1, 0, 300)
    kept = torchvision.ops.batched_nms(
        torch.from_numpy(boxes), scores, torch.from_numpy(class_ids), 0.7
    )
    assert nms(boxes, class_ids, iou_max=0.7, count_max=300).tolist() == kept.tolist()
    assert 100 < len(kept) < 300
    assert nms(boxes, class_ids, iou_max=0.7, count_max=5).tolist() == kept[:5].tolist()


@pytest.mark.parametrize("is_dynamic", [False, True])
def test_a_file_is_known_by_its_shapes_and_read_from_its_metadata(is_dynamic):
    manifest = read_manifest(foreign_file(is_dynamic=is_dynamic))
    assert (manifest.family, manifest.layout, manifest.fit) == ("yolo-seg", "planes", "letterbox")
    assert manifest.class_names == CLASS_NAMES
    assert manifest.input_size == SIDE
    assert manifest.patch_px == 16
    assert manifest.licence == "CC0-1.0"


def test_a_side_that_is_not_fixed_is_taken_from_the_metadata(tmp_path):
    shapes = {
        "images": ["batch", 3, "height", "width"],
        "output0": ["batch", 39, "cells"],
        "output1": ["batch", 32, "rows", "columns"],
    }
    path = changed_file(tmp_path / "x.onnx", shapes=shapes)
    assert read_manifest(path).input_size == SIDE


def test_a_file_whose_shapes_do_not_tell_runs_under_the_family_that_is_named(tmp_path):
    shapes = {"output0": ["a", "b", "c"], "output1": ["a", "d", "e", "f"]}
    path = changed_file(tmp_path / "x.onnx", shapes=shapes)
    with pytest.raises(EngineFileError, match="without our manifest"):
        read_manifest(path)
    assert read_manifest(path, "yolo-seg").class_names == CLASS_NAMES
    with pytest.raises(EngineFileError, match="yolo-seg alone"):
        read_manifest(path, "yolo-pose")


@pytest.mark.parametrize(
    ("metadata", "shapes", "text"),
    [
        pytest.param({"names": None}, {}, "has no 'names'", id="no-names"),
        pytest.param({"names": "{0: open('x')}"}, {}, "a Python dict", id="code"),
        pytest.param({"names": "{1: 'a', 2: 'b'}"}, {}, "0, 1, 2", id="numbers"),
        pytest.param({"names": "{0: 'cat'}"}, {}, "with 1 classes", id="class-count"),
        pytest.param({"task": "pose"}, {}, "needs 'segment'", id="task"),
        pytest.param({}, {"images": [1, 3, 64, 96]}, "64 x 96", id="not-square"),
        pytest.param({}, {"images": [1, 3, 50, 50]}, "multiple of 32", id="no-multiple"),
        pytest.param({}, {"output0": [1, 300, 38]}, "without NMS", id="nms-in-graph"),
        pytest.param(
            {"imgsz": None}, {"images": [1, 3, "h", "w"]}, "has no 'imgsz'", id="no-size"
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_said(tmp_path, metadata, shapes, text):
    path = changed_file(tmp_path / "x.onnx", metadata=metadata, shapes=shapes)
    with pytest.raises(EngineFileError, match=text) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_one_frame_at_a_time_and_batches_see_the_same():
    frames = np.random.default_rng(2).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    seen = []
    for is_dynamic in (False, True):
        path = str(foreign_file(is_dynamic=is_dynamic))
        with open_engine(path, backend="openvino", precision="fp32") as engine:
            seen.append(engine.detect(frames, [(200, 100)] * 3, score_min=0.5))
    for alone, together in zip(*seen, strict=True):
        assert len(alone) > 0
        np.testing.assert_allclose(alone.boxes_xyxy_src, together.boxes_xyxy_src, atol=1e-2)
        assert alone.class_ids.tolist() == together.class_ids.tolist()
