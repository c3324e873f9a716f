"""Importing released weights: from the file to an engine, and what is refused."""

import numpy as np
import onnx
import pytest
import torch
import typer

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.errors import EngineFileError, WeightsError
from maskstream.engines.files.class_names import COCO, PASCAL
from maskstream.engines.networks.yolact.config import get_config
from maskstream.engines.networks.yolact.weights import load_network
from maskstream.errors import ConfigError, OutputError
from maskstream.tools.engine_files.import_command import import_weights
from tests.helpers.engines.released import released_state

app = typer.Typer()
app.command()(import_weights)


def run(*arguments: object) -> None:
    """Run `maskstream import` with arguments."""
    app([str(argument) for argument in arguments], prog_name="import", standalone_mode=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of true keys and shapes, with random values."""
    path = tmp_path_factory.mktemp("released") / "yolact_resnet50_54_800000.pth"
    torch.save(released_state("yolact-resnet50"), path)
    return path


@pytest.mark.slow
def test_a_released_file_becomes_an_engine(weights, tmp_path, capsys):
    output = tmp_path / "yolact-resnet50.onnx"
    run(weights, "-o", output, "--licence", "MIT")
    size_mb = output.stat().st_size / 1e6
    assert capsys.readouterr().out == f"{output}: {size_mb:.1f} MB, yolact-resnet50\n"
    manifest = read_manifest(output)
    assert manifest.class_names == COCO
    assert (manifest.input_size, manifest.patch_px) == (550, 138)
    assert "yolact_resnet50_54_800000.pth, SHA-256 " in manifest.source
    with open_engine(str(output), threads=1, batch=1) as engine:
        engine.detect(np.zeros((1, 550, 550, 3), np.uint8), [(64, 48)])


@pytest.mark.slow
def test_raw_outputs_are_what_the_network_says(weights, tmp_path):
    import openvino

    output = tmp_path / "raw.onnx"
    run(weights, "-o", output, "--raw")
    frames = np.random.default_rng(0).integers(0, 256, (1, 550, 550, 3), np.uint8)
    compiled = openvino.Core().compile_model(
        output, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    )
    outputs = compiled(frames)
    network = load_network(weights, get_config("yolact-resnet50")).eval()
    with torch.inference_mode():
        raw = network(torch.from_numpy(frames))
    shapes = {"loc": 4, "conf": 81, "mask": 32}
    for index, (name, depth) in enumerate(shapes.items()):
        assert outputs[name].shape == (1, 19_248, depth)
        np.testing.assert_allclose(outputs[name], raw[index].numpy(), atol=1e-3)
    assert outputs["proto"].shape == (1, 138, 138, 32)
    np.testing.assert_allclose(outputs["proto"], raw.prototypes.numpy(), atol=1e-3)
    # It is no engine: nothing would decode it.
    assert list(onnx.load(output, load_external_data=False).metadata_props) == []
    with pytest.raises(EngineFileError, match="without our manifest"):
        read_manifest(output)


def test_names_of_the_data_sets_are_complete():
    assert (len(set(COCO)), COCO[0], COCO[11], COCO[79]) == (
        80,
        "person",
        "stop sign",
        "toothbrush",
    )
    assert (len(set(PASCAL)), PASCAL[14]) == (20, "person")


def test_a_file_that_is_not_there_is_named_before_anything_else(tmp_path):
    with pytest.raises(ConfigError, match=r"net\.pth: no such file"):
        run(tmp_path / "net.pth", "-o", tmp_path / "net.onnx")


def test_a_file_name_without_a_configuration_asks_for_one(tmp_path):
    (tmp_path / "net.pth").touch()
    with pytest.raises(WeightsError, match="add --arch, such as --arch yolact-base"):
        run(tmp_path / "net.pth", "-o", tmp_path / "net.onnx")


def test_an_unknown_architecture_lists_the_known(tmp_path):
    (tmp_path / "net.pth").touch()
    with pytest.raises(ValueError, match=r"yolact-101: no such network; use one of .*yolact-base"):
        run(tmp_path / "net.pth", "-o", tmp_path / "net.onnx", "--arch", "yolact-101")


def test_weights_of_another_network_are_refused_and_nothing_is_written(weights, tmp_path):
    with pytest.raises(WeightsError, match=r"it fits --arch yolact-resnet50\.$"):
        run(weights, "-o", tmp_path / "net.onnx", "--arch", "yolact-base")
    assert list(tmp_path.iterdir()) == []


def test_class_names_of_another_number_are_refused(weights, tmp_path):
    (tmp_path / "names.txt").write_text("cat\n\ndog\n")
    with pytest.raises(WeightsError, match=r"conf_layer.weight \(243, .* where \(9, "):
        run(weights, "-o", tmp_path / "n.onnx", "--class-names", tmp_path / "names.txt")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"], ids=["empty", "binary"])
def test_a_file_that_names_no_class_is_refused(weights, tmp_path, content):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"names\.txt: "):
        run(weights, "-o", tmp_path / "n.onnx", "--class-names", tmp_path / "names.txt")


@pytest.mark.parametrize("output", ["n.engine", "absent/n.onnx"])
def test_a_place_that_cannot_be_written_is_refused_first(tmp_path, output):
    with pytest.raises((ConfigError, OutputError)):
        run(tmp_path / "yolact_base_1_2.pth", "-o", tmp_path / output)
