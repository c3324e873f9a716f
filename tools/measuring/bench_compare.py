"""An engine's figures beside those of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table

from maskstream.errors import ConfigError
from maskstream.tools.measuring.bench_engine import EngineFigures, Quartiles
from maskstream.tools.measuring.tables import table

KEY = "engine"
"""Of an engine's figures, in a document of `maskstream bench`."""
NEAR = 0.03
"""Medians this close are the same: what one start of a process and the next differ by anyway."""
_TITLES = {
    "pre_ms": "pre, ms a frame",
    "model_ms": "model, ms a batch",
    "post_ms": "post, ms a frame",
    "line_fps": "line, frames/s",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One figure, before and now."""

    batch: int
    name: str
    before: Quartiles
    now: Quartiles

    @property
    def ratio(self) -> float:
        """Now over before."""
        return self.now.p50 / self.before.p50

    @property
    def noise(self) -> float:
        """How far the middle half of either run's values lies apart, as a share of its median."""
        return max((run.p75 - run.p25) / run.p50 for run in (self.before, self.now))

    @property
    def verdict(self) -> Literal["faster", "slower", "same"]:
        """Whether it has become better beyond the noise.

        It is the same where the middle halves of both runs' values overlap, or the medians are
        within `NEAR` of each other.
        """
        overlap = self.now.p25 <= self.before.p75 and self.before.p25 <= self.now.p75
        if overlap or abs(self.ratio - 1) <= NEAR:
            return "same"
        is_rate = self.name.endswith("_fps")
        return "faster" if (self.ratio > 1) == is_rate else "slower"


def read_document(path: Path) -> dict[str, Any]:
    """Return what an earlier `maskstream bench --engine ... -o FILE` has written.

    Raises:
        ConfigError: It is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        list(_quartiles(document[KEY]))
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise ConfigError(
            f"{path}: holds no figures of an engine; make them with "
            "maskstream bench --engine NAME --batch 1,8 -o OLD.json"
        ) from exc
    found: dict[str, Any] = document
    return found


def changes(before: dict[str, Any], now: EngineFigures) -> list[Change]:
    """Return each figure that both have, by batch size.

    Args:
        before: An engine's figures, as `read_document` gives them under `KEY`.
    """
    old = {(batch, name): values for batch, name, values in _quartiles(before)}
    return [
        Change(row.batch, name, old[row.batch, name], getattr(row, name))
        for row in now.batches
        for name in _TITLES
        if (row.batch, name) in old
    ]


def changes_table(found: list[Change]) -> Table:
    """Return the changes as they are shown."""
    made = table("now beside before", ("batch", "", "before", "now", "now/before", "noise", ""))
    for change in found:
        before, now = change.before.p50, change.now.p50
        made.add_row(
            str(change.batch), _TITLES[change.name], f"{before:.2f}", f"{now:.2f}",
            f"{change.ratio:.2f}", f"{change.noise:.0%}", change.verdict,
        )  # fmt: skip
    return made


def _quartiles(figures: dict[str, Any]) -> Iterator[tuple[int, str, Quartiles]]:
    for row in figures["batches"]:
        for name in _TITLES:
            yield row["batch"], name, Quartiles(**row[name])
