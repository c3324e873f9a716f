"""Who may ask over HTTP, and what every answer tells a browser about itself.

Without a token only this machine can connect, and then the danger is a page of somebody else in the
user's own browser: one whose name was turned to this machine (DNS rebinding: the Host is wrong), or
one that asks across sites (Origin or Sec-Fetch-Site say so). With a token, whoever asks shows it as
``Authorization: Bearer TOKEN``, or has the cookie that ``/login`` gives for it. The cookie does not
hold the token: it is a keyed digest, so a browser's store gives nothing away that opens more.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_COOKIE_PURPOSE = b"maskstream page"
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}


class Guard:
    """Looks at each request before it is answered, and at each answer before it leaves."""

    def __init__(self, token: str | None, *, is_local: bool) -> None:
        """Let in who shows ``token``; with None everyone on this machine.

        Args:
            token: To be shown.
            is_local: Whether only this machine can connect.
        """
        self._token = token
        self._is_local = is_local
        self.open_paths: frozenset[str] = frozenset()
        """What needs no token, such as the page that asks for it."""
        self.ask_for_token: Handler | None = None
        """Answers ``/`` to who shows none; None answers it like any other path."""

    @property
    def needs_token(self) -> bool:
        """Whether a token has to be shown."""
        return self._token is not None

    def watch(self, app: web.Application) -> None:
        """Have ``app`` looked after."""

        @web.middleware
        async def look(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._look(request, handler)

        app.middlewares.append(look)
        app.on_response_prepare.append(_add_headers)

    def is_token(self, text: str) -> bool:
        """Whether ``text`` is the token; takes the same time wherever the two differ."""
        return self._token is not None and _is_equal(text, self._token)

    def cookie_value(self) -> str:
        """Return what a browser keeps instead of the token."""
        key = (self._token or "").encode()
        return hmac.new(key, _COOKIE_PURPOSE, hashlib.sha256).hexdigest()

    @staticmethod
    def cookie_name(request: web.Request) -> str:
        """Return the cookie's name: browsers keep one jar for all ports of a machine."""
        address = request.get_extra_info("sockname") or ("", 0)
        return f"maskstream_{address[1]}"

    async def _look(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._token is None and self._is_local and not _names_this_machine(request.host):
            return web.Response(text="ask for localhost or 127.0.0.1\n", status=403)
        if _comes_from_elsewhere(request):
            return web.Response(text="another site's pages may not ask here\n", status=403)
        if self._token is None or request.path in self.open_paths or self._is_let_in(request):
            return await handler(request)
        if self.ask_for_token is not None and request.path == "/":
            return await self.ask_for_token(request)
        return web.Response(
            text="a token is needed: Authorization: Bearer TOKEN\n",
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _is_let_in(self, request: web.Request) -> bool:
        kind, _, shown = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(shown.strip()):
            return True
        return _is_equal(request.cookies.get(self.cookie_name(request), ""), self.cookie_value())


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def _is_equal(shown: str, wanted: str) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "replace"), wanted.encode())


def _comes_from_elsewhere(request: web.Request) -> bool:
    """Whether a browser says that a page of another site asks; following a link is no asking."""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        return True
    is_other_site = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    return is_other_site and request.headers.get("Sec-Fetch-Mode") != "navigate"


def _names_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    name = name.removeprefix("[").removesuffix("]")
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
