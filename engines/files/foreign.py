"""Engines of others: an ONNX file as Ultralytics exports YOLOv8-seg and YOLO11-seg.

Input ``images`` (B, 3, S, S), RGB in [0, 1], letterboxed. Outputs: predictions (B, 4 + C + M, P),
of each cell a box as centre x, centre y, width and height in pixels of the input, a score a class
and M mask coefficients; and prototypes (B, M, S / 4, S / 4). Classes, input size and task stand in
the metadata as Python literals.

Source: what such files say about themselves (https://docs.ultralytics.com/modes/export/ for the
arguments); no code of theirs.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from maskstream.engines.errors import EngineFileError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.files.onnx_metadata import ModelFacts, TensorFacts

FAMILY = "yolo-seg"
PROTOTYPE_STRIDE = 4
"""Pixels of the input in a prototype's cell, each way."""
STRIDES = (8, 16, 32)
"""Pixels of the input in a cell of each of the maps that predictions come from, each way."""
_BOX_SIDES = 4


def is_yolo_seg(model: ModelFacts) -> bool:
    """Whether a file's outputs are laid out like this family's, as far as their shapes tell."""
    found = _outputs(model)
    if found is None:
        return False
    predictions, prototypes = found
    rows, mask_count = predictions.shape[1], prototypes.shape[1]
    return rows is not None and mask_count is not None and rows > _BOX_SIDES + mask_count


def make_manifest(path: Path, model: ModelFacts) -> Manifest:
    """Return the manifest of a file that has none of ours.

    Args:
        path: For the name, and for error messages.
        model: What the file says about itself.

    Raises:
        EngineFileError: It says something else, or too little.
    """
    found = _outputs(model)
    if found is None:
        shapes = ", ".join(f"{tensor.name} {_shown(tensor)}" for tensor in model.outputs)
        raise EngineFileError(
            f"{path}: its outputs are {shapes}; {FAMILY} needs predictions (B, 4 + classes + "
            "masks, cells) and prototypes (B, masks, height, width)."
        )
    task = model.metadata.get("task", "segment")
    if task != "segment":
        raise EngineFileError(f"{path}: its task is {task!r}; {FAMILY} needs 'segment'.")
    side = _side(path, model)
    names = _class_names(path, model.metadata)
    _check_shapes(path, *found, side, len(names))
    return Manifest(
        family=FAMILY,
        name=path.stem,
        input_size=side,
        class_names=names,
        patch_px=side // PROTOTYPE_STRIDE,
        fit="letterbox",
        layout="planes",
        source=model.metadata.get("description", ""),
        licence=model.metadata.get("license", ""),
        metrics={},
        tools={},
    )


def _outputs(model: ModelFacts) -> tuple[TensorFacts, TensorFacts] | None:
    """Return predictions and prototypes, told apart by their number of sides."""
    by_rank = {len(tensor.shape): tensor for tensor in model.outputs}
    if len(model.outputs) != 2 or set(by_rank) != {3, 4}:
        return None
    return by_rank[3], by_rank[4]


def _side(path: Path, model: ModelFacts) -> int:
    """Return the input's side, from its shape, or from the metadata where that is not fixed."""
    sides: list[Any] = [side for tensor in model.inputs[:1] for side in tensor.shape[2:]]
    if len(sides) != 2 or None in sides:
        sides = _literal(path, model.metadata, "imgsz", (list, tuple))
    if len(set(sides)) != 1:
        raise EngineFileError(
            f"{path}: its input is {' x '.join(map(str, sides))} pixels; a square one is needed, "
            "such as imgsz=640."
        )
    side = int(sides[0])
    if side <= 0 or side % STRIDES[-1]:
        raise EngineFileError(
            f"{path}: its input has a side of {side} pixels; a multiple of {STRIDES[-1]} is needed."
        )
    return side


def _class_names(path: Path, metadata: dict[str, str]) -> tuple[str, ...]:
    names = _literal(path, metadata, "names", (dict, list, tuple))
    by_id = names if isinstance(names, dict) else dict(enumerate(names))
    if not by_id or sorted(by_id) != list(range(len(by_id))):
        raise EngineFileError(
            f"{path}: its metadata numbers the classes {list(by_id)}; 0, 1, 2, ... is needed."
        )
    return tuple(str(by_id[class_id]) for class_id in range(len(by_id)))


def _literal(path: Path, metadata: dict[str, str], key: str, kinds: tuple[type, ...]) -> Any:
    """Return a value of the metadata, which is written as Python writes it."""
    text = metadata.get(key)
    if text is None:
        raise EngineFileError(
            f"{path}: its metadata has no {key!r}; export it anew, and leave the metadata in."
        )
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, kinds):
        raise EngineFileError(
            f"{path}: its metadata says {key} = {text[:60]!r}; a Python "
            f"{' or '.join(kind.__name__ for kind in kinds)} is needed."
        )
    return value


def _check_shapes(
    path: Path, predictions: TensorFacts, prototypes: TensorFacts, side: int, class_count: int
) -> None:
    """Check what is fixed of the outputs against the input's side and the number of classes."""
    mask_count = prototypes.shape[1]
    rows = None if mask_count is None else _BOX_SIDES + class_count + mask_count
    cell_count = sum((side // stride) ** 2 for stride in STRIDES)
    prototype_side = side // PROTOTYPE_STRIDE
    wanted = {
        predictions: (None, rows, cell_count),
        prototypes: (None, mask_count, prototype_side, prototype_side),
    }
    for tensor, shape in wanted.items():
        pairs = zip(tensor.shape, shape, strict=True)
        if any(a != b for a, b in pairs if a is not None and b is not None):
            needed = ", ".join("any" if size is None else str(size) for size in shape)
            raise EngineFileError(
                f"{path}: its output {tensor.name} is {_shown(tensor)}; with {class_count} classes "
                f"and {side} pixels ({needed}) is needed. Export it without NMS in the graph."
            )


def _shown(tensor: TensorFacts) -> str:
    return f"({', '.join('any' if side is None else str(side) for side in tensor.shape)})"
