"""Agreement of the exported graph with torch, and opening by name and path."""

import numpy as np
import pytest

from maskstream.engines import open_engine
from maskstream.engines.errors import BackendError
from maskstream.engines.interface.backend import BackendOptions, in_parts
from maskstream.engines.runtimes.openvino.backend import OpenVinoBackend
from maskstream.engines.runtimes.torch_backend import TorchBackend
from tests.helpers.engines.tiny import tiny_detector, tiny_engine_file


def openvino(**options) -> OpenVinoBackend:
    return OpenVinoBackend(tiny_engine_file(), BackendOptions(input_size=64, **options))


def _noise(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)


def test_onnx_equals_torch():
    """In float32 OpenVINO and torch differ by rounding only; what is kept is the same."""
    frames = _noise(4, seed=3)
    ours = TorchBackend(tiny_detector(), 64).infer(frames)
    opened = openvino(batch=1, precision="fp32")
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
    from maskstream.engines.engine import Engine
    from tests.helpers.engines.tiny import tiny_manifest

    frames = _noise(3, seed=5)
    sizes = [(200, 100)] * 3
    opened = openvino(batch=1, precision="fp32")
    with (
        Engine(TorchBackend(tiny_detector(), 64), tiny_manifest()) as a,
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
        OpenVinoBackend(broken, BackendOptions(input_size=64, batch=1))
    assert "\n" not in str(caught.value)


def test_more_frames_than_fit_go_through_part_by_part_in_their_order():
    taken = []

    def run(frames):
        taken.append(len(frames))
        return {"firsts": frames[:, 0, 0, 0].copy()}

    frames = np.zeros((7, 2, 2, 3), np.uint8)
    frames[:, 0, 0, 0] = np.arange(7)
    assert in_parts(run, frames, 3)["firsts"].tolist() == list(range(7))
    assert taken == [3, 3, 1]
