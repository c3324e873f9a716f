"""Cameras that send JPEGs over HTTP in ways that FFmpeg does not read, as one stream of pictures.

Cheap cameras leave out the boundary before the first picture or the type of each part; others give
one picture a request. Both become a stream of JPEGs, which FFmpeg cuts apart by their markers.
"""

from __future__ import annotations

import time
import urllib.request
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from typing import Protocol, cast
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

_CHUNK_BYTES = 1 << 16
_PICTURE_BYTES_MAX = 1 << 26
_SNAPSHOT_RATE_HZ = 1.0
"""How often a camera is asked for its picture where the address does not say."""
_RATE_MAX_HZ = 60.0
_OPENING_TYPES = ("multipart/", "image/jpeg", "image/jpg", "video/x-motion-jpeg")


class Pictures(Protocol):
    """A stream of JPEGs that FFmpeg reads from."""

    def read(self, size: int) -> bytes:
        """Return what is there, at least one byte; nothing at the end."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def open_pictures(address: str, timeout_s: float) -> Pictures | None:
    """Return the pictures at an HTTP address; None where what comes from there are none.

    Args:
        address: With user and password where the camera asks for them.
        timeout_s: For opening and for each read.

    Raises:
        OSError: It cannot be opened now.
    """
    try:
        response = _ask(address, timeout_s)
        kind = response.headers.get("Content-Type", "").strip().lower()
        if not kind.startswith(_OPENING_TYPES):
            response.close()
            return None
    except HTTPException as exc:
        raise OSError(str(exc) or type(exc).__name__) from exc
    if kind.startswith("image/"):
        response.close()
        return _Snapshots(address, timeout_s)
    return _Parts(response)


class _Parts:
    """The body of an answer that goes on and on."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response

    def read(self, size: int) -> bytes:
        return self._response.read1(min(size, _CHUNK_BYTES))

    def close(self) -> None:
        self._response.close()


class _Snapshots:
    """One picture a request, asked for at a steady rate."""

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address, rate_hz = without_rate(address)
        self._timeout_s = timeout_s
        self._period_s = 1 / rate_hz
        self._due_s = time.monotonic()
        self._rest = b""

    def read(self, size: int) -> bytes:
        if not self._rest:
            time.sleep(max(0.0, self._due_s - time.monotonic()))
            self._due_s = max(self._due_s + self._period_s, time.monotonic())
            try:
                with closing(_ask(self._address, self._timeout_s)) as response:
                    self._rest = response.read(_PICTURE_BYTES_MAX)
            except HTTPException as exc:
                raise OSError(str(exc) or type(exc).__name__) from exc
        given, self._rest = self._rest[:size], self._rest[size:]
        return given

    def close(self) -> None:
        self._rest = b""


def without_rate(address: str) -> tuple[str, float]:
    """Return the address without ``fps=``, and how often a second to ask there."""
    parts = urlsplit(address)
    rate_hz = _SNAPSHOT_RATE_HZ
    kept = []
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key == "fps" and value.replace(".", "", 1).isdigit() and float(value) > 0:
            rate_hz = min(float(value), _RATE_MAX_HZ)
        else:
            kept.append((key, value))
    if len(kept) == len(parse_qsl(parts.query, keep_blank_values=True)):
        return address, rate_hz
    return urlunsplit(parts._replace(query=urlencode(kept))), rate_hz


def _ask(address: str, timeout_s: float) -> HTTPResponse:
    """Send one request; with the user's name and password if the server asks for them."""
    parts = urlsplit(address)
    place = parts.hostname or ""
    place = f"[{place}]" if ":" in place else place
    place = f"{place}:{parts.port}" if parts.port else place
    plain = urlunsplit(parts._replace(netloc=place, fragment=""))
    handlers: list[urllib.request.BaseHandler] = []
    if parts.username is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, plain, unquote(parts.username), unquote(parts.password or ""))
        handlers += [
            urllib.request.HTTPBasicAuthHandler(known),
            urllib.request.HTTPDigestAuthHandler(known),
        ]
    opener = urllib.request.build_opener(*handlers)
    return cast("HTTPResponse", opener.open(plain, timeout=timeout_s))
