"""`maskstream quantize`: what it writes, and what it refuses."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from engines import read_manifest
from engines.errors import EngineFileError
from stream.errors import ConfigError, SourceError
from tests.engines.tiny import tiny_engine_file
from tools.quantize import quantize


@pytest.fixture(scope="module")
def engine():
    return str(tiny_engine_file())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (40, 90, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), noise)
    return folder


def test_an_int8_engine_is_written(engine, pictures, tmp_path, capsys):
    output = tmp_path / "tiny-int8.onnx"
    quantize(engine, pictures, output, count=2)
    manifest = read_manifest(output)
    assert (manifest.precision, manifest.metrics) == ("int8", {})
    assert capsys.readouterr().out.startswith(f"{output}: ")
    assert list(tmp_path.iterdir()) == [output]


def test_its_own_figures_are_kept_in_it(engine, pictures, tmp_path):
    output, figures = tmp_path / "tiny-int8.onnx", tmp_path / "m.json"
    figures.write_text('{"bbox": {"AP": 0.5}, "segm": {"AP": 0.25}}')
    quantize(engine, pictures, output, count=2, metrics=figures)
    assert read_manifest(output).metrics == {"bbox.AP": 0.5, "segm.AP": 0.25}


def test_what_cannot_be_made_is_refused(engine, pictures, tmp_path):
    with pytest.raises(ConfigError, match=r"must end in \.onnx"):
        quantize(engine, pictures, tmp_path / "x.engine")
    with pytest.raises(ConfigError, match="the engine itself"):
        quantize(engine, pictures, Path(engine))
    with pytest.raises(EngineFileError, match="no such engine"):
        quantize("absent", pictures, tmp_path / "x.onnx")


def test_pictures_are_needed(engine, tmp_path):
    with pytest.raises(SourceError, match="no pictures in it"):
        quantize(engine, tmp_path, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
