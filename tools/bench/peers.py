"""The whole line beside other ways of masking a video with the same engine, in one run.

The others are what people write first: a loop that reads a frame, asks the engine, draws and writes
(with x264 as ours does, and with OpenCV's own writer), and supervision's ``process_video``, which
reads and writes in threads of its own. All get the same frames at the same input size, the same
engine with as many threads as there are cores, opened and warmed up before the clock starts, and
all draw masks, boxes and labels. Each works in a process of its own.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from maskstream.engines import Engine, open_engine
from maskstream.engines.decoding.crops import RgbPicture
from maskstream.engines.interface.fit import fitted
from maskstream.engines.interface.instances import Instances
from maskstream.stream.codecs.encoding import x264_options
from maskstream.stream.codecs.frame_encoder import KEYFRAME_S
from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.options import CodecOptions, RunOptions
from maskstream.stream.pixels.colors import palette
from maskstream.stream.processes.machine import available_cores
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.tools.measuring.tables import table

OURS = "the line"
_SCORE_MIN, _TOP_K = RunOptions(sources=(), engine="").score_min, 15
_OPACITY = 0.45
_BGR = [rgb[::-1] for rgb in palette()]
_Picture = NDArray[np.uint8]
_Mask = Callable[[_Picture], _Picture]
_Peer = Callable[[Path, _Mask, int, Path], int]
"""Takes clip, what masks a picture, the most frames, and the file to write; returns the frames."""


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """One way of masking a clip."""

    name: str
    fps: float
    """Median of the rounds."""
    cpu_ms: float
    """Processor time of a frame, of all threads and processes; median of the rounds."""
    ratios: tuple[float, ...]
    """How many times as fast the line was, each round by itself; ones for the line."""

    @property
    def ratio(self) -> float:
        """Median of the rounds' ratios."""
        return statistics.median(self.ratios)


def measure_peers(
    clip: Path, engine: str, *, frame_count: int, rounds: int, folder: Path
) -> list[PeerFigures]:
    """Return the line's figures and then the others'; every other round goes backwards.

    Args:
        frame_count: The first frames of the clip, which may have fewer.
        folder: Takes the recordings.

    Raises:
        RuntimeError: One of them did not deliver as many frames as the others.
    """
    ways: dict[str, Callable[[], _Done]] = {OURS: lambda: _line(clip, engine, frame_count, folder)}
    for name, peer in _peers().items():
        ways[name] = lambda name=name, peer=peer: _apart(  # type: ignore[misc]
            peer, clip, engine, frame_count, folder / f"{name.replace(' ', '-')}.mp4"
        )
    taken: dict[str, list[_Done]] = {name: [] for name in ways}
    for number in range(rounds):
        done = {name: ways[name]() for name in (list(ways) if number % 2 == 0 else reversed(ways))}
        if len({one.frame_count for one in done.values()}) != 1:
            raise RuntimeError(f"{clip}: unlike numbers of frames came out: {done}")
        for name, one in done.items():
            taken[name].append(one)
    return [
        PeerFigures(
            name=name,
            fps=statistics.median(one.frame_count / one.wall_s for one in rows),
            cpu_ms=statistics.median(1e3 * one.cpu_s / one.frame_count for one in rows),
            ratios=tuple(
                its.wall_s / ours.wall_s for ours, its in zip(taken[OURS], rows, strict=True)
            ),
        )
        for name, rows in taken.items()
    ]


def peers_table(clip: str, rows: Sequence[PeerFigures]) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"{clip}: whole runs with the same engine",
        ("", "fps", "CPU ms/frame", "the line is faster by", "each round"),
    )
    for row in rows:
        each = "" if row.name == OURS else ", ".join(f"{ratio:.2f}" for ratio in row.ratios)
        times = "" if row.name == OURS else f"{row.ratio:.2f} x"
        made.add_row(row.name, f"{row.fps:.1f}", f"{row.cpu_ms:.1f}", times, each)
    return made


@dataclass(frozen=True, slots=True)
class _Done:
    frame_count: int
    wall_s: float
    cpu_s: float


def _peers() -> dict[str, _Peer]:
    """Return the others that can run here."""
    peers: dict[str, _Peer] = {"OpenCV loop, x264": _loop_x264, "OpenCV loop, mp4v": _loop_mp4v}
    if importlib.util.find_spec("supervision") is not None:
        peers["supervision process_video"] = _supervision
    return peers


def _line(clip: Path, engine: str, frame_count: int, folder: Path) -> _Done:
    options = RunOptions(
        sources=(str(clip),),
        engine=engine,
        deliveries=parse_deliveries([str(folder / "line.mp4")]),
        max_frames=frame_count,
    )
    result = run_pipeline(options, on_event=lambda _: None, on_tick=lambda _: None)
    if result.exit_code:
        raise RuntimeError(f"{clip}: the line failed: {result.message}")
    figures = result.figures
    cpu_s = sum(stage.cpu_s - stage.start_cpu_s for stage in figures.stages)
    return _Done(figures.frames.delivered, figures.wall_s, cpu_s)


def _apart(*arguments: Any) -> _Done:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        done: _Done = pool.apply(_measure, arguments)
        pool.close()
        pool.join()  # to end by itself: a process that is ended leaves semaphores of its packages
    return done


