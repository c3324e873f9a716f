"""The lanes of the TensorRT backend, on a device that works late."""

import mmap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest

from maskstream.engines import read_manifest, resolve_engine
from maskstream.engines.conversion.layer_differences import synthetic_frames
from maskstream.engines.engine import Engine
from maskstream.engines.errors import BackendError
from maskstream.engines.interface.backend import BackendOptions, Wanted
from maskstream.engines.interface.planar_frame import PlanarFrame
from maskstream.engines.runtimes.tensorrt.backend import TensorRtBackend
from maskstream.engines.runtimes.tensorrt.device import DeviceMemoryError
from maskstream.stream.memory.frame import Planes
from maskstream.stream.pixels.scaling import network_input, rgb_matrix
from tests.engines.runtimes.tensorrt.fake_device import FakeDevice, FakeNetwork

SIDE = 8
ROWS = 3


def outputs_of(frames):
    """Three rows a frame: frames that are bright score more; black ones score nothing."""
    means = frames.reshape(len(frames), -1).mean(axis=1) / 255
    scores = means[:, None] * np.array([1.0, 0.5, 0.25])
    boxes = scores[..., None] + np.arange(4) / 10
    return {
        "boxes": boxes.astype(np.float32),
        "scores": scores.astype(np.float32),
        "class_ids": np.repeat([[4, 5, 6]], len(frames), axis=0).astype(np.int32),
        "prototypes": frames[:, ::2, ::2, :2].astype(np.float32),
    }


def frames_of(count, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (count, SIDE, SIDE, 3), np.uint8)


def opened(device=None, batch=None, **network):
    device = device or FakeDevice()
    backend = TensorRtBackend(
        FakeNetwork(device, outputs_of, **network),
        device,
        name="tensorrt",
        precision="fp16",
        options=BackendOptions(input_size=SIDE, batch=batch),
    )
    return backend, device


def work(device):
    """What was begun: (what, stream), without sizes and addresses."""
    return [(what[0], stream) for what, stream in device.calls]


@pytest.mark.parametrize("count", range(1, 11))
def test_every_batch_size_gives_each_frame_its_own_outputs(count):
    backend, _ = opened(batch_max=4)
    for seed in (1, 2, 3):  # the first run, the one that is captured, a replayed one
        frames = frames_of(count, seed)
        outputs = backend.infer(frames)
        for name, expected in outputs_of(frames).items():
            np.testing.assert_array_equal(outputs[name], expected, err_msg=name)
            assert outputs[name].dtype == expected.dtype


def test_another_thread_than_the_one_that_opened_it_can_use_it():
    backend, _ = opened()
    frames = frames_of(2)
    with ThreadPoolExecutor(1) as other:
        outputs = other.submit(backend.infer, frames).result(timeout=20)
    np.testing.assert_array_equal(outputs["scores"], outputs_of(frames)["scores"])


def test_results_stay_when_the_next_batch_runs():
    backend, _ = opened()
    first = backend.infer(frames_of(2, seed=1))
    backend.infer(frames_of(2, seed=2))
    np.testing.assert_array_equal(
        first["prototypes"], outputs_of(frames_of(2, seed=1))["prototypes"]
    )


def test_the_second_chunk_is_begun_before_the_first_is_waited_for():
    backend, device = opened(batch_max=2)
    backend.infer(frames_of(6))
    names = ["boxes", "class_ids", "prototypes"]
    fetched = [("download", 0)] * len(names) * 2
    begun = [("upload", 0), ("network", 0), ("download", 0)]
    assert work(device) == [
        *begun,
        *[(what, 1) for what, _ in begun],
        ("wait", 0), *fetched, ("wait", 0),
        ("upload", 0), ("graph", 0), ("download", 0),
        ("wait", 1), *[(what, 1) for what, _ in fetched], ("wait", 1),
        ("wait", 0), *fetched, ("wait", 0),
    ]  # fmt: skip


def test_buffers_are_made_once():
    backend, device = opened(batch_max=2)
    blocks = set(device.blocks)
    for seed in range(4):
        backend.infer(frames_of(5, seed))
    assert set(device.blocks) == blocks


def test_each_batch_size_is_captured_once_and_then_launched_as_a_graph():
    backend, device = opened(batch_max=2)
    for _ in range(3):
        device.calls.clear()
        backend.infer(frames_of(1))
    kinds = [what for what, _ in work(device)]
    assert "graph" in kinds
    assert "network" not in kinds


