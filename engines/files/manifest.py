"""What an engine file says about itself, carried in the ONNX file's metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from maskstream.engines.errors import EngineFileError

if TYPE_CHECKING:  # they load NumPy and OpenCV, which a list of engines does without
    from maskstream.engines.interface.backend import InputLayout
    from maskstream.engines.interface.fit import FitKind

METADATA_KEY = "maskstream"
"""The ONNX metadata property that holds the manifest as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The facts that running an engine needs, and where it comes from.

    Attributes:
        family: Which decoder its outputs go through, such as "yolact".
        name: What people call it.
        input_size: Side of its square input, in pixels.
        class_names: By class id.
        patch_px: The longest side that a mask patch of this engine can have.
        fit: How a frame is brought into the square input.
        layout: How the graph takes that input.
        score_min: What an instance scores at least, unless somebody asks otherwise.
        crop_px: Side of the crops that a second graph of the file masks; None if it has none.
        crop_margin: As `engines.decoding.crops.crop_extents` takes it.
        crop_share_max: Boxes that cover more than this share of the frame keep the masks of the
            first graph; None where it gives none, and the second graph masks all boxes.
        has_mask_scores: Whether scores are multiplied by how sure the masks are, as
            `engines.decoding.mask_scores.weighed` does.
        precision: Of the weights and the network, such as "fp32".
        source: Data and training run, in a phrase.
        licence: SPDX expression or a phrase.
        metrics: Accuracy by name, such as ``{"segm.AP50": 0.48}``, on the set that ``source``
            names.
        tools: Versions of what made the file.
    """

    family: str
    name: str
    input_size: int
    class_names: tuple[str, ...]
    patch_px: int
    fit: FitKind = "squash"
    layout: InputLayout = "frames"
    score_min: float = 0.3
    crop_px: int | None = None
    crop_margin: float = 0.0
    crop_share_max: float | None = None
    has_mask_scores: bool = False
    precision: str = "fp32"
    source: str = ""
    licence: str = ""
    metrics: dict[str, float]
    tools: dict[str, str]

    def to_json(self) -> str:
        """Return the text that goes into the engine file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, where: str) -> Manifest:
        """Read what `to_json` wrote.

        Args:
            where: The file that the text comes from, for the error message.

        Raises:
            EngineFileError: The text is no manifest.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            known = {field.name for field in fields(cls)}
            values = {key: value for key, value in values.items() if key in known}
            return cls(**{**values, "class_names": tuple(values["class_names"])})
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise EngineFileError(
                f"{where}: its manifest cannot be read ({exc}); export the engine again."
            ) from exc
