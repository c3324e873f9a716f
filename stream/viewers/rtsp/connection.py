"""One player's connection: its requests answered, its session kept while it shows signs of life."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Literal

from maskstream.stream.viewers.rtsp.auth import Challenge
from maskstream.stream.viewers.rtsp.messages import (
    BadRequest,
    Request,
    answer,
    parse_transport,
    read_message,
)
from maskstream.stream.viewers.rtsp.mount import Mount
from maskstream.stream.viewers.rtsp.player import Player, TcpPlayer, UdpPlayer, UdpPorts, close_soon

_Reply = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""

SESSION_S = 60
"""A session whose player gives no sign of life for so long is closed."""
IDLE_S = 15
"""The same for a connection without a session."""
_WRONG_MAX = 5
"""Wrong passwords on one connection."""
_WRONG_S = 0.5
"""After each of them the answer takes its time."""
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER, SET_PARAMETER"


class Connection:
    """Serves one player. ``state`` follows RFC 2326, appendix A."""

    def __init__(
        self,
        mounts: Mapping[str, Mount],
        ports: UdpPorts,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Answer what ``reader`` gives, with the streams ``mounts`` by name."""
        self.state: Literal["init", "ready", "playing"] = "init"
        self.udp_report_address: tuple[str, int] | None = None
        """Where the player's reports come from, if it watches over UDP."""
        self._mounts = mounts
        self._ports = ports
        self._reader = reader
        self._writer = writer
        self._challenge = Challenge()
        self._wrong_count = 0
        self._session = ""
        self._mount: Mount | None = None
        self._player: Player | None = None
        self._seen_s = time.monotonic()
        self._is_over = False
        self._handlers: dict[str, Callable[[Request, Mount], _Reply]] = {
            "DESCRIBE": self._describe,
            "SETUP": self._set_up,
            "PLAY": self._play,
            "PAUSE": self._pause,
            "TEARDOWN": self._tear_down,
            "GET_PARAMETER": self._stay,
            "SET_PARAMETER": self._stay,
        }

    async def serve(self) -> None:
        """Answer until the player goes, or gives no sign of life for too long."""
        try:
            while not self._is_over:
                message = await self._next()
                if message is not None:
                    await self._answer(message)
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            return
        finally:
            self._let_go()
            close_soon(self._writer.transport)

    def see(self) -> None:
        """Take note of a sign of life."""
        self._seen_s = time.monotonic()

    def abort(self) -> None:
        """Close the connection, whatever it still has to say."""
        self._writer.transport.abort()

    async def _next(self) -> Request | None:
        """Returns the next request, None where something else came.

        Raises:
            TimeoutError: Nothing came for too long.
        """
        reading = asyncio.ensure_future(read_message(self._reader))
        try:
            while not reading.done():
                limit_s = IDLE_S if self.state == "init" else SESSION_S
                left_s = self._seen_s + limit_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                await asyncio.wait({reading}, timeout=left_s)
            message = reading.result()
        except BadRequest as exc:
            self._is_over |= exc.is_last
            await self._write(answer(exc.status, "0"))
            return None
        finally:
            reading.cancel()
        self.see()
        return message

    async def _answer(self, request: Request) -> None:
        sequence = request.headers.get("cseq", "0")
        try:
            status, headers, body = await self._reply(request)
        except BadRequest as exc:
            status, headers, body = exc.status, {}, b""
        await self._write(answer(status, sequence, headers, body))

    async def _write(self, text: bytes) -> None:
        self._writer.write(text)
        async with asyncio.timeout(SESSION_S):
            await self._writer.drain()

    async def _reply(self, request: Request) -> _Reply:
        if request.method == "OPTIONS":
            return 200, {"Public": _METHODS}, b""
        handler = self._handlers.get(request.method)
        if handler is None:
            return 501, {"Public": _METHODS}, b""
        if "require" in request.headers:
            return 551, {"Unsupported": request.headers["require"]}, b""
        session = request.headers.get("session", "").partition(";")[0].strip()
        if session and session != self._session:
            raise BadRequest(454)
        mount = self._mounts.get(request.name)
        if mount is None or mount.is_ended:
            raise BadRequest(404)
        if not await self._is_allowed(request, mount):
            return 401, {"WWW-Authenticate": self._challenge.header}, b""
        return handler(request, mount)

    async def _is_allowed(self, request: Request, mount: Mount) -> bool:
        given = request.headers.get("authorization", "")
        if mount.credentials is None:
            return True
        if self._challenge.is_met(mount.credentials, request.method, given):
            return True
        if given:
            self._wrong_count += 1
            self._is_over |= self._wrong_count >= _WRONG_MAX
            await asyncio.sleep(_WRONG_S)
        return False

    def _describe(self, request: Request, mount: Mount) -> _Reply:
        accepted = request.headers.get("accept", "*/*")
        if "application/sdp" not in accepted and "*/*" not in accepted:
            raise BadRequest(406)
        host = self._writer.get_extra_info("sockname")[0]
        headers = {"Content-Base": request.base, "Content-Type": "application/sdp"}
        return 200, headers, mount.describe(host)

    def _set_up(self, request: Request, mount: Mount) -> _Reply:
        if self.state == "playing":
            raise BadRequest(455)
        wanted = parse_transport(request.headers.get("transport", ""))
        theirs = (wanted.first, wanted.second)
        if wanted.kind == "tcp":
            self._player = TcpPlayer(self._writer.transport, theirs)
            text = "RTP/AVP/TCP;unicast;interleaved={}-{}".format(*theirs)
        else:
            host = self._writer.get_extra_info("peername")[0]
            self._player = UdpPlayer(self._ports, host, theirs, self._writer.transport)
            self.udp_report_address = (host, wanted.second)
            text = "RTP/AVP;unicast;client_port={}-{};server_port={}-{}".format(
                *theirs, *self._ports.ports
            )
        self._mount, self.state = mount, "ready"
        self._session = self._session or secrets.token_hex(8)
        return 200, {"Transport": text, "Session": f"{self._session};timeout={SESSION_S}"}, b""

    def _play(self, request: Request, mount: Mount) -> _Reply:
        # The answer is written before this task waits for anything, so it precedes all packets.
        self._expect_session(request, mount).join(self._watching())
        self.state = "playing"
        return 200, {"Session": self._session, "Range": "npt=now-"}, b""

    def _pause(self, request: Request, mount: Mount) -> _Reply:
        self._expect_session(request, mount).leave(self._watching())
        self.state = "ready"
        return 200, {"Session": self._session}, b""

    def _tear_down(self, request: Request, mount: Mount) -> _Reply:
        self._expect_session(request, mount)
        self._let_go()
        self._is_over = True
        return 200, {"Session": self._session}, b""

    def _stay(self, request: Request, mount: Mount) -> _Reply:
        return 200, {"Session": self._session} if self._session else {}, b""

    def _expect_session(self, request: Request, mount: Mount) -> Mount:
        if "session" not in request.headers or self._mount is not mount:
            raise BadRequest(454)
        return mount

    def _watching(self) -> Player:
        if self._player is None:
            raise BadRequest(455)
        return self._player

    def _let_go(self) -> None:
        if self._mount is not None and self._player is not None:
            self._mount.leave(self._player)
        self.state = "init"
