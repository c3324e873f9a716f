"""`maskstream images`: pictures with their objects masked, and what was seen in them."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import cv2
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from maskstream.engines import Engine
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.files.disk import partial_path
from maskstream.engines.interface.fit import fitted
from maskstream.engines.interface.instances import Instances
from maskstream.errors import ConfigError, MaskstreamError, OutputError, SourceError
from maskstream.stream.arguments import ColorBy
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.pixels.colors import LIMITED_RANGE
from maskstream.stream.pixels.painter import DrawStyle, Painter
from maskstream.stream.pixels.still import Still
from maskstream.stream.processes.machine import available_cores
from maskstream.stream.recording.results import as_json, frame_record
from maskstream.stream.viewers.window.display import lead_qt_to_display
from maskstream.tools.arguments.checks import check_file, class_ids_of
from maskstream.tools.arguments.model_options import listed_option
from maskstream.tools.arguments.opening import open_any
from maskstream.tools.arguments.pictures import SUFFIXES, pictures_of, read_bgr

BATCH = 4
_BT601 = 6
_LEAVE_KEYS = frozenset(b"qQ\x1b")
_WINDOW = "maskstream"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was read.

    Attributes:
        bgr: (H, W, 3) uint8, the right way up.
    """

    path: Path
    bgr: NDArray[np.uint8]


def images(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A picture, or a folder of pictures.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="A picture, or a folder; made if new."),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="PATH|NAME", help="An engine file, or the name of one.")
    ] = "person",
    score: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, help="Show nothing less sure; what the engine says if left out."
        ),
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Objects of a picture at most.")] = 15,
    classes: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="Only these; all if left out.")
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(metavar="FILE.ndjson", help="What was seen, one object of JSON a picture."),
    ] = None,
    display: Annotated[
        bool, typer.Option("--display", help="Show each; a key goes on, q or Esc ends.")
    ] = False,
    color_by: Annotated[
        ColorBy, typer.Option(help="One colour a class, or an instance.")
    ] = "class",
    opacity: Annotated[float, typer.Option(min=0, max=1, help="Of the masks.")] = 0.45,
    backend: Annotated[str, typer.Option(help="The runtime; as for run.")] = "auto",
    device: Annotated[str | None, typer.Option(help="Of the backend, as it names it.")] = None,
    require_gpu: Annotated[
        bool, typer.Option("--require-gpu", help="Fail rather than run on the processor.")
    ] = False,
    family: Annotated[str | None, listed_option("family")] = None,
) -> None:
    """Mask the objects in a picture, or in each picture of a folder.

    A file that is no picture is named and the others are done; the exit code is 3 then.
    """
    paths = pictures_of(source)
    targets = _targets(paths, source, output)
    if results is not None:
        check_file(results)
    if display:
        from maskstream.stream.viewers.window.window import check_display

        check_display()
    elif output is None and results is None:
        raise ConfigError("images: nothing is to be done; give -o, --results or --display.")
    with ExitStack() as stack:
        opened = stack.enter_context(
            open_any(
                engine,
                backend=backend,
                device=device,
                require_gpu=require_gpu,
                family=family,
                threads=available_cores(),
            )
        )
        names = opened.manifest.class_names
        style = DrawStyle(names, color_by=color_by, opacity=opacity)
        class_ids = None if classes is None else class_ids_of(classes, names)
        lines = None if results is None else stack.enter_context(_lines(results))
        bad: list[Path] = []
        picture_count = instance_count = 0
        seen = detect_pictures(
            opened, _read(paths, bad), score_min=score, top_k=top_k, class_ids=class_ids
        )
        for picture, instances in track(
            seen,
            "pictures",
            total=len(paths),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty() or len(paths) == 1,
        ):
            picture_count += 1
            instance_count += len(instances)
            if lines is not None:
                _write_line(lines, picture, instances, names)
            if not targets and not display:
                continue
            drawn = draw_on(picture.bgr, instances, style)
            if picture.path in targets:
                _write(targets[picture.path], drawn)
            if display and not _show(picture.path, drawn):
                break
    print(f"{picture_count} of {len(paths)} pictures done, {instance_count} instances seen")
    if bad:
        raise SourceError(
            f"{source}: {len(bad)} of {len(paths)} could not be read; they are named above."
        )


