"""Cameras, played by a library that answers in the kernel's place (``camera_shim.c``)."""

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest

pytestmark = pytest.mark.system

DEVICE = "/dev/video42"
PROBE = (
    "import sys\n"
    "from maskstream.stream.sources.live_start import probe\n"
    "from maskstream.stream.sources.live_open import LiveOptions\n"
    "info = probe(sys.argv[1], LiveOptions())\n"
    "print(info.codec, info.width, info.height, info.frame_rate, *info.warnings, sep='|')"
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, compiled."""
    compiler = shutil.which("gcc")
    if compiler is None:
        reason = "gcc: not here; it compiles the camera that these tests play."
        if os.environ.get("REQUIRE_SHARED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    library = tmp_path_factory.mktemp("shim") / "camera.so"
    source = Path(__file__).with_name("camera_shim.c")
    options = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC"]
    subprocess.run([compiler, *options, "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def camera(shim: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A camera in every process that is started from here; returns the file of its state."""
    state = tmp_path / "state"
    state.write_text("p")
    monkeypatch.setenv("LD_PRELOAD", str(shim))
    monkeypatch.setenv("CAMERA_PATH", DEVICE)
    monkeypatch.setenv("CAMERA_STATE", str(state))
    return state


def encode(codec_name: str, path: Path) -> Path:
    """Write a second of packets in the form that the shim reads."""
    codec: Any = av.CodecContext.create(codec_name, "w")
    codec.width, codec.height = 640, 480
    codec.pix_fmt = "yuvj420p" if codec_name == "mjpeg" else "yuv420p"
    codec.time_base, codec.framerate = Fraction(1, 30), Fraction(30)
    if codec_name == "libx264":
        codec.options = {"preset": "ultrafast", "tune": "zerolatency"}
    packets = []
    for number in range(30):
        picture = np.full((480, 640, 3), 8 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=codec.pix_fmt)
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    path.write_bytes(b"".join(struct.pack("=I", len(bytes(p))) + bytes(p) for p in packets))
    return path


@pytest.mark.parametrize(
    ("letters", "name", "encoder", "codec"),
    [
        ("YUYV", "yuyv", None, "rawvideo"),
        ("MJPG", "mjpeg", "mjpeg", "mjpeg"),
        ("H264", "h264", "libx264", "h264"),
    ],
)
def test_a_camera_is_read_in_each_format(
    letters, name, encoder, codec, camera, tmp_path, monkeypatch
):
    monkeypatch.setenv("CAMERA_FORMAT", letters)
    if encoder is not None:
        monkeypatch.setenv("CAMERA_DATA", str(encode(encoder, tmp_path / "packets")))
    # Asked for what the camera cannot do: what it does instead is told beside it.
    uri = f"{DEVICE}?size=1280x720&fps=15&format={name}"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, uri], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    got_codec, width, height, rate, note = done.stdout.strip().split("|")
    assert (got_codec, width, height, float(rate)) == (codec, "640", "480", 15.0)
    assert note.startswith(f"{uri}: asked for 1280x720, 15 frames/s, {name}; got 640x480, 15 fr")


def test_a_run_prints_what_was_asked_for_and_what_was_got(camera, maskstream):
    uri = f"{DEVICE}?size=1280x720&fps=15"
    done = maskstream("run", uri, "--max-frames", "5")
    assert done.returncode == 0, done.stderr
    note = f"{uri}: asked for 1280x720, 15 frames/s; got 640x480, 15 frames/s, yuyv422"
    assert done.stderr.count(note) == 1


OUTLIVE = """
import sys
from maskstream.stream.sources.live_open import Patience, open_link
from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.live_packets import packets_of
link = open_link(sys.argv[1], LiveOptions(), threads=1)
packets = packets_of(link, lambda: False, Patience())
frames = [frame for _ in range(4) for frame in next(packets).decode()]
packets.close()
link.close()
print([bytes(frame.planes[0])[0] for frame in frames])
"""


