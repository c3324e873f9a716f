"""What only a GPU can show: the real device, the kernel on it, and engines built and run there."""

import mmap

import numpy as np
import onnxruntime
import pytest

from maskstream.engines import open_engine
from maskstream.engines.conversion.layer_differences import synthetic_frames
from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.files.zoo import resolve_engine
from maskstream.engines.interface.backend import BackendOptions, Wanted
from maskstream.engines.interface.planar_frame import DeviceFrame, PlanarFrame
from maskstream.engines.runtimes.tensorrt.device import DeviceMemoryError, open_device
from maskstream.engines.runtimes.tensorrt.flavors import FLAVORS
from maskstream.engines.runtimes.tensorrt.kernel import (
    BLOCK,
    CROP_KERNEL_NAME,
    KERNEL_NAME,
    crop_arguments,
    kernel_arguments,
    kernel_grid,
    kernel_source,
)
from maskstream.engines.runtimes.tensorrt.opening import open_tensorrt
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.stream.pixels.scaling import rgb_matrix
from tests.engines.runtimes.tensorrt.fake_device import run_kernel

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

SIDE = 416
WIDTH, HEIGHT = 1280, 720


@pytest.fixture
def device():
    opened = open_device()
    yield opened
    opened.close()


def planar_frames(count):
    """Frames in pages of their own, as slots of a pool are."""
    frames = []
    for seed in range(count):
        data = np.frombuffer(mmap.mmap(-1, WIDTH * HEIGHT * 3 // 2), np.uint8)
        data[:] = np.random.default_rng(seed).integers(0, 256, data.nbytes, np.uint8)
        frames.append(PlanarFrame(data, WIDTH, HEIGHT, rgb_matrix(0, 1)))
    return frames


def test_bytes_come_back_from_the_device(device):
    stream, pointer = device.new_stream(), device.allocate(1 << 20)
    sent, back = device.pinned_empty(1 << 20), device.pinned_empty(1 << 20)
    sent[:] = np.random.default_rng(0).integers(0, 256, sent.nbytes, np.uint8)
    device.upload(pointer, sent, stream)
    device.download(back, pointer, stream)
    device.wait(stream)
    device.free(pointer)
    np.testing.assert_array_equal(back, sent)


def test_more_memory_than_there_is_says_so(device):
    with pytest.raises(DeviceMemoryError, match="memory is full"):
        device.allocate(1 << 50)


def test_pages_of_somebody_else_can_be_pinned(device):
    (frame,) = planar_frames(1)
    assert device.pin(frame.data)
    device.unpin(frame.data)


def test_the_kernel_gives_on_the_gpu_what_it_gives_on_the_processor(device):
    (frame,) = planar_frames(1)
    kernel, stream = device.load_kernel(kernel_source(), KERNEL_NAME), device.new_stream()
    planes, target = device.allocate(frame.data.nbytes), device.allocate(3 * SIDE * SIDE)
    device.upload(planes, frame.data, stream)
    arguments = kernel_arguments(frame, planes, target, SIDE, "letterbox")
    device.launch(kernel, kernel_grid(SIDE), BLOCK, arguments, stream)
    ours = device.pinned_empty(3 * SIDE * SIDE)
    device.download(ours, target, stream)
    device.wait(stream)
    expected = np.empty_like(ours)
    run_kernel(
        kernel_arguments(frame, frame.data.ctypes.data, expected.ctypes.data, SIDE, "letterbox")
    )
    assert np.abs(ours.astype(int) - expected).max() <= 1
    device.free(planes)
    device.free(target)


def test_crops_are_cut_on_the_gpu_as_on_the_processor(device):
    (frame,) = planar_frames(1)
    side, edges = (
        112,
        np.array([[100, 60, 340, 660], [0, 0, 60, 80], [900, 2, 1280, 720]], np.int32),
    )
    kernel, stream = device.load_kernel(kernel_source(), CROP_KERNEL_NAME), device.new_stream()
    planes, rectangles = device.allocate(frame.data.nbytes), device.allocate(edges.nbytes)
    target = device.allocate(3 * 3 * side * side)
    device.upload(planes, frame.data, stream)
    device.upload(rectangles, edges.reshape(-1).view(np.uint8), stream)
    there = DeviceFrame(planes, WIDTH, HEIGHT, frame.rgb_matrix)
    arguments = crop_arguments(there, target, side, rectangles, len(edges))
    device.launch(kernel, kernel_grid(side, len(edges)), BLOCK, arguments, stream)
    ours = device.pinned_empty(3 * 3 * side * side)
    device.download(ours, target, stream)
    device.wait(stream)
    expected = np.empty_like(ours)
    here = DeviceFrame(frame.data.ctypes.data, WIDTH, HEIGHT, frame.rgb_matrix)
    pointers = expected.ctypes.data, side, edges.ctypes.data, len(edges)
    run_kernel(crop_arguments(here, *pointers), CROP_KERNEL_NAME)
    assert np.abs(ours.astype(int) - expected).max() <= 1
    for pointer in (planes, rectangles, target):
        device.free(pointer)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_an_engine_of_two_stages_masks_what_lies_on_the_gpu(flavor, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if FLAVORS[flavor].why_not() is not None:
        pytest.skip(f"{flavor} is not installed; one of the two is enough.")
    frames = planar_frames(3)
    pictures = [PlanesPicture(planes_of(frame.data, WIDTH, HEIGHT), 0, 1) for frame in frames]
    sizes = [(WIDTH, HEIGHT)] * len(frames)
    with open_engine("person-yolo-fcn", backend=flavor) as engine:
        ours = engine.detect(frames, sizes, score_min=1e-4, pictures=pictures)
        outputs = engine.infer(frames, Wanted(score_min=1e-4))
        theirs = engine.assemble(outputs, sizes, score_min=1e-4, pictures=pictures)
    for on_gpu, on_host in zip(ours, theirs, strict=True):
        assert len(on_gpu) == len(on_host) > 0
        for a, b in zip(on_gpu.patches, on_host.patches, strict=True):
            assert np.abs(a.astype(int) - b).mean() < 4


@pytest.fixture(scope="module", params=FLAVORS)
def backend(request, tmp_path_factory):
    """The shipped engine, built on the first use in a cache of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        options = BackendOptions(input_size=SIDE)
        try:
            opened = open_tensorrt(
                resolve_engine("person-light"), options, flavor_name=request.param
            )
        except UnavailableError as exc:
            pytest.skip(str(exc))  # one of the two is enough
        yield opened
        opened.close()


def test_fp16_sees_what_float32_sees_on_the_processor(backend):
    frames = synthetic_frames(SIDE, count=3)
    session = onnxruntime.InferenceSession(str(resolve_engine("person-light")))
    names = [output.name for output in session.get_outputs()]
    expected = dict(zip(names, session.run(None, {"frames": frames}), strict=True))
    ours = backend.infer(frames)
    np.testing.assert_allclose(ours["scores"], expected["scores"], atol=0.02)
    spread = expected["prototypes"].std()
    assert np.abs(ours["prototypes"] - expected["prototypes"]).mean() < 0.02 * spread


@pytest.mark.parametrize("count", range(1, 18))
def test_every_batch_size_gives_what_single_frames_give(backend, count):
    frames = synthetic_frames(SIDE, count=4)[np.arange(count) % 4]
    for _ in range(3):  # the third is launched as a graph
        together = backend.infer(frames)
    for row in range(min(count, 4)):
        alone = backend.infer(frames[row : row + 1])
        np.testing.assert_allclose(together["scores"][row], alone["scores"][0], atol=5e-3)
        np.testing.assert_allclose(together["prototypes"][row], alone["prototypes"][0], atol=0.05)


def test_planes_are_uploaded_from_where_they_lie(backend):
    frames = planar_frames(9)
    first = backend.infer_planes(frames)
    second = backend.infer_planes(frames)
    assert backend.pinned_bytes == 9 * frames[0].data.nbytes
    np.testing.assert_array_equal(first["scores"], second["scores"])


def test_a_closed_backend_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for flavor in FLAVORS.values():
        if flavor.why_not() is None:
            options = BackendOptions(input_size=SIDE, batch=1)
            opened = open_tensorrt(resolve_engine("person-light"), options, flavor_name=flavor.name)
            opened.close()
            opened.close()
            with pytest.raises(BackendError, match="closed"):
                opened.infer(synthetic_frames(SIDE))
            return
    pytest.fail("neither flavor of TensorRT is installed")
