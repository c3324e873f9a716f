"""A page of its own process with moving sources and figures that change, for the page's tests."""

from __future__ import annotations

import http.client
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from maskstream.stream.addresses.http_address import HttpAddress
from maskstream.stream.memory.histogram import BOUNDS_S
from maskstream.stream.telemetry.snapshot import (
    Durations,
    FrameTally,
    Percentiles,
    Snapshot,
    SourceFigures,
    StageFigures,
    StageState,
)
from maskstream.stream.telemetry.status import build_status
from maskstream.stream.viewers.page.page import PageHost, open_page, run
from tests.helpers.snapshots import make_snapshot
from tests.helpers.views_feed import Viewer, viewing

ANY = HttpAddress("127.0.0.1", 0)
TOKEN = "0123456789abcdef-secret"
NAMES = {0: "front door", 1: "rtsp://viewer:***@yard/stream"}
SIZES = {0: (320, 240), 1: (640, 360)}


class Figures:
    """Figures of a run, as a test changes them."""

    def __init__(self, names: Mapping[int, str], sizes: Mapping[int, tuple[int, int]]) -> None:
        self.names = names
        self.sizes = sizes
        self.lost_since_s: dict[int, float] = {}
        self.changes: dict[str, Any] = {}
        self.stage_states: dict[str, StageState] = {}
        self._began_s = time.monotonic()

    def snapshot(self) -> Snapshot:
        """The figures of this moment: they grow with time."""
        wall_s = time.monotonic() - self._began_s
        figures = make_snapshot(delivered=round(25 * wall_s), wall_s=max(wall_s, 0.1))
        count = figures.frames.delivered
        dropped = {"stale": count // 9, "source_reset": 3}
        stages = tuple(self._stage(stage, wall_s, count) for stage in figures.stages)
        sources = tuple(self._source(source_id, count) for source_id in self.names)
        frames = FrameTally(count + sum(dropped.values()) + 3, count, dropped, 3)
        return replace(figures, frames=frames, stages=stages, sources=sources, **self.changes)

    def _stage(self, stage: StageFigures, wall_s: float, count: int) -> StageFigures:
        busy = stage.busy * (0.9 + 0.1 * math.sin(wall_s / 5))
        # All took from 47 to 67 ms.
        counts = tuple(count * (bound_s >= 0.0671) for bound_s in (*BOUNDS_S, math.inf))
        return replace(
            stage,
            out_count=count,
            busy=busy,
            fps_1s=25.0,
            state=self.stage_states.get(stage.name, "running"),
            total=Durations(counts, 0.06 * count),
        )

    def _source(self, source_id: int, count: int) -> SourceFigures:
        since_s = self.lost_since_s.get(source_id)
        width, height = self.sizes[source_id]
        return SourceFigures(
            source_id=source_id,
            name=self.names[source_id],
            state="running" if since_s is None else "lost",
            lost_s=None if since_s is None else time.monotonic() - since_s,
            width=width,
            height=height,
            captured=count,
            delivered=count,
            dropped={"stale": count // 9},
            fps_1s=25.0 if since_s is None else 0.0,
            fps_10s=25.0,
            latency_ms=Percentiles(42.0, 61.0, 80.0),
        )


class PageLab:
    """A page that runs, and what goes into it."""

    def __init__(self, host: PageHost, viewer: Viewer, figures: Figures) -> None:
        self.host = host
        self.viewer = viewer
        self.figures = figures

    @property
    def url(self) -> str:
        """Where the page is."""
        return self.host.url

    @property
    def port(self) -> int:
        """Of the page."""
        return self.host.address.port

    def publish(self) -> None:
        """Hand the figures of this moment to the page."""
        self.host.publish(build_status(self.figures.snapshot()))

    @contextmanager
    def publishing(self, period_s: float = 0.5) -> Iterator[None]:
        """Hand figures to the page every ``period_s`` in the block."""
        is_over = threading.Event()

        def publish() -> None:
            self.publish()
            while not is_over.wait(period_s):
                self.publish()

        thread = threading.Thread(target=publish, name="publishing")
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[int, str, Any]:
        """The status, the text and the headers of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def memory_bytes(self) -> int:
        """Resident memory of the page's process."""
        fields = Path(f"/proc/{self.viewer.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        """Processor time of the page's process so far."""
        fields = Path(f"/proc/{self.viewer.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptor_count(self) -> int:
        """What the page's process has open."""
        return len(list(Path(f"/proc/{self.viewer.pid}/fd").iterdir()))

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until ``condition`` holds; see ``Viewer.wait_for``."""
        self.viewer.wait_for(condition, what)


@contextmanager
def page_lab(
    *,
    token: str | None = None,
    names: Mapping[int, str] = NAMES,
    sizes: Mapping[int, tuple[int, int]] = SIZES,
    host: PageHost | None = None,
) -> Iterator[PageLab]:
    """A page, ready to be asked: on a free port of the loopback, or where ``host`` is already."""
    given = host
    host = open_page(ANY, token=token, names=dict(names)) if given is None else given
    try:
        with viewing(run, host.settings(), sizes) as viewer:
            viewer.wait_until_ready()
            yield PageLab(host, viewer, Figures(names, sizes))
    finally:
        if given is None:
            host.close()
