"""Plans that are kept for the next time, and what makes one be built anew."""

from dataclasses import replace

import onnx
import pytest

from maskstream.engines import read_manifest
from maskstream.engines.errors import BackendError
from maskstream.engines.files.plan_file import Gpu, manifest_path
from maskstream.engines.files.zoo import resolve_engine
from maskstream.engines.runtimes.tensorrt import build_cache as making
from maskstream.engines.runtimes.tensorrt.build_cache import (
    Graph,
    PlanOrder,
    kept_path,
    kept_plan,
    make_plan,
    to_fp16_file,
)
from maskstream.engines.runtimes.tensorrt.builder import BuildSettings
from maskstream.engines.runtimes.tensorrt.flavors import get_flavor

RTX = get_flavor("tensorrt-rtx")
AHEAD = Gpu("", "sm89")
HERE = Gpu("NVIDIA GeForce RTX 4090", "sm89")


@pytest.fixture(scope="module")
def graph():
    path = resolve_engine("person-light")
    return Graph(data=path.read_bytes(), path=path, manifest=read_manifest(path))


@pytest.fixture
def builds(tmp_path, monkeypatch):
    """A cache of the test's own, and what was built into it instead of plans."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built: list[tuple[bytes, BuildSettings]] = []

    def build_plan(data, flavor, settings, *, subject, watch):
        built.append((data, settings))
        return b"plan of " + subject.encode()

    monkeypatch.setattr(making, "build_plan", build_plan)
    return built


def order(**changes):
    return replace(PlanOrder(flavor=RTX, gpu=HERE, precision="fp32"), **changes)


def test_a_plan_that_is_kept_is_taken(graph, builds):
    first = kept_plan(graph, order())
    assert kept_plan(graph, order()) == first
    assert len(builds) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"gpu": Gpu("NVIDIA L4", "sm89")},
        {"gpu": Gpu(HERE.name, "sm90")},
        {"batches": (1, 2)},
        {"workspace_bytes": 1 << 20},
        {"precision": "fp16"},
    ],
    ids=["gpu", "capability", "batches", "workspace", "precision"],
)
def test_another_order_has_another_plan(graph, changes):
    assert kept_path(graph, order()) != kept_path(graph, order(**changes))


def test_another_graph_has_another_plan(graph):
    assert kept_path(graph, order()) != kept_path(replace(graph, data=b"other"), order())


def test_a_kept_plan_that_was_damaged_is_built_anew(graph, builds):
    first = kept_plan(graph, order())
    kept_path(graph, order()).write_bytes(b"damaged")
    assert kept_plan(graph, order()) == first
    manifest_path(kept_path(graph, order())).write_text("{}")
    assert kept_plan(graph, order()) == first
    assert len(builds) == 3


def test_a_gpu_that_is_here_is_built_for_as_it_is_and_another_by_its_capability(graph, builds):
    make_plan(graph, order())
    make_plan(graph, order(gpu=AHEAD))
    assert [settings.sm for _, settings in builds] == [None, "sm89"]


def test_a_real_plan_says_what_it_is(graph):
    plan, manifest = make_plan(graph, order(gpu=AHEAD, batches=(1, 2)))
    assert len(plan) > 1_000_000
    assert (manifest.gpu_name, manifest.sms) == ("", ("sm89",))
    assert (manifest.precision, manifest.engine.precision) == ("fp32", "fp32")
    assert manifest.version == RTX.load().__version__
    assert manifest.engine == graph.manifest


def test_an_fp16_file_is_an_engine_that_says_so(graph, tmp_path):
    made = to_fp16_file(graph)
    path = tmp_path / "half.onnx"
    onnx.save(made.model, path)
    manifest = read_manifest(path)
    assert manifest == replace(graph.manifest, precision="fp16")
    assert path.stat().st_size < 0.6 * len(graph.data)
    # Ten bits are a relative error of 2^-11 each; forty layers deep it stays under a percent.
    assert made.differences[0].relative_error < 0.01
    assert len(made.differences) > 300
    assert made.kept == frozenset()


def test_a_capability_that_no_gpu_has_is_refused(graph):
    with pytest.raises(BackendError, match="builds ahead for"):
        make_plan(graph, order(gpu=Gpu("", "sm12")))
