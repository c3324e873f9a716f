"""What makes an engine file be refused, and the command that its refusal names."""

from dataclasses import replace

import pytest

from maskstream.engines import open_engine, read_manifest
from maskstream.engines.errors import BackendError, EngineFileError
from maskstream.engines.files.plan_file import (
    Gpu,
    PlanManifest,
    manifest_path,
    read_plan,
    read_plan_manifest,
    sha256,
    write_plan,
)
from maskstream.engines.files.zoo import resolve_engine

PLAN = b"a plan " * 1000
GPU = Gpu("NVIDIA GeForce RTX 4090", "sm89")
VERSION = "11.4.0"


@pytest.fixture
def onnx(tmp_path):
    path = tmp_path / "my net.onnx"
    path.write_bytes(b"a graph")
    return path


@pytest.fixture
def manifest(onnx):
    return PlanManifest(
        engine=replace(read_manifest(resolve_engine("person-light")), precision="fp16"),
        onnx_path=str(onnx),
        onnx_sha256=sha256(onnx.read_bytes()),
        plan_sha256=sha256(PLAN),
        flavor="tensorrt",
        version=VERSION,
        gpu_name=GPU.name,
        sms=("sm89",),
        precision="fp16",
        batches=(1, 4, 8),
        workspace_bytes=256 << 20,
        tools={},
    )


@pytest.fixture
def plan(tmp_path, manifest):
    path = tmp_path / "net.engine"
    write_plan(path, PLAN, manifest)
    return path


def test_a_plan_comes_back_as_it_was_written(plan, manifest):
    assert read_plan(plan, version=VERSION, gpu=GPU) == (manifest, PLAN)
    assert read_manifest(plan) == manifest.engine
    assert sorted(path.name for path in plan.parent.iterdir()) == [
        "my net.onnx", "net.engine", "net.engine.json",
    ]  # fmt: skip


def refusal(plan, **changes):
    with pytest.raises(EngineFileError) as caught:
        read_plan(plan, **{"version": VERSION, "gpu": GPU, **changes})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_refusal_names_the_command_that_builds_it_again(plan, onnx):
    plan.write_bytes(PLAN[:-1])
    assert refusal(plan) == (
        f"{plan}: is not what was built: it is cut short or was changed; build it again: "
        f"maskstream build '{onnx}' -o {plan} --fp16 --batch 1,4,8 --flavor tensorrt "
        "--workspace-mib 256"
    )


def test_a_tampered_plan_is_refused(plan):
    plan.write_bytes(PLAN[:50] + b"X" + PLAN[51:])
    assert "is not what was built" in refusal(plan)


def test_a_foreign_plan_is_refused(plan):
    manifest_path(plan).unlink()
    assert "has no net.engine.json beside it" in refusal(plan)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"engine": {}}', "\udcff"])
def test_a_manifest_that_is_none_is_refused(plan, text):
    manifest_path(plan).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(EngineFileError):
        read_plan_manifest(plan)


def test_a_stale_plan_is_refused(plan, onnx):
    onnx.write_bytes(b"another graph")
    assert "was built from another my net.onnx" in refusal(plan)


def test_a_graph_that_moved_with_its_plan_is_still_compared(plan, onnx, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for path in (plan, manifest_path(plan), onnx):
        path.rename(folder / path.name)
    moved = folder / plan.name
    assert read_plan(moved, version=VERSION, gpu=GPU)[1] == PLAN
    (folder / onnx.name).write_bytes(b"another graph")
    assert f"maskstream build '{folder / onnx.name}'" in refusal(moved)


def test_a_plan_whose_graph_is_gone_runs(plan, onnx):
    onnx.unlink()
    assert read_plan(plan, version=VERSION, gpu=GPU)[1] == PLAN


def test_another_version_is_refused(plan):
    assert "was built with tensorrt 11.4.0, here is 11.5.0" in refusal(plan, version="11.5.0")


def test_a_gpu_of_another_capability_is_refused(plan):
    other = Gpu("NVIDIA H200", "sm90")
    assert "was built for sm89, here is NVIDIA H200 (sm90)" in refusal(plan, gpu=other)


def test_another_gpu_of_the_same_capability_is_refused(plan):
    other = Gpu("NVIDIA L4", "sm89")
    assert "was built on NVIDIA GeForce RTX 4090, here is NVIDIA L4" in refusal(plan, gpu=other)


def test_a_plan_built_ahead_runs_on_every_gpu_of_its_capability(plan, manifest):
    write_plan(plan, PLAN, replace(manifest, gpu_name=""))
    assert read_plan(plan, version=VERSION, gpu=Gpu("NVIDIA L4", "sm89"))[1] == PLAN


def test_another_backend_than_the_plans_own_is_refused(plan):
    with pytest.raises(BackendError, match=r"openvino was given; .*net\.engine runs in tensorrt"):
        open_engine(str(plan), backend="openvino")
