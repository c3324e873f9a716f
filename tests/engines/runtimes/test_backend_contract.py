"""What holds of every backend with the graphs of every family."""

import os
from typing import Any

import numpy as np
import pytest

from maskstream.engines.backends import open_backend
from maskstream.engines.errors import BackendError
from maskstream.engines.interface.backend import BackendOptions, Wanted
from maskstream.engines.runtimes.torch_backend import TorchBackend
from tests.helpers.engines.subjects import PARTS, SUBJECTS

BATCH = 4
GRAPHS = SUBJECTS | PARTS
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "openvino": ("openvino", {"threads": 2}),
    "openvino-one": ("openvino", {"batch": 1}),
    "onnxruntime": ("onnxruntime", {"threads": 2}),
    "torch": ("torch", {}),
    "onnxruntime:cuda": ("onnxruntime:cuda", {}),
    "onnxruntime:tensorrt": ("onnxruntime:tensorrt", {}),
    "tensorrt": ("tensorrt", {}),
    "tensorrt-rtx": ("tensorrt-rtx", {}),
}
"""Backend, and options other than those of all."""
ON_GPU = {"onnxruntime:cuda", "onnxruntime:tensorrt", "tensorrt", "tensorrt-rtx"}
CASES = [
    pytest.param((way, name), marks=pytest.mark.gpu if way in ON_GPU else (), id=f"{way}, {name}")
    for way in WAYS
    for name, subject in GRAPHS.items()
    if way != "torch" or subject.detector
]


