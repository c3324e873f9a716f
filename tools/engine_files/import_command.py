"""`maskstream import`: somebody else's trained weights as one engine file."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from maskstream.engines.errors import WeightsError
from maskstream.engines.files import class_names
from maskstream.engines.networks.yolact.config import YolactConfig, get_config
from maskstream.errors import ConfigError
from maskstream.tools.arguments.extras import needs_training_parts
from maskstream.tools.engine_files.engine_file import (
    EngineOutputOption,
    LicenceOption,
    RawOption,
    check_engine_output,
    write_engine,
)
from maskstream.tools.engine_files.import_darknet import DarknetImport, import_darknet

WeightsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="A .pth of the released YOLACT code; or a Darknet detector's .cfg and .weights.",
    ),
]
ArchOption = Annotated[
    str | None,
    typer.Option(help="Such as yolact-resnet50; what the .pth's name says if left out."),
]
FcnOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE.pth", help="FCN8s weights: a mask for each of Darknet's boxes."),
]
ClassNamesFileOption = Annotated[
    Path | None,
    typer.Option(
        "--class-names",
        metavar="FILE",
        help="One name a line, by class id; COCO's or Pascal's if left out.",
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(metavar="NAME,NAME", help="Of a Darknet detector only these; others go."),
]
SizeOption = Annotated[
    int | None,
    typer.Option(min=32, help="Side of a Darknet detector's input; its own if left out."),
]
ScoreOption = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="What an instance scores at least; 0.75 with --fcn."),
]


def import_weights(
    weights: WeightsArgument,
    output: EngineOutputOption,
    arch: ArchOption = None,
    fcn: FcnOption = None,
    class_names_file: ClassNamesFileOption = None,
    classes: ClassesOption = None,
    size: SizeOption = None,
    score: ScoreOption = None,
    licence: LicenceOption = "",
    raw: RawOption = False,
) -> None:
    """Read files of weights strictly, and write an ONNX file with graph and manifest."""
    check_engine_output(output)
    names = None if class_names_file is None else _read_names(class_names_file)
    source = ", ".join(
        f"{path.name}, SHA-256 {sha256_of(path)}"
        for path in (*weights, *((fcn,) if fcn else ()))
        if path.is_file()
    )
    if (pair := _darknet_pair(weights)) is not None:
        if raw or arch is not None:
            raise ConfigError("--raw and --arch: are for YOLACT's weights; leave them out here.")
        request = DarknetImport(
            cfg=pair[0],
            weights=pair[1],
            fcn=fcn,
            names=names,
            kept=None if classes is None else tuple(part.strip() for part in classes.split(",")),
            side_px=size,
            score_min=score,
        )
        with needs_training_parts("import"):
            what = import_darknet(request, output, source=source, licence=licence)
    else:
        _refuse_darknet_options(
            {"--fcn": fcn, "--classes": classes, "--size": size, "--score": score}
        )
        if not weights[0].is_file():
            raise ConfigError(f"{weights[0]}: no such file; a .pth is needed.")
        what = _import_yolact(weights[0], output, arch, names, source, licence, raw=raw)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {what}")


def _refuse_darknet_options(given: dict[str, Any]) -> None:
    for option, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{option}: is for a Darknet detector; leave it out for YOLACT's weights."
            )


def _darknet_pair(files: list[Path]) -> tuple[Path, Path] | None:
    """Return a detector's description and its weights, None where one file of YOLACT is given.

    Raises:
        ConfigError: The files are something else.
    """
    by_suffix = {path.suffix.lower(): path for path in files}
    if len(files) == 2 and set(by_suffix) == {".cfg", ".weights"}:
        return by_suffix[".cfg"], by_suffix[".weights"]
    if len(files) == 1 and not set(by_suffix) & {".cfg", ".weights"}:
        return None
    raise ConfigError(
        f"import: {', '.join(map(str, files))}; one .pth, or a .cfg and its .weights, is needed."
    )


def _import_yolact(
    weights: Path,
    output: Path,
    arch: str | None,
    names: tuple[str, ...] | None,
    source: str,
    licence: str,
    *,
    raw: bool,
) -> str:
    """Write an engine of YOLACT's weights; returns its configuration's name."""
    with needs_training_parts("import"):
        from maskstream.engines.networks.yolact.export import export_raw_onnx
        from maskstream.engines.networks.yolact.weights import load_network
    config = _choose(weights, arch, names)
    network = load_network(weights, config)
    if raw:
        export_raw_onnx(network, output)
    else:
        names = names or class_names.BY_COUNT[config.class_count]
        write_engine(network, output, name=output.stem, names=names, source=source, licence=licence)
    return config.name


def sha256_of(path: Path) -> str:
    """Return a file's hash in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _choose(weights: Path, arch: str | None, names: tuple[str, ...] | None) -> YolactConfig:
    """Return the configuration that was asked for, or that the file's name stands for.

    Raises:
        EngineError: There is none of that name.
    """
    from maskstream.engines.networks.yolact.weights import config_of_file

    config = config_of_file(weights) if arch is None else get_config(arch)
    if config is None:
        raise WeightsError(
            f"{weights}: its name says no configuration, as yolact_base_54_800000.pth does; "
            "add --arch, such as --arch yolact-base."
        )
    if names is not None:
        return replace(config, class_count=len(names))
    if config.class_count not in class_names.BY_COUNT:
        raise ConfigError(f"{config.name}: its classes have no known names; add --class-names.")
    return config


def _read_names(path: Path) -> tuple[str, ...]:
    """Read class names, one a line.

    Raises:
        ConfigError: The file cannot be read, or holds none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read ({exc}); a text file is needed.") from exc
    names = tuple(name for line in lines if (name := line.strip()))
    if not names:
        raise ConfigError(f"{path}: names no class; one name a line is needed.")
    return names
