"""How pictures and figures reach those who look: an MJPEG stream a source, and one live socket.

Nothing is queued for anyone. A viewer is handed the newest picture when it has taken the one
before, and whoever takes none for STALL_S is put out, so a stalled viewer costs one socket buffer.

``/live`` is a WebSocket. Figures come as text, JSON, as they are made. A picture comes when it is
asked for: ``{"next": 0}`` asks for one of source 0 that was not sent yet, and is answered by a
binary message of the source's number (4 bytes, little-endian) and a JPEG. So a client that draws
slowly, or is hidden, sets its own pace.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from aiohttp import WSCloseCode, WSMsgType, web

from maskstream.stream.network.newest import Newest
from maskstream.stream.viewers.page.figures import Figures
from maskstream.stream.viewers.page.pictures import Picture, Pictures

STREAMS_MAX = 48
"""Open at once; more are refused, so that the newest cannot push those out that are watched."""
STALL_S = 10.0
"""Who takes nothing for so long is put out."""
SEND_BUFFER_BYTES = 128 << 10
"""Of a viewer's socket: a few pictures, so that who reads slowly sees no old ones."""

_BOUNDARY = "picture"
_NEXT_PART = f"\r\n--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
"""Sent with each picture: Chromium shows one when it has read the head of the next."""
_SOURCE_ID = struct.Struct("<I")
_ASKED_MAX_BYTES = 256
_PING_S = 20.0
_CLOSE_S = 1.0


class Viewers:
    """All who look at this moment."""

    def __init__(
        self, pictures: Pictures, names: Mapping[int, str], *, has_token: bool = False
    ) -> None:
        """Show ``pictures`` of the sources that ``names`` names, and figures once there are any.

        Args:
            pictures: Of all sources.
            names: What the sources are called, by source id.
            has_token: Whether viewers had to show one, and so have one to forget.
        """
        self._pictures = pictures
        self._names = names
        self._has_token = has_token
        self._figures = Figures()
        self._message: Newest[str] = Newest()
        self._sockets: set[web.WebSocketResponse] = set()
        self.streams: dict[asyncio.BaseProtocol, asyncio.Transport] = {}
        """Connections that are watched."""

    def add_routes(self, app: web.Application) -> None:
        """Answer ``/live`` and ``/stream/SOURCE``, until ``app`` is shut down."""
        app.on_shutdown.append(self._end)
        app.router.add_get("/live", self._live)
        app.router.add_get(r"/stream/{source_id:\d{1,5}}", self._stream)

    async def follow(self, documents: Newest[bytes]) -> None:
        """Show each status document as it comes, for ever."""
        seen = None
        while True:
            seen = await documents.after(seen)
            self._message.put(self._figures.add(seen))

    async def _end(self, _: web.Application) -> None:
        for sock in tuple(self._sockets):
            await sock.close(code=WSCloseCode.GOING_AWAY, message=b"the run ended", drain=False)
        for transport in tuple(self.streams.values()):
            transport.abort()

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        source_id = int(request.match_info["source_id"])
        if source_id not in self._pictures:
            raise web.HTTPNotFound(text="no such source\n")
        async with self._seat(request):
            response = web.StreamResponse(
                headers={"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"}
            )
            writer = await response.prepare(request)
            if writer is None:
                return response
            await writer.write(_NEXT_PART)
            picture: Picture | None = None
            with suppress(ConnectionError, TimeoutError):
                while True:
                    picture = await self._pictures.after(source_id, picture)
                    async with asyncio.timeout(STALL_S):
                        await writer.write(picture.jpeg + _NEXT_PART)
                        await writer.drain()
            _abort(request)
            return response

    async def _live(self, request: web.Request) -> web.StreamResponse:
        async with self._seat(request):
            sock = web.WebSocketResponse(
                timeout=_CLOSE_S,
                max_msg_size=_ASKED_MAX_BYTES,
                compress=False,
                heartbeat=_PING_S,
                writer_limit=0,
            )
            await sock.prepare(request)
            self._sockets.add(sock)
            viewer = _LiveViewer(sock, self._pictures)
            try:
                await viewer.send_text(self._welcome())
                await viewer.serve(self._message)
            except* (ConnectionError, TimeoutError):
                _abort(request)
            finally:
                self._sockets.discard(sock)
            return sock

    def _welcome(self) -> str:
        sources = [{"id": source_id, "name": name} for source_id, name in self._names.items()]
        history = list(self._figures.history)
        return json.dumps(
            {
                "kind": "welcome",
                "sources": sources,
                "history": history,
                "has_token": self._has_token,
            }
        )

    @asynccontextmanager
    async def _seat(self, request: web.Request) -> AsyncIterator[None]:
        """Keep the request's connection open in the block, with little memory for what is sent."""
        protocol, transport = request.protocol, request.transport
        if transport is None:
            raise web.HTTPServiceUnavailable
        if len(self.streams) >= STREAMS_MAX:
            raise web.HTTPServiceUnavailable(text="too many look already\n")
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES
        )
        transport.set_write_buffer_limits(high=0)
        self.streams[protocol] = transport
        try:
            yield
        finally:
            del self.streams[protocol]


class _LiveViewer:
    """One live socket."""

    def __init__(self, sock: web.WebSocketResponse, pictures: Pictures) -> None:
        self._sock = sock
        self._pictures = pictures
        self._sent: dict[int, Picture] = {}
        self._asked: set[int] = set()
        self._turn = asyncio.Lock()

    async def send_text(self, text: str) -> None:
        """Send one message; whoever takes it too late is too slow for all of them."""
        async with self._turn, asyncio.timeout(STALL_S):
            await self._sock.send_str(text)

    async def serve(self, figures: Newest[str]) -> None:
        """Send figures, and pictures as they are asked for, until the client leaves."""
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(self._send_figures(figures))
            waits: list[asyncio.Task[None]] = []
            async for message in self._sock:
                is_text = message.type == WSMsgType.TEXT
                source_id = self._asked_for(message.data) if is_text else None
                if source_id is None:
                    await self._sock.close(code=WSCloseCode.POLICY_VIOLATION)
                elif source_id not in self._asked:
                    self._asked.add(source_id)
                    waits = [wait for wait in waits if not wait.done()]
                    waits.append(tasks.create_task(self._send_picture(source_id)))
            for task in (pump, *waits):
                task.cancel()

    async def _send_figures(self, figures: Newest[str]) -> None:
        seen = None
        while True:
            seen = await figures.after(seen)
            await self.send_text(seen)

    async def _send_picture(self, source_id: int) -> None:
        picture = await self._pictures.after(source_id, self._sent.get(source_id))
        self._sent[source_id] = picture
        async with self._turn, asyncio.timeout(STALL_S):
            # Before it is sent, as the next request may come at once; with the turn, so that no
            # more than one picture a source waits for it.
            self._asked.discard(source_id)
            await self._sock.send_bytes(_SOURCE_ID.pack(source_id) + picture.jpeg)

    def _asked_for(self, text: str) -> int | None:
        """Return the source of which the next picture is asked for; None where it is no request."""
        try:
            asked = json.loads(text)
            source_id = asked["next"] if isinstance(asked, dict) else None
        except (ValueError, KeyError, RecursionError):
            return None
        is_known = type(source_id) is int and source_id in self._pictures
        return source_id if is_known else None


def _abort(request: web.Request) -> None:
    """Close the connection without waiting for what is still to be sent."""
    if request.transport is not None:
        request.transport.abort()
