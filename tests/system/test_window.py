"""`window:` as a user meets it: the whole command, on a screen that nobody sees."""

import json

import cv2
import numpy as np
import pytest

from stream.stamp import read_stamp
from tests.x_screen import x_screen

pytestmark = pytest.mark.system

SOURCE = "synthetic:numbered?size=640x360&fps=30&rate=realtime&frames=100000"


@pytest.fixture
def screen(monkeypatch):
    with x_screen() as screen:
        monkeypatch.setenv("DISPLAY", screen.name)
        yield screen


def number_seen(picture) -> int | None:
    try:
        return read_stamp(np.ascontiguousarray(picture[..., 1])).frame_number
    except ValueError:
        return None


def test_a_run_is_seen_in_a_window_and_its_keys_work(screen, maskstream, tmp_path):
    report = tmp_path / "report.json"
    arguments = ("--score", "0.99", "--report", report)
    process = maskstream.start("run", SOURCE, "-o", "window:", *arguments, cwd=tmp_path)
    try:
        screen.wait_for(lambda: screen.windows() or process.poll() is not None, "a window")
        assert process.poll() is None, process.communicate()[1]
        (seen,) = screen.windows()
        screen.wait_for(lambda: number_seen(screen.picture(seen)), "a frame")
        first = number_seen(screen.picture(seen)) or 0
        screen.wait_for(
            lambda: (number_seen(screen.picture(seen)) or 0) > first + 10, "the frames after it"
        )
        screen.press(seen, "s")
        (saved,) = screen.wait_for(lambda: list(tmp_path.glob("*.png")), "a saved picture")
        screen.press(seen, "q")
        _, stderr = process.communicate(timeout=40)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, stderr
    assert f"saved {saved.name}" in stderr
    assert number_seen(cv2.imread(str(saved))) == int(saved.stem[-6:])
    frames = json.loads(report.read_text())["frames"]
    assert frames["in_flight"] == 0
    assert frames["captured"] == frames["delivered"] + sum(frames["dropped"].values())


def test_without_a_display_nothing_is_started(maskstream, monkeypatch, tmp_path):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    output = tmp_path / "out.mp4"
    done = maskstream("run", SOURCE, "-o", "window:", "-o", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("maskstream: display: none, DISPLAY is not set; only a window")
    assert len(done.stderr.splitlines()) == 1
    assert not output.exists()
