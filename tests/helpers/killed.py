"""Writers that are killed in the middle of their work."""

import os
import signal
import subprocess
import sys
from pathlib import Path

REPOSITORY_DIR = Path(__file__).resolve().parents[2]


def record_and_kill(path: Path, *arguments: object, frames: int) -> int:
    """Record ``path`` in another process, kill it, and return how many frames went in."""
    process = start_recorder(path, *arguments)
    try:
        return wait_for_frames(process, frames)
    finally:
        end_recorder(process)


def start_recorder(path: Path, *arguments: object) -> subprocess.Popen[str]:
    """A process that records for ever."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.recorder", str(path), *map(str, arguments)],
        cwd=REPOSITORY_DIR,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_frames(process: subprocess.Popen[str], frames: int) -> int:
    """Returns how many frames have gone in, once there are enough."""
    assert process.stdout is not None
    written = 0
    while written < frames:
        written = int(process.stdout.readline())
    return written


def end_recorder(process: subprocess.Popen[str]) -> None:
    """Kill it."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
