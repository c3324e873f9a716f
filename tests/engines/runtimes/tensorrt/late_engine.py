"""The shipped engine behind the TensorRT backend: ONNX Runtime as its network, a late device."""

import onnxruntime

from maskstream.engines import read_manifest, resolve_engine
from maskstream.engines.engine import Engine
from maskstream.engines.interface.backend import EVERYTHING, BackendOptions
from maskstream.engines.runtimes.tensorrt.backend import TensorRtBackend
from tests.engines.runtimes.tensorrt.fake_device import FakeDevice, FakeNetwork

OPENER = f"{__name__}:open_late"
"""To be put in the place of the engine's own opener."""


class PlanesOnly(TensorRtBackend):
    """Takes ready inputs for warming up alone."""

    def infer(self, frames, wanted=EVERYTHING):
        assert not frames.any(), "the line scaled frames for a backend that takes planes"
        return super().infer(frames, wanted)


def open_late(name: str, *, batch: int | None = None, **_others: object) -> Engine:
    """Open an engine by its name."""
    path = resolve_engine(name)
    manifest = read_manifest(path)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), settings)
    names = [output.name for output in session.get_outputs()]

    def function(frames):
        return dict(zip(names, session.run(None, {"frames": frames}), strict=True))

    device = FakeDevice()
    backend = PlanesOnly(
        FakeNetwork(device, function, side=manifest.input_size, batch_max=2),
        device,
        name="tensorrt",
        precision="fp32",
        options=BackendOptions(input_size=manifest.input_size, batch=batch),
        fit=manifest.fit,
    )
    return Engine(backend, manifest)
