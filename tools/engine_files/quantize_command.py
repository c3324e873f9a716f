"""`maskstream quantize`: an engine whose convolutions compute in 8-bit integers."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from maskstream.engines import Engine, open_engine, read_manifest, resolve_engine
from maskstream.engines.decoding.crops import Picture
from maskstream.engines.files.manifest import Manifest
from maskstream.errors import ConfigError
from maskstream.stream.processes.machine import available_cores
from maskstream.tools.arguments.checks import check_file
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.arguments.samples import Sample, read_samples
from maskstream.tools.engine_files.engine_file import MetricsOption, read_metrics


def quantize(
    engine: Annotated[
        str, typer.Argument(metavar="PATH|NAME", help="An .onnx engine file, or a name.")
    ],
    images: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER|CLIP", help="Pictures, or a video, such as the engine will see."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="The new engine file.")
    ],
    count: Annotated[int, typer.Option(min=1, help="Pictures at most, evenly spread.")] = 64,
    metrics: MetricsOption = None,
) -> None:
    """Make an INT8 engine: half as large, quicker on some processors, a little less exact.

    Measure both: `maskstream parity A B --annotations FILE`, `maskstream bench --engine NAME`.
    """
    path = resolve_engine(engine)
    manifest = read_manifest(path)
    if path.suffix.lower() != ".onnx" or output.suffix.lower() != ".onnx":
        raise ConfigError(f"quantize: from {path.name} to {output.name}; both must end in .onnx.")
    check_file(output)
    if output.exists() and output.samefile(path):
        raise ConfigError(f"{output}: it is the engine itself; name another file.")
    manifest = replace(manifest, metrics=read_metrics(metrics))
    with needs_training_parts("quantize"):
        from maskstream.engines.conversion.int8 import write_int8
    with ExitStack() as stack:
        samples = _samples(images, count)
        given: Iterator[tuple[NDArray[np.uint8], ...]]
        if manifest.crop_px is None:
            given = ((_frame(sample, manifest),) for sample in samples)
        else:
            opened = stack.enter_context(open_engine(str(path), threads=available_cores()))
            given = _with_crops(samples, opened, images)
        write_int8(path, manifest, given, output)
    before, after = (file.stat().st_size / 1e6 for file in (path, output))
    print(f"{output}: {after:.1f} MB, int8; {path.name} has {before:.1f} MB")


def _samples(source: Path, count: int) -> Iterable[Sample]:
    return track(
        read_samples(source, count),
        "pictures",
        total=count,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _frame(sample: Sample, manifest: Manifest) -> NDArray[np.uint8]:
    """Return a picture as the first graph sees it, (1, S, S, 3)."""
    return sample.to_input(manifest.input_size, manifest.fit)[None]


def _with_crops(
    samples: Iterable[Sample], engine: Engine, source: Path
) -> Iterator[tuple[NDArray[np.uint8], ...]]:
    """Yield pictures as both graphs see them; those in which the second sees nothing are left out.

    Raises:
        ConfigError: All are.
    """
    is_any = False
    for sample in samples:
        frame, picture = _frame(sample, engine.manifest), _Cut(sample.picture)
        engine.detect(frame, [sample.size_px], pictures=[picture])
        if picture.crops is not None:
            is_any = True
            yield frame, picture.crops
    if not is_any:
        raise ConfigError(
            f"{source}: {engine.manifest.name} cuts nothing out of these pictures; give some with "
            "small objects that it finds."
        )


class _Cut:
    """A picture that keeps what an engine cuts out of it."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.crops: NDArray[np.uint8] | None = None

    def cut(self, extents_xyxy_src: NDArray[np.int32], side_px: int) -> NDArray[np.uint8]:
        """See `Picture.cut`."""
        self.crops = self._picture.cut(extents_xyxy_src, side_px)
        return self.crops
