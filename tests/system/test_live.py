"""Live sources through whole runs, with a real server that dies, hangs and comes back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import pytest

from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.live_start import probe
from maskstream.stream.sources.trouble import Trouble
from maskstream.stream.supervision.supervisor import run_pipeline
from maskstream.stream.telemetry.snapshot import Event, Snapshot
from tests.helpers.engines.tiny import tiny_engine_file
from tests.helpers.line import options

pytestmark = pytest.mark.system

PASSWORD = "p@ss%w:rd#x1"
LOST_S, BACK_S = 2.0, 3.0
"""How soon a loss is to be noticed with a timeout of 1 s, and a return to be used."""
SLACK_S = 3.0
"""What a busy machine may add to each."""


class Server:
    """An RTSP server in a process of its own."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "tests.helpers.rtsp_server", "--port", str(port)]
        self._process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def uri(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def close(self) -> None:
        with self._process:  # closes its pipe and waits; may be done twice
            self._process.kill()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*arguments: str, port: int = 0) -> Server:
        servers.append(Server(*arguments, port=port))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@dataclass
class Script:
    """Acts on a run's events and figures, step by step; each step waits for its condition."""

    steps: list[tuple[Callable[[Snapshot], bool], Callable[[], None]]]
    events: list[tuple[float, Event]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    delivered: list[tuple[float, dict[int | None, int]]] = field(default_factory=list)

    def on_event(self, event: Event) -> None:
        self.events.append((time.monotonic(), event))

    def on_tick(self, figures: Snapshot) -> None:
        now_s = time.monotonic()
        counts = {s.source_id: s.out_count for s in figures.stages if s.kind == "sink"}
        self.delivered.append((now_s, counts))
        if self.steps and self.steps[0][0](figures):
            _, act = self.steps.pop(0)
            act()
            self.times_s.append(time.monotonic())

    def said(self, text: str, since_s: float = 0.0) -> float | None:
        """When a line with ``text`` was said first after ``since_s``."""
        return next((at for at, e in self.events if at >= since_s and text in e.text), None)

    def is_told(self, text: str, count: int = 1) -> Callable[[Snapshot], bool]:
        return lambda _: sum(text in event.text for _, event in self.events) >= count

    def resumed_s(self, source_id: int, since_s: float) -> float:
        """How long after ``since_s`` the next frame of a source was delivered."""
        before = max(n[source_id] for at, n in self.delivered if at <= since_s)
        return next(at for at, n in self.delivered if n[source_id] > before) - since_s


def has_delivered(count: int, source_id: int = 0) -> Callable[[Snapshot], bool]:
    return lambda figures: any(
        s.kind == "sink" and s.source_id == source_id and s.out_count >= count
        for s in figures.stages
    )


def after(seconds: float) -> Callable[[Snapshot], bool]:
    """True once so much time has passed since it was asked first."""
    begun_s: list[float] = []

    def is_due(_: Snapshot) -> bool:
        begun_s.append(time.monotonic())
        return begun_s[-1] - begun_s[0] >= seconds

    return is_due


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def run(script: Script, *sources: str, **others):
    others.setdefault("live", LiveOptions(timeout_s=1.0))
    return run_pipeline(
        options(*sources, real=("source",), **others),
        on_event=script.on_event,
        on_tick=script.on_tick,
    )


def conserves(result) -> bool:
    frames = result.figures.frames
    return (frames.gap, frames.in_flight) == (0, 0)


def test_a_camera_that_dies_returns_in_another_size_and_hangs_is_taken_up_each_time(serve):
    first, steady = serve(), serve("--size", "192x128")
    back: list[Server] = []
    script = Script([])
    script.steps = [
        (has_delivered(20), first.close),
        (after(5.0), lambda: back.append(serve("--size", "400x200", port=first.port))),
        (script.is_told("back after"), lambda: None),
        (after(1.5), lambda: back[0].signal(signal.SIGSTOP)),
        (script.is_told("nothing came"), lambda: None),
        (after(2.5), lambda: back[0].signal(signal.SIGCONT)),
        (script.is_told("back after", 2), lambda: None),
        (after(1.0), interrupt),
    ]
    result = run(script, first.uri, steady.uri)
    assert (result.exit_code, conserves(result)) == (130, True), result.message
    killed_s, returned_s, _, stopped_s, _, continued_s, *_ = script.times_s
    noticed_s = script.said("the stream ended", killed_s)
    assert noticed_s is not None
    assert noticed_s - killed_s < LOST_S + SLACK_S
    silent_s = script.said("nothing came for 1 s", stopped_s)
    assert silent_s is not None
    assert silent_s - stopped_s < LOST_S + SLACK_S
    assert script.resumed_s(0, returned_s) < BACK_S + SLACK_S
    assert script.resumed_s(0, continued_s) < BACK_S + SLACK_S
    assert script.said("connection refused", killed_s) is not None
    # The other camera was not held up: what it gave came out, however little a busy machine let it.
    other = result.figures.sources[1]
    assert other.delivered > 0.9 * other.captured
    done = max(n[1] for at, n in script.delivered if at <= returned_s)
    assert done - max(n[1] for at, n in script.delivered if at <= killed_s) > 10


def test_a_run_waits_for_its_only_camera_and_starts_without_one_of_two(serve):
    first = serve()
    port = first.port
    first.close()
    script = Script([])
    back: list[Server] = []
    script.steps = [(lambda figures: bool(back), lambda: None), (has_delivered(10), interrupt)]
    waiting: list[str] = []

    def on_event(event: Event) -> None:
        script.on_event(event)
        if "waiting for it" in event.text and not back:
            waiting.append(event.text)
            back.append(serve(port=port))

    result = run_pipeline(
        options(f"rtsp://127.0.0.1:{port}/live", real=("source",)),
        on_event=on_event,
        on_tick=script.on_tick,
    )
    assert (result.exit_code, conserves(result)) == (130, True)
    assert waiting == [
        f"rtsp://127.0.0.1:{port}/live: nothing listens at 127.0.0.1:{port} (connection refused); "
        "start the server, or check host and port; waiting for it."
    ]
    back[0].close()

    script = Script([(has_delivered(10, source_id=1), lambda: back.append(serve(port=port)))])
    script.steps.append((has_delivered(10), interrupt))
    result = run(script, f"rtsp://127.0.0.1:{port}/live", serve().uri)
    assert (result.exit_code, conserves(result)) == (130, True)
    assert script.said("the run starts without it") is not None


def test_a_live_run_ends_after_its_frames_and_its_recording_keeps_the_cameras_time(serve, tmp_path):
    output = tmp_path / "out.mp4"
    server = serve("--fps", "15")
    result = run_pipeline(
        options(
            server.uri,
            real=("source", "writer"),
            max_frames=30,
            policy="block",
            output=str(output),
        ),
        on_event=Script([]).on_event,
        on_tick=Script([]).on_tick,
    )
    assert (result.exit_code, result.message) == (0, "")
    with av.open(str(output)) as container:
        times_s = [frame.time for frame in container.decode(video=0)]
    assert len(times_s) == result.figures.frames.delivered == 30
    assert times_s[-1] - times_s[0] == pytest.approx(29 / 15, abs=0.1)


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_a_password_of_awkward_characters_opens_and_is_found_nowhere(
    auth, serve, maskstream, tmp_path, monkeypatch
):
    monkeypatch.setenv("CAM_PASS", PASSWORD)
    port = serve("--user", "viewer", "--password", PASSWORD, "--auth", auth).port
    typed = (
        f"rtsp://viewer:{PASSWORD.replace('%', '%25').replace('#', '%23')}@127.0.0.1:{port}/live"
    )
    uri = f"rtsp://viewer:${{CAM_PASS}}@127.0.0.1:{port}/live" if auth == "basic" else typed
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = ("--engine", tiny_engine_file(), "--report", folder / "r.json", "--verbose")
    process = maskstream.start("run", uri, "-o", folder, "--max-frames", "40", *arguments)
    lines, shown = command_lines(process)
    assert process.returncode == 0, shown
    texts = [shown, *lines, *(path.name for path in folder.iterdir())]
    texts += [path.read_bytes().decode("latin-1") for path in folder.iterdir()]
    wrong = uri.replace("viewer:", "viewer:x")
    failing = maskstream("run", wrong, "--engine", tiny_engine_file())
    assert failing.returncode == 3
    assert f"rtsp://viewer:***@127.0.0.1:{port}/live: wrong user or password" in failing.stderr
    texts += [failing.stdout, failing.stderr]
    for secret in (PASSWORD, "p%40ss", "ss%w", "ss%25w", "rd#x1", "rd%23x1"):
        assert [text for text in texts if secret in text] == []


def command_lines(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """The command line of a run and its stages in mid-run, and all that it said."""
    time.sleep(2.0)
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        pid, parent = path.parent.name, ""
        try:
            parent = (path.parent / "stat").read_text().rpartition(")")[2].split()[1]
            if str(process.pid) in (pid, parent):
                lines.append(path.read_text())
        except OSError:
            continue
    stdout, stderr = process.communicate(timeout=40)
    assert lines
    return lines, stdout + stderr


@pytest.mark.parametrize(
    ("arguments", "path", "text"),
    [
        ((), "nowhere", "the server has no such path"),
        (("--user", "u", "--password", "p"), "live", "the server asks for a user and a password"),
        (("--silent",), "live", "accepts the connection and then says nothing for 1 s"),
        (("--codec", "X-UNKNOWN"), "live", "its video is in a codec that nothing here can decode"),
    ],
    ids=["path", "password", "silent", "codec"],
)
def test_what_is_wrong_is_told_apart_in_words(arguments, path, text, serve):
    uri = f"rtsp://127.0.0.1:{serve(*arguments).port}/{path}"
    with pytest.raises(Trouble, match=f"^{uri}: .*{text}"):
        probe(uri, LiveOptions(timeout_s=0.5))


def test_a_camera_that_stays_away_is_no_stall_of_the_line(serve):
    server = serve()
    script = Script([(has_delivered(5), server.close), (after(4.0), interrupt)])
    result = run(script, server.uri, times={"stall_s": 1.0})
    assert (result.exit_code, conserves(result)) == (130, True), result.message


def test_a_run_that_waits_for_its_camera_can_be_interrupted(maskstream):
    # A port of the reserved range, where nothing listens.
    process = maskstream.start("run", "rtsp://127.0.0.1:9/x", "--engine", tiny_engine_file())
    assert "connection refused" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (130, "")
