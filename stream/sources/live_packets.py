"""Packets of an open connection, read so that no silence lasts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import cast

import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from maskstream.stream.sources.live_open import Link, Patience
from maskstream.stream.sources.trouble import Trouble, lost

_UNDECODABLE_MAX = 100
"""So many packets after a key picture and not one frame: no codec that can be read."""
_KEYLESS_S = 60.0
"""Some streams mark no key picture; after so long without a frame they are given up too."""
_PACE_PACKETS = 2
"""So many packets do not tell yet how far apart a source's packets are."""
_PARTS = "mpjpeg"
"""FFmpeg's name of JPEGs as the parts of an answer over HTTP."""
_POLL_S = 0.002


class Undecodable:
    """Finds out that a connection's video cannot be decoded, before its first frame.

    What comes before the first key picture says nothing: every stream that is joined midway is
    undecodable until then, for 20 s with some cameras.
    """

    def __init__(self) -> None:
        """Start with the connection."""
        self._begun_s = time.monotonic()
        self._count = 0

    def check(self, packet: Packet[VideoStream], uri: str) -> None:
        """Count a packet without a frame.

        Raises:
            Trouble: There were too many.
        """
        if self._count or packet.is_keyframe:
            self._count += 1
        is_keyless = not self._count and time.monotonic() - self._begun_s > _KEYLESS_S
        if self._count > _UNDECODABLE_MAX or is_keyless:
            raise Trouble("unsupported", uri, "its video cannot be decoded")


def packets_of(
    link: Link, is_stopped: Callable[[], bool], patience: Patience
) -> Iterator[Packet[VideoStream]]:
    """Yields packets until the stream ends or ``is_stopped`` says so.

    Args:
        link: The connection.
        is_stopped: Whether to end.
        patience: Learns how far apart the packets are.

    Raises:
        Trouble: Nothing came in time, or the connection broke.
    """
    pace = _Pace(patience)
    while not is_stopped():
        try:
            for packet in link.container.demux(link.stream):
                if is_stopped():
                    return
                if link.is_segmented and pace.silent_s > link.read_timeout_s:
                    # A list that no longer grows ends in no error: FFmpeg stops waiting, and then
                    # gives what it still held.
                    raise _silent(link)
                yield packet if link.device is None else _apart(packet)
                if not packet.size:  # the last one, which lets the decoder give what it holds
                    return
                pace.see_packet()
        except av.error.BlockingIOError:
            if pace.silent_s > link.read_timeout_s:
                raise _silent(link) from None
            time.sleep(_POLL_S)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, OSError) as exc:
            pace.see_error(exc, link)
            # FFmpeg's own may name the address with its password.
            raise lost(exc, link.uri, link.address, link.read_timeout_s) from None


class _Pace:
    """How far apart the packets of a connection are."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._came_s = time.monotonic()
        self._longest_s = 0.0
        self._count = 0

    @property
    def silent_s(self) -> float:
        """How long ago the last packet came, or the connection began."""
        return time.monotonic() - self._came_s

    def see_packet(self) -> None:
        self._longest_s = max(self._longest_s, self.silent_s)
        self._count += 1
        if self._count > _PACE_PACKETS:
            self._patience.learn(self._longest_s)
        self._came_s = time.monotonic()

    def see_error(self, error: Exception, link: Link) -> None:
        is_silent = isinstance(error, (TimeoutError, av.error.ExitError))
        if is_silent and self._count <= _PACE_PACKETS:
            self._patience.grow(link.read_timeout_s)
        if link.container.format.name == _PARTS and isinstance(error, av.error.InvalidDataError):
            self._patience.is_cut = True


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
