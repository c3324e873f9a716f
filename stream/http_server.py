"""The process that answers ``/metrics``, ``/status`` and ``/healthz``; it knows figures alone.

It reads no file, keeps one document, and answers each request from it at once. So a connection
needs little, and where there are too many, the oldest ones are closed.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import ipaddress
import logging
import os
import socket
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from stream.metrics import CONTENT_TYPE, render_metrics
from stream.process import die_with_parent, ignore_interrupts, set_title
from stream.status import decode_status

CONNECTIONS_MAX = 64
"""A newer connection closes the oldest: whoever is answered at once needs none for long."""
STALE_S = 10.0
"""Figures come every second; after so long without any, the run does not look after itself."""
_IDLE_S = 15.0
_NICE = 10
"""Whoever asks without a pause gets what the run leaves of the cores, and little more."""
_RENDER_S = 1.0
_MESSAGE_MAX_BYTES = 1 << 20
_BODY_MAX_BYTES = 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ServerSetup:
    """What the process is given."""

    listener: socket.socket
    """Bound and listening."""
    feed: socket.socket
    """Gives a compressed JSON document a message; its end is the end of the run."""
    token: str | None
    """That a request has to show; None lets everyone ask."""
    is_local: bool
    """Whether only this machine can connect."""


def serve(setup: ServerSetup) -> None:
    """Answer requests until the feed ends: the body of the process."""
    ignore_interrupts()
    set_title("http")
    die_with_parent()
    os.nice(_NICE)
    # What a stranger sends wrong is answered, not logged.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    asyncio.run(_serve(setup))


async def _serve(setup: ServerSetup) -> None:
    latest = Latest(setup.feed)
    runner = web.AppRunner(
        make_app(latest, token=setup.token, is_local=setup.is_local),
        access_log=None,
        keepalive_timeout=_IDLE_S,
        lingering_time=1.0,
    )
    await runner.setup()
    protocols = runner.server
    if protocols is None:
        raise RuntimeError("aiohttp: the runner has no server after its setup.")

    def connect() -> asyncio.BaseProtocol:
        open_ones = protocols.connections
        for oldest in open_ones[: max(0, len(open_ones) - CONNECTIONS_MAX + 1)]:
            oldest.force_close()
        return protocols()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connect, sock=setup.listener)
    gc.freeze()
    async with server:
        await latest.follow()
    await runner.cleanup()


class Latest:
    """The newest document of the run."""

    def __init__(self, feed: socket.socket) -> None:
        """Take what ``feed`` gives, once followed."""
        feed.setblocking(False)
        self._feed = feed
        self._ended = asyncio.Event()
        self._came_s = time.monotonic()
        self._metrics = b""
        self._metrics_due_s = 0.0
        self.payload: bytes | None = None
        """JSON, None before the first."""

    @property
    def age_s(self) -> float:
        """Since the newest came; since the start before the first."""
        return time.monotonic() - self._came_s

    def metrics(self) -> bytes:
        """Return the newest for Prometheus; made about once a second, however often asked for."""
        now_s = time.monotonic()
        if now_s >= self._metrics_due_s:
            self._metrics_due_s = now_s + _RENDER_S
            status = None if self.payload is None else decode_status(self.payload, "json")
            self._metrics = render_metrics(status, age_s=self.age_s)
        return self._metrics

    async def follow(self) -> None:
        """Take documents until the feed ends."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._feed, self._take)
        await self._ended.wait()

    def _take(self) -> None:
        newest = None
        try:
            while message := self._feed.recv(_MESSAGE_MAX_BYTES):
                newest = message
            self._end()
        except BlockingIOError:
            pass
        except ConnectionError:
            self._end()
        if newest is not None:
            self.payload = zlib.decompress(newest)
            self._came_s = time.monotonic()
            self._metrics_due_s = 0.0

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._feed)
        self._ended.set()


def make_app(latest: Latest, *, token: str | None, is_local: bool) -> web.Application:
    """Return the pages over ``latest``."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=latest.metrics(), headers={"Content-Type": CONTENT_TYPE})

    async def status(_: web.Request) -> web.Response:
        if latest.payload is None:
            return web.json_response({"error": "the run has no figures yet"}, status=503)
        return web.Response(body=latest.payload, content_type="application/json")

    async def health(_: web.Request) -> web.Response:
        if latest.age_s > STALE_S:
            text = f"no figures for {latest.age_s:.0f} s\n"
            return web.Response(text=text, status=503)
        return web.Response(text="ok\n")

    app = web.Application(
        middlewares=[_guard(token, is_local=is_local)], client_max_size=_BODY_MAX_BYTES
    )
    for path, page in (("/metrics", metrics), ("/status", status), ("/healthz", health)):
        app.router.add_get(path, page)
    return app


def _guard(token: str | None, *, is_local: bool) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Return what looks at each request before it is answered."""

    @web.middleware
    async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
        if token is not None and not _shows(request, token):
            return web.Response(
                text="a token is needed: Authorization: Bearer TOKEN\n",
                status=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        if token is None and is_local and not _names_this_machine(request.host):
            # A page of somebody else, whose name was turned to this machine in a user's browser.
            return web.Response(text="ask for localhost or 127.0.0.1\n", status=403)
        response = await handler(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return look


def _shows(request: web.Request, token: str) -> bool:
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    # Compared in the same time wherever the two differ.
    is_same = hmac.compare_digest(shown.strip().encode("utf-8", "replace"), token.encode())
    return kind.lower() == "bearer" and is_same


def _names_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.removeprefix("[").removesuffix("]")
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
