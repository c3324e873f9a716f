"""`maskstream build`: what it writes, what it says, and what it refuses."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import typer

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.errors import EngineError
from maskstream.engines.files.plan_file import Gpu, manifest_path, read_plan, sha256
from maskstream.engines.runtimes.nvidia import why_no_gpu
from maskstream.errors import ConfigError
from maskstream.tools.engine_files.build_command import build
from tests.helpers.engines.hand_made import CROP_PX, SIDE_PX, hand_made_file

app = typer.Typer()
app.command()(build)


def run(*arguments: object) -> None:
    """Run `maskstream build` with arguments."""
    app([str(argument) for argument in arguments], prog_name="build", standalone_mode=False)


def test_an_engine_for_a_gpu_that_is_not_here(tmp_path, capsys):
    path = tmp_path / "person.engine"
    run("person-light", "-o", path, "--for", "sm89", "--batch", "1,2", "--workspace-mib", 64)
    facts = json.loads((tmp_path / "person.engine.json").read_text())
    assert facts["flavor"] == "tensorrt-rtx"
    assert facts["sms"] == ["sm89"]
    assert facts["batches"] == [1, 2]
    assert facts["workspace_bytes"] == 64 << 20
    assert facts["precision"] == "fp32"
    assert facts["engine"]["name"] == "person-light"
    assert path.stat().st_size > 1_000_000
    assert "fp32, for sm89, batches 1 to 2" in capsys.readouterr().out


def test_the_fp16_graph_alone_compared_on_pictures(tmp_path, capsys):
    random = np.random.default_rng(0)
    for name in ("a.png", "b.jpg"):
        picture = random.integers(0, 256, (60, 80, 3), np.uint8)
        assert cv2.imwrite(str(tmp_path / name), picture)
    path = tmp_path / "half.onnx"
    run("person-light", "-o", path, "--fp16", "--pictures", tmp_path)
    assert read_manifest(path).precision == "fp16"
    shown = capsys.readouterr().out
    assert "FP16 against FP32: the largest of" in shown
    assert "Conv" in shown


def test_an_engine_of_two_stages_becomes_two_plans_of_one_file(tmp_path, capsys, monkeypatch):
    onnx_path = hand_made_file()
    path = tmp_path / "pair.engine"
    run(onnx_path, "-o", path, "--fp16", "--for", "sm89", "--batch", "1,2")
    plans = [path, tmp_path / "pair.crops.engine"]
    facts = [json.loads(manifest_path(plan).read_text()) for plan in plans]
    assert {each["onnx_sha256"] for each in facts} == {sha256(onnx_path.read_bytes())}
    assert [each["engine"]["input_size"] for each in facts] == [SIDE_PX, CROP_PX]
    assert read_manifest(path).crop_px == CROP_PX
    gpu = Gpu("Some GPU", "sm89")
    for plan, each in zip(plans, facts, strict=True):
        manifest, data = read_plan(plan, version=each["version"], gpu=gpu)
        assert manifest.precision == "fp16"
        assert len(data) > 1000
    assert capsys.readouterr().out.count("fp16, for sm89, batches 1 to 2") == 2
    assert len(list(tmp_path.iterdir())) == 4
    opened = []

    def open_backend(model, options, **_):
        opened.append((model, options.input_size))
        return SimpleNamespace(infer=lambda crops: {}, close=lambda: None), ""

    monkeypatch.setattr("maskstream.engines.opening.open_backend", open_backend)
    open_engine(str(path)).close()
    assert opened == [(plans[0], SIDE_PX), (plans[1], CROP_PX)]


def test_the_fp16_file_of_two_stages_is_one_engine_that_masks_alike(tmp_path):
    path = tmp_path / "half.onnx"
    run(hand_made_file(), "-o", path, "--fp16")
    assert read_manifest(path).precision == "fp16"
    frame = np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8)
    frame[0, 16:32, 24:40] = (255, 0, 0)
    found = []
    for engine_path in (hand_made_file(), path):
        with open_engine(str(engine_path), backend="onnxruntime", batch=1) as engine:
            found += engine.detect(frame, [(SIDE_PX, SIDE_PX)], score_min=0.6)
    assert len(found[0]) == len(found[1]) > 0
    for index in range(len(found[0])):
        np.testing.assert_array_equal(found[0].mask(index), found[1].mask(index))


def test_a_name_for_the_graph_as_it_is_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--fp16 is needed"):
        run("person-light", "-o", tmp_path / "other.onnx")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--batch", "4,1"], "rising numbers from 1 to"),
        (["--batch", "a"], "rising numbers from 1 to"),
        (["--batch", "1,1000"], "rising numbers from 1 to"),
        (["--flavor", "tensort"], "it must be tensorrt or tensorrt-rtx"),
        (["--for", "sm90"], "builds ahead for"),
        (["--pictures", "nowhere"], "nowhere has none"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(tmp_path, words, text):
    arguments = words if "--for" in words else ["--for", "sm89", *words]
    with pytest.raises((ConfigError, EngineError), match=text) as caught:
        run("person-light", "-o", tmp_path / "x.engine", *arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.engine or \.onnx is needed"):
        run("person-light", "-o", tmp_path / "x.plan", "--for", "sm89")


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU here")
def test_without_a_gpu_the_option_for_others_is_named(tmp_path):
    with pytest.raises(EngineError, match=r"no NVIDIA driver is here .* such as --for sm89"):
        run("person-light", "-o", tmp_path / "x.engine")
