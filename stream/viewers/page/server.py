"""The page's server: an event loop in a thread beside the one that takes frames."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from maskstream.stream.errors import StageError
from maskstream.stream.network.assets import Asset, load_assets
from maskstream.stream.network.guard import Guard
from maskstream.stream.network.login import PAGE as LOGIN_PAGE
from maskstream.stream.network.login import Login
from maskstream.stream.telemetry.http_server import Latest, make_app, serving
from maskstream.stream.viewers.page.pictures import Picture, Pictures
from maskstream.stream.viewers.page.streams import Viewers

PAGE = "page.html"
_HIDDEN = (PAGE, LOGIN_PAGE)
"""Shown under other names, or not at all."""
_START_S = 10.0
_END_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """What a page's process is given. Picklable only while a process is being spawned."""

    listener: socket.socket
    """Bound and listening."""
    feed: socket.socket
    """Gives a compressed status document a message."""
    token: str | None = field(repr=False)
    """That who looks has to show; None lets everyone look."""
    is_local: bool
    """Whether only this machine can connect."""
    names: Mapping[int, str]
    """What the sources are called, without passwords, by source id."""


class ServerThread:
    """Runs the server in the block. What is handed over is waited for, so a hang is seen."""

    def __init__(self, settings: PageSettings, pictures: Pictures) -> None:
        """Serve ``pictures`` once entered."""
        self._settings = settings
        self._pictures = pictures
        self._loop = asyncio.new_event_loop()
        self._is_serving = threading.Event()
        self._is_over = asyncio.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._is_serving.wait(_START_S) or self._error is not None:
            raise StageError("page: the server did not start.") from self._error
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(_END_S)

    def put(self, source_id: int, picture: Picture) -> None:
        """Hand a picture to the viewers; returns once the event loop has it."""
        self._call(self._put(source_id, picture))

    def check(self) -> None:
        """Return once the event loop has answered.

        Raises:
            StageError: It has ended.
        """
        self._call(asyncio.sleep(0))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        if not self._thread.is_alive():
            work.close()
            raise StageError("page: the server ended.") from self._error
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _put(self, source_id: int, picture: Picture) -> None:
        self._pictures.put(source_id, picture)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as exc:  # noqa: BLE001 - carried to the thread that waits for it
            self._error = exc
        finally:
            self._is_serving.set()

    async def _serve(self) -> None:
        settings = self._settings
        latest = Latest(settings.feed)
        guard = Guard(settings.token, is_local=settings.is_local)
        viewers = Viewers(self._pictures, settings.names, has_token=guard.needs_token)
        app = make_page_app(latest, guard, viewers)
        async with serving(app, settings.listener, kept=viewers.streams), asyncio.TaskGroup() as t:
            tasks = [
                t.create_task(latest.follow()),
                t.create_task(viewers.follow(latest.documents)),
            ]
            self._is_serving.set()
            await self._is_over.wait()
            for task in tasks:
                task.cancel()


def make_page_app(latest: Latest, guard: Guard, viewers: Viewers) -> web.Application:
    """Return the page and everything that it loads, with the figures' own pages."""
    assets = load_assets()
    app = make_app(latest, guard)
    viewers.add_routes(app)
    if guard.needs_token:
        Login(guard, assets).add_routes(app)
    public = {f"/{name}": asset for name, asset in assets.items() if name not in _HIDDEN}
    guard.open_paths |= frozenset(path for path in public if path.endswith((".css", ".svg")))
    for path, asset in {"/": assets[PAGE], **public}.items():
        app.router.add_get(path, _answer_with(asset))
    return app


def _answer_with(asset: Asset) -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8")

    return answer
