"""`window:` as a user meets it: the whole command, on a screen that nobody sees."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack

import cv2
import pytest

from tests.helpers.x_screen import number_seen, x_screen

pytestmark = pytest.mark.system

SOURCE = "synthetic:numbered?size=640x360&fps=30&rate=realtime&frames=100000"


@pytest.fixture
def screen(monkeypatch):
    with x_screen() as screen:
        monkeypatch.setenv("DISPLAY", screen.name)
        yield screen


WINDOW = """
import cv2, numpy
from maskstream.stream.viewers.window.display import lead_qt_to_display

lead_qt_to_display()
cv2.namedWindow("white", cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL)
while True:
    cv2.imshow("white", numpy.full((240, 320, 3), 255, numpy.uint8))
    cv2.waitKey(20)
"""


def test_a_run_is_seen_in_a_window_and_its_keys_work(screen, maskstream, tmp_path):
    report = tmp_path / "report.json"
    arguments = ("--score", "0.99", "--report", report)
    process = maskstream.start("run", SOURCE, "-o", "window:", *arguments, cwd=tmp_path)
    try:
        title = f"{SOURCE} - maskstream"
        screen.wait_for(lambda: screen.find(title) or process.poll() is not None, "a window")
        assert process.poll() is None, process.communicate()[1]
        seen = screen.window(title)
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


@pytest.fixture
def busy_core():
    """Keep what is started now on one core, and others at work on it."""
    before = os.sched_getaffinity(0)
    with ExitStack() as stack:
        os.sched_setaffinity(0, {min(before)})
        stack.callback(os.sched_setaffinity, 0, before)
        for _ in range(3):
            worker = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: 0"]))
            stack.callback(worker.kill)
        yield


def test_every_window_is_drawn_on_a_busy_machine(busy_core, screen):
    def is_white(window):
        return window is not None and screen.picture(window).min() == 255

    # Each of them was black in about every second try when Xlib took events away from Qt.
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", WINDOW]) as process:
            try:
                screen.wait_for(lambda: is_white(screen.find("white")), "a window with its picture")
            finally:
                process.kill()
        screen.wait_for(lambda: not screen.windows(), "that the window is gone")


def test_without_a_display_nothing_is_started(maskstream, monkeypatch, tmp_path):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    output = tmp_path / "out.mp4"
    done = maskstream("run", SOURCE, "-o", "window:", "-o", output)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("maskstream: display: none, DISPLAY is not set; only a window")
    assert len(done.stderr.splitlines()) == 1
    assert not output.exists()
