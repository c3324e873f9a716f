"""Engines, sources and writers that behave, or misbehave, as a test wants. Found by dotted name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskstream.engines.files.manifest import Manifest
from maskstream.engines.interface.instances import Instances
from maskstream.errors import OutputError, SourceError
from maskstream.stream.memory.frame import Planes
from maskstream.stream.memory.source_info import DecodedFrame, SourceInfo, SourceProblem
from maskstream.stream.pixels.stamp import read_stamp
from maskstream.stream.sources.synthetic import figure_box
from maskstream.stream.stages.sink import VideoSettings

MANIFEST = Manifest(
    family="fake",
    name="fake",
    input_size=64,
    class_names=("person", "car"),
    patch_px=16,
    metrics={},
    tools={},
)


def one_instance(width: int, height: int, *, score: float = 0.9) -> Instances:
    """Returns one instance over the middle of a frame."""
    left, top, right, bottom = width // 4, height // 4, width * 3 // 4, height * 3 // 4
    return Instances(
        boxes_xyxy_src=np.array([[left, top, right, bottom]], np.float32),
        scores=np.array([score], np.float32),
        class_ids=np.array([0], np.int32),
        extents_xyxy_src=np.array([[left, top, right, bottom]], np.int32),
        patches=(np.full((8, 8), 255, np.uint8),),
    )


class FakeEngine:
    """Sees one person in the middle of every frame. ``name`` is ``fake`` or ``fake?key=value&...``.

    Keys: ``batch`` preferred, ``work_ms`` per batch, ``load_ms``, ``is_broken``,
    ``raise_at``, ``exit_at``, ``hang_at`` (count of batches).
    """

    backend = "fake"
    device = "cpu"
    reason = ""
    precision = "fp32"
    manifest = MANIFEST

    def __init__(self, name: str) -> None:
        words = name.partition("?")[2].split("&")
        self.keys = {key: int(value) for key, _, value in (w.partition("=") for w in words if w)}
        self.preferred_batch = self.keys.get("batch", 4)
        self._batches = -1  # the first is the warm-up

    def detect(
        self,
        frames: NDArray[np.uint8],
        sizes_px: Sequence[tuple[int, int]],
        *,
        score_min: float,
        top_k: int,
        class_ids: frozenset[int] | None,
    ) -> list[Instances]:
        self._batches += 1
        time.sleep(self.keys.get("work_ms", 0) / 1e3)
        if self._batches == self.keys.get("raise_at"):
            raise ArithmeticError("the engine was told to fail")
        if self._batches == self.keys.get("exit_at"):
            os._exit(77)
        if self._batches == self.keys.get("hang_at"):
            time.sleep(3600)
        return [one_instance(width, height) for width, height in sizes_px]

    def close(self) -> None:
        """Nothing is held."""


class ReadingEngine(FakeEngine):
    """Reads each frame's number out of its own input and finds the figure where it must be."""

    manifest = replace(MANIFEST, input_size=416)

    def detect(
        self,
        frames: NDArray[np.uint8],
        sizes_px: Sequence[tuple[int, int]],
        *,
        score_min: float,
        top_k: int,
        class_ids: frozenset[int] | None,
    ) -> list[Instances]:
        time.sleep(self.keys.get("work_ms", 0) / 1e3)
        pairs = zip(frames, sizes_px, strict=True)
        return [self._find(frame, width, height) for frame, (width, height) in pairs]

    @staticmethod
    def _find(frame: NDArray[np.uint8], width: int, height: int) -> Instances:
        if not frame.any():  # the warm-up
            return Instances.empty()
        box = figure_box(read_stamp(frame[..., 1]).frame_number, width, height)
        corners = np.array([list(box)])
        return Instances(
            boxes_xyxy_src=corners.astype(np.float32),
            scores=np.array([0.9], np.float32),
            class_ids=np.array([0], np.int32),
            extents_xyxy_src=corners.astype(np.int32),
            patches=(np.full((8, 8), 255, np.uint8),),
        )


def reading_engine(name: str, **_: Any) -> ReadingEngine:
    return ReadingEngine(name)


def engine(name: str, *, threads: int, **_: Any) -> FakeEngine:
    made = FakeEngine(name)
    if threads > 1:  # in the stage; the supervisor opens it with one thread
        time.sleep(made.keys.get("load_ms", 0) / 1e3)
        if made.keys.get("is_broken"):
            raise ArithmeticError("the engine cannot load")
    return made


class FakeSource:
    """Grey frames that count up. ``uri`` is ``fake:key=value&...``.

    Keys: ``frames``, ``width``, ``height``, ``period_ms``, ``raise_at``, ``damaged_at``,
    ``kill_at``, ``hang_at``, ``live``.
    """

    def __init__(self, uri: str) -> None:
        words = uri.partition(":")[2].split("&")
        self.keys = {key: int(value) for key, _, value in (w.partition("=") for w in words if w)}
        self._count = self.keys.get("frames", 20)
        self.error: SourceProblem | None = None
        self.warnings: tuple[str, ...] = ()
        self.decode_error_count = 0
        self.info = SourceInfo(
            uri=uri,
            kind="live" if self.keys.get("live") else "file",
            width=self.keys.get("width", 64),
            height=self.keys.get("height", 48),
            frame_rate=25.0,
            frame_count=self._count,
            duration_s=self._count / 25,
            rotation=0,
            sample_aspect=Fraction(1),
            color_range=0,
            color_matrix=6,
            codec="fake",
            time_base=Fraction(1, 25),
            has_audio=False,
        )

    def frames(self) -> Iterator[DecodedFrame]:
        for number in range(self._count):
            self._misbehave(number)
            if number == self.keys.get("damaged_at"):
                self.error = SourceProblem(f"{self.info.uri}: damaged.", number, number / 25)
                return
            yield self._frame(number)

    def close(self) -> None:
        """Nothing is held."""

    def _misbehave(self, number: int) -> None:
        time.sleep(self.keys.get("period_ms", 0) / 1e3)
        if number == self.keys.get("raise_at"):
            raise SourceError(f"{self.info.uri}: broke; a whole one is needed.")
        if number == self.keys.get("kill_at"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == self.keys.get("hang_at"):
            time.sleep(3600)

    def _frame(self, number: int) -> DecodedFrame:
        def fill(planes: Planes) -> None:
            planes.y[...] = number % 256
            planes.u[...] = planes.v[...] = 128

        width, height = self.info.width, self.info.height
        return DecodedFrame(number, Fraction(1, 25), 0, width, height, fill)


def source(uri: str, *, threads: int) -> FakeSource:
    return FakeSource(uri)


class FakeWriter:
    """One line a frame: pts and the luma of a corner. A path with ``full`` is full at frame 5."""

    warnings: tuple[str, ...] = ()

    def __init__(self, video: VideoSettings) -> None:
        self._path = video.path
        self._lines: list[str] = []

    def write(self, planes: Planes, pts: int, *, duration: int | None) -> None:
        if "full" in self._path and len(self._lines) == 5:
            raise OutputError(f"{self._path}: the disk is full; free some space.")
        self._lines.append(f"{pts} {int(planes.y[0, 0])}")

    def close(self, *, complete: bool) -> None:
        text = "\n".join([*self._lines, f"complete={complete}"])
        Path(self._path).write_text(text, encoding="ascii")

    def abort(self) -> None:
        """Leave nothing."""


def writer(video: VideoSettings) -> FakeWriter:
    return FakeWriter(video)
