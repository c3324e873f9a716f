"""The thread that talks to players, and waits for none of them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from maskstream.stream.errors import StageError
from maskstream.stream.viewers.rtsp.connection import Connection
from maskstream.stream.viewers.rtsp.messages import HEAD_MAX_BYTES, answer
from maskstream.stream.viewers.rtsp.mount import Mount
from maskstream.stream.viewers.rtsp.player import SYSTEM_BUFFER_BYTES, UdpPorts

CONNECTIONS_MAX = 64
"""Beyond, the oldest connection that plays nothing is closed for a newer one."""
_END_S = 3.0


class RtspHost:
    """The thread that talks to players."""

    def __init__(self, listener: socket.socket, mounts: Sequence[Mount]) -> None:
        """Answer for ``mounts``, once started, whoever connects to ``listener``.

        Raises:
            ConfigError: There are no ports to send over UDP from.
        """
        self._listener = listener
        self._mounts = {mount.name: mount for mount in mounts}
        self._connections: list[Connection] = []
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ports = UdpPorts(listener.getsockname()[0])
        self._thread = threading.Thread(target=self._run, name="rtsp", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def call(self, act: Callable[..., object], *arguments: object) -> None:
        """Have ``act`` done in the server's thread, in order, without waiting for it."""
        with suppress(RuntimeError):  # the loop is closed; ``check`` says so
            self._loop.call_soon_threadsafe(act, *arguments)

    def check(self) -> None:
        """Make sure that the thread lives.

        Raises:
            StageError: It does not.
        """
        if not self._thread.is_alive():
            raise StageError("rtsp server: its thread has ended; it is to last as long as the run.")

    def stop(self) -> None:
        """Let what is said be sent, and end."""
        self.call(self._ended.set)
        self._thread.join(_END_S)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._ports.listen(self._on_sign)
        server = await asyncio.start_server(
            self._on_connection, sock=self._listener, limit=HEAD_MAX_BYTES
        )
        await self._ended.wait()
        server.close()
        deadline_s = self._loop.time() + _END_S - 1
        while self._connections and self._loop.time() < deadline_s:
            await asyncio.sleep(0.02)
        for connection in self._connections:
            connection.abort()
        self._ports.close()

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SYSTEM_BUFFER_BYTES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._make_room():
            writer.write(answer(503, "0"))
            writer.close()
            return
        connection = Connection(self._mounts, self._ports, reader, writer)
        self._connections.append(connection)
        try:
            await connection.serve()
        finally:
            with suppress(ValueError):  # room was made for another
                self._connections.remove(connection)

    def _make_room(self) -> bool:
        """Returns whether there is room for one more connection, made if need be."""
        if len(self._connections) < CONNECTIONS_MAX:
            return True
        oldest = next((c for c in self._connections if c.state != "playing"), None)
        if oldest is None:
            return False
        self._connections.remove(oldest)
        oldest.abort()
        return True

    def _on_sign(self, host: str, port: int) -> None:
        for connection in self._connections:
            if connection.udp_report_address == (host, port):
                connection.see()
