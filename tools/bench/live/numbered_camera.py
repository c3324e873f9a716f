"""A camera on RTSP whose pictures say which they are and when they were taken.

It shows what ``synthetic:numbered`` draws, at a real rate, in a process of its own, so that it can
be killed, stopped and brought back as a camera is. A camera that stood still skips what it missed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np

from maskstream.errors import ConfigError
from maskstream.stream.codecs.encoding import EncoderSettings, open_sent_video
from maskstream.stream.codecs.low_latency import SENT_TIME_BASE, SentEncoder
from maskstream.stream.memory.frame import planes_of
from maskstream.stream.processes.process import (
    apart_from_caller,
    die_with_parent,
    ignore_interrupts,
)
from maskstream.stream.sources.synthetic import SyntheticSource
from maskstream.stream.viewers.rtsp.host import RtspHost
from maskstream.stream.viewers.rtsp.mount import Mount
from maskstream.stream.viewers.rtsp.rtp_h264 import parameter_sets

SIZE = "640x360"
_HOST = "127.0.0.1"
_NAME = "live"
_START_S = 60.0
_FRAMES = 999_999_999
_BACKLOG = 8


class NumberedCamera:
    """A camera that can be taken away. To be used from the main thread: it dies with its thread."""

    def __init__(self, *, size: str = SIZE, fps: float = 25, port: int = 0) -> None:
        """Serve pictures of ``size``, ``fps`` a second; port 0 takes one that is free.

        Raises:
            ConfigError: The camera does not come up.
        """
        self._size = size
        self._fps = fps
        self.port = port
        self._is_paused = False
        self.start()

    @property
    def uri(self) -> str:
        """Where its pictures are."""
        return f"rtsp://{_HOST}:{self.port}/{_NAME}"

    def start(self, size: str | None = None) -> None:
        """Come back on the same port, from now on in ``size``; returns once it listens."""
        self._size = size or self._size
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        uri = f"synthetic:numbered?size={self._size}&fps={self._fps:g}&frames={_FRAMES}"
        self._process = context.Process(target=_serve, args=(uri, self.port, theirs), daemon=True)
        with apart_from_caller():
            self._process.start()
        theirs.close()
        with ours:
            if not ours.poll(_START_S):
                raise ConfigError(f"camera: not up after {_START_S:.0f} s; it has to listen.")
            try:
                self.port = ours.recv()
            except EOFError as exc:
                raise ConfigError(f"camera: port {self.port} cannot be had; free it.") from exc

    def kill(self) -> None:
        """Be gone at once, as a camera that loses its power."""
        self._process.kill()
        self._process.join()
        self._is_paused = False

    def pause(self) -> None:
        """Stand still: connections stay, and nothing comes."""
        self._signal(signal.SIGSTOP)
        self._is_paused = True

    def resume(self) -> None:
        """Go on after a pause; without one nothing happens."""
        if self._is_paused:
            self._signal(signal.SIGCONT)
        self._is_paused = False

    def close(self) -> None:
        """End it."""
        self.kill()
        self._process.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


@contextmanager
def cameras(count: int, *, size: str = SIZE, fps: float = 25) -> Iterator[list[NumberedCamera]]:
    """Serve ``count`` cameras in the block."""
    made: list[NumberedCamera] = []
    try:
        for _ in range(count):
            made.append(NumberedCamera(size=size, fps=fps))
        yield made
    finally:
        for camera in made:
            camera.close()


def _serve(uri: str, port: int, told: Connection) -> None:
    """Serve pictures for ever: the body of the process."""
    die_with_parent()
    ignore_interrupts()
    source = SyntheticSource(uri)
    info = source.info
    settings = EncoderSettings.of(info, time_base=SENT_TIME_BASE, preset="ultrafast", crf=23)
    sets = parameter_sets(open_sent_video(settings).extradata or b"")
    mount = Mount(_NAME, sets, frame_rate=info.frame_rate, credentials=None)
    with socket.create_server((_HOST, port), backlog=_BACKLOG) as listener:
        host = RtspHost(listener, [mount])
        host.start()
        told.send(listener.getsockname()[1])
        told.close()
        _show(source, mount, host, SentEncoder(open_sent_video(settings).encode))


def _show(source: SyntheticSource, mount: Mount, host: RtspHost, encoder: SentEncoder) -> None:
    info = source.info
    assert info.frame_rate is not None
    planes = planes_of(
        np.zeros(info.width * info.height * 3 // 2, np.uint8), info.width, info.height
    )
    period_s = 1 / info.frame_rate
    begun_s = due_s = time.monotonic()
    for frame in source.frames():
        due_s = max(due_s + period_s, time.monotonic() - period_s)
        time.sleep(max(0.0, due_s - time.monotonic()))
        if not mount.is_watched:
            continue
        frame.write_into(planes)
        pts = round((time.monotonic() - begun_s) / SENT_TIME_BASE)
        for packet in encoder.encode(planes, pts, is_key=mount.take_key_wish()):
            host.call(mount.publish, bytes(packet), pts, packet.is_keyframe, time.time_ns())
