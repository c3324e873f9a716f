"""A viewer that players open: ``rtsp-server://127.0.0.1:8554/NAME``.

The viewer's main thread encodes, once for all who watch a stream and only while somebody does; a
second thread talks to the players. The listening socket belongs to the run, so players find it
again when the viewer was started anew.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from maskstream.stream.codecs.encoding import EncoderSettings, open_sent_video
from maskstream.stream.codecs.low_latency import SentClock, SentEncoder
from maskstream.stream.memory.slot import Slot
from maskstream.stream.stages.stage import Stage
from maskstream.stream.stages.viewer import watch
from maskstream.stream.viewers.rtsp.address import (
    RtspAddress,
    credentials_of,
    open_listener,
    parse_rtsp_server,
)
from maskstream.stream.viewers.rtsp.host import RtspHost
from maskstream.stream.viewers.rtsp.mount import Mount
from maskstream.stream.viewers.rtsp.rtp_h264 import parameter_sets

__all__ = [
    "RtspAddress",
    "RtspServerSettings",
    "open_listener",
    "parse_rtsp_server",
    "run",
]

_WAKE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RtspServerSettings:
    """What the viewer is started with. Picklable only while a process is being spawned."""

    listener: socket.socket
    """Of ``open_listener``."""
    mounts: dict[int, RtspAddress]
    """By source id; their hosts and ports are the listener's."""
    encoders: dict[int, EncoderSettings]
    """By source id; their pts are in ``SENT_TIME_BASE``."""


def run(stage: Stage, settings: RtspServerSettings) -> None:
    """Serve the newest frames until all sources have ended: the body of the viewer.

    Raises:
        ConfigError: A variable in an address is not set, or the encoder cannot be opened.
    """
    feeds = {
        source_id: _Feed(address, settings.encoders[source_id])
        for source_id, address in settings.mounts.items()
    }
    host = RtspHost(settings.listener, [feed.mount for feed in feeds.values()])
    host.start()
    stage.ready()
    open_ids = set(feeds)
    for newest in watch(stage, _WAKE_S):
        for source_id, slot in newest.items():
            if feeds[source_id].show(slot, host.call):
                stage.page.count_given()
        ended = {view.source_id for view in stage.setup.views if view.is_ended} & open_ids
        for source_id in ended:
            host.call(feeds[source_id].mount.end)
        open_ids -= ended
        host.check()
    for source_id in open_ids:
        host.call(feeds[source_id].mount.end)
    host.stop()


class _Feed:
    """One source's way to its players, as the thread that encodes sees it."""

    def __init__(self, address: RtspAddress, settings: EncoderSettings) -> None:
        # Opened once to learn what the players have to be told before there is a picture.
        sets = parameter_sets(open_sent_video(settings).extradata or b"")
        self.mount = Mount(
            address.name,
            sets,
            frame_rate=settings.frame_rate,
            credentials=credentials_of(address.text),
        )
        self._settings = settings
        self._clock = SentClock()
        self._encoder: SentEncoder | None = None

    def show(self, slot: Slot, call: Callable[..., None]) -> bool:
        """Encode a frame for the players, if there are any; returns whether there were."""
        if not self.mount.is_watched:
            self._encoder = None
            return False
        is_key = self.mount.take_key_wish()
        if self._encoder is None:
            self._encoder = SentEncoder(open_sent_video(self._settings).encode)
        pts, wall_ns = self._clock.next(slot.header), int(slot.header.wall_ns)
        for packet in self._encoder.encode(slot.planes, pts, is_key=is_key):
            call(self.mount.publish, bytes(packet), pts, packet.is_keyframe, wall_ns)
        return True
