"""How a browser shows the token: a page that asks for it, and a cookie once it was right."""

from __future__ import annotations

from aiohttp import web

from maskstream.stream.network.assets import Asset
from maskstream.stream.network.guard import Guard

PAGE = "login.html"
_MARK = b"<!-- message -->"
_WRONG = b'<p class="wrong" role="alert">That is not the token of this run.</p>'


class Login:
    """Asks for the token, and lets a browser in."""

    def __init__(self, guard: Guard, assets: dict[str, Asset]) -> None:
        """Answer for ``guard`` with the page among ``assets``."""
        self._guard = guard
        self._page = assets[PAGE].body

    def add_routes(self, app: web.Application) -> None:
        """Answer ``/login``, and ``/`` to who has not shown the token."""
        app.router.add_post("/login", self._enter)
        app.router.add_post("/logout", self._leave)
        self._guard.ask_for_token = self._ask
        self._guard.open_paths |= {"/login"}

    async def _ask(self, _: web.Request) -> web.StreamResponse:
        return self._answer(b"")

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        token = (await request.post()).get("token")
        if not isinstance(token, str) or not self._guard.is_token(token.strip()):
            return self._answer(_WRONG)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            self._guard.cookie_name(request),
            self._guard.cookie_value(),
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        return response

    async def _leave(self, request: web.Request) -> web.StreamResponse:
        response = web.Response(status=303, headers={"Location": "/"})
        response.del_cookie(self._guard.cookie_name(request))
        return response

    def _answer(self, message: bytes) -> web.Response:
        body = self._page.replace(_MARK, message)
        return web.Response(body=body, status=401, content_type="text/html", charset="utf-8")
