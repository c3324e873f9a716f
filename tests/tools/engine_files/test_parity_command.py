"""`maskstream parity` on engine files: what agrees, what does not, and what cannot be compared."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import typer
from onnx import numpy_helper

from maskstream.errors import ConfigError, SourceError
from maskstream.tools.arguments.engine_choice import EngineChoice
from maskstream.tools.engine_files.parity_command import EXIT_APART, parity
from tests.helpers.engines.foreign import foreign_file
from tests.helpers.engines.tiny import tiny_engine_file
from tests.helpers.shapes import write_shapes

SCORE = 0.2


@pytest.fixture(scope="module")
def engine():
    """The tiny engine, as `maskstream parity` takes it."""
    return f"{tiny_engine_file()}@openvino/fp32"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, seed in enumerate((1, 5, 9)):
        noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noise)
    return folder


@pytest.fixture(scope="module")
def perturbed(tmp_path_factory):
    """The engine with a tenth of noise in its weights."""
    model = onnx.load(tiny_engine_file())
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 4:
            noisy = values * rng.normal(1, 0.1, values.shape).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(noisy, tensor.name))
    path = tmp_path_factory.mktemp("engines") / "perturbed.onnx"
    onnx.save(model, path)
    return f"{path}@openvino/fp32"


def test_an_engine_agrees_with_itself(engine, pictures, tmp_path, capsys):
    report = tmp_path / "p.json"
    parity(engine, engine, pictures, score=SCORE, output_max=0, json_file=report)
    document = json.loads(report.read_text())
    assert document["agree"] is True
    assert document["frames"] == 3
    assert {gap["largest"] for gap in document["outputs"].values()} == {0}
    assert document["matched"] == 1
    assert document["mask_iou"] == {"p50": 1, "p5": 1}
    assert document["instances"]["a"] == document["instances"]["pairs"] > 0
    assert "prototypes" in capsys.readouterr().out


def test_two_runtimes_agree_but_for_rounding(engine, pictures, tmp_path):
    report = tmp_path / "p.json"
    other = f"{tiny_engine_file()}@onnxruntime"
    parity(engine, other, pictures, score=SCORE, output_max=0.01, json_file=report)
    assert json.loads(report.read_text())["outputs"]["scores"]["largest"] < 1e-3


def test_a_perturbed_engine_is_told_by_the_exit_code(engine, pictures, perturbed, capsys):
    with pytest.raises(typer.Exit) as left:
        parity(engine, perturbed, pictures, score=SCORE, matched_min=0.999, mask_iou_min=0.999)
    assert left.value.exit_code == EXIT_APART
    assert "NO" in capsys.readouterr().out
    parity(engine, perturbed, pictures, score=SCORE, matched_min=0, mask_iou_min=0)


def test_engines_of_two_families_are_compared_by_instances_alone(engine, pictures, tmp_path):
    report = tmp_path / "p.json"
    parity(
        engine, f"{foreign_file()}@openvino/fp32", pictures, score=SCORE, matched_min=0,
        mask_iou_min=0, output_max=0, json_file=report,
    )  # fmt: skip
    document = json.loads(report.read_text())
    assert document["outputs"] == document["outputs_left_out"] == {}
    assert document["instances"]["b"] > 0


def test_annotated_pictures_are_frames_and_give_the_difference_of_ap(engine, tmp_path, perturbed):
    shapes = write_shapes(tmp_path, 4)
    report = tmp_path / "p.json"
    parity(
        engine, perturbed, annotations=shapes, score=0.1, matched_min=0, mask_iou_min=0,
        ap_max=100, max_frames=2, json_file=report,
    )  # fmt: skip
    document = json.loads(report.read_text())
    assert document["frames"] == 2
    assert set(document["ap"]["a"]) == {"bbox", "segm"}


def test_a_clip_gives_frames_spread_over_it(engine, tmp_path):
    report = tmp_path / "p.json"
    clip = Path("synthetic:numbered?size=640x360&fps=30&frames=40")
    parity(engine, engine, clip, score=0.01, max_frames=4, json_file=report)
    assert json.loads(report.read_text())["frames"] == 4


@pytest.mark.parametrize(
    ("content", "name"),
    [pytest.param(b"no video", "x.mp4", id="clip"), pytest.param(b"no picture", "x.png", id="png")],
)
def test_frames_that_cannot_be_read_are_named(engine, tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=name):
        parity(engine, engine, path)


def test_nothing_seen_is_no_agreement(engine, pictures):
    with pytest.raises(ConfigError, match="neither engine sees anything"):
        parity(engine, engine, pictures, score=1.0)


def test_no_frames_are_asked_for(engine):
    with pytest.raises(ConfigError, match="--frames or --annotations"):
        parity(engine, engine)


@pytest.mark.parametrize(
    ("text", "engine", "backend", "precision"),
    [
        ("person", "person", "auto", None),
        ("a/b.onnx@openvino", "a/b.onnx", "openvino", None),
        ("a@b/x.onnx", "a@b/x.onnx", "auto", None),
        ("a@b/x.onnx@openvino/bf16", "a@b/x.onnx", "openvino", "bf16"),
    ],
)
def test_a_word_says_engine_runtime_and_precision(text, engine, backend, precision):
    choice = EngineChoice.parse(text)
    assert (choice.engine, choice.backend, choice.precision) == (engine, backend, precision)


def test_a_precision_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="fp32, fp16"):
        EngineChoice.parse("person@openvino/half")
