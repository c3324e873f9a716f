"""`maskstream quantize`: an engine whose convolutions compute in 8-bit integers."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from engines.manifest import Manifest
from engines.zoo import read_manifest, resolve_engine
from stream.errors import ConfigError
from tools.checks import check_file
from tools.engine_file import MetricsOption, read_metrics
from tools.extras import needs_training_parts
from tools.samples import read_samples


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
    if manifest.crop_px is not None:
        raise ConfigError(
            f"{path}: holds two graphs; an engine of one is needed, such as person-light."
        )
    check_file(output)
    if output.exists() and output.samefile(path):
        raise ConfigError(f"{output}: it is the engine itself; name another file.")
    manifest = replace(manifest, metrics=read_metrics(metrics))
    with needs_training_parts("quantize"):
        from engines.int8 import write_int8
    write_int8(path, manifest, _frames(images, manifest, count), output)
    before, after = (file.stat().st_size / 1e6 for file in (path, output))
    print(f"{output}: {after:.1f} MB, int8; {path.name} has {before:.1f} MB")


def _frames(source: Path, manifest: Manifest, count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures as the engine sees them."""
    for sample in track(
        read_samples(source, count),
        "pictures",
        total=count,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ):
        yield sample.to_input(manifest.input_size, manifest.fit)