@pytest.mark.parametrize(
    ("has_graphs", "graphs_itself"), [(False, False), (True, True)], ids=["pycuda", "rtx"]
)
def test_nothing_is_captured_where_that_cannot_be_or_the_runtime_does_it(has_graphs, graphs_itself):
    backend, device = opened(FakeDevice(has_graphs=has_graphs), graphs_itself=graphs_itself)
    for _ in range(3):
        backend.infer(frames_of(2))
    assert [what for what, _ in work(device)].count("network") == 3


def test_one_context_a_batch_size_and_lane():
    device = FakeDevice()
    network = FakeNetwork(device, outputs_of)
    options = BackendOptions(input_size=SIDE)
    backend = TensorRtBackend(network, device, name="t", precision="fp16", options=options)
    for count in (1, 2, 1, 2, 4, 4):
        backend.infer(frames_of(count))
    assert network.contexts == [1, 2, 4]


def test_only_rows_that_score_are_fetched():
    backend, device = opened()
    frames = frames_of(3)
    frames[1] = 0  # sees nothing
    frames[2] = 255  # scores 1, 0.5 and 0.25
    outputs = backend.infer_planes(whole_planes(frames), Wanted(score_min=0.4))
    # Scores of all, then one row of the first frame and two of the last, and their prototypes.
    sizes = [what[1] for what, _ in device.calls if what[0] == "download"]
    prototypes = 4 * 4 * 2 * 4
    assert sizes == [3 * ROWS * 4, 1 * 16, 2 * 16, 1 * 4, 2 * 4, prototypes, prototypes]
    assert not outputs["prototypes"][1].any()
    assert outputs["scores"].shape == (3, ROWS)
    np.testing.assert_array_equal(outputs["class_ids"][2], [4, 5, 0])


def test_a_frame_of_nothing_fetches_scores_alone():
    backend, device = opened()
    outputs = backend.infer(np.zeros((2, SIDE, SIDE, 3), np.uint8))
    assert [what for what, _ in work(device)] == ["upload", "network", "download", "wait"]
    assert not outputs["prototypes"].any()


def test_outputs_without_scores_are_fetched_whole():
    def function(frames):
        return {"cells": frames[:, 0].astype(np.float32) + 1}

    device = FakeDevice()
    backend = TensorRtBackend(
        FakeNetwork(device, function), device, name="t", precision="fp32",
        options=BackendOptions(input_size=SIDE),
    )  # fmt: skip
    frames = frames_of(6)
    np.testing.assert_array_equal(backend.infer(frames)["cells"], function(frames)["cells"])


# -- frames as they came


