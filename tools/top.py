"""`maskstream top`: the figures of runs that go on elsewhere, as `--telemetry` publishes them."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, TextIO

import typer
import zmq
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from maskstream.errors import ConfigError
from maskstream.stream.network.zmq_socket import Endpoint, parse_endpoint
from maskstream.stream.telemetry.progress import figures_table, progress_line
from maskstream.stream.telemetry.status import Status, decode_status
from maskstream.stream.telemetry.status_publisher import TOPIC

GONE_S = 3.0
"""Figures come every second; a run that is silent for so long is gone."""
LINE_PERIOD_S = 5.0
_POLL_MS = 500
_TOPIC_STEM = TOPIC.rpartition(b".")[0]

EndpointsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="ENDPOINT",
        help="As given to `maskstream run --telemetry`: tcp://HOST:PORT or ipc:///FOLDER/NAME.",
    ),
]
OnceOption = Annotated[
    bool, typer.Option("--once", help="Show the first figures of each run, and leave.")
]


@dataclass(slots=True)
class Watched:
    """One run, as far as it was heard."""

    endpoint: Endpoint
    status: Status | None = None
    problem: str | None = None
    heard_s: float = 0.0
    """Monotonic clock at the newest figures, or at the start."""

    @property
    def state(self) -> str:
        """What can be said of the run now."""
        if self.problem is not None:
            return self.problem
        if self.status is None:
            return "nothing heard yet" if self.is_missing else "waiting"
        silent_s = time.monotonic() - self.heard_s
        if self.status.figures.state == "ended":
            return "ended"
        return f"gone, silent for {silent_s:.0f} s" if silent_s > GONE_S else "running"

    @property
    def is_missing(self) -> bool:
        """Whether a run that was there would have been heard by now, and was not."""
        return self.status is None and time.monotonic() - self.heard_s > GONE_S

    @property
    def is_over(self) -> bool:
        """Whether it was heard, and will not be again unless another run takes its place."""
        return self.status is not None and self.state != "running"

    @property
    def title(self) -> str:
        """Which run it is, and how it is."""
        process = "" if self.status is None else f" (process {self.status.pid})"
        return f"{self.endpoint.address}{process}: {self.state}"


def top(endpoints: EndpointsArgument, once: OnceOption = False) -> None:
    """Show the figures of one or several runs, until they are over or Ctrl-C."""
    wanted = [parse_endpoint(text) for text in dict.fromkeys(endpoints)]
    runs = [Watched(endpoint, heard_s=time.monotonic()) for endpoint in wanted]
    is_table = sys.stdout.isatty() and not once
    view = _Table(sys.stdout) if is_table else _Lines(sys.stdout)
    try:
        with _listening(runs) as sockets:
            _watch(runs, sockets, view, once=once)
    finally:
        view.close()
    if any(run.status is None for run in runs):
        raise typer.Exit(ConfigError.exit_code)


def _watch(
    runs: list[Watched],
    sockets: dict[zmq.Socket[bytes], Watched],
    view: "_Table | _Lines",
    *,
    once: bool,
) -> None:
    poller = zmq.Poller()
    for subscriber in sockets:
        poller.register(subscriber, zmq.POLLIN)
    while True:
        for subscriber, _ in poller.poll(_POLL_MS):
            _hear(subscriber, sockets[subscriber])
        view.show(runs)
        if all(run.is_over or run.problem for run in runs):
            return
        if once and all(run.status or run.problem or run.is_missing for run in runs):
            return


@contextmanager
def _listening(runs: list[Watched]) -> Iterator[dict[zmq.Socket[bytes], Watched]]:
    """Give a socket for each run; ZeroMQ connects it whenever the run is there."""
    sockets: dict[zmq.Socket[bytes], Watched] = {}
    context = zmq.Context()
    try:
        for run in runs:
            subscriber = context.socket(zmq.SUB)
            sockets[subscriber] = run
            subscriber.setsockopt(zmq.RCVHWM, 8)
            subscriber.setsockopt(zmq.LINGER, 0)
            subscriber.setsockopt(zmq.IPV6, 1)
            subscriber.setsockopt(zmq.MAXMSGSIZE, 16 << 20)
            # Without the version, so that a run of another one can be told from none.
            subscriber.subscribe(_TOPIC_STEM)
            try:
                subscriber.connect(run.endpoint.address)
            except zmq.ZMQError as exc:
                reason = os.strerror(exc.errno or 0)
                raise ConfigError(
                    f"{run.endpoint.address}: cannot be listened to ({reason}); name the endpoint "
                    "of a run."
                ) from exc
        yield sockets
    finally:
        for subscriber in sockets:
            subscriber.close()
        context.term()


def _hear(subscriber: zmq.Socket[bytes], run: Watched) -> None:
    parts = subscriber.recv_multipart()
    try:
        if len(parts) != 3:
            raise ConfigError("telemetry: no message of a run; name the endpoint of one.")
        run.status = decode_status(parts[2], parts[1].decode("ascii", "replace"))
        run.problem = None
    except ConfigError as exc:
        run.problem = str(exc)
    run.heard_s = time.monotonic()


class _Table:
    """A table a run, redrawn in place."""

    def __init__(self, output: TextIO) -> None:
        console = Console(file=output, highlight=False)
        self._live = Live(console=console, auto_refresh=False)
        self._live.start()

    def show(self, runs: list[Watched]) -> None:
        parts: list[RenderableType] = []
        for run in runs:
            parts.append(Text(run.title, style="bold" if run.state == "running" else "dim"))
            if run.status is not None:
                parts.append(figures_table(run.status.figures))
        self._live.update(Group(*parts), refresh=True)

    def close(self) -> None:
        self._live.stop()


class _Lines:
    """A line a run every few seconds, and one whenever its state changes."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._shown: dict[str, tuple[str, float]] = {}

    def show(self, runs: list[Watched]) -> None:
        for run in runs:
            key = "gone" if run.state.startswith("gone") else run.state
            now_s = time.monotonic()
            shown_key, shown_s = self._shown.get(run.endpoint.address, ("waiting", now_s))
            if key != shown_key or (key == "running" and now_s - shown_s >= LINE_PERIOD_S):
                self._shown[run.endpoint.address] = (key, now_s)
                figures = "" if run.status is None else f", {progress_line(run.status.figures)}"
                self._output.write(f"{run.title}{figures}\n")
                self._output.flush()

    def close(self) -> None:
        """Nothing is held."""