def test_pictures_outlive_the_camera_s_buffers(camera):
    done = subprocess.run(
        [sys.executable, "-c", OUTLIVE, DEVICE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[17, 18, 19, 20]\n"), done.stderr


def test_devices_lists_what_a_camera_can_do(camera, maskstream):
    done = maskstream("devices", DEVICE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "/dev/video42  Camera of the tests (platform:shim)",
        "  YUYV  640x480    30, 15 frames/s",
        "  YUYV  320x240    30, 15 frames/s",
    ]


def test_devices_without_a_camera_says_so(maskstream, tmp_path):
    done = maskstream("devices", tmp_path / "video0")
    assert done.returncode == 0
    assert "no camera found" in done.stdout
    assert "video0: cannot be asked: no such file or directory." in done.stderr


FRAMES = 150
RATE_HZ = 30


@pytest.mark.parametrize(
    ("letters", "encoder"), [("YUYV", None), ("MJPG", "mjpeg"), ("H264", "libx264")]
)
def test_30_frames_a_second_are_delivered_without_a_gap(
    letters, encoder, camera, tmp_path, monkeypatch
):
    monkeypatch.setenv("CAMERA_FORMAT", letters)
    if encoder is not None:
        monkeypatch.setenv("CAMERA_DATA", str(encode(encoder, tmp_path / "packets")))
    seen = tmp_path / "seen.mp4"
    uri = f"{DEVICE}?size=640x480&fps=30"
    with LiveRun(uri, max_frames=FRAMES, policy="block", output=str(seen)) as run:
        result = run.result()
    assert (result["exit_code"], result["captured"], result["gap"]) == (0, FRAMES, 0), result
    lines = [line.split() for line in seen.read_text(encoding="ascii").splitlines()[:-1]]
    assert len(lines) == FRAMES
    pts_s = np.array([int(pts) for pts, _ in lines]) / 90_000
    figures = {
        "rate_hz": (FRAMES - 1) / (pts_s[-1] - pts_s[0]),
        "largest_gap_ms": 1e3 * np.diff(pts_s).max(),
    }
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    assert figures["rate_hz"] == pytest.approx(RATE_HZ, rel=0.01)
    assert figures["largest_gap_ms"] < 1.5 * 1e3 / RATE_HZ
    lumas = np.array([int(luma) for _, luma in lines])
    numbers, cycle = number_of(lumas, encoder)
    assert (np.diff(numbers) % cycle == 1).all(), numbers


def number_of(lumas: np.ndarray, encoder: str | None) -> tuple[np.ndarray, int]:
    """Frame numbers by the luma of the corner, and what they are counted modulo."""
    if encoder is None:
        return lumas - 16, 200
    # Frames of ``encode`` are grey of 8 times their number; JPEG's luma has the full range.
    grey = lumas if encoder == "mjpeg" else (lumas - 16) * 255 / 219
    return np.rint(grey / 8).astype(int), 30


class LiveRun:
    """A run in a process of its own, which the camera is played in."""

    def __init__(self, *sources: str, **asked: object) -> None:
        asked["sources"] = sources
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.live_run", json.dumps(asked)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first thing said from here on for which ``condition`` holds."""
        for line in self._process.stdout or ():
            self.said.append(json.loads(line))
            if condition(self.said[-1]):
                return self.said[-1]
        pytest.fail("\n".join(map(str, [s for s in self.said if "captured" not in s])))

    def event(self, text: str) -> dict[str, Any]:
        """The next line told with ``text`` in it."""
        return self.until(lambda said: text in said.get("event", ""))

    @property
    def counted(self) -> int:
        """Frames delivered so far."""
        return int(max(said.get("delivered", 0) for said in self.said))

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def result(self) -> dict[str, Any]:
        """How it went, at its end."""
        return self.until(lambda said: "exit_code" in said)


LOST_S, BACK_S = 2.0, 3.0
"""How soon a loss is to be noticed with a timeout of 1 s, and a return to be used."""
SLACK_S = 3.0
"""What a busy machine may add to each."""


def test_a_camera_unplugged_at_frame_40_replugged_and_stalled_is_taken_up_each_time(
    camera, tmp_path
):
    camera.write_text("p40")
    seen, uri = tmp_path / "seen.mp4", f"{DEVICE}?size=320x240&fps=30"
    with LiveRun(uri, timeout_s=1.0, policy="block", output=str(seen)) as run:
        figures = {"unplug_noticed_s": since_last_frame(run, f"{uri}: unplugged; trying again")}
        run.event("no such camera; maskstream devices lists what there is")
        figures["replug_delivered_s"] = seconds_to_deliver(run, camera, "p")
        enough = run.counted + 30
        run.until(lambda said: said.get("delivered", 0) >= enough)
        camera.write_text("s")
        figures["stall_noticed_s"] = since_last_frame(run, "nothing came for 1 s")
        figures["stall_over_s"] = seconds_to_deliver(run, camera, "p")
        run.interrupt()
        result = run.result()
    (tmp_path / "figures.json").write_text(json.dumps(figures))
    assert (result["exit_code"], result["gap"]) == (130, 0), result
    for name, value in figures.items():
        assert value < (LOST_S if "noticed" in name else BACK_S) + SLACK_S, name
    # The first frame of a connection is what FFmpeg finds the picture's kind with; then all come.
    numbers = [int(line.split()[1]) - 16 for line in seen.read_text().splitlines()[:-1]]
    assert numbers[:39] == list(range(1, 40))
    assert numbers[39:69] == list(range(1, 31))


def since_last_frame(run: LiveRun, text: str) -> float:
    """How long after the last frame that was captured a line with ``text`` was told."""
    told = run.event(text)
    last = max((said for said in run.said if "captured" in said), key=lambda s: s["captured"])
    return float(told["at_s"] - last["at_s"])


def seconds_to_deliver(run: LiveRun, camera: Path, state: str) -> float:
    """How long after the camera's state is set the next frame is delivered."""
    camera.write_text(state)
    begun_s, count = time.monotonic(), run.counted
    run.event("back after")
    return float(run.until(lambda said: said.get("delivered", 0) > count)["at_s"] - begun_s)


def test_a_camera_in_use_is_told_apart_and_waited_for(camera):
    camera.write_text("b")
    with LiveRun(DEVICE, max_frames=5) as run:
        run.event("in use by another program; end that program; waiting for it")
        camera.write_text("p")
        result = run.result()
    assert result["exit_code"] == 0, result


DOCTOR = (
    "import sys; from maskstream.tools.doctor.cameras import check_cameras\n"
    "for f in check_cameras(sys.argv[1:]): print(f.level, f.found, f.todo, sep='|')"
)


@pytest.mark.parametrize(
    ("state", "level", "found", "todo"),
    [
        ("p", "ok", r": 640x480 yuyv422, (2[5-9]|3[0-4])\.\d of 30 frames/s", ""),
        ("d", "warning", r": 640x480 yuyv422, .* frames/s, a black picture", "open the lens cover"),
        ("b", "warning", ": in use by another program", "end that program"),
        ("s", "warning", ": nothing came for 3 s", "plug it in again"),
    ],
)
def test_the_doctor_looks_at_a_camera_s_picture_and_rate(state, level, found, todo, camera):
    camera.write_text(state)
    done = subprocess.run(
        [sys.executable, "-c", DOCTOR, DEVICE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    got_level, got_found, got_todo = done.stdout.strip().split("|")
    assert got_level == level
    assert re.fullmatch(rf"{DEVICE} \(Camera of the tests\){found}", got_found)
    assert got_todo.startswith(todo)
