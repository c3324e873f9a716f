"""Packets of an open connection, read so that no silence lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from stream.live_open import Link
from stream.trouble import Trouble, lost

UNDECODABLE_MAX = 100
"""A connection with so many packets and not one frame is in no codec that can be read."""
_POLL_S = 0.002


def packets_of(link: Link, is_stopped: Callable[[], bool]) -> Iterator[Packet[VideoStream]]:
    """Yields packets until the stream ends or ``is_stopped`` says so.

    Raises:
        Trouble: Nothing came in time, or the connection broke.
    """
    came_s = time.monotonic()
    while not is_stopped():
        try:
            for packet in link.container.demux(link.stream):
                if is_stopped():
                    return
                yield packet
                if not packet.size:  # the last one, which lets the decoder give what it holds
                    return
                came_s = time.monotonic()
        except av.error.BlockingIOError:
            if time.monotonic() - came_s > link.read_timeout_s:
                text = f"nothing came for {link.read_timeout_s:g} s"
                raise Trouble("silent", link.uri, text) from None
            time.sleep(_POLL_S)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as exc:
            # FFmpeg's own may name the address with its password.
            raise lost(exc, link.uri, link.address, link.read_timeout_s) from None
