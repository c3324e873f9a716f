"""`maskstream data add-masks`: boxes filled by the second stage of a hand-made engine."""

import json

import cv2
import numpy as np
import pytest
import typer
from pycocotools import mask as coco_mask

from maskstream.errors import ConfigError
from maskstream.tools.datasets.add_masks import add_masks
from tests.helpers.engines.hand_made import hand_made_file
from tests.helpers.engines.tiny import tiny_engine_file

app = typer.Typer()
app.command()(add_masks)
POLYGON = [[60.0, 60.0, 70.0, 60.0, 70.0, 70.0]]


def run(*arguments: object) -> None:
    """Run `maskstream data add-masks` with arguments."""
    app([str(argument) for argument in arguments], prog_name="x", standalone_mode=False)


@pytest.fixture
def boxes(tmp_path):
    """One picture: a disc with its box, a box around nothing, a mask, a crowd, another class."""
    rgb = np.zeros((96, 128, 3), np.uint8)
    cv2.circle(rgb, (40, 40), 16, (255, 0, 0), -1)
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    annotations = [
        {"category_id": 5, "bbox": [24, 24, 33, 33]},
        {"category_id": 5, "bbox": [80, 50, 40, 40]},
        {"category_id": 5, "bbox": [60, 60, 10, 10], "segmentation": POLYGON, "area": 50},
        {"category_id": 5, "bbox": [24, 24, 33, 33], "iscrowd": 1},
        {"category_id": 9, "bbox": [24, 24, 33, 33]},
    ]
    document = {
        "images": [{"id": 3, "file_name": "a.png", "width": 128, "height": 96}],
        "categories": [{"id": 5, "name": "red"}, {"id": 9, "name": "cat"}],
        "annotations": [{"id": n, "image_id": 3, **a} for n, a in enumerate(annotations, 1)],
    }
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(document))
    return path


def test_boxes_that_show_an_object_get_its_mask(boxes, tmp_path, capsys):
    output = tmp_path / "masks.json"
    run(boxes, "-o", output, "--engine", hand_made_file())
    assert capsys.readouterr().out == f"{output}: 1 of 2 boxes have a mask now\n"
    before, after = (json.loads(path.read_text()) for path in (boxes, output))
    disc = after["annotations"][0]
    mask = coco_mask.decode(disc["segmentation"])
    assert mask.shape == (96, 128)
    # Its box has three quarters of the drawn pixels' in common with the labelled one by far, and
    # the disc, scaled to 32 pixels with its margin and back, almost all of its own.
    truth = cv2.circle(np.zeros((96, 128), np.uint8), (40, 40), 16, 1, -1)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9
    assert disc["area"] == mask.sum()
    assert after["annotations"][1:] == before["annotations"][1:]
    assert after["images"] == before["images"]


def test_how_well_a_mask_must_fill_its_box_can_be_asked_for(boxes, tmp_path, capsys):
    output = tmp_path / "masks.json"
    run(boxes, "-o", output, "--engine", hand_made_file(), "--agreement", 1)
    assert "0 of 2 boxes" in capsys.readouterr().out
    assert json.loads(output.read_text()) == json.loads(boxes.read_text())


def test_an_engine_that_cannot_fill_boxes_is_refused(boxes, tmp_path):
    with pytest.raises(ConfigError, match=r"--engine: .* has one stage; one of two is needed"):
        run(boxes, "-o", tmp_path / "m.json", "--engine", tiny_engine_file())
    boxes.write_text(boxes.read_text().replace('"red"', '"dog"'))
    with pytest.raises(ConfigError, match=r"knows red, blue; .*boxes.json has dog, cat"):
        run(boxes, "-o", tmp_path / "m.json", "--engine", hand_made_file())
    assert not (tmp_path / "m.json").exists()
