"""Whoever watches a stream: packets are handed to the system at once, or left out.

Nobody is waited for and nothing is queued but what one connection's buffer holds. A player that is
behind gets nothing more until it has taken that, and then goes on with a keyframe.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from maskstream.errors import ConfigError
from maskstream.stream.viewers.rtsp.rtp_h264 import AccessUnit

BEHIND_BYTES = 1 << 19
"""A player with more than this unsent is behind. A picture may come on top."""
SYSTEM_BUFFER_BYTES = 1 << 18
"""Of the system for one player: what lies there is late, but for bursts there must be room."""
_REPORT_MAX_BYTES = 2048
_END_S = 2.0
"""For what is unsent when a connection ends."""


class Player(Protocol):
    """One who watches."""

    def send(self, unit: AccessUnit) -> bool:
        """Send a picture unless the player has to wait for a keyframe; returns whether it went."""

    def send_report(self, packet: bytes) -> None:
        """Send a packet of RTCP."""

    def end(self, goodbye: bytes) -> None:
        """Say that no picture will come any more."""


class TcpPlayer:
    """Gets its packets in the connection that it asked on."""

    def __init__(self, transport: asyncio.WriteTransport, channels: tuple[int, int]) -> None:
        """Send RTP and RTCP on ``channels`` of ``transport``."""
        self._transport = transport
        self._channels = [bytes((0x24, channel)) for channel in channels]
        self._is_waiting = True

    def send(self, unit: AccessUnit) -> bool:
        """See ``Player``."""
        unsent = self._transport.get_write_buffer_size()
        if self._is_waiting and (unsent or not unit.is_key):
            return False
        self._is_waiting = unsent > BEHIND_BYTES
        if not self._is_waiting:
            frames = [self._framed(0, packet) for packet in unit.packets]
            self._transport.write(b"".join(frames))
        return not self._is_waiting

    def send_report(self, packet: bytes) -> None:
        """See ``Player``."""
        if self._transport.get_write_buffer_size() <= BEHIND_BYTES:
            self._transport.write(self._framed(1, packet))

    def end(self, goodbye: bytes) -> None:
        """See ``Player``."""
        self.send_report(goodbye)
        close_soon(self._transport)

    def _framed(self, channel: int, packet: bytes) -> bytes:
        return self._channels[channel] + len(packet).to_bytes(2, "big") + packet


class UdpPlayer:
    """Gets its packets from the server's own pair of ports."""

    def __init__(
        self,
        ports: UdpPorts,
        host: str,
        theirs: tuple[int, int],
        control: asyncio.WriteTransport,
    ) -> None:
        """Send RTP and RTCP to ``theirs`` of ``host``, as long as ``control`` is open."""
        self._ports = ports
        self._host = host
        self._theirs = theirs
        self._control = control
        self._is_waiting = True

    def send(self, unit: AccessUnit) -> bool:
        """See ``Player``."""
        if self._is_waiting and not unit.is_key:
            return False
        to = (self._host, self._theirs[0])
        self._is_waiting = not all(self._ports.send(0, packet, to) for packet in unit.packets)
        return not self._is_waiting

    def send_report(self, packet: bytes) -> None:
        """See ``Player``."""
        self._ports.send(1, packet, (self._host, self._theirs[1]))

    def end(self, goodbye: bytes) -> None:
        """See ``Player``."""
        self.send_report(goodbye)
        close_soon(self._control)


def close_soon(transport: asyncio.WriteTransport) -> None:
    """Close a connection once all is sent, or a moment later in any case."""
    transport.close()
    asyncio.get_running_loop().call_later(_END_S, transport.abort)


class UdpPorts:
    """The ports that all players over UDP get their packets from: RTP at an even one, then RTCP."""

    def __init__(self, host: str) -> None:
        """Take a pair of ports of ``host``.

        Raises:
            ConfigError: There is none.
        """
        self._sockets = _bound_pair(host)
        self.ports = (self._sockets[0].getsockname()[1], self._sockets[1].getsockname()[1])

    def listen(self, on_sign: Callable[[str, int], None]) -> None:
        """Call ``on_sign`` with host and port of whoever sends a report."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.add_reader(sock, self._hear, sock, on_sign)

    def send(self, which: int, packet: bytes, to: tuple[str, int]) -> bool:
        """Send from RTP's port (0) or RTCP's (1); returns whether there was room."""
        try:
            self._sockets[which].sendto(packet, to)
        except OSError:
            return False  # no room, or nobody there: a packet is lost, as on any way
        return True

    def close(self) -> None:
        """Give the ports back."""
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock)
            sock.close()

    @staticmethod
    def _hear(sock: socket.socket, on_sign: Callable[[str, int], None]) -> None:
        try:
            _, (host, port, *_) = sock.recvfrom(_REPORT_MAX_BYTES)
        except OSError:
            return
        on_sign(host, port)


def _bound_pair(host: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(50):
        first = socket.socket(family, socket.SOCK_DGRAM)
        second = socket.socket(family, socket.SOCK_DGRAM)
        try:
            first.bind((host, 0))
            port = first.getsockname()[1]
            if port % 2 == 0:
                second.bind((host, port + 1))
                for sock in (first, second):
                    sock.setblocking(False)
                return first, second
        except OSError:
            pass
        first.close()
        second.close()
    raise ConfigError(f"{host}: no two ports in a row are free for RTP over UDP; free some.")
