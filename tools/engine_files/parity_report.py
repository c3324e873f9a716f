"""What `maskstream parity` found, against its bounds: as a table and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from maskstream.tools.engine_files.agreement import InstanceAgreement, OutputDifferences

AP_TITLES = {"segm": "mask AP", "bbox": "box AP"}
_WORST_PERCENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far two engines may differ.

    Attributes:
        matched_min: Share of the instances that both see, in [0, 1].
        mask_iou_min: Of all matched instances but the worst twentieth, in [0, 1].
        output_max: Between two values of one output; None for any.
        ap_max: Of box and of mask AP, in hundredths.
    """

    matched_min: float
    mask_iou_min: float
    output_max: float | None
    ap_max: float


@dataclass(frozen=True, slots=True)
class Check:
    """One figure against its bound.

    Attributes:
        figure: As it is shown.
        asked: The bound as it is shown; empty where there is none.
    """

    title: str
    figure: str
    asked: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found.

    Attributes:
        titles: Of engine A and B.
        outputs: Empty for engines of two families.
        aps: Of A and B, as `train.evaluation.coco_ap` gives them; None where nothing was annotated.
    """

    titles: tuple[str, str]
    outputs: OutputDifferences
    seen: InstanceAgreement
    aps: tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]] | None
    bounds: Bounds

    @property
    def agree(self) -> bool:
        """Whether every bound is kept."""
        return all(check.is_kept for check in self._checks())

    def show(self, console: Console) -> None:
        """Print the findings."""
        for letter, title in zip("AB", self.titles, strict=True):
            console.print(f"{letter}: {title}", soft_wrap=True)
        console.print(f"{self.seen.frame_count} frames")
        outputs = _table(("output", "shape", "largest difference", "mean"))
        for name, gap in self.outputs.by_name.items():
            shape = " x ".join(map(str, gap.shape))
            outputs.add_row(name, shape, f"{gap.largest:.2g}", f"{gap.mean:.2g}")
        for name, why in self.outputs.left_out.items():
            outputs.add_row(name, why, "not compared", "")
        if outputs.row_count:
            console.print(outputs)
        checks = _table(("", "found", "asked for", ""))
        for check in self._checks():
            verdict = "" if not check.asked else "yes" if check.is_kept else "[bold red]NO"
            checks.add_row(check.title, check.figure, check.asked, verdict)
        console.print(checks)

    def document(self) -> dict[str, Any]:
        """Return the findings as they are written."""
        seen = self.seen
        return {
            "a": self.titles[0],
            "b": self.titles[1],
            "frames": seen.frame_count,
            "agree": self.agree,
            "outputs": {name: asdict(gap) for name, gap in self.outputs.by_name.items()},
            "outputs_left_out": self.outputs.left_out,
            "instances": {"a": seen.counts[0], "b": seen.counts[1], "pairs": len(seen.mask_ious)},
            "matched": seen.matched,
            "mask_iou": {"p50": seen.iou(50), "p5": seen.iou(_WORST_PERCENT)},
            "score_difference_max": max(seen.score_gaps, default=None),
            "ap": None if self.aps is None else {"a": self.aps[0], "b": self.aps[1]},
            "bounds": asdict(self.bounds),
        }

    def _checks(self) -> Iterator[Check]:
        bounds, seen = self.bounds, self.seen
        if bounds.output_max is not None:
            largest = max((gap.largest for gap in self.outputs.by_name.values()), default=0.0)
            yield Check(
                "outputs",
                f"differ by {largest:.2g} at most",
                f"{bounds.output_max:g} or less",
                largest <= bounds.output_max,
            )
        counts = f"{len(seen.mask_ious)} pairs of {seen.counts[0]} and {seen.counts[1]}"
        yield Check(
            "instances matched",
            f"{seen.matched:.3f}: {counts}",
            f"{bounds.matched_min:g} or more",
            seen.matched >= bounds.matched_min,
        )
        worst = seen.iou(_WORST_PERCENT)
        yield Check(
            "mask IoU",
            f"{worst:.3f} at p5, {seen.iou(50):.3f} at p50",
            f"{bounds.mask_iou_min:g} or more at p5",
            worst >= bounds.mask_iou_min,
        )
        if seen.score_gaps:
            yield Check("scores", f"differ by {max(seen.score_gaps):.2g} at most", "", True)
        yield from self._ap_checks()

    def _ap_checks(self) -> Iterator[Check]:
        if self.aps is None:
            return
        for kind, title in AP_TITLES.items():
            first, second = (100 * ap[kind]["AP"] for ap in self.aps)
            yield Check(
                title,
                f"{first:.2f} and {second:.2f}, apart by {abs(first - second):.2f}",
                f"{self.bounds.ap_max:g} or less apart",
                abs(first - second) <= self.bounds.ap_max,
            )


def _table(columns: Sequence[str]) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, no_wrap=True)
    return made
