"""A connection that frames are sent over, made so that it breaks where it would block for good.

FFmpeg waits for a receiver that stops reading as long as that likes; over RTSP it waits for each
packet anew and forgets that it failed. So the system is told how much it may hold back, and for how
long, and breaks the connection.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import av
import av.error
from av.container import OutputContainer

from maskstream.stream.addresses.redact import Address
from maskstream.stream.codecs.encoding import EncoderSettings, add_sent_video
from maskstream.stream.codecs.low_latency import SentEncoder
from maskstream.stream.memory.slot import Slot

FORMATS = {"rtsp": "rtsp", "rtmp": "flv", "udp": "mpegts"}
"""What is sent to an address of each scheme, by FFmpeg's name."""
UNREAD_S = 3.0
"""A receiver that takes nothing of what waits for it for so long is taken for dead."""
_UNREAD_BYTES = 1 << 18
"""In the system's buffer for a receiver; what it holds back is late."""
_UDP_PACKET_BYTES = 1316
"""Seven packets of MPEG-TS: what fits into a frame of Ethernet."""
_ERRORS = (av.error.FFmpegError, OSError, ValueError)


class PublishLink:
    """One connection to a receiver, and the encoder of what it gets."""

    def __init__(self, address: Address, settings: EncoderSettings, *, timeout_s: float) -> None:
        """Connect.

        Args:
            address: Of a scheme in ``FORMATS``.
            settings: Of the pictures to be sent.
            timeout_s: For each answer of an RTSP server.

        Raises:
            FFmpegError: It failed; FFmpeg's text may name the address with its password.
        """
        scheme = urlsplit(address.opened).scheme.lower()
        before = _sockets()
        options = {"flush_packets": "1"}  # of a frame nothing is to wait for the next one
        if scheme == "rtsp":
            options |= {"rtsp_transport": "tcp", "timeout": str(round(timeout_s * 1e6))}
        self._container: OutputContainer = av.open(
            _with_packet_size(address.opened) if scheme == "udp" else address.opened,
            mode="w",
            format=FORMATS[scheme],
            container_options=options,
        )
        try:
            stream = add_sent_video(self._container, settings)
            self._encoder = SentEncoder(stream.encode)
            self._container.start_encoding()
            _limit_what_is_unread(_sockets() - before)
        except BaseException:
            self.close()
            raise

    def send(self, slot: Slot, pts: int) -> None:
        """Encode and send one frame. Blocks for as long as the receiver does not read."""
        self._container.mux(self._encoder.encode(slot.planes, pts))

    def close(self) -> None:
        """Say goodbye, if there is somebody to hear it."""
        with suppress(*_ERRORS):
            self._container.close()


def _sockets() -> set[int]:
    """Returns the descriptors of this process that are sockets."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that the folder itself was read through
            if entry.is_socket():
                found.add(int(entry.name))
    return found


def _limit_what_is_unread(descriptors: set[int]) -> None:
    """Limit how much, and for how long, the connection among ``descriptors`` keeps unread.

    No option of FFmpeg reaches its sockets, so they are found as what was opened meanwhile.
    """
    for descriptor in descriptors:
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as sock:
            if sock.type == socket.SOCK_STREAM and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD_BYTES)
                limit_ms = round(UNREAD_S * 1e3)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit_ms)


def _with_packet_size(address: str) -> str:
    if "pkt_size=" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}pkt_size={_UDP_PACKET_BYTES}"
