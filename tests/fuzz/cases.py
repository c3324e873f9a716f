"""What is tried: each kind makes an input of a random number and says what was wrong about it."""

from __future__ import annotations

import json
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from maskstream.errors import MaskstreamError
from maskstream.stream.memory.source_info import Source
from maskstream.stream.options import LiveOptions
from maskstream.stream.sources.live import LiveSource
from maskstream.stream.sources.live_start import probe
from maskstream.stream.sources.open import open_source
from tests.fuzz.damage import damaged
from tests.helpers.clips import canvas

REPOSITORY_DIR = Path(__file__).resolve().parents[2]
CLIPS_DIR = REPOSITORY_DIR.parent / "shared" / "data" / "clips"
FRAMES_MAX = 300
HTTP_S = 3.0
"""How long the frames of one camera are read."""


class WrongError(AssertionError):
    """The program did what it must not do."""


@cache
def clip_contents() -> dict[str, bytes]:
    """Return all shared clips by name."""
    return {path.name: path.read_bytes() for path in sorted(CLIPS_DIR.iterdir())}


def damaged_clip(rng: random.Random, folder: Path) -> Path:
    """Write a clip that is one of the shared ones but for some bytes."""
    contents = clip_contents()
    name = rng.choice(list(contents))
    path = folder / name
    path.write_bytes(damaged(rng, contents[name], list(contents.values())))
    return path


def read_clip(rng: random.Random, folder: Path) -> str:
    """Read a damaged clip as a run does, up to a number of frames."""
    path = damaged_clip(rng, folder)
    try:
        source = open_source(str(path), threads=2)
    except MaskstreamError as exc:
        return f"{path.name}: {one_line(exc)}"
    count = read_frames(source, FRAMES_MAX)
    if count == 0 and source.error is None:
        raise WrongError(f"{path.name}: opened, and ended without a frame and without an error")
    if source.error is not None and count != source.error.frame_count:
        raise WrongError(
            f"{path.name}: {count} frames, but the error says {source.error.frame_count}"
        )
    return f"{path.name}: {count} frames; {source.error or 'whole'}"


def read_frames(source: Source, frames_max: int, until_s: float = float("inf")) -> int:
    """Read and close a source; return how many frames came, each after the one before."""
    planes = canvas(source.info.width, source.info.height)
    count, before = 0, None
    for frame in source.frames():
        if before is not None and frame.pts <= before:
            raise WrongError(f"pts {frame.pts} after {before}")
        before = frame.pts
        frame.write_into(planes)
        count += 1
        if count == frames_max or time.monotonic() > until_s:
            break
    source.close()
    return count


def one_line(error: Exception) -> str:
    """Return what an error says, which must be one line."""
    text = str(error)
    if not text or "\n" in text or "Traceback" in text:
        raise WrongError(f"said in more than one line, or in none: {text!r}")
    return text


def read_labels(rng: random.Random, folder: Path) -> str:
    """Read labels of which one file is damaged."""
    from maskstream.train.formats import FORMATS, ReadOptions
    from tests.helpers.made import make_set

    name = rng.choice(sorted(FORMATS))
    source = folder / ("labels" if FORMATS[name].is_folder else "labels.json")
    FORMATS[name].write(make_set(folder / "pictures", has_crowd=rng.random() < 0.5), source)
    files = [path for path in sorted(source.rglob("*")) if path.is_file()] or [source]
    texts = [path for path in files if path.suffix not in (".png", ".jpg")] or files
    victim = rng.choice(texts if rng.random() < 0.9 else files)
    victim.write_bytes(damaged(rng, victim.read_bytes(), [path.read_bytes() for path in texts]))
    try:
        found = FORMATS[name].read(source, ReadOptions())
    except MaskstreamError as exc:
        if "Traceback" in str(exc):
            raise WrongError(f"{name}: a traceback in {exc}") from exc
        return f"{name}, {victim.name}: {str(exc).splitlines()[0]}"
    for picture in found.pictures:
        for thing in picture.objects:
            thing.box(picture.height, picture.width)
            if thing.segmentation is not None:
                thing.mask(picture.height, picture.width)
    return f"{name}, {victim.name}: read, {len(found.pictures)} pictures"


