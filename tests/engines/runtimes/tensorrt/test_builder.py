"""Building with TensorRT for RTX, which needs no GPU; a graph that it refuses is a failure."""

import gc
import signal
import threading
import weakref

import onnx
import pytest

from maskstream.engines.conversion.fp16 import to_fp16
from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.engines.files.zoo import resolve_engine
from maskstream.engines.runtimes.tensorrt.builder import (
    BuildSettings,
    Phases,
    ahead_targets,
    build_plan,
    profile_batches,
)
from maskstream.engines.runtimes.tensorrt.flavors import get_flavor
from tests.engines.runtimes.tensorrt.build_cases import CASES, VARIANTS

RTX = get_flavor("tensorrt-rtx")


def test_the_package_that_the_tests_build_with_is_here():
    assert RTX.why_not() is None


@pytest.mark.parametrize(
    ("precision", "sm"),
    [
        pytest.param("fp16", "sm86", marks=pytest.mark.slow),
        pytest.param("fp16", "sm89", marks=pytest.mark.slow),
        ("fp16", "sm120"),
        ("fp32", "sm89"),
    ],
)
def test_the_shipped_engine_builds(precision, sm):
    model = onnx.load(resolve_engine("person-light"))
    model = to_fp16(model) if precision == "fp16" else model
    told: list[tuple[float, str]] = []
    plan = build_plan(
        model.SerializeToString(), RTX, BuildSettings(batches=(1, 4, 8), sm=sm),
        subject="person.onnx", watch=lambda share, phase: told.append((share, phase)),
    )  # fmt: skip
    assert len(plan) > 1_000_000
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5 < shares[-1] <= 1
    assert all(phase for _, phase in told)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in VARIANTS else ()) for name in CASES],
)
def test_a_network_of_every_family_builds_in_fp16(name):
    for part, data in split_graphs(CASES[name]()).items():
        model = to_fp16(onnx.load_from_string(data))
        plan = build_plan(
            model.SerializeToString(), RTX, BuildSettings(batches=(1, 2), sm="sm89"),
            subject=f"{name}, {part}",
        )  # fmt: skip
        assert plan


def test_an_engine_in_int8_builds():
    data = resolve_engine("person-light-int8").read_bytes()
    plan = build_plan(data, RTX, BuildSettings(batches=(1, 4), sm="sm89"), subject="int8")
    assert len(plan) > 1_000_000


def test_a_graph_that_is_refused_is_told_in_the_parsers_words():
    model = onnx.load(resolve_engine("person-light"))
    next(node for node in model.graph.node if node.op_type == "Sigmoid").op_type = "Sigmoit"
    with pytest.raises(BackendError) as caught:
        build_plan(
            model.SerializeToString(),
            RTX,
            BuildSettings(batches=(1,), sm="sm89"),
            subject="my.onnx",
        )
    assert "\n" not in str(caught.value)
    assert "my.onnx: tensorrt-rtx refuses it (Sigmoit" in str(caught.value)


def test_bytes_that_are_no_graph_are_refused():
    with pytest.raises(BackendError, match=r"my\.onnx: tensorrt-rtx refuses it"):
        build_plan(b"none", RTX, BuildSettings(batches=(1,), sm="sm89"), subject="my.onnx")


def test_a_gpu_that_cannot_be_built_for_ahead_is_told_with_those_that_can():
    assert {"sm86", "sm89", "sm120"} <= set(ahead_targets(RTX))
    data = resolve_engine("person-light").read_bytes()
    with pytest.raises(BackendError, match=r"builds ahead for sm75, .* not for 'sm90'"):
        build_plan(data, RTX, BuildSettings(batches=(1,), sm="sm90"), subject="person.onnx")


def test_a_refused_build_leaves_no_builder_for_the_garbage_collector(monkeypatch):
    """Collected while TensorRT makes another, it waited for ever for a lock of that one's maker."""
    trt = RTX.load()
    make, builders = trt.Builder, []

    def made(logger):
        builder = make(logger)
        builders.append(weakref.ref(builder))
        return builder

    monkeypatch.setattr(trt, "Builder", made)
    gc.disable()
    try:
        with pytest.raises(BackendError, match="refuses it"):
            build_plan(b"no graph", RTX, BuildSettings(batches=(1,), sm="sm89"), subject="x.onnx")
        assert [builder() for builder in builders] == [None]
    finally:
        gc.enable()


def test_ctrl_c_ends_a_build():
    """As it comes: to the main thread, while the builder works in its own."""
    begun = threading.Event()
    interrupted = threading.Event()

    def watch(share, phase):
        if not begun.is_set():
            begun.set()
            signal.raise_signal(signal.SIGINT)  # its handler runs in the main thread
        interrupted.wait(0.01)

    data = resolve_engine("person-light").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        build_plan(
            data, RTX, BuildSettings(batches=(1,), sm="sm89"), subject="person.onnx", watch=watch
        )
    assert not any(t.is_alive() for t in threading.enumerate() if t.name == "build")


def test_flavors_that_are_not_here_name_the_command_that_brings_them():
    flavor = get_flavor("tensorrt")
    if flavor.why_not() is None:
        pytest.skip("TensorRT is installed here.")
    with pytest.raises(UnavailableError, match=r"pip install 'maskstream\[tensorrt\]'"):
        flavor.load()
    assert get_flavor() is RTX
    assert ahead_targets(flavor) == ()
    with pytest.raises(BackendError, match="it must be tensorrt or tensorrt-rtx"):
        get_flavor("tensort")


@pytest.mark.parametrize(
    ("batches", "profile"),
    [((1,), (1, 1, 1)), ((8,), (1, 8, 8)), ((1, 4, 8), (1, 4, 8)), ((4, 8), (1, 8, 8))],
)
def test_short_batches_always_run(batches, profile):
    assert profile_batches(batches) == profile


def test_the_share_of_nested_phases_by_hand():
    phases = Phases()
    phases.start("whole", None, 2)
    phases.start("part", "whole", 4)
    assert phases.share() == 0
    phases.step("part", 0)
    assert phases.share() == 0.125  # a quarter of the first of two steps
    phases.start("inner", "part", 2)
    phases.step("inner", 0)
    assert phases.share() == 0.1875  # half of the second quarter, too
    phases.finish("inner")
    phases.finish("part")
    assert phases.share() == 0.1875  # never less
    phases.step("whole", 0)
    assert phases.share() == 0.5
