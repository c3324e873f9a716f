"""What the page to try engines does with a picture, a camera's frame or a clip; no Gradio here."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from maskstream.engines import Engine, open_engine
from maskstream.engines.interface.instances import Instances
from maskstream.errors import SourceError
from maskstream.stream.pixels.painter import DrawStyle
from maskstream.stream.processes.machine import available_cores
from maskstream.stream.recording.results import instance_records
from maskstream.tools.arguments.pictures import read_picture as read_any
from maskstream.tools.images.masking import Picture, detect_pictures, draw_on

SIDE_MAX_PX = 10_000
"""Of a picture; a small file can hold a huge one, which would fill the memory when decoded."""
OPEN_ENGINES_MAX = 2
"""Engines that are kept loaded; each takes some hundred megabytes."""
CLIP_TIMEOUT_S = 600.0
_TICK_S = 0.5
KEPT_S = 600
"""How long uploads and results are kept."""
TOP_K = 100
HEADS = ("class", "score", "left", "top", "width", "height", "mask px")
_MADE = "made-"

Row = list[str | float | int]


@dataclass(frozen=True, slots=True)
class Choice:
    """What to look for.

    Attributes:
        engine: A name or a path.
        class_names: Only these; all if empty.
    """

    engine: str
    score_min: float
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in one picture.

    Attributes:
        drawn: (H, W, 3) uint8 RGB.
        rows: An instance each, by `HEADS`.
        document: COCO JSON, with scores.
    """

    drawn: NDArray[np.uint8]
    rows: list[Row]
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SeenClip:
    """What was found in a clip.

    Attributes:
        path: The clip with its masks.
        rows: A class each: frames that it was in, instances, highest score.
        document: COCO JSON, an image a frame.
    """

    path: Path
    rows: list[Row]
    document: dict[str, Any]


