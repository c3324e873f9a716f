"""RTSP 1.0 as text (RFC 2326): requests read within limits, answers, transports.

A stranger may send anything. What is too long or makes no sense raises ``BadRequest`` with the
status to answer; nothing is kept of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

HEAD_MAX_BYTES = 8192
BODY_MAX_BYTES = 4096
TRACK = "track1"
"""The only stream of a presentation."""

_METHOD = re.compile(r"[A-Z_]{1,20}")
_HEADERS_MAX = 64
_PORT_MIN = 1024
_REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    406: "Not Acceptable",
    413: "Request Entity Too Large",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "RTSP Version Not Supported",
    551: "Option not supported",
}


class BadRequest(Exception):  # noqa: N818 - what it is, not an error of ours
    """A request that is answered with a refusal."""

    def __init__(self, status: int, *, is_last: bool = False) -> None:
        """Refuse with ``status``; ``is_last`` where nothing that follows can be understood."""
        super().__init__(f"{status} {_REASONS[status]}")
        self.status = status
        self.is_last = is_last


@dataclass(frozen=True, slots=True)
class Request:
    """What a player asks."""

    method: str
    uri: str
    headers: Mapping[str, str]
    """By name in lower case."""

    @property
    def name(self) -> str:
        """Of the presentation that is asked for, without the track."""
        path = unquote(urlsplit(self.uri).path).strip("/")
        return path.removesuffix(f"/{TRACK}")

    @property
    def base(self) -> str:
        """The presentation's address as the player knows it, without user and query."""
        parts = urlsplit(self.uri)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/"


@dataclass(frozen=True, slots=True)
class Transport:
    """How a player wants its packets."""

    kind: Literal["tcp", "udp"]
    first: int
    """Channel, or the player's port, of RTP."""
    second: int
    """Channel, or the player's port, of RTCP."""


async def read_message(reader: asyncio.StreamReader) -> Request | None:
    """Returns the next request; None for a packet in between, such as a receiver's report.

    Raises:
        BadRequest: It cannot be understood, or is too long.
        IncompleteReadError: The player is gone.
    """
    first = await reader.readexactly(1)
    if first == b"$":
        head = await reader.readexactly(3)
        await reader.readexactly(int.from_bytes(head[1:], "big"))
        return None
    if first in b"\r\n":
        return None
    try:
        text = first + await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as exc:
        raise BadRequest(413, is_last=True) from exc
    request = parse_request(text)
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400, is_last=True)
    if len(length) > 5 or int(length) > BODY_MAX_BYTES:
        raise BadRequest(413, is_last=True)
    await reader.readexactly(int(length))  # parameters of which we know none
    return request


def parse_request(head: bytes) -> Request:
    """Returns the request in ``head``, which ends with an empty line.

    Raises:
        BadRequest: It is none.
    """
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or _METHOD.fullmatch(words[0]) is None or len(lines) > _HEADERS_MAX:
        raise BadRequest(400, is_last=True)
    if not words[2].startswith("RTSP/1."):
        raise BadRequest(505, is_last=True)
    try:
        _ = urlsplit(words[1]).path
    except ValueError as exc:  # a bracket in the host that no address has
        raise BadRequest(400) from exc
    pairs = (line.partition(":") for line in lines[1:] if line)
    headers = {key.strip().lower(): value.strip() for key, _, value in pairs}
    return Request(words[0], words[1], headers)


def answer(
    status: int, sequence: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Returns one response."""
    fields = {"CSeq": sequence, **(headers or {})}
    if body:
        fields["Content-Length"] = str(len(body))
    lines = [f"RTSP/1.0 {status} {_REASONS[status]}", *(f"{k}: {v}" for k, v in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def parse_transport(text: str) -> Transport:
    """Returns the first transport of a ``Transport`` header that we have.

    Raises:
        BadRequest: There is none; packets go nowhere but to who asks, so a destination is ignored.
    """
    for choice in text.split(",")[:8]:
        protocol, *words = (word.strip() for word in choice.split(";"))
        pairs = (word.partition("=") for word in words[:16])
        parameters = {key.lower(): value for key, _, value in pairs}
        if "multicast" in parameters:
            continue
        if protocol.upper() == "RTP/AVP/TCP":
            channels = _pair(parameters.get("interleaved", "0-1"))
            if channels is not None and max(channels) <= 255:
                return Transport("tcp", *channels)
        if protocol.upper() in ("RTP/AVP", "RTP/AVP/UDP"):
            ports = _pair(parameters.get("client_port", ""))
            if ports is not None and min(ports) >= _PORT_MIN and max(ports) <= 65535:
                return Transport("udp", *ports)
    raise BadRequest(461)


def _pair(text: str) -> tuple[int, int] | None:
    """Returns the numbers of ``4-5``, or of ``4`` and the one after it."""
    match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", text.strip(), re.ASCII)
    if match is None:
        return None
    first = int(match[1])
    return first, int(match[2]) if match[2] else first + 1
