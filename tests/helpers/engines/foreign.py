"""Small ONNX files laid out as Ultralytics exports YOLO-seg networks, with random weights."""

import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from tests.helpers.kept import kept_file

SIDE = 64
CLASS_NAMES = ("cat", "dog", "traffic light")
MASK_COUNT = 32
CELL_COUNT = 8 * 8 + 4 * 4 + 2 * 2
METADATA = {
    "description": "Random weights",
    "license": "CC0-1.0",
    "stride": "32",
    "task": "segment",
    "batch": "1",
    "imgsz": f"[{SIDE}, {SIDE}]",
    "names": repr(dict(enumerate(CLASS_NAMES))),
}


class _Network(nn.Module):
    """One convolution for each map, decoded to boxes in pixels and scores in [0, 1]."""

    def __init__(self, class_count: int) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.heads = nn.ModuleList(
            nn.Conv2d(3, 4 + class_count + MASK_COUNT, stride, stride) for stride in (8, 16, 32)
        )
        self.prototypes = nn.Conv2d(3, MASK_COUNT, 4, 4)
        for layer in (*self.heads, self.prototypes):
            assert isinstance(layer, nn.Conv2d)
            layer.weight.data *= 3

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = [self._decoded(head(images), stride) for head, stride in zip(
            self.heads, (8, 16, 32), strict=True
        )]  # fmt: skip
        return torch.cat(maps, 2), self.prototypes(images)

    def _decoded(self, raw: Tensor, stride: int) -> Tensor:
        rows, columns = SIDE // stride, SIDE // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        center = (torch.stack([x, y]) + 0.5 + raw[:, :2].tanh()) * stride
        size = (1 + 2 * raw[:, 2:4].sigmoid()) * stride
        scores = (raw[:, 4:-MASK_COUNT] * 2).sigmoid()
        return torch.cat([center, size, scores, raw[:, -MASK_COUNT:]], 1).flatten(2)


def foreign_file(*, is_dynamic: bool = False) -> Path:
    """Return a file for batches of one frame, or of any size."""
    name = "foreign-of-any-batch.onnx" if is_dynamic else "foreign.onnx"
    return kept_file(name, lambda path: _write(path, is_dynamic=is_dynamic))


def _write(path: Path, *, is_dynamic: bool) -> None:
    sizes = ({0: torch.export.Dim("batch", min=1, max=16)},) if is_dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Network(len(CLASS_NAMES)).eval(),
            (torch.zeros(2 if is_dynamic else 1, 3, SIDE, SIDE),),
            dynamo=True,
            input_names=["images"],
            output_names=["output0", "output1"],
            dynamic_shapes=sizes,
            verbose=False,
        )
    assert program is not None
    program.model.metadata_props.update(METADATA)
    program.save(str(path))


def changed_file(target: Path, *, metadata=(), shapes=()) -> Path:
    """Write the file with other metadata (None leaves a key out) or declared shapes."""
    model = onnx.load(foreign_file())
    facts = METADATA | dict(metadata)
    onnx.helper.set_model_props(model, {k: v for k, v in facts.items() if v is not None})
    tensors = {t.name: t for t in (*model.graph.input, *model.graph.output)}
    for name, shape in dict(shapes).items():
        kind = tensors[name].type.tensor_type.elem_type
        made = onnx.helper.make_tensor_value_info(name, kind, shape)
        tensors[name].CopyFrom(made)
    onnx.save(model, target)
    return target
