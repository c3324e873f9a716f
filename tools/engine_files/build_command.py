"""`maskstream build`: an engine file made into one for a certain GPU, or into FP16."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from maskstream.engines.errors import BackendError, UnavailableError
from maskstream.engines.files.manifest import Manifest
from maskstream.engines.files.plan_file import (
    PLAN_SUFFIX,
    Gpu,
    PlanManifest,
    crops_plan_path,
    sha256,
    write_plan,
)
from maskstream.engines.files.zoo import read_manifest, resolve_engine
from maskstream.engines.interface.fit import fitted
from maskstream.engines.limits import MAX_BATCH
from maskstream.engines.runtimes.tensorrt.build_cache import (
    Graph,
    PlanOrder,
    Watch,
    graph_parts,
    joined_graphs,
    make_plan,
    to_fp16_file,
)
from maskstream.engines.runtimes.tensorrt.device import open_device
from maskstream.engines.runtimes.tensorrt.flavors import Flavor, get_flavor
from maskstream.errors import ConfigError
from maskstream.tools.arguments.checks import check_file

if TYPE_CHECKING:
    from maskstream.engines.conversion.layer_differences import Fp16Graph

_ROWS_SHOWN = 5
_PICTURES_MAX = 8
_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


EngineArgument = Annotated[
    str, typer.Argument(metavar="PATH|NAME", help="An .onnx engine file, or a name.")
]
OutputOption = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="NAME.engine for one GPU; NAME.onnx for the FP16 graph alone.",
    ),
]
Fp16Option = Annotated[
    bool,
    typer.Option("--fp16", help="Compute the network in float16, its end in float32."),
]
BatchOption = Annotated[
    str,
    typer.Option(
        metavar="N,N,N",
        help="Rising batch sizes: it runs all up to the last, and is tuned for the middle one.",
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--for",
        metavar="sm89",
        help="The compute capability of a GPU that is not here; TensorRT for RTX alone can.",
    ),
]
FlavorOption = Annotated[
    str | None,
    typer.Option(help="tensorrt or tensorrt-rtx; the first that is installed if left out."),
]
WorkspaceMibOption = Annotated[
    int, typer.Option(min=0, help="GPU memory that a layer may take for itself; 0: no limit.")
]
PicturesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Compare FP16 on these pictures instead of synthetic ones."
    ),
]


def build(
    engine: EngineArgument,
    output: OutputOption,
    fp16: Fp16Option = False,
    batch: BatchOption = "1,4,8",
    target: TargetOption = None,
    flavor: FlavorOption = None,
    workspace_mib: WorkspaceMibOption = 0,
    pictures: PicturesOption = None,
) -> None:
    """Build an engine for an NVIDIA GPU with TensorRT; Ctrl-C ends the build."""
    path = resolve_engine(engine)
    graph = Graph(data=path.read_bytes(), path=path.resolve(), manifest=read_manifest(path))
    check_file(output)
    parts = graph_parts(graph)
    frames = [None if pictures is None else _frames(pictures, part.manifest) for part in parts]
    if output.suffix == ".onnx":
        if not fp16:
            raise ConfigError(f"{output}: is {path.name} as it is; --fp16 is needed for another.")
        _write_fp16(output, parts, frames)
        return
    if output.suffix != PLAN_SUFFIX:
        raise ConfigError(f"{output}: ends in {output.suffix!r}; .engine or .onnx is needed.")
    order = _order(flavor, target, fp16, _batches(batch), workspace_mib)
    targets = (output, crops_plan_path(output))
    for part, seen, target_path in zip(parts, frames, targets, strict=False):
        with _progress(target_path.name) as watch:
            made = to_fp16_file(part, watch, seen) if fp16 else None
            plan, manifest = make_plan(part, order, watch, half=made)
        # The file that it belongs to is the whole one.
        manifest = replace(manifest, onnx_sha256=sha256(graph.data))
        write_plan(target_path, plan, manifest)
        if made is not None:
            _tell_differences([made])
        print(_summary(target_path, manifest))


def _write_fp16(
    output: Path, parts: Sequence[Graph], frames: Sequence[NDArray[np.uint8] | None]
) -> None:
    """Write the FP16 graph alone."""
    halves = []
    for part, seen in zip(parts, frames, strict=True):
        with _progress(output.name) as watch:
            halves.append(to_fp16_file(part, watch, seen))
    _write(output, joined_graphs([half.model for half in halves]).SerializeToString())
    _tell_differences(halves)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, fp16")


def _order(
    flavor: str | None, target: str | None, fp16: bool, batches: tuple[int, ...], workspace_mib: int
) -> PlanOrder:
    chosen = get_flavor(flavor, builds_ahead=target is not None)
    return PlanOrder(
        flavor=chosen,
        gpu=_gpu(chosen, target),
        precision="fp16" if fp16 else "fp32",
        batches=batches,
        workspace_bytes=workspace_mib << 20,
    )


def _gpu(flavor: Flavor, target: str | None) -> Gpu:
    """Return what is built for; without a name where that is not here."""
    flavor.load()
    if target is not None:
        if not flavor.builds_ahead:
            raise BackendError(
                f"--for: {flavor.name} builds for this machine's GPU alone; leave --for out, or "
                "take --flavor tensorrt-rtx."
            )
        return Gpu("", target.lower())
    try:
        device = open_device()
    except UnavailableError as exc:
        wish = "; say for which GPU with --for, such as --for sm89." if flavor.builds_ahead else "."
        raise UnavailableError(f"build: {exc}{wish}") from exc
    try:
        return device.gpu
    finally:
        device.close()


def _batches(text: str) -> tuple[int, ...]:
    """Return batch sizes as they are written, "1,4,8".

    Raises:
        ConfigError: They are no rising numbers.
    """
    words = text.split(",")
    sizes = [int(word) if word.strip().isdecimal() else 0 for word in words]
    if sizes != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] > MAX_BATCH:
        raise ConfigError(
            f"--batch: {text!r} was given; rising numbers from 1 to {MAX_BATCH} are needed, "
            "such as 1,4,8."
        )
    return tuple(sizes)


def _frames(folder: Path, manifest: Manifest) -> NDArray[np.uint8]:
    """Return the first pictures of a folder as the engine sees them.

    Raises:
        ConfigError: There is none.
    """
    names = sorted(p for p in folder.glob("*") if p.suffix.lower() in _PICTURE_SUFFIXES)
    found = [
        picture for name in names[:_PICTURES_MAX] if (picture := cv2.imread(str(name))) is not None
    ]
    if not found:
        raise ConfigError(f"--pictures: {folder} has none; a folder of .jpg or .png is needed.")
    rgb = [np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8) for picture in found]
    return np.stack([fitted(each, manifest.input_size, manifest.fit) for each in rgb])


@contextmanager
def _progress(name: str) -> Iterator[Watch]:
    """Show what is being done and how long it will take, where that can be seen."""
    columns = (
        TextColumn("{task.fields[name]}: {task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("begins", total=1.0, name=name)

        def watch(share: float, phase: str) -> None:
            if share < bar.tasks[task].completed:  # the next thing begins, with a time of its own
                bar.reset(task)
            bar.update(task, completed=share, description=phase)

        yield watch


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def _tell_differences(halves: "Sequence[Fp16Graph]") -> None:
    """Show the tensors that FP16 changes most."""
    rows = [row for half in halves for row in half.differences]
    rows.sort(key=lambda row: row.relative_error, reverse=True)
    table = Table(title=f"FP16 against FP32: the largest of {len(rows)} tensors")
    for column in ("tensor", "operator", "largest value", "error, rms"):
        table.add_column(column)
    for row in rows[:_ROWS_SHOWN]:
        table.add_row(
            row.tensor, row.operator, f"{row.largest:.3g}", f"{100 * row.relative_error:.2f} %"
        )
    console = Console()
    console.print(table)
    kept = sorted(name for half in halves for name in half.kept)
    if kept:
        console.print(f"kept in FP32 for their range: {', '.join(kept)}")


def _summary(output: Path, manifest: PlanManifest) -> str:
    return (
        f"{output}: {output.stat().st_size / 1e6:.1f} MB, {manifest.flavor} {manifest.version}, "
        f"{manifest.precision}, for {manifest.gpu_name or ', '.join(manifest.sms)}, "
        f"batches 1 to {manifest.batches[-1]}"
    )
