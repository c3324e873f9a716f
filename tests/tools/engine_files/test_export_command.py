"""Exporting a run: the engine, and the raw outputs for comparison."""

from dataclasses import asdict

import numpy as np
import openvino
import pytest
import torch
import typer

from maskstream.engines import read_manifest
from maskstream.engines.errors import EngineFileError
from maskstream.tools.engine_files.export_command import export
from maskstream.train.loop.checkpoint import save_checkpoint
from maskstream.train.runs.run_card import CHECKPOINT_NAME, RunCard
from tests.helpers.engines.tiny import CLASS_NAMES, tiny_config, tiny_detector

app = typer.Typer()
app.command()(export)


def run(*arguments: object) -> None:
    """Run `maskstream export` with arguments."""
    app([str(argument) for argument in arguments], prog_name="export", standalone_mode=False)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run's folder as it is after training, with a tiny network."""
    folder = tmp_path_factory.mktemp("run")
    state = tiny_detector().network.state_dict()
    save_checkpoint(folder / CHECKPOINT_NAME, {"network": state, "average": state})
    RunCard(
        network=asdict(tiny_config()),
        class_names=CLASS_NAMES,
        command=("train",),
        data={"shapes.json": 4},
        versions={},
    ).write(folder)
    return folder


@pytest.mark.slow
def test_a_run_becomes_an_engine_that_says_where_it_comes_from(run_folder, tmp_path):
    run(run_folder, "-o", tmp_path / "shapes.onnx", "--licence", "MIT")
    manifest = read_manifest(tmp_path / "shapes.onnx")
    assert (manifest.name, manifest.class_names) == ("shapes", CLASS_NAMES)
    assert (manifest.licence, manifest.input_size) == ("MIT", 64)
    assert manifest.source == "tiny trained on shapes.json (4 images)"


@pytest.mark.slow
def test_raw_outputs_are_the_four_tensors_before_decoding(run_folder, tmp_path):
    run(run_folder, "-o", tmp_path / "raw.onnx", "--raw")
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(tmp_path / "raw.onnx", "CPU", settings)
    assert [output.any_name for output in compiled.outputs] == ["loc", "conf", "mask", "proto"]
    outputs = compiled(frames)
    with torch.inference_mode():
        raw = tiny_detector().network(torch.from_numpy(frames))
    for index, name in enumerate(("loc", "conf", "mask", "proto")):
        np.testing.assert_allclose(outputs[name], raw[index].numpy(), atol=1e-3, err_msg=name)
    with pytest.raises(EngineFileError, match="without our manifest"):
        read_manifest(tmp_path / "raw.onnx")
