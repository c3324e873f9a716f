"""Measures how old a frame is when a player sees it: ``python -m tests.system.measure_publishing``.

From the moment at which a numbered frame is drawn to the moment at which a player in another
process, FFmpeg's, has decoded it: with the encoder, loopback, and the player's own delays. Of those
one frame's time is its parser's, which takes a picture for whole when the next one begins.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

from maskstream.stream.codecs.low_latency import SENT_TIME_BASE
from maskstream.stream.viewers.push import push as publisher
from maskstream.stream.viewers.push.push import PublishSettings
from maskstream.stream.viewers.rtsp import server as rtsp_server
from maskstream.stream.viewers.rtsp.server import (
    RtspServerSettings,
    open_listener,
    parse_rtsp_server,
)
from tests.helpers.ports import free_port
from tests.helpers.receiver import AT_ONCE, Receiver
from tests.helpers.views_feed import Viewer, viewing
from tests.helpers.writers import small_settings
from tests.system.test_publish import RECEIVING

SIZE = (1280, 720)
FPS = 30.0
FRAME_COUNT = 300
_WARM_UP_COUNT = 30
ENCODER = small_settings(
    width=SIZE[0], height=SIZE[1], time_base=SENT_TIME_BASE, frame_rate=FPS, crf=23
)


def ages_ms(receiver: Receiver) -> list[float]:
    """How old each frame was when it was seen, those of the start left out."""
    frames = receiver.frames[_WARM_UP_COUNT:]
    return [(frame["seen_ns"] - frame["drawn_ns"]) / 1e6 for frame in frames]


def by_rtsp_server(*options: str) -> list[float]:
    """Ages at a player of our own server."""
    address = parse_rtsp_server("rtsp-server://127.0.0.1:0/x")
    with open_listener(address) as listener:
        url = f"rtsp://127.0.0.1:{listener.getsockname()[1]}/x"
        settings = RtspServerSettings(listener=listener, mounts={0: address}, encoders={0: ENCODER})
        with viewing(rtsp_server.run, settings, {0: SIZE}) as viewer:
            return watched(viewer, lambda: Receiver(url, *options, *AT_ONCE))


def by_publisher(scheme: str, path: str) -> list[float]:
    """Ages at a receiver that frames are sent to."""
    url = f"{scheme}://127.0.0.1:{free_port()}{path}"
    settings = PublishSettings(url=url, source_id=0, encoder=ENCODER)
    with viewing(publisher.run, settings, {0: SIZE}) as viewer:
        return watched(viewer, lambda: Receiver(url, *RECEIVING[scheme], "fflags=nobuffer"))


def watched(viewer: Viewer, receive: Callable[[], Receiver]) -> list[float]:
    """Ages of frames that the viewer is shown at their pace."""
    viewer.wait_until_ready()
    with viewer.playing(FPS), receive() as receiver:
        receiver.wait_for_frames(FRAME_COUNT)
        return ages_ms(receiver)


WAYS: dict[str, Callable[[], list[float]]] = {
    "rtsp-server, TCP": lambda: by_rtsp_server("rtsp_transport=tcp"),
    "rtsp-server, UDP": lambda: by_rtsp_server("rtsp_transport=udp"),
    "rtsp:// to a receiver": lambda: by_publisher("rtsp", "/x"),
    "udp:// to a receiver": lambda: by_publisher("udp", ""),
}


if __name__ == "__main__":
    for way, measure in WAYS.items():
        cuts = statistics.quantiles(measure(), n=100)
        sys.stdout.write(f"{way:22} p50 {cuts[49]:6.1f} ms  p95 {cuts[94]:6.1f} ms\n")
        sys.stdout.flush()
