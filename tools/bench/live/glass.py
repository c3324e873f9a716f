"""Glass to glass: how old a camera's picture is when somebody sees it, by every way there is.

The camera draws the clock into its picture; who sees the picture reads it. In between lie the
camera's encoder, RTSP, the whole line, and the way to the one who looks.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.table import Table

from maskstream.stream.delivery import parse_deliveries
from maskstream.stream.pixels.stamp import read_stamp
from maskstream.tools.bench.live.eyes import (
    Picture,
    Take,
    screen,
    see_mjpeg,
    see_rtsp,
    see_websocket,
    see_window,
    why_no_screen,
)
from maskstream.tools.bench.live.numbered_camera import SIZE, cameras
from maskstream.tools.bench.live.script import (
    LIMIT_S,
    Script,
    Spread,
    live_options,
    maskstream,
    play,
    until,
)
from maskstream.tools.bench.live.stamped_writer import OPENER, read_ages_ms
from maskstream.tools.measuring.tables import table

_WARM_UP = 30
"""Frames that are seen before ages count: connections and caches settle."""
_END_S = 30.0


@dataclass(frozen=True, slots=True)
class GlassFigures:
    """All ways."""

    size: str
    fps: float
    age_ms: dict[str, Spread]
    """By way: from the camera's drawing to the moment when the picture is seen."""
    left_out: dict[str, str]
    """By way: why it could not be looked at."""


@dataclass(slots=True)
class _Reader:
    """Takes pictures and reads how old they are."""

    count: int
    """Frames to be seen before it has enough."""
    ages_ms: list[float] = field(default_factory=list)
    _last: int = -1
    _due_s: float = field(default_factory=lambda: time.monotonic() + LIMIT_S)

    def take(self, picture: Picture) -> bool:
        """Note a frame's age when it is seen first; whether more are needed."""
        now_ns = time.monotonic_ns()
        if now_ns / 1e9 > self._due_s:
            raise RuntimeError(
                f"bench: {len(self.ages_ms)} frames were seen in {LIMIT_S:.0f} s; "
                f"{self.count} have to be."
            )
        try:
            stamp = read_stamp(picture)
        except ValueError:
            return True
        if stamp.frame_number != self._last:
            self._last = stamp.frame_number
            self.ages_ms.append((now_ns - stamp.clock_ns) / 1e6)
        return len(self.ages_ms) < self.count


def measure_glass(engine: str, *, count: int, size: str = SIZE, fps: float = 25) -> GlassFigures:
    """Return the ages of ``count`` frames by each way, one after the other, from the main thread.

    Args:
        count: After the first ones, which are not counted.
        size: Of the camera's picture.
        fps: Of the camera.
    """
    count += _WARM_UP
    ways: dict[str, Callable[[], list[float]]] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        (camera,) = stack.enter_context(cameras(1, size=size, fps=fps))
        look = partial(_look, camera.uri, engine, count)
        page, server = "http://127.0.0.1:0", "rtsp-server://127.0.0.1:0/live"
        ways["file, written"] = partial(_file_ages_ms, camera.uri, engine, count)
        ways["page, MJPEG"] = partial(look, page, "live page at ", see_mjpeg)
        ways["page, WebSocket"] = partial(look, page, "live page at ", see_websocket)
        ways["rtsp-server, PyAV"] = partial(look, server, "RTSP at ", see_rtsp)
        if (reason := why_no_screen()) is not None:
            left_out["window, X server"] = reason
        else:
            name = stack.enter_context(screen())
            see = partial(_see_window, name)
            ways["window, X server"] = partial(
                look, "window:", None, see, environment={"DISPLAY": name}
            )
        ages = {way: Spread.of(measure()[_WARM_UP:]) for way, measure in ways.items()}
    return GlassFigures(size, fps, ages, left_out)


def _file_ages_ms(uri: str, engine: str, count: int) -> list[float]:
    def script() -> Script:
        yield from until(lambda figures: figures.frames.delivered >= count)

    with tempfile.TemporaryDirectory(prefix="maskstream-bench-") as folder:
        output = Path(folder) / "glass.mkv"
        replaced = {"writer": OPENER}
        play(
            live_options(
                [uri], engine, deliveries=parse_deliveries([str(output)]), replaced=replaced
            ),
            script(),
        )
        return read_ages_ms(output)


def _look(
    uri: str,
    engine: str,
    count: int,
    output: str,
    address: str | None,
    see: Callable[[str, Take], None],
    *,
    environment: Mapping[str, str] | None = None,
) -> list[float]:
    """Look at a run of the command with ``see``.

    Args:
        uri: Of the camera.
        engine: To run.
        count: Frames to be seen.
        output: As typed.
        address: What comes before the address in what the run says; None: it has none.
        see: Is given the address.
        environment: On top of this process's own.
    """
    reader = _Reader(count)
    # A score that nothing reaches: what is drawn could cover a stamp.
    command = [*maskstream(), "run", uri, "--engine", engine, "-v", "--score", "1", "-o", output]
    with _running(command, environment or {}) as said:
        see(_address_in(said, address) if address else "", reader.take)
    return reader.ages_ms


def _see_window(display_name: str, _: str, take: Take) -> None:
    see_window(display_name, take)


@contextmanager
def _running(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[queue.SimpleQueue[str | None]]:
    """Run ``command`` in the block; gives what it says, line by line, and None at its end."""
    run = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        assert run.stderr is not None
        for line in run.stderr:
            said.put(line.strip())
        said.put(None)

    listener = threading.Thread(target=listen, name="listener", daemon=True)
    listener.start()
    try:
        yield said
        run.send_signal(signal.SIGINT)
        run.wait(_END_S)
    finally:
        run.kill()
        run.wait()
        listener.join()
        if run.stderr is not None:
            run.stderr.close()


def _address_in(said: queue.SimpleQueue[str | None], mark: str) -> str:
    """Return the word that follows the mark in what a run says."""
    heard = []
    while (line := said.get(timeout=LIMIT_S)) is not None:
        heard.append(line)
        _, found, rest = line.partition(mark)
        if found:
            return rest.split()[0]
    raise RuntimeError(f"bench: the run ended ({heard[-1:]}); it has to serve.")


def glass_table(figures: GlassFigures) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"glass to glass, numbered camera over RTSP, {figures.size}, {figures.fps:g} fps",
        ("seen in", "frames", "p50 ms", "p95 ms", "p99 ms", "max ms"),
    )
    for way, age in figures.age_ms.items():
        made.add_row(
            way,
            str(age.count),
            f"{age.p50:.0f}",
            f"{age.p95:.0f}",
            f"{age.p99:.0f}",
            f"{age.most:.0f}",
        )
    for way, reason in figures.left_out.items():
        made.add_row(way, f"left out: {reason}")
    return made