class Engines:
    """Engines by name, loaded when first asked for; one picture at a time goes through each."""

    def __init__(self, backend: str = "auto") -> None:
        self.backend = backend
        self._open: OrderedDict[str, Engine] = OrderedDict()
        self._lock = threading.Lock()

    def class_names(self, name: str) -> tuple[str, ...]:
        """Return an engine's classes."""
        with self._lock:
            return self._get(name).manifest.class_names

    def detect(self, picture: Picture, choice: Choice) -> tuple[Instances, tuple[str, ...]]:
        """Return a picture's instances, and the engine's class names."""
        with self._lock:
            engine = self._get(choice.engine)
            names = engine.manifest.class_names
            wanted = [names.index(name) for name in choice.class_names if name in names]
            ((_, instances),) = detect_pictures(
                engine,
                [picture],
                score_min=choice.score_min,
                top_k=TOP_K,
                class_ids=frozenset(wanted) if wanted else None,
            )
        return instances, names

    def close(self) -> None:
        """Give all engines back."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _get(self, name: str) -> Engine:
        if name not in self._open:
            while len(self._open) >= OPEN_ENGINES_MAX:
                self._open.popitem(last=False)[1].close()
            self._open[name] = open_engine(name, backend=self.backend, threads=available_cores())
        self._open.move_to_end(name)
        return self._open[name]


def read_picture(path: Path, name: str) -> NDArray[np.uint8]:
    """Return an uploaded picture as (H, W, 3) BGR, the right way up.

    Args:
        name: What its owner calls it.

    Raises:
        SourceError: It is no picture, or too large a one.
    """
    try:
        # PyAV reads the size out of the header, so that nothing large is decoded by mistake.
        with av.open(str(path)) as opened:
            stream = opened.streams.video[0]
            width, height = stream.width, stream.height
    except (av.FFmpegError, IndexError, ValueError) as exc:
        raise SourceError(f"{name}: cannot be read as a picture.") from exc
    if max(width, height) > SIDE_MAX_PX:
        raise SourceError(f"{name}: is {width}x{height}; at most {SIDE_MAX_PX} a side are taken.")
    # FFmpeg gives no size where it finds the header's absurd.
    bgr = read_any(path) if min(width, height) > 0 else None
    if bgr is None:
        raise SourceError(f"{name}: cannot be read as a picture.")
    return bgr


def look_at(bgr: NDArray[np.uint8], name: str, engines: Engines, choice: Choice) -> Seen:
    """Return what an engine finds in a picture.

    Args:
        bgr: (H, W, 3).
        name: Of the picture, for the document.
    """
    instances, names = engines.detect(Picture(Path(name), bgr), choice)
    height, width = bgr.shape[:2]
    records = instance_records(instances, names, width=width, height=height)
    drawn = draw_on(bgr, instances, DrawStyle(names))
    rows: list[Row] = [
        [entry["class"], entry["score"], *entry["box"], int(instances.mask(index).sum())]
        for index, entry in enumerate(records)
    ]
    document = coco_document([(name, width, height, records)], names)
    return Seen(np.ascontiguousarray(drawn[..., ::-1]), rows, document)


def look_at_clip(
    path: Path,
    name: str,
    choice: Choice,
    *,
    backend: str,
    frames_max: int,
    folder: Path,
    on_progress: Callable[[float], None] = lambda _: None,
) -> SeenClip:
    """Return what an engine finds in a clip's first frames, by a run of its own.

    Args:
        name: What its owner calls it.
        folder: For what is made; the caller deletes it.
        on_progress: Called every half a second with the share that is done, in [0, 1].

    Raises:
        SourceError: The clip cannot be run; the text says why.
    """
    made = new_folder(folder)
    masked, results = made / "masked.mp4", made / "seen.ndjson"
    command = [
        sys.executable, "-c", "from maskstream.tools.cli import main; main()",
        "run", str(path), "-o", str(masked), "--results", str(results),
        "--engine", choice.engine, "--score", str(choice.score_min), "--top-k", str(TOP_K),
        "--max-frames", str(frames_max), "--backend", backend,
    ]  # fmt: skip
    if choice.class_names:
        command += ["--classes", ",".join(choice.class_names)]
    total = min(frames_max, _frame_count(path) or frames_max)
    exit_code, told = _run_watched(
        command, name, made / "told.txt", lambda: on_progress(_line_count(results) / total)
    )
    if exit_code:
        said = (told.strip().splitlines() or ["it cannot be run."])[-1]
        # Its place on the server is nobody's business.
        text = said.removeprefix("maskstream: ").replace(str(path), name)
        raise SourceError(text if text.startswith(name) else f"{name}: {text}")
    frames = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    with av.open(str(masked)) as opened:
        width, height = opened.streams.video[0].width, opened.streams.video[0].height
    return SeenClip(masked, _class_rows(frames), _clip_document(frames, name, width, height))


def _run_watched(
    command: list[str], name: str, log: Path, on_tick: Callable[[], None]
) -> tuple[int, str]:
    """Run a command, and return its exit code and what it said on standard error.

    Args:
        log: Takes what it says, so that no full pipe can hold it up.

    Raises:
        SourceError: It took too long.
    """
    deadline_s = time.monotonic() + CLIP_TIMEOUT_S
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process,
    ):
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_TICK_S)
                on_tick()
                if time.monotonic() > deadline_s:
                    raise SourceError(
                        f"{name}: took more than {CLIP_TIMEOUT_S:g} s; use a shorter one."
                    )
        finally:
            process.kill()
    return process.returncode, log.read_text(encoding="utf-8", errors="replace")


def _frame_count(path: Path) -> int:
    """Return how many frames a clip says it has; 0 where it does not say."""
    try:
        with av.open(str(path)) as opened:
            return int(opened.streams.video[0].frames)
    except (av.FFmpegError, IndexError, ValueError):
        return 0


def _line_count(path: Path) -> int:
    """Return how many frames have results so far."""
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def new_folder(folder: Path) -> Path:
    """Return a folder for one result, and delete those whose time is over."""
    now_s = time.time()  # what the file system counts by
    for old in folder.glob(f"{_MADE}*"):
        if now_s - old.stat().st_mtime > KEPT_S:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=_MADE, dir=folder))


def coco_document(
    images: Iterable[tuple[str, int, int, Sequence[Mapping[str, Any]]]],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Return COCO JSON as plain values.

    Args:
        images: Of each the name, width, height, and the instances as in `frame_record`.
    """
    document: dict[str, Any] = {"images": [], "annotations": []}
    for image_id, (name, width, height, instances) in enumerate(images, 1):
        document["images"].append(
            {"id": image_id, "file_name": name, "width": width, "height": height}
        )
        for entry in instances:
            document["annotations"].append(
                {
                    "id": len(document["annotations"]) + 1,
                    "image_id": image_id,
                    "category_id": entry["class_id"] + 1,
                    "bbox": entry["box"],
                    "area": round(entry["box"][2] * entry["box"][3], 2),
                    "segmentation": entry["segmentation"],
                    "score": entry["score"],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(class_names, 1)]
    return document | {"categories": categories}


def _class_rows(frames: Sequence[Mapping[str, Any]]) -> list[Row]:
    instances, seen_in = Counter[str](), Counter[str]()
    best: dict[str, float] = {}
    for frame in frames:
        seen_in.update({entry["class"] for entry in frame["instances"]})
        for entry in frame["instances"]:
            instances[entry["class"]] += 1
            best[entry["class"]] = max(best.get(entry["class"], 0.0), entry["score"])
    return [[name, seen_in[name], count, best[name]] for name, count in instances.most_common()]


def _clip_document(
    frames: Sequence[Mapping[str, Any]], name: str, width: int, height: int
) -> dict[str, Any]:
    names: dict[int, str] = {e["class_id"]: e["class"] for f in frames for e in f["instances"]}
    class_names = [names.get(number, "") for number in range(max(names, default=-1) + 1)]
    images = [(f"{name}#{f['seq']}", width, height, f["instances"]) for f in frames]
    document = coco_document(images, class_names)
    # Classes that were not seen are not known from the results.
    document["categories"] = [entry for entry in document["categories"] if entry["name"]]
    return document