def opened(way, subject, model=None):
    """Returns a backend in float32, so that graphs are compared and not precisions."""
    name, others = WAYS[way]
    if name == "torch":
        return TorchBackend(subject.detector(), subject.input_size)
    options = BackendOptions(
        input_size=subject.input_size,
        layout=subject.layout,
        precision="fp32",
        **{"batch": BATCH, **others},
    )
    try:
        return open_backend(
            model or subject.engine_file(), options, backend=name, require_gpu=way in ON_GPU
        )[0]
    except BackendError as exc:
        if way in ON_GPU and os.environ.get("REQUIRE_GPU") != "1":
            pytest.skip(str(exc))
        raise


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """Keeps what is measured here out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", params=CASES)
def case(request, own_cache):
    """A backend with a graph, open for all of what follows."""
    way, name = request.param
    backend = opened(way, GRAPHS[name])
    yield backend, GRAPHS[name]
    backend.close()


def pictures(subject, count, seed=1):
    """Returns pictures of coloured squares, each of another one's hues."""
    cells = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    side = -(-subject.input_size // 8)
    frames = cells.repeat(side, axis=1).repeat(side, axis=2)
    return np.ascontiguousarray(frames[:, : subject.input_size, : subject.input_size])


def assert_same(ours, theirs, *, atol):
    """Compares one frame's outputs; rows of nearly equal score may have changed places."""
    scores = theirs.get("scores")
    for name, expected in theirs.items():
        found = ours[name]
        if scores is not None and len(expected) == len(scores) and name != "scores":
            gaps = np.abs(np.diff(scores, prepend=2.0, append=-1.0))
            is_sure = (gaps[:-1] > 1e-3) & (gaps[1:] > 1e-3)
            found, expected = found[is_sure], expected[is_sure]
        size = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(found, expected, atol=atol * size, err_msg=name)


def row(outputs, index):
    return {name: array[index] for name, array in outputs.items()}


def test_it_says_what_it_runs_on(case):
    backend, _ = case
    assert backend.preferred_batch >= 1
    assert backend.precision == "fp32"
    assert backend.name
    assert backend.device


def test_outputs_have_the_family_s_shapes_with_the_batch_first(case):
    backend, subject = case
    outputs = backend.infer(pictures(subject, 3))
    assert {name: array.shape for name, array in outputs.items()} == {
        name: (3, *shape) for name, shape in subject.outputs.items()
    }


@pytest.mark.parametrize("count", range(1, BATCH + 1))
def test_frames_of_a_batch_give_in_their_order_what_each_gives_alone(case, count):
    backend, subject = case
    frames = pictures(subject, count)
    together = copied(backend.infer(frames))
    for index in range(count):
        alone = row(copied(backend.infer(frames[index : index + 1])), 0)
        assert_same(row(together, index), alone, atol=1e-3)
        other = row(together, (index + 1) % count)
        assert count == 1 or any((other[name] != alone[name]).any() for name in alone)


def test_more_frames_than_were_announced_are_no_matter(case):
    backend, subject = case
    frames = pictures(subject, 2 * BATCH + 1)
    last = row(copied(backend.infer(frames)), -1)
    assert_same(last, row(backend.infer(frames[-1:]), 0), atol=1e-3)


@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_frames_without_a_thing_in_them_give_sound_outputs(case, kind):
    backend, subject = case
    shape = (2, subject.input_size, subject.input_size, 3)
    frames = {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "noise": np.random.default_rng(5).integers(0, 256, shape, np.uint8),
    }[kind]
    outputs = backend.infer(frames)
    assert all(np.isfinite(array).all() for array in outputs.values())
    if "scores" in outputs:
        assert outputs["scores"].min() >= 0
        assert outputs["scores"].max() <= 1 + 1e-6
        assert (np.diff(outputs["scores"], axis=1) <= 0).all()


def test_the_same_frames_give_the_same_outputs_and_are_not_changed(case):
    backend, subject = case
    frames = pictures(subject, 3)
    before = frames.copy()
    first = copied(backend.infer(frames))
    backend.infer(pictures(subject, 2, seed=9))
    second = backend.infer(frames)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    np.testing.assert_array_equal(frames, before)


def test_what_is_wanted_is_what_it_is_when_everything_is(case):
    backend, subject = case
    frames = pictures(subject, 3)
    everything = copied(backend.infer(frames))
    if "scores" not in everything:
        wanted, is_wanted = Wanted(score_min=0.5), np.ones((3, 1), bool)
    else:
        score_min = float(np.median(everything["scores"][:, 0]))  # one frame has no such row
        wanted, is_wanted = Wanted(score_min=score_min), everything["scores"] >= score_min
    found = backend.infer(frames, wanted)
    for index in np.flatnonzero(is_wanted.any(axis=1)):
        for name, array in everything.items():
            rows = is_wanted[index] if len(array[index]) == is_wanted.shape[1] else ...
            np.testing.assert_array_equal(found[name][index][rows], array[index][rows])


def test_what_is_no_batch_of_frames_is_refused(case):
    backend, subject = case
    good = pictures(subject, 1)
    for bad in (good[0], good[:0], good[:, 1:], good[..., :1], good.astype(np.float32)):
        with pytest.raises(BackendError, match="is needed"):
            backend.infer(bad)
    backend.infer(good)


def test_it_agrees_with_the_network_in_pytorch_or_another_runtime(case):
    backend, subject = case
    reference = opened("torch" if subject.detector else "onnxruntime", subject)
    frames = pictures(subject, 2, seed=3)
    outputs, expected = backend.infer(frames), reference.infer(frames)
    for index in range(2):
        assert_same(row(outputs, index), row(expected, index), atol=2e-3)


def copied(outputs):
    """Returns outputs that stay: a backend's own are its caller's until the next call only."""
    return {name: array.copy() for name, array in outputs.items()}


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=pytest.mark.gpu if way in ON_GPU else ()) for way in WAYS]
)
def test_a_closed_backend_says_so_and_closes_twice(way):
    subject = SUBJECTS["yolact"]
    backend = opened(way, subject)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(pictures(subject, 1))


@pytest.mark.parametrize("way", ["openvino", "onnxruntime"])
def test_a_graph_s_bytes_are_as_good_as_its_file(way):
    subject = SUBJECTS["yolact"]
    frames = pictures(subject, 2)
    by_file, by_bytes = (
        opened(way, subject),
        opened(way, subject, subject.engine_file().read_bytes()),
    )
    expected = by_file.infer(frames)
    for name, array in by_bytes.infer(frames).items():
        np.testing.assert_array_equal(array, expected[name])
    by_file.close()
    by_bytes.close()