def detect_pictures(
    engine: Engine, pictures: Iterable[Picture], **selection: Any
) -> Iterator[tuple[Picture, Instances]]:
    """Run an engine over pictures, a few at once; ``selection`` is that of `Engine.detect`."""
    size, fit = engine.manifest.input_size, engine.manifest.fit
    rest = iter(pictures)
    while some := list(islice(rest, BATCH)):
        whole = [RgbPicture(picture.bgr[..., ::-1]) for picture in some]
        # Turned after it is fitted: to scale the turned view, OpenCV would copy the whole picture.
        frames = np.stack([fitted(picture.bgr, size, fit)[..., ::-1] for picture in some])
        sizes = [(picture.bgr.shape[1], picture.bgr.shape[0]) for picture in some]
        found = engine.detect(frames, sizes, pictures=whole, **selection)
        yield from zip(some, found, strict=True)


def draw_on(bgr: NDArray[np.uint8], instances: Instances, style: DrawStyle) -> NDArray[np.uint8]:
    """Return a picture with its instances drawn by the line's painter; the rest stays as it was.

    Args:
        bgr: (H, W, 3), of any size; not changed.
    """
    height, width = bgr.shape[:2]
    # The painter works on planes, whose chroma is at half the size, so the sides have to be even.
    even = cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    pixels = np.asarray(cv2.cvtColor(even, cv2.COLOR_BGR2YUV_I420), np.uint8).reshape(-1)
    still = Still(
        planes_of(pixels, even.shape[1], even.shape[0]), LIMITED_RANGE, _BT601, sequence=0
    )
    before = np.empty(even.shape, np.uint8)
    after = np.empty(even.shape, np.uint8)
    still.write_bgr(before)
    Painter(style, *still.size, LIMITED_RANGE, _BT601).draw(still.planes, instances, None)
    still.write_bgr(after)
    # Only what was drawn on is taken from the planes: they have lost some of the colour.
    is_drawn = (before != after).any(axis=2)[:height, :width, None]
    return np.where(is_drawn, after[:height, :width], bgr)


def _targets(paths: Sequence[Path], source: Path, output: Path | None) -> dict[Path, Path]:
    """Return where each masked picture goes; a folder is made.

    Raises:
        OutputError: It cannot go there.
    """
    if output is None:
        return {}
    if source.is_file() and not output.is_dir():
        if output.suffix.lower() not in SUFFIXES:
            raise OutputError(
                f"{output}: the name ends in {output.suffix!r}; use one of {', '.join(SUFFIXES)}."
            )
        targets = {source: output}
    else:
        if output.exists() and not output.is_dir():
            raise OutputError(f"{output}: is a file; {source} needs a folder.")
        if not output.exists() and output.suffix.lower() in SUFFIXES:
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
        targets = {path: output / path.name for path in paths}
    for path, target in targets.items():
        if target.exists() and target.samefile(path):
            raise OutputError(f"{target}: it is the source itself; name another place.")
        check_file(target)
    return targets


def _read(paths: Iterable[Path], bad: list[Path]) -> Iterator[Picture]:
    """Return the pictures that can be read; the others are named, and added to ``bad``."""
    for path in paths:
        bgr = read_bgr(path)
        if bgr is None:
            hint = "" if path.suffix.lower() in SUFFIXES else "; for videos, see maskstream run"
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
    record = frame_record(
        instances, source=0, seq=0, pts_s=0.0, class_names=names, width=width, height=height
    )
    line = {
        "image": str(picture.path),
        "width": width,
        "height": height,
        "instances": record["instances"],
    }
    lines.write(as_json(line) + "\n")


def _write(path: Path, bgr: NDArray[np.uint8]) -> None:
    if not cv2.imwrite(str(path), bgr):
        raise OutputError(f"{path}: the picture cannot be written; name another file.")
    print(path)


def _show(path: Path, bgr: NDArray[np.uint8]) -> bool:
    """Show a picture until a key is pressed or the window closed; returns whether to go on."""
    lead_qt_to_display()
    cv2.namedWindow(_WINDOW, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    cv2.setWindowTitle(_WINDOW, f"{path} - maskstream")
    cv2.imshow(_WINDOW, bgr)
    key = -1
    while key < 0:
        key = cv2.waitKey(50)
        if cv2.getWindowProperty(_WINDOW, cv2.WND_PROP_VISIBLE) < 1:
            return False
    return key not in _LEAVE_KEYS
