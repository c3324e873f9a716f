"""From labelled pictures to an engine of two networks: train both, export the pair, run it."""

from pathlib import Path

import numpy as np
import pytest
import typer

from maskstream.engines import open_engine, read_manifest
from maskstream.errors import ConfigError
from maskstream.tools.engine_files.export_command import export
from maskstream.tools.training import training_run
from maskstream.tools.training.training_data import TrainingFiles
from maskstream.tools.training.training_run import run_training
from maskstream.tools.training.training_start import Request
from maskstream.train.errors import TrainError
from maskstream.train.options import TrainOptions
from maskstream.train.runs.checkpoint_engine import open_checkpoint
from maskstream.train.runs.run_card import read_run_card
from tests.helpers.shapes import write_shapes

app = typer.Typer()
app.command()(export)


def run_export(*arguments: object) -> None:
    """Run `maskstream export` with arguments."""
    app([str(argument) for argument in arguments], prog_name="export", standalone_mode=False)


def _train(annotations: list[Path], folder: Path, family: str, validation: Path | None) -> None:
    request = Request(
        files=TrainingFiles(annotations, validation, None),
        folder=folder,
        family=family,
        input_size=64 if family == "yolov3" else None,
    )
    with pytest.MonkeyPatch.context() as patch:
        # Two threads of a tiny network wait for each other longer than they work.
        patch.setattr(training_run, "available_cores", lambda: 1)
        run_training(request, TrainOptions(iterations=1, batch=2, workers=0, validate_every=0))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return write_shapes(tmp_path_factory.mktemp("shapes"), 4)


@pytest.fixture(scope="module")
def detector(shapes, tmp_path_factory):
    """The folder of a detector's run."""
    folder = tmp_path_factory.mktemp("runs") / "boxes"
    _train([shapes], folder, "yolov3", None)
    return folder


@pytest.fixture(scope="module")
def fcn(shapes, tmp_path_factory):
    """The folder of an FCN's run."""
    folder = tmp_path_factory.mktemp("runs") / "masks"
    _train([shapes], folder, "fcn", shapes)
    return folder


def test_a_run_says_its_family(detector, fcn):
    card = read_run_card(detector)
    assert (card.family, card.network["name"]) == ("yolov3", "yolo-light")
    assert card.class_names == ("circle", "square", "star")
    card = read_run_card(fcn)
    assert (card.family, card.class_names) == ("fcn", ("object",))


def test_the_run_of_an_fcn_ends_with_its_pictures(fcn):
    assert {path.name for path in fcn.glob("*.png")} == {"curves.png", "iou-histogram.png"}


@pytest.mark.slow
def test_the_two_become_one_engine_that_says_what_both_were_trained_on(
    detector, fcn, shapes, tmp_path
):
    run_export(detector, "--crops", fcn, "-o", tmp_path / "pair.onnx", "--licence", "MIT")
    manifest = read_manifest(tmp_path / "pair.onnx")
    assert (manifest.family, manifest.name, manifest.licence) == ("yolo-fcn", "pair", "MIT")
    assert (manifest.input_size, manifest.crop_px) == (64, 112)
    assert manifest.class_names == ("circle", "square", "star")
    assert manifest.source == (
        "yolo-light trained on shapes.json (4 images); fcn-light trained on shapes.json (4 images)"
    )
    with open_engine(str(tmp_path / "pair.onnx")) as engine:
        frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
        found = engine.detect(frames, [(96, 64), (64, 64)], score_min=0.0, top_k=3)
    assert [len(instances) for instances in found] == [3, 3]


def test_a_detectors_run_is_an_engine_of_boxes(detector):
    with open_checkpoint(detector) as engine:
        frames = np.zeros((1, 64, 64, 3), np.uint8)
        (found,) = engine.detect(frames, [(64, 64)], score_min=0.0, top_k=2)
    assert engine.manifest.family == "yolo"
    assert len(found) == 2


def test_an_fcn_alone_is_no_engine(fcn, tmp_path):
    with pytest.raises(TrainError, match="fcn-light: is half an engine"):
        run_export(fcn, "-o", tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_pair_the_wrong_way_round_is_refused(detector, fcn, tmp_path):
    with pytest.raises(ConfigError, match="is a run of yolov3; one of fcn is needed"):
        run_export(fcn, "--crops", detector, "-o", tmp_path / "x.onnx")
    with pytest.raises(ConfigError, match="a pair has no raw form"):
        run_export(detector, "--crops", fcn, "--raw", "-o", tmp_path / "x.onnx")


def test_an_fcn_learns_from_pascal_voc_and_ap_is_not_measured_on_it(shared_dir, tmp_path):
    voc = shared_dir / "data/formats/voc2007_seg_sample/VOC2007"
    _train([voc], tmp_path / "masks", "fcn", None)
    assert read_run_card(tmp_path / "masks").data == {str(voc): 44}
    with pytest.raises(ConfigError, match="AP is measured on COCO JSON"):
        _train([voc], tmp_path / "boxes", "yolov3", voc)
