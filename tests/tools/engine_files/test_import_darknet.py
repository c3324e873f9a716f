"""Importing a Darknet detector: whole, with some classes, with an FCN8s, and what is refused."""

import re

import numpy as np
import pytest
import torch
import typer

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.errors import WeightsError
from maskstream.engines.networks.fcn import weights as fcn_weights
from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.errors import ConfigError
from maskstream.tools.engine_files.import_command import import_weights
from tests.engines.networks.fcn.test_network import NARROW
from tests.engines.networks.yolov3.test_weights import NEW_HEADER, SMALL_COUNT
from tests.engines.networks.yolov3.test_weights import SMALL as LAYERS

SMALL = LAYERS.replace("width=8\nheight=8", "width=32\nheight=32")
app = typer.Typer()
app.command()(import_weights)


def run(*arguments: object) -> None:
    """Run `maskstream import` with arguments."""
    app([str(argument) for argument in arguments], prog_name="import", standalone_mode=False)


@pytest.fixture
def files(tmp_path):
    """A detector of two classes with small random weights, and their names."""
    (tmp_path / "small.cfg").write_text(SMALL)
    values = np.random.default_rng(0).uniform(0, 0.5, SMALL_COUNT).astype("<f4")
    (tmp_path / "small.weights").write_bytes(NEW_HEADER + values.tobytes())
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    return tmp_path


def arguments_of(files):
    return (
        files / "small.weights", files / "small.cfg", "-o", files / "small.onnx",
        "--class-names", files / "names.txt",
    )  # fmt: skip


def test_some_classes_at_another_size_become_an_engine_of_boxes(files, capsys):
    run(*arguments_of(files), "--classes", "dog", "--size", 64, "--score", 0.1)
    assert re.fullmatch(
        r".*small\.onnx: 0\.\d MB, small at 64 px, 1 classes, boxes alone\n",
        capsys.readouterr().out,
    )
    manifest = read_manifest(files / "small.onnx")
    assert (manifest.family, manifest.input_size, manifest.class_names) == ("yolo", 64, ("dog",))
    assert (manifest.fit, manifest.score_min, manifest.crop_px) == ("darknet", 0.1, None)
    assert manifest.source.startswith("small.weights, SHA-256 ")
    with open_engine(str(files / "small.onnx"), threads=1, batch=1) as engine:
        (found,) = engine.detect(np.full((1, 64, 64, 3), 255, np.uint8), [(64, 64)])
        assert len(found) > 0  # nothing was asked for, so 0.1 is enough
        assert set(found.class_ids.tolist()) == {0}
        assert found.mask(0).all()


@pytest.mark.slow
def test_with_an_fcn8s_it_becomes_the_recipes_pair(files, capsys, monkeypatch):
    def narrow(class_count, **options):
        return Fcn8s(class_count, crop_px=32, stages=NARROW, fc_channels=8, **options)

    monkeypatch.setattr(fcn_weights, "Fcn8s", narrow)
    torch.save(narrow(2).state_dict(), files / "fcn8_pascal_500.pth")
    run(*arguments_of(files), "--fcn", files / "fcn8_pascal_500.pth", "--licence", "MIT")
    assert "2 classes, FCN8s" in capsys.readouterr().out
    manifest = read_manifest(files / "small.onnx")
    assert (manifest.family, manifest.crop_px, manifest.score_min) == ("yolo-fcn", 32, 0.75)
    assert manifest.fit == "darknet"
    assert "fcn8_pascal_500.pth, SHA-256 " in manifest.source
    assert manifest.licence == "MIT"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (("--classes", "cow"), "--classes: cow is none of the network's; they are cat, dog"),
        (("--raw",), "--raw and --arch: are for YOLACT's weights"),
        (("--size", 33), "its input is 33 x 33; a square whose side is a multiple of 1"),
    ],
)
def test_what_cannot_be_is_refused(files, extra, expected):
    if extra == ("--size", 33):
        text = SMALL.replace("size=3\n", "size=3\nstride=2\n")
        (files / "small.cfg").write_text(text)
        expected = expected.replace("multiple of 1", "multiple of 2")
    with pytest.raises((ConfigError, WeightsError), match=re.escape(expected)):
        run(*arguments_of(files), *extra)
    assert not (files / "small.onnx").exists()


def test_classes_without_names_ask_for_them(files):
    with pytest.raises(ConfigError, match="its 2 classes have no known names; give as many with"):
        run(files / "small.cfg", files / "small.weights", "-o", files / "x.onnx")
    (files / "names.txt").write_text("cat\n")
    with pytest.raises(ConfigError, match="its 2 classes have 1 names"):
        run(*arguments_of(files))


def test_files_that_do_not_belong_together_are_refused(files):
    with pytest.raises(ConfigError, match=r"one \.pth, or a \.cfg and its \.weights, is needed"):
        run(files / "small.cfg", "-o", files / "x.onnx")
    with pytest.raises(ConfigError, match="--size: is for a Darknet detector"):
        run(files / "yolact_base_1_2.pth", "-o", files / "x.onnx", "--size", 64)
