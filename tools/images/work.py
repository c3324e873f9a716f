"""The work of `maskstream images`: read, mask, write and show pictures, one after another."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from maskstream.engines import Engine
from maskstream.engines.files.disk import partial_path
from maskstream.engines.interface.instances import Instances
from maskstream.errors import ConfigError, MaskstreamError, OutputError, SourceError
from maskstream.stream.pixels.painter import DrawStyle
from maskstream.stream.processes.machine import available_cores
from maskstream.stream.recording.results import as_json, instance_records
from maskstream.stream.viewers.window.display import lead_qt_to_display
from maskstream.tools.arguments.checks import check_file, class_ids_of
from maskstream.tools.arguments.opening import open_any
from maskstream.tools.arguments.pictures import (
    SUFFIXES,
    encode_picture,
    is_picture_name,
    pictures_of,
    printable,
    read_picture,
)
from maskstream.tools.images.command import ImagesArguments
from maskstream.tools.images.masking import Picture, detect_pictures, draw_on

_LEAVE_KEYS = frozenset(b"qQ\x1b")
_WINDOW = "maskstream"
_FALLBACK_SUFFIX = ".jpg"
"""Of a masked picture whose own kind cannot be written."""


@dataclass(slots=True)
class _Tally:
    """What came of the pictures so far."""

    picture_count: int = 0
    instance_count: int = 0
    bad: list[Path] = field(default_factory=list)


def mask_pictures(source: Path, arguments: ImagesArguments) -> None:
    """Mask a picture, or each picture of a folder, and say what came of it.

    Raises:
        SourceError: There is none, or some cannot be read; the others are done.
        OutputError: What was asked for cannot be written.
        ConfigError: What was asked for cannot be done.
    """
    paths = pictures_of(source, note=_note)
    targets = _targets(paths, source, arguments.output)
    _check(arguments)
    tally = _Tally()
    with ExitStack() as stack:
        engine = stack.enter_context(_open(arguments))
        results = arguments.results
        lines = None if results is None else stack.enter_context(_lines(results))
        _mask_all(engine, paths, targets, arguments, lines, tally)
    done = f"{tally.picture_count} of {len(paths)} pictures done"
    print(f"{done}, {tally.instance_count} instances seen")
    if tally.bad:
        raise SourceError(
            f"{source}: {len(tally.bad)} of {len(paths)} could not be read; they are named above."
        )


def _note(text: str) -> None:
    print(f"maskstream: {text}", file=sys.stderr)


def _check(arguments: ImagesArguments) -> None:
    if arguments.results is not None:
        check_file(arguments.results)
    if arguments.display:
        from maskstream.stream.viewers.window.window import check_display

        check_display()
    elif arguments.output is None and arguments.results is None:
        raise ConfigError("images: nothing is to be done; give -o, --results or --display.")


def _open(arguments: ImagesArguments) -> Engine:
    return open_any(
        arguments.engine,
        backend=arguments.backend,
        device=arguments.device,
        precision=arguments.precision,
        require_gpu=arguments.require_gpu,
        family=arguments.family,
        threads=available_cores(),
    )


def _mask_all(
    engine: Engine,
    paths: Sequence[Path],
    targets: dict[Path, Path],
    arguments: ImagesArguments,
    lines: TextIO | None,
    tally: _Tally,
) -> None:
    """Do one picture after the other, until all are done or the window is closed."""
    names = engine.manifest.class_names
    classes = arguments.classes
    seen = detect_pictures(
        engine,
        _read(paths, tally.bad),
        score_min=arguments.score,
        top_k=arguments.top_k,
        max_crops=arguments.max_crops,
        class_ids=None if classes is None else class_ids_of(classes, names),
    )
    style = DrawStyle(
        names,
        color_by=arguments.color_by,
        opacity=arguments.opacity,
        boxes=arguments.boxes,
        labels=arguments.labels,
    )
    for picture, instances in _with_progress(seen, len(paths)):
        tally.picture_count += 1
        tally.instance_count += len(instances)
        if lines is not None:
            _write_line(lines, picture, instances, names)
        if not targets and not arguments.display:
            continue
        drawn = draw_on(picture.bgr, instances, style)
        if picture.path in targets:
            _write(targets[picture.path], drawn)
        if arguments.display and not _show(picture.path, drawn):
            return


def _with_progress(
    seen: Iterable[tuple[Picture, Instances]], count: int
) -> Iterable[tuple[Picture, Instances]]:
    return track(
        seen,
        "pictures",
        total=count,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty() or count == 1,
    )


def _targets(paths: Sequence[Path], source: Path, output: Path | None) -> dict[Path, Path]:
    """Return where each masked picture goes; a folder is made.

    Raises:
        OutputError: It cannot go there.
    """
    if output is None:
        return {}
    if source.is_file() and not output.is_dir():
        if not is_picture_name(output):
            raise OutputError(
                f"{output}: the name ends in {output.suffix!r}; use one of {', '.join(SUFFIXES)}."
            )
        targets = {source: output}
    else:
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output}: is a file; {source} needs a folder.")
        if not output.exists() and is_picture_name(output):
            raise OutputError(
                f"{output}: is the name of a picture; {source} needs a folder, as "
                f"{output.with_suffix('')}."
            )
        try:
            output.mkdir(exist_ok=True)
        except OSError as exc:
            raise OutputError(
                f"{output}: cannot be made ({exc.strerror}); name another folder."
            ) from exc
        targets = {path: output / _written_name(path) for path in paths}
    for path, target in targets.items():
        if target.exists() and target.samefile(path):
            raise OutputError(f"{target}: it is the source itself; name another place.")
        check_file(target)
    return targets


def _written_name(path: Path) -> str:
    """Return the name of a masked picture; some kinds can be read and not written."""
    return path.name if is_picture_name(path) else f"{path.name}{_FALLBACK_SUFFIX}"


def _read(paths: Iterable[Path], bad: list[Path]) -> Iterator[Picture]:
    """Return the pictures that can be read; the others are named, and added to ``bad``."""
    for path in paths:
        bgr = read_picture(path, note=_note)
        if bgr is None:
            hint = "" if is_picture_name(path) else "; for videos, see maskstream run"
            print(f"maskstream: {path}: cannot be read as a picture{hint}.", file=sys.stderr)
            bad.append(path)
        else:
            yield Picture(path, bgr)


@contextmanager
def _lines(path: Path) -> Iterator[TextIO]:
    """Open a file for lines; it gets its name when all are in it.

    Raises:
        OutputError: The disk is full, or the folder is gone.
    """
    partial = partial_path(path)
    try:
        with partial.open("w", encoding="utf-8") as file:
            yield file
        partial.replace(path)
    except MaskstreamError:
        raise
    except OSError as exc:
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}); free some space or name another."
        ) from exc


def _write_line(
    lines: TextIO, picture: Picture, instances: Instances, names: tuple[str, ...]
) -> None:
    height, width = picture.bgr.shape[:2]
    line = {
        "image": printable(picture.path),
        "width": width,
        "height": height,
        "instances": instance_records(instances, names, width=width, height=height),
    }
    lines.write(as_json(line) + "\n")


def _write(path: Path, bgr: NDArray[np.uint8]) -> None:
    data = encode_picture(path.suffix, bgr)
    if data is None:
        raise OutputError(f"{path}: the picture cannot be encoded; name another kind of file.")
    try:
        path.write_bytes(data)
    except OSError as exc:
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}); free some space or name another."
        ) from exc
    print(path)


def _show(path: Path, bgr: NDArray[np.uint8]) -> bool:
    """Show a picture until a key is pressed or the window closed; returns whether to go on."""
    lead_qt_to_display()
    cv2.namedWindow(_WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    cv2.setWindowTitle(_WINDOW, f"{printable(path)} - maskstream")
    cv2.imshow(_WINDOW, bgr)
    key = -1
    while key < 0:
        key = cv2.waitKey(50)
        if cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) < 1:
            return False
    return key not in _LEAVE_KEYS
