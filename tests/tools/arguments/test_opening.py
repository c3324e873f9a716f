"""Engines and networks that are not exported, by one call."""

import pytest
import torch

from maskstream.engines.errors import BackendError
from maskstream.errors import ConfigError
from maskstream.tools.arguments.opening import (
    check_runtime,
    is_network,
    manifest_of,
    open_any,
    open_network,
)
from tests.helpers.engines.tiny import CLASS_NAMES, tiny_engine_file
from tests.helpers.engines.trained import write_run


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """The folder of a run whose averaged weights are those of the engine file."""
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(autouse=True)
def same_threads():
    """An opened network sets the threads of the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_run_s_folder_and_its_checkpoint_are_networks_and_an_engine_file_is_none(run_folder):
    assert is_network(str(run_folder))
    assert is_network(str(run_folder / "last.pt"))
    assert not is_network(str(tiny_engine_file()))
    assert not is_network("person")


@pytest.mark.parametrize("name", ["", "last.pt"])
def test_a_network_runs_in_pytorch_and_says_what_its_engine_would(run_folder, name):
    path = str(run_folder / name)
    with open_any(path, threads=1) as engine:
        assert (engine.backend, engine.precision) == ("torch", "fp32")
        assert engine.manifest == manifest_of(path)
        assert engine.manifest.class_names == CLASS_NAMES


def test_an_engine_file_runs_in_a_runtime(capsys):
    with open_any(str(tiny_engine_file()), backend="onnxruntime", threads=1) as engine:
        assert (engine.backend, engine.reason) == ("onnxruntime", "")
    assert capsys.readouterr().err == ""


def test_a_stand_in_is_told(capsys):
    with open_any(str(tiny_engine_file()), backend="openvino", device="GPU.9", batch=1) as engine:
        assert engine.device == "cpu"
    told = capsys.readouterr().err
    assert told.startswith("maskstream: runs in openvino on cpu, not openvino on GPU.9: ")


def test_only_pytorch_runs_what_is_not_exported(run_folder):
    with pytest.raises(BackendError, match=r"openvino was given; .* maskstream export"):
        check_runtime(str(run_folder), "openvino")
    with pytest.raises(BackendError, match="must be auto or one of"):
        check_runtime(str(run_folder), "abacus")
    with pytest.raises(BackendError, match="bf16 was given"):
        open_network(str(run_folder), precision="bf16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_here_is_stood_in_for_unless_it_is_required(run_folder):
    with open_network(str(run_folder), device="cuda:0") as engine:
        assert (engine.device, engine.reason) == (
            "cpu", "not torch on cuda:0: PyTorch finds no CUDA device",
        )  # fmt: skip
    with pytest.raises(BackendError, match="--require-gpu: not torch on cuda: PyTorch finds no"):
        open_network(str(run_folder), require_gpu=True)
    with pytest.raises(BackendError, match="--device cpu was given"):
        open_network(str(run_folder), device="cpu", require_gpu=True)


def test_a_folder_without_a_run_is_a_mistake(tmp_path):
    with pytest.raises(ConfigError, match=r"run\.json: no such file"):
        manifest_of(str(tmp_path))
    with pytest.raises(ConfigError, match=r"last\.pt"):
        open_network(str(tmp_path))


@pytest.mark.slow
@pytest.mark.system
def test_a_run_takes_a_network_that_is_not_exported(maskstream, run_folder, tmp_path):
    source = "synthetic:numbered?size=160x120&fps=30&frames=3"
    done = maskstream("run", source, "--engine", run_folder, "-o", "null:", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "engine tiny: torch on " in done.stderr
    assert "3 of 3 frames delivered" in done.stdout + done.stderr
    done = maskstream(
        "run", source, "--engine", run_folder, "--backend", "openvino", "-o", "null:", cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "is not exported" in done.stderr


@pytest.mark.system
def test_a_run_that_requires_a_gpu_fails_in_one_line_where_there_is_none(maskstream, tmp_path):
    done = maskstream(
        "run", "synthetic:numbered?size=160x120&frames=3", "--engine", tiny_engine_file(),
        "-o", "null:", "--backend", "onnxruntime", "--require-gpu", cwd=tmp_path,
    )  # fmt: skip
    if done.returncode == 0:
        pytest.skip("there is a GPU here.")
    assert done.returncode == 2
    assert "--require-gpu: not onnxruntime:cuda: " in done.stderr
    assert "Traceback" not in done.stderr
