"""What can be the matter with a live source, told apart, each in one line."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

import av.error

from maskstream.errors import SourceError
from maskstream.stream.addresses.redact import Address, scrubbed, shown
from maskstream.stream.sources.media import cause_of

TroubleKind = Literal[
    "refused", "unreachable", "unknown_host", "silent", "unauthorized", "forbidden", "not_found",
    "server_error", "no_video", "unsupported", "ended", "busy", "absent", "lost", "broken",
]  # fmt: skip
ANSWERS_NO: frozenset[TroubleKind] = frozenset({"unauthorized", "forbidden", "unsupported"})
"""What waiting does not mend, as far as one can tell."""

DEFAULT_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}
_KNOCK_S = 1.0
_BROKEN = (errno.EIO, errno.ECONNRESET, errno.EPIPE)


class Trouble(SourceError):  # noqa: N818 - a state of the source that may pass
    """A live source that cannot be opened or read for now."""

    def __init__(self, kind: TroubleKind, uri: str, found: str, needed: str = "") -> None:
        """Say of ``uri`` what was found, and what is needed where one can say."""
        self.kind = kind
        self.found = found
        super().__init__(f"{shown(uri)}: {found}{'; ' if needed else ''}{needed}.")


def trouble_of(
    error: Exception, uri: str, address: Address, *, waited_s: float, timeout_s: float
) -> Trouble:
    """Returns in words what an error on opening ``uri`` means.

    Args:
        error: FFmpeg's.
        uri: As the user gave it.
        address: What was opened.
        waited_s: How long opening took.
        timeout_s: How long it was allowed to take.
    """
    for kinds, make in _ANSWERS:
        if isinstance(error, kinds):
            return make(uri)
    if isinstance(error, av.error.ConnectionRefusedError):
        return Trouble(
            "refused", uri, f"nothing listens at {_host_of(address)} (connection refused)",
            "start the server, or check host and port",
        )  # fmt: skip
    is_late = isinstance(error, (av.error.TimeoutError, av.error.ExitError))
    if is_late or waited_s >= 0.9 * timeout_s:  # a server that is silent reads as invalid data
        return _late(uri, address, timeout_s)
    number = getattr(error, "errno", None)
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return Trouble("unreachable", uri, f"no route to {_host_of(address)}", "check the network")
    if number == errno.EIO and not _is_known(address):
        return Trouble("unknown_host", uri, f"no host is called {_name_of(address)}", "check it")
    if isinstance(error, av.error.InvalidDataError):
        return Trouble(
            "no_video", uri, "what comes from there is no video stream", "check the address"
        )
    return Trouble("broken", uri, scrubbed(cause_of(error), address.secrets).lower())


def lost(error: Exception, uri: str, address: Address, timeout_s: float) -> Trouble:
    """Returns in words what an error in mid-stream means."""
    if isinstance(error, (TimeoutError, av.error.ExitError)):
        return Trouble("silent", uri, f"nothing came for {timeout_s:g} s")
    number = getattr(error, "errno", None)
    if number == errno.ENODEV:
        return Trouble("absent", uri, "unplugged")
    if number in _BROKEN:
        return Trouble("lost", uri, "the connection broke")
    return Trouble("lost", uri, scrubbed(cause_of(error), address.secrets).lower())


def _unauthorized(uri: str) -> Trouble:
    if "@" in uri:
        return Trouble("unauthorized", uri, "wrong user or password", "check both")
    return Trouble(
        "unauthorized", uri, "the server asks for a user and a password",
        "give them as in rtsp://USER:${CAM_PASS}@HOST/PATH",
    )  # fmt: skip


_ANSWERS = (
    (
        av.error.ProtocolNotFoundError,
        lambda uri: Trouble(
            "unsupported",
            uri,
            f"the FFmpeg of this PyAV has no {uri.partition(':')[0].upper()}",
            "let a server such as MediaMTX or an ffmpeg that has it turn it into RTSP",
        ),
    ),
    (
        FileNotFoundError,
        lambda uri: Trouble("absent", uri, "no such file"),
    ),
    (av.error.HTTPUnauthorizedError, _unauthorized),
    (
        av.error.HTTPForbiddenError,
        lambda uri: Trouble("forbidden", uri, "the server does not let this user see it"),
    ),
    (
        av.error.HTTPNotFoundError,
        lambda uri: Trouble("not_found", uri, "the server has no such path", "check it"),
    ),
    (
        av.error.HTTPServerError,
        lambda uri: Trouble("server_error", uri, "the server fails to deliver it"),
    ),
    (
        (av.error.HTTPClientError, av.error.HTTPError),
        lambda uri: Trouble("server_error", uri, "the server refuses the request"),
    ),
)


def _late(uri: str, address: Address, timeout_s: float) -> Trouble:
    """Tell a host that is off from a server that is there and says nothing."""
    host = _host_of(address)
    parts = urlsplit(address.opened)
    if parts.scheme in ("udp", "rtp"):
        found = f"nothing came to {host} within {timeout_s:g} s"
        return Trouble("silent", uri, found, "start the sender, or check the port")
    with suppress(OSError):
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
        with socket.create_connection((parts.hostname or "", port), _KNOCK_S):
            return Trouble(
                "silent", uri,
                f"{host} accepts the connection and then says nothing for {timeout_s:g} s",
            )  # fmt: skip
    return Trouble(
        "unreachable", uri, f"no answer from {host} within {timeout_s:g} s",
        "check that it is switched on and in reach",
    )  # fmt: skip


def _is_known(address: Address) -> bool:
    try:
        socket.getaddrinfo(_name_of(address), None)
    except OSError:
        return False
    return True


def _name_of(address: Address) -> str:
    return urlsplit(address.opened).hostname or ""


def _host_of(address: Address) -> str:
    """Returns host and port, without the user."""
    parts = urlsplit(address.opened)
    port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.hostname}{f':{port}' if port else ''}"
