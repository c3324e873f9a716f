"""Crops cut on the device: out of which frames, in which order, and that no pixel goes round."""

import mmap

import numpy as np
import onnxruntime
import pytest

from maskstream.engines import read_manifest
from maskstream.engines.engine import Engine
from maskstream.engines.errors import BackendError
from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.engines.interface.backend import BackendOptions
from maskstream.engines.interface.planar_frame import PlanarFrame
from maskstream.engines.runtimes.tensorrt.backend import TensorRtBackend
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.stream.pixels.scaling import rgb_matrix
from tests.engines.runtimes.tensorrt.fake_device import FakeDevice, FakeNetwork
from tests.helpers.engines.hand_made import hand_made_file

SIDE = 8


def scores_of(frames):
    return {"scores": frames[:, 0, 0, :1].astype(np.float32)}


def crops_as_they_are(crops):
    return {"masks": crops[..., 0].astype(np.float32)}


def opened(function, *, batch_max=2, side=SIDE, name="frames", **options):
    device = FakeDevice()
    backend = TensorRtBackend(
        FakeNetwork(device, function, side=side, batch_max=batch_max, name=name),
        device,
        name="tensorrt",
        precision="fp32",
        options=BackendOptions(input_size=side, **options),
        fit="letterbox",
    )
    return backend, device