def _measure(
    peer: _Peer,
    clip: Path,
    engine: str,
    frame_count: int,
    target: Path,
) -> _Done:
    """Return what ``peer`` wrote, and its time."""
    with open_engine(engine, threads=available_cores(), batch=1) as opened:
        side = opened.manifest.input_size
        mask = _drawer(opened) if peer is not _supervision else _annotator(opened)
        mask(np.zeros((side, side, 3), np.uint8))  # warms up, as the line does
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        count = peer(clip, mask, frame_count, target)
        wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
        return _Done(count, wall_s, cpu_s)


def _loop_x264(clip: Path, mask: _Mask, frame_count: int, target: Path) -> int:
    codec, count = CodecOptions(), 0
    with closing(av.open(str(target), "w")) as container:
        stream: Any = None
        for frame, fps in _frames(clip, frame_count):
            if stream is None:
                quality = x264_options(codec.preset, codec.crf)
                stream = container.add_stream("libx264", rate=round(fps), options=quality)
                stream.codec_context.gop_size = round(fps * KEYFRAME_S)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.thread_type = "AUTO"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(mask(frame), format="bgr24")))
            count += 1
        if stream is not None:
            container.mux(stream.encode(None))
    return count


def _loop_mp4v(clip: Path, mask: _Mask, frame_count: int, target: Path) -> int:
    count = 0
    with ExitStack() as stack:
        writer: Any = None
        for frame, fps in _frames(clip, frame_count):
            if writer is None:
                code = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(target), code, fps, frame.shape[1::-1])
                stack.callback(writer.release)
            writer.write(mask(frame))
            count += 1
    return count


def _supervision(clip: Path, mask: _Mask, frame_count: int, target: Path) -> int:
    import supervision

    count = 0

    def callback(frame: _Picture, _: int) -> _Picture:
        nonlocal count
        count += 1
        return mask(frame)

    supervision.process_video(str(clip), str(target), callback, max_frames=frame_count)
    return count


def _frames(clip: Path, frame_count: int) -> Iterator[tuple[_Picture, float]]:
    """Yields pictures in BGR, and the clip's frames a second."""
    reader = cv2.VideoCapture(str(clip))
    try:
        fps = reader.get(cv2.CAP_PROP_FPS) or 25.0
        for _ in range(frame_count):
            is_there, frame = reader.read()
            if not is_there:
                return
            yield np.asarray(frame, np.uint8), fps
    finally:
        reader.release()


def _detect(engine: Engine, bgr: _Picture) -> Instances:
    manifest = engine.manifest
    # Colours are turned after scaling: before it, four times as many pixels would be copied.
    rgb = cv2.cvtColor(fitted(bgr, manifest.input_size, manifest.fit), cv2.COLOR_BGR2RGB)
    size = (bgr.shape[1], bgr.shape[0])
    (found,) = engine.detect(
        np.asarray(rgb, np.uint8)[None],
        [size],
        score_min=_SCORE_MIN,
        top_k=_TOP_K,
        pictures=[RgbPicture(bgr[..., ::-1])],
    )
    return found


def _drawer(engine: Engine) -> _Mask:
    """Return what masks a picture with OpenCV, each object within its own rectangle."""
    names = engine.manifest.class_names

    def mask(bgr: _Picture) -> _Picture:
        found = _detect(engine, bgr)
        for index in range(len(found)):
            color = _BGR[found.class_ids[index] % len(_BGR)]
            left, top, right, bottom = map(int, found.extents_xyxy_src[index])
            part = bgr[top:bottom, left:right]
            tint = np.full_like(part, color)
            mixed = cv2.addWeighted(part, 1 - _OPACITY, tint, _OPACITY, 0)
            cv2.copyTo(mixed, found.mask(index), part)
            box = [round(float(edge)) for edge in found.boxes_xyxy_src[index]]
            cv2.rectangle(bgr, box[:2], box[2:], color, 2)
            text = f"{names[found.class_ids[index]]} {found.scores[index]:.2f}"
            cv2.putText(bgr, text, (box[0], box[1] - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color)
        return bgr

    return mask


def _annotator(engine: Engine) -> _Mask:
    """Return what masks a picture with supervision's annotators, which take whole-frame masks."""
    import supervision

    names = engine.manifest.class_names
    annotators: Mapping[str, Any] = {
        "mask": supervision.MaskAnnotator(opacity=_OPACITY),
        "box": supervision.BoxAnnotator(),
    }
    label = supervision.LabelAnnotator()

    def mask(bgr: _Picture) -> _Picture:
        found = _detect(engine, bgr)
        masks = np.zeros((len(found), *bgr.shape[:2]), bool)
        for index, (left, top, right, bottom) in enumerate(found.extents_xyxy_src):
            masks[index, top:bottom, left:right] = found.mask(index)
        detections = supervision.Detections(
            xyxy=found.boxes_xyxy_src,
            mask=masks,
            confidence=found.scores,
            class_id=found.class_ids.astype(int),
        )
        for annotator in annotators.values():
            bgr = annotator.annotate(bgr, detections)
        texts = [
            f"{names[kind]} {score:.2f}"
            for kind, score in zip(found.class_ids, found.scores, strict=True)
        ]
        return label.annotate(bgr, detections, labels=texts)

    return mask
