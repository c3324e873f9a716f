"""`maskstream quantize`: what it writes, and what it refuses."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.errors import EngineFileError
from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.errors import ConfigError, SourceError
from maskstream.tools.arguments.samples import read_samples
from maskstream.tools.engine_files.parity_command import compare
from maskstream.tools.engine_files.quantize_command import quantize
from tests.helpers.engines.tiny import tiny_engine_file


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


@pytest.mark.slow
def test_both_graphs_of_an_engine_of_two_stages_become_int8(clips_dir, tmp_path):
    clip, output = clips_dir / "vtest.avi", tmp_path / "both.onnx"
    quantize("person", clip, output, count=3)
    for model in map(onnx.load_from_string, split_graphs(output).values()):
        makers = {name: node.op_type for node in model.graph.node for name in node.output}
        layers = [node for node in model.graph.node if node.op_type == "Conv"]
        is_int8 = [makers.get(node.input[1]) == "DequantizeLinear" for node in layers]
        assert not is_int8[0]
        assert sum(is_int8) > 0.8 * len(layers)
    with open_engine("person", threads=1) as exact, open_engine(str(output), threads=1) as near:
        _, seen = compare(exact, near, read_samples(clip, 4), score_min=0.3)
        assert near.crop_precision == "int8"
    assert sum(seen.counts) > 20
    assert seen.matched > 0.8
    assert seen.iou(50) > 0.8


def test_pictures_in_which_nothing_is_cut_out_say_nothing_of_crops(pictures, tmp_path):
    with pytest.raises(ConfigError, match=f"{pictures}: person cuts nothing out of these pictures"):
        quantize("person", pictures, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


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