def grey_frames(levels, width=32, height=16):
    """Frames of one grey each, 0 to 255, but for their left half, which is black."""
    frames = []
    for level in levels:
        data = np.frombuffer(mmap.mmap(-1, width * height * 3 // 2), np.uint8)
        luma = data[: width * height].reshape(height, width)
        luma[:, width // 2 :] = level
        data[width * height :] = 128
        frames.append(PlanarFrame(data, width, height, rgb_matrix(1, 6)))
    return frames


RIGHT, LEFT = [16, 0, 32, 16], [0, 0, 16, 16]


def test_each_crop_comes_out_of_its_own_frame_in_order():
    boxes, _ = opened(scores_of)
    masks, device = opened(crops_as_they_are, name="crops")
    levels = (50, 100, 150, 200, 250)  # more than two lanes of two frames hold at once
    boxes.infer_planes(grey_frames(levels))
    extents = [np.array(e, np.int32).reshape(-1, 4)
               for e in ([RIGHT], [], [LEFT, RIGHT], [RIGHT, RIGHT], [RIGHT])]  # fmt: skip
    for _ in range(3):
        found = masks.infer_crops(boxes.device_frames, extents)["masks"]
        assert found.shape == (6, SIDE, SIDE)
        assert found[:, 4, 4].tolist() == [50, 0, 150, 200, 200, 250]
    uploads = [what[2] for what, _ in device.calls if what[0] == "upload"]
    assert set(uploads) == {2 * 16}  # the edges of two rectangles; no pixels
    cuts = [what for what, _ in device.calls if what[0] == "crop_input"]
    assert len(cuts) == 3 * (2 + 2 + 2)  # of frames 0 and 2, then 2 and 3, then 3 and 4


def test_the_second_chunk_of_crops_is_begun_before_the_first_is_waited_for():
    boxes, _ = opened(scores_of)
    masks, device = opened(crops_as_they_are, name="crops")
    boxes.infer_planes(grey_frames([9]))
    masks.infer_crops(boxes.device_frames, [np.array([RIGHT] * 4, np.int32)])
    begun = [("upload", 0), ("crop_input", 0), ("network", 0), ("download", 0)]
    assert [(what[0], stream) for what, stream in device.calls] == [
        *begun, *[(what, 1) for what, _ in begun], ("wait", 0), ("wait", 1),
    ]  # fmt: skip


def test_memory_for_frames_is_kept_and_grows():
    boxes, device = opened(scores_of)
    for levels, size in (((1, 2), (32, 16)), ((3, 4, 5), (32, 16)), ((6, 7), (64, 32))):
        boxes.infer_planes(grey_frames(levels, *size))
        assert len(boxes.device_frames) == len(levels)
    blocks = set(device.blocks)
    boxes.infer_planes(grey_frames((8, 9)))
    assert set(device.blocks) == blocks
    boxes.close()
    assert device.blocks == {}
    assert list(boxes.device_frames) == []


def test_crops_need_an_open_backend_that_takes_pictures():
    boxes, _ = opened(scores_of)
    boxes.infer_planes(grey_frames([9]))
    closed, _ = opened(crops_as_they_are, name="crops")
    closed.close()
    floats, _ = opened(crops_as_they_are, name="crops", layout="planes")
    assert not floats.cuts_crops
    for backend, words in ((closed, "closed"), (floats, "takes floats")):
        with pytest.raises(BackendError, match=words):
            backend.infer_crops(boxes.device_frames, [np.array([RIGHT], np.int32)])


# -- an engine of two stages


def graph_of(part):
    """A graph of the hand-made pair as a function; ONNX Runtime computes it."""
    session = onnxruntime.InferenceSession(split_graphs(hand_made_file())[part])
    names = [output.name for output in session.get_outputs()]
    return lambda frames: dict(zip(names, session.run(None, {part: frames}), strict=True))


def pair(crop_device=None):
    manifest = read_manifest(hand_made_file())
    boxes, device = opened(graph_of("frames"), side=manifest.input_size)
    masks, other = opened(
        graph_of("crops"), side=manifest.crop_px, name="crops", device=crop_device
    )
    return Engine(boxes, manifest, crop_backend=masks), device, other


def coloured_frames():
    """Two frames of 128 x 96 with squares that the hand-made pair finds, and one of nothing."""
    frames, pictures = [], []
    for squares in ([(32, 16, 76, 85), (96, 64, 29, 255)], [], [(64, 32, 76, 85)]):
        data = np.frombuffer(mmap.mmap(-1, 128 * 96 * 3 // 2), np.uint8)
        planes = planes_of(data, 128, 96)
        planes.y[:], planes.u[:], planes.v[:] = 0, 128, 128
        for left, top, luma, blue in squares:  # BT.601, full range: red, or blue
            planes.y[top : top + 16, left : left + 16] = luma
            half = slice(top // 2, top // 2 + 8), slice(left // 2, left // 2 + 8)
            planes.u[half], planes.v[half] = blue, 255 if blue < 128 else 107
        frames.append(PlanarFrame(data, 128, 96, rgb_matrix(1, 6)))
        pictures.append(PlanesPicture(planes, 1, 6))
    return frames, pictures


class Unread:
    """A picture whose pixels nobody may ask for."""

    def cut(self, extents, side):
        raise AssertionError("pixels were cut on the host")


def test_an_engine_of_two_stages_masks_what_lies_on_the_device():
    frames, pictures = coloured_frames()
    sizes = [(128, 96)] * 3
    engine, device, crop_device = pair()
    with engine:
        device.calls.clear()
        crop_device.calls.clear()
        found = engine.detect(frames, sizes, score_min=0.6, pictures=[Unread()] * 3)
        uploads = [what for what, _ in (*device.calls, *crop_device.calls) if what[0] == "upload"]
    assert [len(each) for each in found] == [2, 0, 1]
    # The frames once, and the edges of three rectangles; nothing else goes to the device.
    assert [what[2] for what in uploads] == [128 * 96 * 3 // 2] * 3 + [2 * 16, 16]
    elsewhere, _, _ = pair(crop_device="cuda:1")
    with elsewhere:
        expected = elsewhere.detect(frames, sizes, score_min=0.6, pictures=pictures)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.boxes_xyxy_src, theirs.boxes_xyxy_src)
        np.testing.assert_array_equal(ours.extents_xyxy_src, theirs.extents_xyxy_src)
        for index in range(len(ours)):
            assert ours.mask(index).sum() == pytest.approx(16 * 16, rel=0.15)
            assert np.mean(ours.mask(index) != theirs.mask(index)) < 0.02


def test_frames_of_nothing_run_one_graph():
    frames, _ = coloured_frames()
    engine, _, crop_device = pair()
    with engine:
        crop_device.calls.clear()
        (found,) = engine.detect(frames[1:2], [(128, 96)], score_min=0.6, pictures=[Unread()])
    assert len(found) == 0
    assert crop_device.calls == []
