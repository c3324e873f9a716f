"""One contract for all backends, and agreement of the exported graph with torch."""

from collections.abc import Callable

import numpy as np
import pytest

from engines import open_engine
from engines.backends.base import Backend
from engines.backends.openvino_backend import OpenVinoBackend
from engines.backends.torch_backend import TorchBackend
from engines.errors import BackendError
from tests.engines.tiny import tiny_detector, tiny_engine_file

OUTPUTS = {
    "boxes": (100, 4),
    "scores": (100,),
    "class_ids": (100,),
    "coefficients": (100, 8),
    "prototypes": (16, 16, 8),
}

MAKERS: dict[str, Callable[[], Backend]] = {
    "openvino-latency": lambda: OpenVinoBackend(tiny_engine_file(), threads=1, batch=1),
    "openvino-throughput": lambda: OpenVinoBackend(tiny_engine_file(), threads=2),
    "torch": lambda: TorchBackend(tiny_detector()),
}


@pytest.fixture(params=MAKERS)
def backend(request):
    opened = MAKERS[request.param]()
    yield opened
    opened.close()


def _noise(count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)


def test_outputs_have_the_shapes_of_the_boundary(backend):
    outputs = backend.infer(_noise(3))
    assert {name: array.shape[1:] for name, array in outputs.items()} == OUTPUTS
    assert all(len(array) == 3 for array in outputs.values())


@pytest.mark.parametrize("count", range(1, 6))
def test_every_batch_size_gives_what_single_frames_give(backend, count):
    frames = _noise(count)
    together = backend.infer(frames)
    for row in range(count):
        alone = backend.infer(frames[row : row + 1])
        for name in ("scores", "boxes", "prototypes"):
            np.testing.assert_allclose(together[name][row], alone[name][0], atol=2e-3, err_msg=name)


def test_the_same_frames_give_the_same_outputs(backend):
    first, second = backend.infer(_noise(2)), backend.infer(_noise(2))
    for name in OUTPUTS:
        np.testing.assert_array_equal(first[name], second[name])


def test_outputs_stay_when_the_next_batch_runs(backend):
    first = backend.infer(_noise(2))
    before = {name: array.copy() for name, array in first.items()}
    backend.infer(_noise(2, seed=9))
    for name, array in before.items():
        np.testing.assert_array_equal(first[name], array)


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(np.zeros((1, 32, 64, 3), np.uint8), id="size"),
        pytest.param(np.zeros((64, 64, 3), np.uint8), id="no-batch"),
    ],
)
def test_frames_of_another_shape_are_refused(backend, frames):
    with pytest.raises(BackendError, match="is needed"):
        backend.infer(frames)


def test_a_closed_backend_says_so_and_closes_twice(backend):
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(_noise(1))


def test_onnx_equals_torch():
    """In float32 OpenVINO and torch differ by rounding only; what is kept is the same."""
    frames = _noise(4, seed=3)
    ours = TorchBackend(tiny_detector()).infer(frames)
    opened = OpenVinoBackend(tiny_engine_file(), threads=1, batch=1, precision="fp32")
    theirs = opened.infer(frames)
    opened.close()
    np.testing.assert_allclose(theirs["scores"], ours["scores"], atol=1e-4)
    np.testing.assert_allclose(theirs["prototypes"], ours["prototypes"], atol=1e-3)
    # Rows of nearly equal score may change places, so boxes are compared where the order is sure.
    sure = np.diff(ours["scores"], axis=1, prepend=2.0) < -1e-3
    sure &= np.diff(ours["scores"], axis=1, append=-1.0) < -1e-3
    assert sure.sum() >= 20
    np.testing.assert_allclose(theirs["boxes"][sure], ours["boxes"][sure], atol=1e-3)
    np.testing.assert_array_equal(theirs["class_ids"][sure], ours["class_ids"][sure])


def test_onnx_masks_equal_torch_masks():
    from engines.engine import Engine
    from tests.engines.tiny import tiny_manifest

    frames = _noise(3, seed=5)
    sizes = [(200, 100)] * 3
    opened = OpenVinoBackend(tiny_engine_file(), threads=1, batch=1, precision="fp32")
    with (
        Engine(TorchBackend(tiny_detector()), tiny_manifest()) as a,
        Engine(opened, tiny_manifest()) as b,
    ):
        for ours, theirs in zip(
            a.detect(frames, sizes, score_min=0.2),
            b.detect(frames, sizes, score_min=0.2),
            strict=True,
        ):
            assert len(ours) == len(theirs) > 0
            for row in range(len(ours)):
                first, second = ours.mask(row), theirs.mask(row)
                assert first.shape == second.shape
                union = (first | second).sum()
                assert union == 0 or (first & second).sum() / union > 0.98


def test_engine_opens_by_path_and_names_what_it_runs_in():
    with open_engine(str(tiny_engine_file()), threads=1, batch=1) as engine:
        assert engine.manifest.class_names == ("circle", "square", "star")
        assert engine.backend == "openvino"
        assert engine.precision in {"fp32", "bf16", "fp16"}


def test_unknown_backend_is_an_error_that_lists_the_known():
    with pytest.raises(BackendError, match="openvino"):
        open_engine(str(tiny_engine_file()), backend="tensorflow")


def test_a_graph_that_openvino_refuses_is_one_line(tmp_path):
    data = tiny_engine_file().read_bytes()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(data.replace(b"Softmax", b"Sofdmax"))
    with pytest.raises(BackendError) as caught:
        OpenVinoBackend(broken, threads=1, batch=1)
    assert "\n" not in str(caught.value)
