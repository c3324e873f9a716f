"""What `maskstream images` costs: the milliseconds of each of its stages for a picture."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from maskstream.engines import Engine
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.interface.fit import fitted
from maskstream.engines.interface.instances import Instances
from maskstream.errors import SourceError
from maskstream.stream.pixels.painter import DrawStyle
from maskstream.tools.images.masking import BATCH, draw_on
from maskstream.tools.measuring.bench_engine import Quartiles
from maskstream.tools.measuring.tables import table

STAGES = ("read", "fit", "model", "assemble", "draw", "write")


@dataclass(frozen=True, slots=True)
class ImagesFigures:
    """Of a folder of pictures, the first batch left out of the times: runtimes warm up."""

    picture_count: int
    instance_count: float
    """Mean of a picture."""
    megapixels: float
    """Mean of a picture."""
    stage_ms: dict[str, Quartiles]
    """Of a picture, by stage; the model's is its batch's, shared out."""

    @property
    def total_ms(self) -> float:
        """Of a picture: the sum of the stages' medians."""
        return sum(taken.p50 for taken in self.stage_ms.values())


def measure_images(
    engine: Engine, paths: Sequence[Path], *, rounds: int, on_bad: Callable[[Path], None]
) -> ImagesFigures:
    """Return what each stage takes, of pictures in batches of as many as the command takes.

    Args:
        engine: Opened with the threads that it is to have.
        paths: Of pictures.
        rounds: Through all of them, after one batch that is not counted.
        on_bad: Called with what is no picture, once.

    Raises:
        SourceError: None of them can be read.
    """
    good = [path for path in paths if _is_readable(path, on_bad)]
    if not good:
        raise SourceError(f"{paths[0].parent}: none of its {len(paths)} pictures can be read.")
    with tempfile.TemporaryDirectory(prefix="maskstream-bench-") as name:
        work = _Work(engine, Path(name))
        work.do(good[:BATCH])
        work.forget()
        for _ in range(rounds):
            for some in _batches(good):
                work.do(some)
    return ImagesFigures(
        picture_count=len(good),
        instance_count=work.instance_count / work.picture_count,
        megapixels=work.pixel_count / work.picture_count / 1e6,
        stage_ms={stage: Quartiles.of(work.taken_ms[stage]) for stage in STAGES},
    )


def images_table(figures: ImagesFigures) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"{figures.picture_count} pictures of {figures.megapixels:.2f} megapixels, "
        f"{figures.instance_count:.1f} instances a picture",
        ("stage", "ms, median", "middle half", "share"),
    )
    for stage, taken in figures.stage_ms.items():
        middle = f"{taken.p25:.2f} to {taken.p75:.2f}"
        made.add_row(stage, f"{taken.p50:.2f}", middle, f"{taken.p50 / figures.total_ms:.0%}")
    made.add_section()
    made.add_row("all", f"{figures.total_ms:.2f}", f"{1e3 / figures.total_ms:.1f} pictures/s", "")
    return made


class _Work:
    """Does what the command does, with a clock at each stage."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._style = DrawStyle(class_names=engine.manifest.class_names)
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        self.taken_ms: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self.picture_count = self.instance_count = self.pixel_count = 0

    def do(self, paths: Sequence[Path]) -> None:
        """Mask one batch of pictures."""
        pictures = []
        for path in paths:
            with self._clock("read"):
                pictures.append(_read(path))
        for path, bgr, instances in zip(paths, pictures, self._detect(pictures), strict=True):
            with self._clock("draw"):
                drawn = draw_on(bgr, instances, self._style)
            with self._clock("write"):
                cv2.imwrite(str(self._folder / path.name), drawn)
            self.picture_count += 1
            self.instance_count += len(instances)
            self.pixel_count += bgr.shape[0] * bgr.shape[1]

    def _detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Instances]:
        manifest = self._engine.manifest
        whole = [RgbPicture(bgr[..., ::-1]) for bgr in pictures]
        inputs = []
        for bgr in pictures:
            with self._clock("fit"):
                inputs.append(fitted(bgr, manifest.input_size, manifest.fit)[..., ::-1])
        frames = np.stack(inputs)
        sizes = [(bgr.shape[1], bgr.shape[0]) for bgr in pictures]
        with self._clock("model", len(pictures)):
            outputs = self._engine.infer(frames, self._engine.wanted(sizes))
        with self._clock("assemble", len(pictures)):
            return self._engine.assemble(outputs, sizes, pictures=whole)

    @contextmanager
    def _clock(self, stage: str, count: int = 1) -> Iterator[None]:
        """Note the time of what is done, for each of ``count`` pictures."""
        started_ns = time.perf_counter_ns()
        yield
        elapsed_ms = (time.perf_counter_ns() - started_ns) / 1e6
        self.taken_ms[stage] += [elapsed_ms / count] * count


def _read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8)


def _is_readable(path: Path, on_bad: Callable[[Path], None]) -> bool:
    if cv2.imread(str(path), cv2.IMREAD_COLOR) is not None:
        return True
    on_bad(path)
    return False


def _batches(paths: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    for start in range(0, len(paths), BATCH):
        yield tuple(paths[start : start + BATCH])
