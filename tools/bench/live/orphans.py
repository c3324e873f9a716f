"""What a run leaves behind whose supervisor is killed: it should be nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from maskstream.tools.bench.live.numbered_camera import cameras
from maskstream.tools.bench.live.processes import (
    descendants,
    is_running,
    listening_ports,
    shared_files,
)
from maskstream.tools.bench.live.script import LIMIT_S, maskstream
from maskstream.tools.measuring.tables import table

GRACE_S = 2.0
"""After this long there has to be nothing."""
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class OrphanFigures:
    """What one run had, and what of it was there ``GRACE_S`` after its supervisor's death."""

    process_count: int
    """Without the supervisor's own."""
    port_count: int
    gone_s: float | None
    """When the last process was gone; None where one was left."""
    left_processes: int
    left_ports: tuple[int, ...]
    left_shared: tuple[str, ...]
    """Files in /dev/shm."""
    left_temporary: tuple[str, ...]
    """Files in the folder for temporary ones."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was left."""
        return not (
            self.left_processes or self.left_ports or self.left_shared or self.left_temporary
        )


def measure_orphans(engine: str, *, count: int = 1, fps: float = 15) -> tuple[OrphanFigures, ...]:
    """Kill the supervisor of ``count`` runs, one after the other.

    Each has two cameras, a live page, an RTSP server, figures on ZeroMQ and over HTTP, and
    recordings. To be called from the main thread.
    """
    with cameras(2, fps=fps) as made:
        sources = [camera.uri for camera in made]
        return tuple(_kill_one(sources, engine) for _ in range(count))


def _kill_one(sources: Sequence[str], engine: str) -> OrphanFigures:
    with tempfile.TemporaryDirectory(prefix="maskstream-bench-") as name:
        folder = Path(name)
        recordings, temporary = folder / "recordings", folder / "tmp"
        recordings.mkdir()
        temporary.mkdir()
        outputs = (str(recordings), "http://127.0.0.1:0", "rtsp-server://127.0.0.1:0/live")
        command = [*maskstream(), "run", *sources, "--engine", engine]
        command += [word for output in outputs for word in ("-o", output)]
        command += ["--status-http", "127.0.0.1:0", "--telemetry", f"ipc://{folder}/own/figures"]
        with (folder / "said").open("w") as said:
            run = subprocess.Popen(
                command, env={**os.environ, "TMPDIR": str(temporary)}, stdout=said, stderr=said
            )
            try:
                _await_frames(run, recordings, folder / "said")
                return _kill(run, temporary)
            finally:
                run.kill()
                run.wait()


def _await_frames(run: subprocess.Popen[bytes], recordings: Path, said: Path) -> None:
    """Wait until both recordings have begun."""
    deadline_s = time.monotonic() + LIMIT_S
    while sum(map(_has_begun, recordings.iterdir())) < 2:
        if run.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"bench: the run does not record ({said.read_text()[-400:]}).")
        time.sleep(_POLL_S)


def _has_begun(recording: Path) -> bool:
    # A run tries whether it can write there, and removes what it wrote.
    with suppress(FileNotFoundError):
        return recording.stat().st_size > 0
    return False


def _kill(run: subprocess.Popen[bytes], temporary: Path) -> OrphanFigures:
    stages = descendants(run.pid)
    every = stages | {run.pid}
    ports = set().union(*map(listening_ports, every))
    shared = set().union(*map(shared_files, every))
    run.send_signal(signal.SIGKILL)
    killed_s = time.monotonic()
    run.wait()
    gone_s = None
    while time.monotonic() - killed_s < GRACE_S:
        if gone_s is None and not any(map(is_running, stages)):
            gone_s = time.monotonic() - killed_s
        time.sleep(_POLL_S)
    left = {pid for pid in stages if is_running(pid)}
    return OrphanFigures(
        process_count=len(stages),
        port_count=len(ports),
        gone_s=gone_s,
        left_processes=len(left),
        left_ports=tuple(sorted(set().union(*map(listening_ports, left)) & ports)),
        left_shared=tuple(sorted(path for path in shared if Path(path).exists())),
        left_temporary=tuple(sorted(str(path.name) for path in temporary.iterdir())),
    )


def orphans_table(rows: Sequence[OrphanFigures]) -> Table:
    """Return the figures as they are shown."""
    made = table(
        f"supervisor killed, what is left after {GRACE_S:.0f} s",
        ("run", "processes", "ports", "last one gone s", "left"),
    )
    for number, row in enumerate(rows, 1):
        left = [f"{row.left_processes} processes"] if row.left_processes else []
        left += [f"port {port}" for port in row.left_ports]
        left += [*row.left_shared, *row.left_temporary]
        gone = "-" if row.gone_s is None else f"{row.gone_s:.2f}"
        made.add_row(
            str(number),
            str(row.process_count),
            str(row.port_count),
            gone,
            ", ".join(left) or "nothing",
        )
    return made
