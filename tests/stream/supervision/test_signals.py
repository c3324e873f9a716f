"""Interruptions and the supervisor's own death, on a command in a process of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY_DIR

STAGES = ["capture", "infer", "overlay", "sink"]


class Command:
    """A line in a process group of its own, as a shell would start it."""

    def __init__(self, **asked) -> None:
        asked = {"sources": ["fake:frames=1000000"], "engine": "fake?work_ms=2", **asked}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.helpers.line", json.dumps(asked)],
            cwd=REPOSITORY_DIR,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def pids(self) -> dict[str, int]:
        """Returns the stages' process ids, once frames flow."""
        assert self.process.stdout is not None
        found: dict[str, int] = json.loads(self.process.stdout.readline())["pids"]
        return found

    def interrupt_all(self, number: int = signal.SIGINT) -> None:
        """What Ctrl-C does: the signal goes to the whole foreground group."""
        os.killpg(self.process.pid, number)

    def result(self, timeout_s: float = 20) -> tuple[dict[str, Any], str]:
        out, errors = self.process.communicate(timeout=timeout_s)
        return json.loads(out.splitlines()[-1]), errors

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def command():
    commands = []

    def start(**asked) -> Command:
        commands.append(Command(**asked))
        return commands[-1]

    yield start
    for made in commands:
        made.close()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until_gone(pids, timeout_s: float) -> list[int]:
    """Returns those of ``pids`` that still run when time is up."""
    deadline_s = time.monotonic() + timeout_s
    while (left := [pid for pid in pids if is_running(pid)]) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return left


def group_members(group: int) -> list[int]:
    """Returns every running process of the command's group, resource tracker included."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
@pytest.mark.parametrize("is_for_all", [True, False], ids=["group", "supervisor"])
def test_one_interruption_drains_and_finishes_the_file(command, tmp_path, number, is_for_all):
    out = tmp_path / "out.mp4"
    running = command(output=str(out))
    pids = running.pids()
    if is_for_all:
        running.interrupt_all(number)
    else:
        running.process.send_signal(number)
    said, errors = running.result()
    assert (running.process.returncode, said["exit_code"]) == (130, 130)
    assert said["message"] == f"interrupted: {said['delivered']} frames were delivered."
    # Drained: what was captured came out.
    assert (said["captured"], said["dropped"], said["gap"]) == (said["delivered"], {}, 0)
    written = out.read_text().split("\n")
    assert len(written) - 1 == said["delivered"]
    assert written[-1] == "complete=False"
    assert errors == ""
    assert wait_until_gone(pids.values(), 2) == []


def test_two_interruptions_stop_at_once_and_the_file_is_still_finished(command, tmp_path):
    out = tmp_path / "out.mp4"
    running = command(output=str(out), engine="fake?work_ms=400&batch=4", slots=11)
    pids = running.pids()
    begun_s = time.monotonic()
    running.interrupt_all()
    time.sleep(0.1)
    running.interrupt_all()
    said, errors = running.result()
    assert time.monotonic() - begun_s < 3
    assert running.process.returncode == 130
    assert said["gap"] == 0
    assert said["dropped"]["shutdown"] > 0
    assert len(out.read_text().split("\n")) - 1 == said["delivered"]
    assert errors == ""
    assert wait_until_gone(pids.values(), 2) == []


def test_an_interruption_while_the_engine_loads_ends_at_once(command, tmp_path):
    out = tmp_path / "out.ndjson"
    running = command(engine="fake?load_ms=30000", threads=2, results=str(out))
    time.sleep(1.5)
    running.interrupt_all()
    said, errors = running.result(timeout_s=5)
    assert (running.process.returncode, said["captured"], errors) == (130, 0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_supervisor_leaves_nothing_and_the_file_is_finished(command, tmp_path, attempt):
    out = tmp_path / "out.mp4"
    running = command(output=str(out))
    pids = running.pids()
    time.sleep(random.Random(attempt).uniform(0, 0.2))
    os.kill(running.process.pid, signal.SIGKILL)
    assert wait_until_gone(pids.values(), 2) == []
    running.process.wait()
    deadline_s = time.monotonic() + 1
    while group_members(running.process.pid) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert group_members(running.process.pid) == []
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_text().split("\n")[-1] == "complete=False"


@pytest.mark.system  # a process that is being imported hears of the death when that is done
def test_a_supervisor_killed_while_stages_start_leaves_nothing(command):
    running = command()
    deadline_s = time.monotonic() + 10
    while len(group_members(running.process.pid)) < 4 and time.monotonic() < deadline_s:
        time.sleep(0.005)
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    assert wait_until_gone(group_members(running.process.pid), 2) == []


def test_stages_are_named_as_ps_shows_them(command):
    running = command()
    names = {
        name: Path(f"/proc/{pid}/comm").read_text().strip() for name, pid in running.pids().items()
    }
    assert names == {name: name for name in STAGES}
    running.process.terminate()
    running.result()
