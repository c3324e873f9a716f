"""Writing an engine file: what the commands that do it have in common."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from maskstream.engines.files.manifest import Manifest
from maskstream.errors import ConfigError
from maskstream.tools.arguments.checks import check_file

if TYPE_CHECKING:
    from maskstream.engines.networks.yolact.network import Yolact

EngineOutputOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.onnx", help="The engine file.")
]
LicenceOption = Annotated[str, typer.Option(help="SPDX expression or a phrase.")]
MetricsOption = Annotated[
    Path | None, typer.Option(help="What `maskstream eval --output` wrote; kept in the file.")
]
RawOption = Annotated[
    bool, typer.Option("--raw", help="Only loc, conf, mask and proto; not to be run.")
]


def check_engine_output(output: Path) -> None:
    """Check that an engine can be written to a path.

    Raises:
        ConfigError: Its name is none of an engine.
        OutputError: It cannot be written there.
    """
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"{output}: the name ends in {output.suffix!r}; it must end in .onnx.")
    check_file(output)


def write_engine(
    network: "Yolact",
    output: Path,
    *,
    name: str,
    names: tuple[str, ...],
    source: str,
    licence: str,
    metrics: dict[str, float] | None = None,
) -> None:
    """Write a network as an engine; arguments as the fields of `Manifest`."""
    from maskstream.engines.networks.yolact.detect import YolactDetector
    from maskstream.engines.networks.yolact.export import export_onnx

    manifest = Manifest(
        family="yolact",
        name=name,
        input_size=network.config.input_size,
        class_names=names,
        patch_px=network.config.prototype_size,
        source=source,
        licence=licence,
        metrics=metrics or {},
        tools={},
    )
    # Ten seconds and more; where the output is no terminal this shows nothing.
    with Console(stderr=True).status(f"{output.name}: exporting"):
        export_onnx(YolactDetector(network), manifest, output)


def read_metrics(path: Path | None) -> dict[str, float]:
    """Read what `maskstream eval` wrote, as ``{"segm.AP50": 0.48}``; nothing where there is none.

    Raises:
        ConfigError: The file is something else.
    """
    if path is None:
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            f"{kind}.{name}": float(document[kind][name])
            for kind in ("segm", "bbox")
            for name in document[kind]
        }
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise ConfigError(
            f"{path}: holds no figures ({exc!r}); a file of `maskstream eval --output` is needed."
        ) from exc
