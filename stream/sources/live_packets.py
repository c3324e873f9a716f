"""Packets of an open connection, read so that no silence lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import cast

import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from maskstream.stream.sources.live_open import Link
from maskstream.stream.sources.trouble import Trouble, lost

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
                if link.is_segmented and time.monotonic() - came_s > link.read_timeout_s:
                    # A list that no longer grows ends in no error: FFmpeg stops waiting, and then
                    # gives what it still held.
                    raise _silent(link)
                yield packet if link.device is None else _apart(packet)
                if not packet.size:  # the last one, which lets the decoder give what it holds
                    return
                came_s = time.monotonic()
        except av.error.BlockingIOError:
            if time.monotonic() - came_s > link.read_timeout_s:
                raise _silent(link) from None
            time.sleep(_POLL_S)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as exc:
            # FFmpeg's own may name the address with its password.
            raise lost(exc, link.uri, link.address, link.read_timeout_s) from None


def _silent(link: Link) -> Trouble:
    return Trouble("silent", link.uri, f"nothing came for {link.read_timeout_s:g} s")


def _apart(packet: Packet[VideoStream]) -> Packet[VideoStream]:
    """Returns a camera's packet in memory of its own.

    FFmpeg hands out the driver's buffers themselves. A raw picture refers to its packet's, and
    closing the camera unmaps them all: reading the newest picture after that ended the process.
    The copy takes 0.1 ms for VGA and gives the buffer back to the driver at once.
    """
    if not packet.size:
        return packet
    # From bytes: a packet made from another one refers to the same memory.
    copy = cast("Packet[VideoStream]", Packet(bytes(packet)))
    copy.stream = packet.stream
    copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
    return copy
