"""Cameras, played by a library that answers in the kernel's place (``camera_shim.c``)."""

import os
import shutil
import signal
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.engines.tiny import tiny_engine_file

pytestmark = pytest.mark.system

DEVICE = "/dev/video42"
PROBE = (
    "import sys; from stream.live_start import probe; from stream.live_open import LiveOptions\n"
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


def test_a_camera_that_is_unplugged_and_one_that_stalls_are_taken_up_again(
    camera, maskstream, tmp_path
):
    uri, report = f"{DEVICE}?size=320x240&fps=30", tmp_path / "report.json"
    process = maskstream.start(
        "run", uri, "--engine", tiny_engine_file(), "--report", report, "--source-timeout", "1"
    )
    said = []

    def wait_for(text: str) -> None:
        for line in process.stderr:
            said.append(line)
            if text in line:
                return
        pytest.fail("".join(said))

    try:
        wait_for("asked for 320x240, 30 frames/s; got 320x240, 30 frames/s, yuyv422")
        wait_for("frames")  # the line with the first figures
        camera.write_text("u")
        wait_for("trying again until it is there")
        camera.write_text("p")
        wait_for("back after")
        camera.write_text("s")
        wait_for("nothing came for 1 s")
        camera.write_text("p")
        wait_for("back after")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, stderr
    assert "Traceback" not in "".join(said) + stderr
    assert report.is_file()
