"""`maskstream eval` on engine files and on checkpoints, with files for COCO's server."""

import json

import pytest
import torch

from maskstream.engines.errors import EngineError
from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolact.network import Yolact
from maskstream.errors import ConfigError
from maskstream.tools.training.eval_command import evaluate
from maskstream.train.errors import TrainError
from tests.helpers.engines.tiny import tiny_engine_file
from tests.helpers.engines.trained import write_run
from tests.helpers.shapes import write_shapes


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), 6)


@pytest.fixture(scope="module")
def engine():
    return str(tiny_engine_file())


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """The folder of a run whose averaged weights are those of the engine file."""
    return write_run(tmp_path_factory.mktemp("run"))


def _figures(path):
    return json.loads(path.read_text())


def test_files_for_the_server_hold_what_was_seen(engine, shapes, tmp_path, capsys):
    evaluate(shapes, engine, output=tmp_path / "m.json", output_coco_json=tmp_path / "results")
    boxes, masks = (
        json.loads((tmp_path / "results" / name).read_text())
        for name in ("bbox_detections.json", "mask_detections.json")
    )
    assert len(boxes) == len(masks) > 0
    assert set(boxes[0]) == {"image_id", "category_id", "bbox", "score"}
    assert set(masks[0]) == {"image_id", "category_id", "segmentation", "score"}
    assert {entry["category_id"] for entry in boxes} <= {3, 7, 9}
    metrics = _figures(tmp_path / "m.json")
    assert list(metrics["by_class"]) == ["circle", "square", "star"]
    printed = capsys.readouterr().out
    assert "masks" in printed
    assert "circle" in printed


def test_the_files_score_as_what_was_seen_did(engine, shapes, tmp_path):
    evaluate(shapes, engine, output=tmp_path / "m.json", output_coco_json=tmp_path)
    evaluate(shapes, score_coco_json=tmp_path, output=tmp_path / "again.json")
    assert _figures(tmp_path / "again.json") == _figures(tmp_path / "m.json")
    (tmp_path / "mask_detections.json").unlink()
    evaluate(shapes, score_coco_json=tmp_path, output=tmp_path / "boxes.json")
    assert _figures(tmp_path / "boxes.json")["bbox"] == _figures(tmp_path / "m.json")["bbox"]
    with pytest.raises(TrainError, match="holds no bbox_detections"):
        evaluate(shapes, score_coco_json=tmp_path / "absent")


def test_a_set_without_truth_gives_the_files_alone(engine, shapes, tmp_path, capsys):
    document = json.loads(shapes.read_text())
    del document["annotations"]
    path = shapes.with_name("test-dev.json")
    path.write_text(json.dumps(document))
    evaluate(path, engine, output_coco_json=tmp_path)
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "bbox_detections.json"),
        str(tmp_path / "mask_detections.json"),
    ]
    with pytest.raises(ConfigError, match="--output-coco-json"):
        evaluate(path, engine)


def test_a_sheet_shows_what_the_engine_is_sure_of(engine, shapes, tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.setattr(
        "maskstream.train.samples.contact_sheet.draw_sheet",
        lambda *args, **options: drawn.append((args, options)),
    )
    evaluate(shapes, engine, output_coco_json=tmp_path, sheet=tmp_path / "s.png", seed=4)
    boxes = json.loads((tmp_path / "bbox_detections.json").read_text())
    sure = [(e["image_id"], tuple(e["bbox"])) for e in boxes if e["score"] >= 0.3]
    ((shown, path), options), *_ = drawn
    assert (path, options) == (tmp_path / "s.png", {"count": 24, "seed": 4})
    assert str(path) in capsys.readouterr().out
    seen = [(i.image_id, a.box_xywh_src) for i in shown.images for a in i.annotations]
    assert seen == sure
    assert len(sure) > 0
    assert all(a.mask().any() for i in shown.images for a in i.annotations)


def test_boxes_alone_are_scored_on_request(engine, shapes, tmp_path):
    evaluate(
        shapes, engine, output=tmp_path / "m.json", output_coco_json=tmp_path, detect_only=True
    )
    assert set(_figures(tmp_path / "m.json")) == {"bbox", "by_class"}
    assert not (tmp_path / "mask_detections.json").exists()


def test_pictures_are_limited_and_drawn(engine, shapes, tmp_path):
    def seen(**options):
        evaluate(shapes, engine, output_coco_json=tmp_path, **options)
        return {e["image_id"] for e in json.loads((tmp_path / "bbox_detections.json").read_text())}

    assert seen(max_images=2) <= {1, 2}
    drawn = [seen(max_images=2, shuffle=True, seed=seed) for seed in range(4)]
    assert any(ids - {1, 2} for ids in drawn)
    assert seen(max_images=2, shuffle=True, seed=1) == drawn[1]


def test_a_run_is_scored_as_the_engine_made_of_it(engine, run_folder, shapes, tmp_path):
    evaluate(shapes, engine, output=tmp_path / "onnx.json")
    evaluate(shapes, str(run_folder), output=tmp_path / "torch.json")
    for kind in ("bbox", "segm"):
        onnx, torch_ = (_figures(tmp_path / f"{name}.json")[kind] for name in ("onnx", "torch"))
        assert torch_ == pytest.approx(onnx, abs=0.02)


@pytest.mark.parametrize("nms", ["cross-class", "traditional"])
def test_other_nms_needs_a_checkpoint(engine, run_folder, shapes, tmp_path, nms):
    with pytest.raises(ConfigError, match="its own NMS in its graph"):
        evaluate(shapes, engine, nms=nms)
    evaluate(shapes, str(run_folder / "last.pt"), output=tmp_path / "m.json", nms=nms)
    assert _figures(tmp_path / "m.json")["bbox"]["AP"] >= 0


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        pytest.param("absent", EngineError, "no such engine file", id="no-engine"),
        pytest.param("no-run", ConfigError, "last.pt", id="no-run"),
        pytest.param("tensors.pth", ConfigError, "says no configuration", id="no-name"),
    ],
)
def test_what_is_no_engine_is_refused(shapes, tmp_path, name, error, text):
    (tmp_path / "no-run").mkdir()
    torch.save({"a": torch.zeros(1)}, tmp_path / "tensors.pth")
    with pytest.raises(error, match=text):
        evaluate(shapes, str(tmp_path / name))


def test_a_released_file_is_taken_by_its_name(shapes, tmp_path):
    # 80 classes, of which the set knows none, so it is refused only after it was read.
    torch.save(
        Yolact(get_config("yolact-resnet50")).state_dict(),
        tmp_path / "yolact_resnet50_54_800000.pth",
    )
    with pytest.raises(TrainError, match="has no class person"):
        evaluate(shapes, str(tmp_path / "yolact_resnet50_54_800000.pth"))
