"""Engine files that TensorRT has to build: small networks of every family, and their variants."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from maskstream.engines.networks.fcn.network import Fcn8s
from maskstream.engines.networks.yolact.config import YolactConfig, get_config
from maskstream.engines.networks.yolact.detect import YolactDetector
from maskstream.engines.networks.yolact.export import export_onnx
from maskstream.engines.networks.yolact.network import Yolact
from maskstream.engines.networks.yolo_fcn.config import DETECTORS, FCNS, make_detector, make_fcn
from maskstream.engines.networks.yolo_fcn.export import export_pair, pair_manifest
from maskstream.engines.networks.yolov3.detect import YoloDetector
from tests.engines.networks.fcn.test_network import NARROW
from tests.helpers.engines import tiny
from tests.helpers.engines.subjects import SUBJECTS
from tests.helpers.kept import kept_file


def yolact_file(config: YolactConfig) -> Path:
    """Return an engine of random weights."""

    def write(path: Path) -> None:
        torch.manual_seed(0)
        manifest = replace(tiny.tiny_manifest(), input_size=config.input_size)
        export_onnx(YolactDetector(Yolact(config)), manifest, path)

    return kept_file(f"{config.name}.onnx", write)


def pair_file(*, is_recipe: bool = False) -> Path:
    """Return an engine of the light pair, or of YOLOv3's small sibling and a narrow FCN8s."""
    name = "yolov3-tiny" if is_recipe else "yolo-light"

    def write(path: Path) -> None:
        torch.manual_seed(0)
        config = replace(DETECTORS[name], input_size=96, class_count=1)
        detector = YoloDetector(make_detector(config))
        fcn = Fcn8s(2, stages=NARROW, fc_channels=8) if is_recipe else make_fcn(FCNS["fcn-light"])
        export_pair(detector.eval(), fcn.eval(), pair_manifest(detector, fcn, ("person",)), path)

    return kept_file(f"{name}-pair.onnx", write)


def with_attention() -> YolactConfig:
    """The tiny network whose backbone weighs its channels."""
    return replace(tiny.tiny_config(), name="attention", has_channel_attention=True)


def plus() -> YolactConfig:
    """Deformable convolutions and mask scores, which need an input of 256 pixels."""
    scales = tuple((side,) for side in (12, 24, 48, 96, 192))
    return replace(
        get_config("yolact-plus-resnet50"),
        name="plus",
        input_size=256,
        class_count=3,
        prior_scales=scales,
        channels=32,
        prototype_count=8,
        deform_interval=3,
    )


CASES: Mapping[str, Callable[[], Path]] = {
    **{name: subject.engine_file for name, subject in SUBJECTS.items() if name != "yolact"},
    "yolact with channel attention": lambda: yolact_file(with_attention()),
    "yolo-fcn": pair_file,
    "yolo-fcn of the recipe": lambda: pair_file(is_recipe=True),
    "yolact++": lambda: yolact_file(plus()),
}
"""Plain YOLACT is the shipped engine, which has a test of its own."""
VARIANTS = ("yolact with channel attention", "yolo-fcn", "yolo-fcn of the recipe", "yolact++")
"""Of families that have a case already: of a pair, its masks are among the subjects."""
