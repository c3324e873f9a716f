"""The server that answers ``/metrics``, ``/status`` and ``/healthz``, alone or as part of the page.

It reads no file, keeps one document, and answers each request from it at once. So a connection
needs little, and where there are too many, the oldest ones are closed.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
import zlib
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from maskstream.stream.network.guard import Guard
from maskstream.stream.network.newest import Newest
from maskstream.stream.processes.process import die_with_parent, ignore_interrupts, set_title
from maskstream.stream.telemetry.metrics import CONTENT_TYPE, render_metrics
from maskstream.stream.telemetry.status import decode_status

CONNECTIONS_MAX = 64
"""A newer connection closes the oldest: whoever is answered at once needs none for long."""
STALE_S = 10.0
"""Figures come every second; after so long without any, the run does not look after itself."""
_IDLE_S = 15.0
_END_S = 1.0
_NICE = 10
"""Whoever asks without a pause gets what the run leaves of the cores, and little more."""
_RENDER_S = 1.0
_MESSAGE_MAX_BYTES = 1 << 20
_BODY_MAX_BYTES = 1024


@dataclass(frozen=True, slots=True)
class ServerSetup:
    """What the process is given."""

    listener: socket.socket
    """Bound and listening."""
    feed: socket.socket
    """Gives a compressed JSON document a message; its end is the end of the run."""
    token: str | None = field(repr=False)
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
    app = make_app(latest, Guard(setup.token, is_local=setup.is_local))
    async with serving(app, setup.listener):
        gc.freeze()
        await latest.follow()


@asynccontextmanager
async def serving(
    app: web.Application,
    listener: socket.socket,
    *,
    kept: Container[asyncio.BaseProtocol] = frozenset(),
) -> AsyncIterator[None]:
    """Answer who connects to ``listener``, in the block.

    Args:
        app: What answers.
        listener: Bound and listening.
        kept: Connections that a newer one does not close.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=_IDLE_S,
        lingering_time=1.0,
        shutdown_timeout=_END_S,
        handler_cancellation=True,
    )
    await runner.setup()
    protocols = runner.server
    if protocols is None:
        raise RuntimeError("aiohttp: the runner has no server after its setup.")

    def connect() -> asyncio.BaseProtocol:
        open_ones = protocols.connections
        idle = [protocol for protocol in open_ones if protocol not in kept]
        for oldest in idle[: max(0, len(open_ones) - CONNECTIONS_MAX + 1)]:
            oldest.force_close()
        return protocols()

    server = await asyncio.get_running_loop().create_server(connect, sock=listener)
    try:
        yield
    finally:
        server.close()
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
        self.documents: Newest[bytes] = Newest()
        """JSON."""

    @property
    def payload(self) -> bytes | None:
        """JSON, None before the first."""
        return self.documents.value

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
            self.documents.put(zlib.decompress(newest))
            self._came_s = time.monotonic()
            self._metrics_due_s = 0.0

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._feed)
        self._ended.set()


def make_app(latest: Latest, guard: Guard) -> web.Application:
    """Return the pages over ``latest``, shown to whom ``guard`` lets in."""

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

    app = web.Application(client_max_size=_BODY_MAX_BYTES)
    guard.watch(app)
    for path, page in (("/metrics", metrics), ("/status", status), ("/healthz", health)):
        app.router.add_get(path, page)
    return app
