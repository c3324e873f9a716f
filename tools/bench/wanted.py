"""What an engine saves where it computes nothing that nobody looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from maskstream.engines.engine import Engine
from maskstream.engines.interface.backend import EVERYTHING
from maskstream.engines.interface.fit import PADDING_LEVEL
from maskstream.stream.pixels.crops import PlanesPicture
from maskstream.tools.measuring.bench_engine import decoded, write_inputs
from maskstream.tools.measuring.tables import table
from maskstream.tools.measuring.timing import medians_ms, one_opencv_thread


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedFigures:
    """Median times, all in one run.

    Attributes:
        all_ms: Of a frame with every output computed, by what is in the frame; from the network's
            input to instances.
        wanted_ms: The same, with what is wanted alone.
    """

    engine: str
    backend: str
    precision: str
    clip: str
    all_ms: Mapping[str, float]
    wanted_ms: Mapping[str, float]

    @property
    def shares(self) -> Mapping[str, float]:
        """Of the time with everything that is saved, in [0, 1]."""
        return {name: 1 - self.wanted_ms[name] / every for name, every in self.all_ms.items()}


def measure_wanted(engine: Engine, clip: Path, *, repeats: int) -> WantedFigures:
    """Return the figures of an engine on a few of a clip's first frames, and on grey ones."""
    info, frames = decoded(clip)
    batch, side = engine.preferred_batch, engine.manifest.input_size
    sizes_px = [(info.width, info.height)] * batch
    part = [frames[row * len(frames) // batch] for row in range(batch)]
    pictures = [PlanesPicture(planes, info.color_range, info.color_matrix) for planes in part]
    seen = np.empty((batch, side, side, 3), np.uint8)
    write_inputs(part, info, seen, engine.manifest.fit)

    def every(inputs: NDArray[np.uint8]) -> None:
        engine.assemble(engine.infer(inputs, EVERYTHING), sizes_px, pictures=pictures)

    def wanted(inputs: NDArray[np.uint8]) -> None:
        engine.detect(inputs, sizes_px, pictures=pictures)

    kinds = {"the clip's": seen, "empty": np.full_like(seen, PADDING_LEVEL)}
    ways = {"all": every, "wanted": wanted}
    calls = {
        f"{kind}, {way}": lambda way=way, kind=kind: ways[way](kinds[kind])
        for kind in kinds
        for way in ways
    }
    with one_opencv_thread():
        taken_ms = medians_ms(calls, repeats=repeats)
    return WantedFigures(
        engine=engine.manifest.name,
        backend=engine.backend,
        precision=engine.precision,
        clip=clip.name,
        all_ms={kind: taken_ms[f"{kind}, all"] / batch for kind in kinds},
        wanted_ms={kind: taken_ms[f"{kind}, wanted"] / batch for kind in kinds},
    )


def wanted_table(figures: WantedFigures) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"{figures.engine} in {figures.backend}, {figures.precision}, on {figures.clip}",
        ("frames", "everything, ms a frame", "what is wanted", "saved"),
    )
    for kind, share in figures.shares.items():
        before_ms, now_ms = figures.all_ms[kind], figures.wanted_ms[kind]
        made.add_row(kind, f"{before_ms:.1f}", f"{now_ms:.1f}", f"{100 * share:.0f} %")
    return made
