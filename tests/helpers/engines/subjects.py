"""Small graphs of every family, for what is to hold of all of them; a family adds its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from maskstream.engines.files.onnx_parts import split_graphs
from maskstream.engines.interface.backend import InputLayout
from tests.helpers.engines import foreign, hand_made, tiny
from tests.helpers.engines import tiny_mask_rcnn as mask_rcnn
from tests.helpers.kept import kept_file


@dataclass(frozen=True)
class Subject:
    """A graph with random weights."""

    input_size: int
    outputs: dict[str, tuple[int, ...]]
    """By name, of one frame; rows are sorted by ``scores`` where there are such."""
    engine_file: Callable[[], Path]
    detector: Callable[[], nn.Module] | None
    """The same network in PyTorch; None where there is only the file."""
    layout: InputLayout = "frames"


def yolo_graph_file() -> Path:
    """Return the first graph of a pair alone: from frames to boxes."""
    whole = hand_made.hand_made_file()
    return kept_file("yolo.onnx", lambda path: path.write_bytes(split_graphs(whole)["frames"]))


SUBJECTS = {
    "yolact": Subject(
        input_size=64,
        outputs={
            "boxes": (100, 4),
            "scores": (100,),
            "class_ids": (100,),
            "coefficients": (100, 8),
            "prototypes": (16, 16, 8),
        },
        engine_file=tiny.tiny_engine_file,
        detector=tiny.tiny_detector,
    ),
    "mask-rcnn": Subject(
        input_size=mask_rcnn.SIDE,
        outputs={"boxes": (10, 4), "scores": (10,), "class_ids": (10,), "masks": (10, 28, 28)},
        engine_file=mask_rcnn.tiny_engine_file,
        detector=mask_rcnn.tiny_detector,
    ),
    "yolo-fcn, its masks": Subject(
        input_size=hand_made.CROP_PX,
        outputs={"masks": (hand_made.CROP_PX, hand_made.CROP_PX)},
        engine_file=hand_made.fcn8s_graph_file,
        detector=None,
    ),
    "yolo-seg": Subject(
        input_size=foreign.SIDE,
        outputs={"output0": (4 + 3 + 32, foreign.CELL_COUNT), "output1": (32, 16, 16)},
        engine_file=lambda: foreign.foreign_file(is_dynamic=True),
        detector=None,
        layout="planes",
    ),
    "yolo-seg, a frame at a time": Subject(
        input_size=foreign.SIDE,
        outputs={"output0": (4 + 3 + 32, foreign.CELL_COUNT), "output1": (32, 16, 16)},
        engine_file=foreign.foreign_file,
        detector=None,
        layout="planes",
    ),
}
"""What can be built for TensorRT as it is."""

PARTS = {
    "yolo-fcn, its boxes": Subject(
        input_size=hand_made.SIDE_PX,
        outputs={"boxes": (64, 4), "scores": (64,), "class_ids": (64,)},
        engine_file=yolo_graph_file,
        detector=hand_made.hand_made_detector,
    ),
}
"""Graphs whose manifest is that of a whole of two graphs."""