def whole_planes(frames):
    """Grey frames of twice the input's side, each a block of memory of its own."""
    side = 2 * SIDE
    made = []
    for frame in frames:
        data = np.frombuffer(mmap.mmap(-1, side * side * 3 // 2), np.uint8)
        data[: side * side] = np.repeat(np.repeat(frame[..., 0], 2, axis=0), 2, axis=1).ravel()
        data[side * side :] = 128
        made.append(PlanarFrame(data, side, side, rgb_matrix(1, 6)))
    return made


def test_planes_are_scaled_on_the_device():
    backend, _ = opened()
    frames = frames_of(3)
    frames[..., 1:] = frames[..., :1]  # grey
    outputs = backend.infer_planes(whole_planes(frames))
    np.testing.assert_array_equal(outputs["prototypes"], outputs_of(frames)["prototypes"])


def test_a_pinned_frame_is_uploaded_from_where_it_lies():
    backend, device = opened()
    frames = whole_planes(frames_of(2))
    for _ in range(3):
        device.calls.clear()
        backend.infer_planes(frames)
    uploads = [what[1] for what, _ in device.calls if what[0] == "upload"]
    assert uploads == [frame.data.ctypes.data for frame in frames]
    assert device.pin_count == 2
    assert backend.pinned_bytes == sum(frame.data.nbytes for frame in frames)
    backend.close()
    assert device.pinned == {}


def test_a_frame_that_cannot_be_pinned_is_tried_once_and_uploaded():
    backend, device = opened(FakeDevice(pins=False))
    frames = whole_planes(frames_of(1))
    for _ in range(3):
        outputs = backend.infer_planes(frames)
    assert device.pin_count == 1
    assert backend.pinned_bytes == 0
    assert outputs["scores"].any()


def test_memory_for_planes_grows_with_the_frames():
    backend, _device = opened()
    small = whole_planes(frames_of(1))
    backend.infer_planes(small)
    many = whole_planes(frames_of(4))
    first = backend.infer_planes(many)["scores"]
    np.testing.assert_array_equal(first[:1], backend.infer_planes(many[:1])["scores"])


def test_an_engine_sees_the_same_in_planes_as_in_inputs():
    """The shipped graph in ONNX Runtime stands in for the GPU's, and the real kernel runs."""
    path = resolve_engine("person-light")
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]

    def function(frames):
        return dict(zip(names, session.run(None, {"frames": frames}), strict=True))

    device = FakeDevice()
    backend = TensorRtBackend(
        FakeNetwork(device, function, side=416), device, name="tensorrt", precision="fp32",
        options=BackendOptions(input_size=416),
    )  # fmt: skip
    width, height = 640, 360
    luma, blue, red = (
        synthetic_frames(width)[0, : height // step * step : step, ::step, channel].copy()
        for channel, step in enumerate((1, 2, 2))
    )
    scaled = np.zeros((1, 416, 416, 3), np.uint8)
    network_input(Planes(luma, blue, red), scaled[0], color_range=0, color_matrix=1)
    data = np.concatenate([plane.ravel() for plane in (luma, blue, red)])
    frame = PlanarFrame(data, width, height, rgb_matrix(0, 1))
    with Engine(backend, read_manifest(path)) as engine:
        assert engine.takes_planes
        ours, theirs = engine.infer([frame]), engine.infer(scaled)
        (found,) = engine.detect([frame], [(width, height)], score_min=1e-4)
    np.testing.assert_allclose(ours["scores"], theirs["scores"], atol=0.01)
    spread = theirs["prototypes"].std()
    assert np.abs(ours["prototypes"] - theirs["prototypes"]).mean() < 0.02 * spread
    assert len(found) == min(15, np.count_nonzero(ours["scores"] >= 1e-4))


# -- what goes wrong


def test_too_little_memory_says_which_batch_fits():
    # Twice 192 bytes in, 3 rows of 4 + 1 + 1 numbers and 4 x 4 x 2 out, and 1000 of scratch.
    frame_bytes = 2 * (192 + 4 * (3 * 6 + 32) + 1000)
    with pytest.raises(DeviceMemoryError, match=r"batches of 4 need 1 MiB .* --batch 3 fits\.$"):
        opened(FakeDevice(memory_bytes=4 * frame_bytes - 1))
    with pytest.raises(DeviceMemoryError, match="not even one frame fits"):
        opened(FakeDevice(memory_bytes=frame_bytes - 1))
    backend, _ = opened(FakeDevice(memory_bytes=3 * frame_bytes), batch=3)
    assert len(backend.infer(frames_of(5))["scores"]) == 5


def test_what_was_taken_is_given_back_when_opening_fails(monkeypatch):
    device = FakeDevice()
    network = FakeNetwork(device, outputs_of)
    monkeypatch.setattr(device, "pinned_empty", _full)
    with pytest.raises(DeviceMemoryError):
        TensorRtBackend(
            network, device, name="t", precision="fp16", options=BackendOptions(input_size=SIDE)
        )
    assert network.is_closed
    assert device.is_closed
    assert device.blocks == {}


def _full(byte_count):
    raise DeviceMemoryError("full")


def test_closing_gives_back_all_memory_and_closes_twice():
    backend, device = opened()
    backend.infer(frames_of(3))
    backend.infer_planes(whole_planes(frames_of(3)))
    backend.close()
    backend.close()
    assert device.blocks == {}
    assert device.is_closed
    for call in (
        lambda: backend.infer(frames_of(1)),
        lambda: backend.infer_planes(whole_planes(frames_of(1))),
    ):
        with pytest.raises(BackendError, match="closed"):
            call()


def test_a_failure_on_the_device_is_told_and_the_backend_can_be_closed():
    backend, device = opened()
    device.broken_with = "tensorrt: the CUDA driver says CUDA_ERROR_LAUNCH_FAILED."
    with pytest.raises(BackendError, match="LAUNCH_FAILED"):
        backend.infer(frames_of(1))
    backend.close()
    assert device.is_closed


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, SIDE, SIDE + 1, 3), np.uint8),
        np.zeros((SIDE, SIDE, 3), np.uint8),
        np.zeros((0, SIDE, SIDE, 3), np.uint8),
        np.zeros((1, SIDE, SIDE, 3), np.float32),
    ],
    ids=["size", "no-batch", "empty", "floats"],
)
def test_frames_of_another_shape_are_refused(frames):
    backend, _ = opened()
    with pytest.raises(BackendError, match="is needed"):
        backend.infer(frames)


def test_files_get_two_chunks_at_once_and_a_batch_is_kept_as_asked():
    assert opened(batch_max=4)[0].preferred_batch == 8
    assert opened(batch_max=4, batch=3)[0].preferred_batch == 3