def answer_of_a_camera(rng: random.Random) -> bytes:
    """Return what a camera's web server might send, head and all, before it is damaged."""
    if rng.random() < 0.3:
        body = rng.choice([c for c in clip_contents().values() if len(c) < 1_000_000])
        kind = rng.choice(["video/mp4", "video/webm", "application/octet-stream", "text/html"])
        return (
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
    parts = []
    for number in range(rng.choice([1, 5, 30])):
        picture = np.full((48, 64, 3), number * 8 % 256, np.uint8)
        jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
        length = f"Content-Length: {len(jpeg)}\r\n" if rng.random() < 0.7 else ""
        parts.append(f"--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode() + jpeg)
    status = rng.choice(["200 OK"] * 6 + ["401 Unauthorized", "404 Not Found", "503 Busy", "302 X"])
    head = f"HTTP/1.1 {status}\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n"
    head += rng.choice(["", "Location: /other\r\n", "Transfer-Encoding: chunked\r\n"])
    return head.encode() + b"\r\n" + b"\r\n".join(parts)


class Camera(BaseHTTPRequestHandler):
    """Sends the same bytes to whoever asks."""

    def __init__(self, answer: bytes, pause_s: float, *arguments: object) -> None:
        self.answer, self.pause_s = answer, pause_s
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Send the answer, perhaps after a while, and hang up."""
        time.sleep(self.pause_s)
        with suppress(OSError):
            self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(answer: bytes, pause_s: float):
    """Serve one answer on loopback."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Camera, answer, pause_s)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/video"
        finally:
            server.shutdown()
            thread.join()


def read_camera(rng: random.Random, folder: Path) -> str:
    """Read a camera that answers nonsense, for a few seconds."""
    answer = damaged(rng, answer_of_a_camera(rng))
    (folder / "answer.bin").write_bytes(answer)
    options = LiveOptions(timeout_s=1.0)
    with serving(answer, rng.choice([0.0, 0.0, 0.3])) as uri:
        try:
            info = probe(uri, options)
            source = LiveSource(uri, info, options=options, threads=1)
            timer = threading.Timer(HTTP_S, source.stop)
            timer.start()
            try:
                count = read_frames(source, FRAMES_MAX, time.monotonic() + HTTP_S)
            finally:
                timer.cancel()
        except MaskstreamError as exc:
            return one_line(exc)
        for text in source.events():
            one_line(Exception(text))
        return f"{asdict(info)['codec']}: {count} frames"


def run_command(rng: random.Random, folder: Path) -> str:
    """Run the whole command on a damaged clip; its accounting has to be exact."""
    import subprocess

    from tests.helpers.engines.tiny import tiny_engine_file

    path, output, report = damaged_clip(rng, folder), folder / "out.mp4", folder / "report.json"
    program = Path(sys.executable).with_name("maskstream")
    done = subprocess.run(
        [
            *(program, "run", path, "--engine", tiny_engine_file(), "-o", output),
            *("--report", report, "--max-frames", str(FRAMES_MAX)),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    if done.returncode not in (0, 2, 3) or "Traceback" in done.stderr:
        raise WrongError(f"{path.name}: exit code {done.returncode}: {done.stderr[-2000:]}")
    if not report.exists():
        if done.returncode == 0:
            raise WrongError(f"{path.name}: no report of a run that ended well")
        return f"{path.name}: {done.stderr.strip()[-200:]}"
    check_accounts(path.name, json.loads(report.read_text()), output)
    return f"{path.name}: {done.stdout.strip().splitlines()[:1]}"


def check_accounts(name: str, told: dict[str, Any], output: Path) -> None:
    """Every frame that was read is delivered or dropped, and what is delivered can be played."""
    frames = told["frames"]
    lost = frames["captured"] - frames["delivered"] - sum(frames["dropped"].values())
    if lost or frames["in_flight"]:
        raise WrongError(f"{name}: the accounts do not add up: {frames}")
    played = 0
    if output.exists():
        with av.open(str(output)) as container:
            played = sum(1 for _ in container.decode(video=0))
    if played != frames["delivered"]:
        raise WrongError(f"{name}: {frames['delivered']} frames delivered, {played} can be played")


KINDS: dict[str, Callable[[random.Random, Path], str]] = {
    "clip": read_clip,
    "labels": read_labels,
    "camera": read_camera,
    "command": run_command,
}
"""Each makes its input in an empty folder; it returns what came of it, or raises."""
LIMITS_S = {"clip": 30.0, "labels": 30.0, "camera": 30.0, "command": 90.0}
"""A command starts five processes; what takes longer hangs."""


def try_case(kind: str, seed: int, number: int, folder: Path) -> str:
    """Try one case in a folder that is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return KINDS[kind](random.Random(f"{seed} {kind} {number}"), folder)
